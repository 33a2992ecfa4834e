"""Views of an ``Array`` or ``Value``: NumPy arrays whose memory is a shared object's.

In our encoding they travel as views, whatever their shape and strides; ``pickle`` and ``copy``
copy what they show, as ever.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tarefa import _engine


def reducers() -> dict[type, Callable[[Any], Any]]:
    """How NumPy's arrays are pickled."""
    numpy: Any = sys.modules.get("numpy")
    kind = getattr(numpy, "ndarray", None)  # while it is being imported there is none
    return {} if kind is None else {kind: _reduce}


def _reduce(view: Any) -> Any:
    if _engine.has_arrays():
        found = _owner(view)
        if found is not None:
            owner, offset = found
            import numpy as np

            # The dtype as an array without items: it pickles all that a dtype may hold.
            kind = np.empty(0, view.dtype)
            writable = bool(view.flags.writeable)
            return _rebuild, (owner, kind, view.shape, view.strides, offset, writable)
    return view.__reduce_ex__(5)


def _owner(view: Any) -> tuple[Any, int] | None:
    """The shared object whose memory a view shows, and how far from its start the view begins."""
    import numpy as np

    if view.dtype.hasobject:
        return None
    base = view
    while type(base) is np.ndarray or isinstance(base, np.ndarray):
        if base.base is None:
            return None
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    if not isinstance(base, _SHARED):
        return None
    whole = np.asarray(base)
    start = whole.__array_interface__["data"][0]
    at = view.__array_interface__["data"][0]
    if view.size == 0:
        return base, 0
    return base, at - start


_SHARED = (_engine.ArrayCore, _engine.ValueCore)


def _rebuild(
    owner: Any,
    kind: Any,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int,
    writable: bool,
) -> Any:
    import numpy as np

    whole = np.asarray(owner)
    flat = whole.reshape(-1).view(np.uint8)
    view: Any = np.ndarray(shape, kind.dtype, flat, offset, strides)
    if not writable:
        view.flags.writeable = False
    return view
