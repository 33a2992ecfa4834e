"""Inputs of a map that go out as slices: arrays, columns, frames, and several inputs side by side.

What can be cut is not taken apart in the caller: a batch is a slice of it, and its worker takes
that apart, as the caller would have done. An array is copied into shared memory once, as it is now,
so a batch of it is a few words; see ``share``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

# Below this an array is copied with each batch, which is sooner done.
_SMALL = 1 << 16
# A pickle of a frame that is larger than this, its buffers aside, does not go with each slice.
_BULKY = 1 << 16


class Items(Sequence[Any]):
    """The items of an array."""

    __slots__ = ("array", "is_private")

    def __init__(self, array: Any, *, is_private: bool) -> None:
        self.array = array
        # Whether who gets an item that is an array may write to it, as to a copy of its own.
        self.is_private = is_private

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, at: Any) -> Any:
        found = self.array[at]
        return Items(found, is_private=self.is_private) if type(at) is slice else found

    def __iter__(self) -> Iterator[Any]:
        return iter(self.array)

    def __reduce__(self) -> Any:
        return _items, (self.array, self.is_private)


def _items(array: Any, is_private: bool) -> Any:
    """The same in a worker."""
    if is_private and array.ndim > 1 and not array.flags.writeable:
        return array.copy()
    return array


class Column(Sequence[Any]):
    """The items of a series, by their places."""

    __slots__ = ("series",)

    def __init__(self, series: Any) -> None:
        self.series = series

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, at: Any) -> Any:
        if type(at) is slice:
            return Column(self.series.iloc[at])
        # As it comes when it is iterated over: ``iloc`` has NumPy's numbers.
        return next(iter(self.series.iloc[at : at + 1]))

    def __iter__(self) -> Iterator[Any]:
        return iter(self.series)

    def __reduce__(self) -> Any:
        return Column, (self.series.reset_index(drop=True),)


class Beside(Sequence[Any]):
    """Items of several, as ``zip`` has them."""

    __slots__ = ("parts",)

    def __init__(self, *parts: Sequence[Any]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return min(map(len, self.parts))

    def __getitem__(self, at: Any) -> Any:
        found = [part[at] for part in self.parts]
        return Beside(*found) if type(at) is slice else tuple(found)

    def __iter__(self) -> Iterator[Any]:
        return zip(*self.parts, strict=False)

    def __reduce__(self) -> Any:
        return Beside, self.parts


def sequence_of(inputs: tuple[Any, ...], *, travels: bool) -> Any:
    """The inputs of a map as something that is cut into batches; None if they are no such thing.

    It is as they are now, whatever becomes of them.

    Args:
        inputs: the iterables, one for each argument.
        travels: whether batches go to other processes.
    """
    parts = []
    for it in inputs:
        part = _part_of(it, travels)
        if part is None:
            return None
        parts.append(part)
    return parts[0] if len(parts) == 1 else Beside(*parts)


def _part_of(it: Any, travels: bool) -> Any:
    kind = type(it)
    if kind is list:
        return tuple(it)
    if kind is tuple or kind is range:
        return it
    if not travels:
        return None
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None and kind is getattr(numpy, "ndarray", None):
        if it.ndim == 0 or it.dtype.hasobject:
            return None
        found = _shared(it)
        return Items(found, is_private=found is not it)
    if pandas is not None and kind is getattr(pandas, "Series", None):
        return Column(it.copy())
    return None


def _shared(array: Any) -> Any:
    """The array in shared memory, as it is now; itself, if it lies there."""
    if array.nbytes < _SMALL:
        return array.copy()
    from tarefa._collections._blocks import share

    try:
        return share(array)
    except MemoryError:
        # A part after the other has room perhaps.
        return array.copy()


# -- slices as the arguments of calls ------------------------------------------------------


class _Whole:
    """What slices are cut from: pickled once, with its buffers in shared memory."""

    __slots__ = ("made",)

    def __init__(self, data: bytes, buffers: list[Any]) -> None:
        self.made = (_rebuilt, (data, buffers))

    def __reduce__(self) -> Any:
        return self.made


def _rebuilt(data: bytes, buffers: list[Any]) -> Any:
    from tarefa._convert import _pickling

    return _pickling.loads(data, buffers=buffers)


class _Slice:
    """A slice of a whole; where it arrives it is what was cut."""

    __slots__ = ("end", "start", "whole")

    def __init__(self, whole: _Whole, start: int, end: int) -> None:
        self.whole = whole
        self.start = start
        self.end = end

    def __reduce__(self) -> Any:
        return cut, (self.whole, self.start, self.end)


def rows_of(data: Any) -> int:
    """How many rows something has that can be cut.

    Raises:
        TypeError: it cannot be.
    """
    try:
        count = len(data)
        cut(data, 0, 0)
    except (TypeError, KeyError, AttributeError) as e:
        raise TypeError(
            f"map_slices() takes an array, a series, a frame or a sequence, not "
            f"{type(data).__name__}: {e}"
        ) from e
    return count


def cut(data: Any, start: int, end: int) -> Any:
    """Some of the rows of something that can be cut."""
    by_place = getattr(data, "iloc", data)
    return by_place[start:end]


def slices_of(data: Any, rows: int, *, travels: bool) -> list[Any]:
    """What is to be cut, in slices of so many rows each: for calls, as they travel best.

    Args:
        data: a sequence, an array, a series or a frame.
        rows: of each slice; the last may have fewer.
        travels: whether the calls go to other processes.
    """
    places = [(at, min(at + rows, len(data))) for at in range(0, len(data), rows)]
    numpy: Any = sys.modules.get("numpy")
    if travels and numpy is not None and type(data) is numpy.ndarray and not data.dtype.hasobject:
        data = _shared(data)
    elif travels and hasattr(data, "iloc"):
        whole = _whole_of(data)
        if whole is not None:
            return [_Slice(whole, start, end) for start, end in places]
    return [cut(data, start, end) for start, end in places]


def _whole_of(frame: Any) -> _Whole | None:
    """A frame with its buffers in shared memory; None where too much of it is no buffer."""
    from tarefa._collections._blocks import share
    from tarefa._convert import _pickling

    buffers: list[Any] = []

    def keep(buffer: Any) -> bool:
        raw = buffer.raw()
        if raw.nbytes < _SMALL:
            return True
        buffers.append(share(raw))
        return False

    try:
        data, _ = _pickling._dumps(frame, keep)
    except MemoryError:
        return None
    return None if len(data) > _BULKY else _Whole(data, buffers)
