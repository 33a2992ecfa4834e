"""Arrays that many tasks have: copied into shared memory once, or found in their file."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tarefa._collections._array import Array
from tarefa._collections._blocks import share
from tarefa._convert import _views
from tarefa._runtime._errors import TarefaError


class Copies:
    """A copy of each array of at least ``least`` bytes that is met while they are in use.

    An array is known by its identity: what is written to it later, tasks do not see. The copies
    live until their arrays are gone or the last message that has one is, and this object.

    An array of a file that is mapped needs no copy: tasks map the file.
    """

    def __init__(self, least: int, *, writable: bool) -> None:
        self._least = least
        self._writable = writable
        self._known: dict[int, tuple[weakref.ref[Any], Any]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Have what this thread encodes meanwhile name the copies."""
        before = _views.instead.of
        _views.instead.of = self._reduce
        try:
            yield
        finally:
            _views.instead.of = before

    def _reduce(self, array: Any) -> Any:
        """How an array is pickled; None where it is to travel as ever."""
        if array.dtype.hasobject:
            return None
        mapped = _mapped(array)
        if mapped is not None:
            return _map, mapped
        if array.nbytes < self._least:
            return None
        with self._lock:
            known = self._known.get(id(array))
            if known is None or known[0]() is not array:
                try:
                    copy = self._copy(array)
                except (TarefaError, MemoryError):
                    # Without one it waits for room in its message.
                    return None
                known = weakref.ref(array, self._forget(id(array))), copy
                self._known[id(array)] = known
            return _views.reduce(known[1])

    def _copy(self, array: Any) -> Any:
        import numpy as np

        if self._writable:
            return np.asarray(Array(array))
        copy = share(array)
        if copy is not array:
            copy.flags.writeable = False
        return copy

    def _forget(self, of: int) -> Any:
        """What is called when the array is gone, which may be in the midst of ours."""
        known = self._known
        return lambda _: known.pop(of, None)


def _mapped(array: Any) -> tuple[Any, ...] | None:
    """The file that an array shows, and where: of one that everybody sees who maps it."""
    import numpy as np

    kind: Any = np.memmap
    base = array
    # The one that was made with the mapping; the others show parts of it.
    while base is not None and not (isinstance(base, kind) and base._mmap is base.base):
        base = getattr(base, "base", None)
    if base is None or base.filename is None or base.mode == "c":
        return None
    # NumPy maps from a multiple of the page, and shows from where it was asked to.
    at = array.__array_interface__["data"][0] - base.__array_interface__["data"][0] + base.offset
    mode = "r" if base.mode == "r" or not array.flags.writeable else "r+"
    dtype = np.empty(0, array.dtype)
    return str(base.filename), dtype, mode, at, array.shape, array.strides, type(array) is np.memmap


def _map(
    file: str,
    dtype: Any,
    mode: Any,
    at: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    is_map: bool,
) -> Any:
    import numpy as np

    if 0 in shape:
        return np.empty(shape, dtype.dtype)
    # From the first byte that it shows to the last one; strides may lead backwards.
    steps = [(n - 1) * step for n, step in zip(shape, strides, strict=True)]
    before = -sum(step for step in steps if step < 0)
    length = before + sum(step for step in steps if step > 0) + dtype.dtype.itemsize
    whole = np.memmap(file, np.uint8, mode, at - before, (length,))
    array: Any = np.ndarray(shape, dtype.dtype, whole, before, strides)
    return array.view(np.memmap) if is_map else array
