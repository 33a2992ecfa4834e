"""Views of shared memory, NumPy arrays and ``memoryview``: the memory is the same.

It is that of an ``Array`` or ``Value``, or a block: what ``share`` and ``empty`` make, and what
came in a message.

In our encoding they travel as views, whatever their shape and strides; ``pickle`` and ``copy``
copy what they show, as ever.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from tarefa import _engine
from tarefa._convert import _memory


class _Instead(threading.local):
    """What knows another way for an array that this thread encodes; None of one that has none."""

    of: Callable[[Any], Any] | None = None


instead = _Instead()


def reducers() -> dict[type, Callable[[Any], Any]]:
    """How NumPy's arrays are pickled, and views of memory where there may be some of ours."""
    numpy: Any = sys.modules.get("numpy")
    kind = getattr(numpy, "ndarray", None)  # while it is being imported there is none
    if kind is None:
        return {}
    # Subclasses that have nothing besides; pickle looks for the very type.
    alike = (getattr(numpy, name, kind) for name in ("recarray", "matrix"))
    found = dict.fromkeys((kind, *alike), _reduce)
    masked = getattr(sys.modules.get("numpy.ma"), "MaskedArray", None)
    if masked is not None:
        found[masked] = _reduce_masked
    return {**found, getattr(numpy, "memmap", kind): _reduce, memoryview: _reduce_memory}


def _reduce(view: Any) -> Any:
    found = None if instead.of is None else instead.of(view)
    return reduce(view) if found is None else found


def reduce(view: Any) -> Any:
    """How an array is pickled: as a view where it lies in shared memory."""
    if _engine.has_arrays():
        found = owner_of(view)
        if found is not None:
            owner, offset = found
            import numpy as np

            # The dtype as an array without items: it pickles all that a dtype may hold.
            dtype = np.empty(0, view.dtype)
            writable = bool(view.flags.writeable)
            kind = None if type(view) is np.ndarray else type(view)
            return _rebuild, (owner, dtype, view.shape, view.strides, offset, writable, kind)
    return view.__reduce_ex__(5)


def _reduce_masked(view: Any) -> Any:
    """As a view of the same memory where its data or its mask is one, beside the other."""
    import numpy as np

    data, mask = view.data, view.mask
    shown = [one for one in (data, mask) if type(one) is np.ndarray and one.size]
    if not _engine.has_arrays() or not any(owner_of(one) for one in shown):
        return view.__reduce_ex__(5)
    fill, hard = view._fill_value, view._hardmask
    return _rebuild_masked, (data, None if mask is np.ma.nomask else mask, fill, hard)


def _rebuild_masked(data: Any, mask: Any, fill: Any, hard: bool) -> Any:
    import numpy as np

    array: Any = np.ma.MaskedArray(data, np.ma.nomask if mask is None else mask, copy=False)
    array._fill_value, array._hardmask = fill, hard
    return array


def _reduce_memory(view: memoryview) -> Any:
    if _engine.has_arrays():
        import numpy as np

        array: Any = np.asarray(view)
        if owner_of(array) is not None:
            return memoryview, (array,)
    return _memory.reduce(view)


def owner_of(view: Any) -> tuple[Any, int] | None:
    """The shared object whose memory a view shows, and how far from its start the view begins."""
    import numpy as np

    if view.dtype.hasobject:
        return None
    placed = _placed(view)
    if placed is not None:
        placed[0].show(view.nbytes)
        return placed
    base = view
    # NumPy's windows and views of any strides have one between that is no array and stands for one.
    while isinstance(base, (np.ndarray, memoryview)) or (
        hasattr(base, "__array_interface__") and hasattr(base, "base")
    ):
        base = base.obj if isinstance(base, memoryview) else base.base
    if not isinstance(base, _SHARED):
        return None
    whole = np.asarray(base)
    start = whole.__array_interface__["data"][0]
    at = view.__array_interface__["data"][0]
    if view.size == 0:
        return base, 0
    return base, at - start


def bounds(view: Any) -> tuple[int, int]:
    """From where to where the items of an array lie, in bytes from its first one."""
    low, high = 0, view.itemsize
    for extent, stride in zip(view.shape, view.strides, strict=True):
        if stride < 0:
            low += (extent - 1) * stride
        else:
            high += (extent - 1) * stride
    return low, high


def _placed(view: Any) -> tuple[_engine.Block, int] | None:
    """The block in which an array lies, and how far from its start the first item is."""
    if view.size == 0:
        return None
    first = view.__array_interface__["data"][0]
    low, high = bounds(view)
    found = _engine.block_at(first + low, high - low)
    return None if found is None else (found[0], found[1] - low)


_SHARED: tuple[type, ...] = (_engine.ArrayCore, _engine.ValueCore)


def _rebuild(
    owner: Any,
    dtype: Any,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int,
    writable: bool,
    kind: Any,
) -> Any:
    import numpy as np

    whole = np.asarray(owner)
    flat = whole.reshape(-1).view(np.uint8)
    view: Any = np.ndarray(shape, dtype.dtype, flat, offset, strides)
    if not writable:
        view.flags.writeable = False
    return view if kind is None else view.view(kind)
