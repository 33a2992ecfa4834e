"""``share`` and ``empty``: arrays that lie in shared memory, so that sending one copies nothing."""

from __future__ import annotations

import sys
from typing import Any, Literal

from tarefa._engine import block_at, make_block
from tarefa._runtime._errors import BadItemType


def share(array: Any, /) -> Any:
    """Copy an array into shared memory, once; then it travels without a copy.

    Through queues and pipes, as an argument or a result, inside other values: whoever receives it,
    or a slice of it, looks at the same memory. It is a NumPy array as any other. A receiver may
    write to it only once nobody else has it; else its view is read-only. The memory is free when
    the last array that looks at it is gone, in whatever process.

    >>> import numpy, tarefa
    >>> table = tarefa.share(numpy.arange(6).reshape(2, 3))
    >>> queue = tarefa.Queue()
    >>> queue.put(table[:, 1])
    >>> queue.get().tolist()
    [1, 4]

    Args:
        array: a NumPy array; something that NumPy makes one of without being told how
            (``__array__``, ``__array_interface__``, ``__dlpack__``); or bytes, a bytearray or a
            contiguous memoryview, of which a memoryview is made. One that lies in shared memory
            already is returned as it is.

    Raises:
        BadItemType: its items refer to objects of this process (a ``TypeError``).
        TypeError: it is no array.
        ArenaFull: there is no room for it (a ``MemoryError``).
    """
    if isinstance(array, (bytes, bytearray, memoryview)):
        return _share_bytes(memoryview(array))
    np: Any = sys.modules.get("numpy")
    if np is None or not isinstance(array, np.ndarray):
        if not any(
            hasattr(array, name) for name in ("__array_interface__", "__array__", "__dlpack__")
        ):
            raise TypeError(
                f"share() takes a NumPy array, or bytes, not {type(array).__name__}: make an array "
                "of it first, with numpy.asarray()"
            )
        import numpy as np

        array = _asarray(np, array)
    masked: Any = sys.modules.get("numpy.ma")
    if masked is not None and isinstance(array, masked.MaskedArray):
        raise TypeError("share() takes no masked array: share its data and its mask, one each")
    _check(array.dtype)
    if array.size and _lies_in_block(array):
        return array
    order: Literal["C", "F"] = (
        "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    )
    made = empty(array.shape, array.dtype, order)
    made[...] = array
    return made if type(array) is np.ndarray else made.view(type(array))


def empty(shape: Any, dtype: Any = float, order: Literal["C", "F"] = "C") -> Any:
    """Make an array in shared memory, whose items are not set; as ``numpy.empty``.

    It travels as one of :func:`share` does, without ever being copied.

    Args:
        shape: how many items along each dimension; a number for one dimension.
        dtype: the type of its items.
        order: ``"C"`` for rows one after the other, ``"F"`` for columns.

    Raises:
        BadItemType: items that would refer to objects of this process (a ``TypeError``).
        ValueError: a negative size; an order that there is not.
        ImportError: NumPy is not installed.
        ArenaFull: there is no room for it (a ``MemoryError``).
    """
    try:
        import numpy as np
    except ImportError as e:
        raise ImportError(
            "tarefa.empty() makes NumPy arrays, and NumPy is not installed: pip install numpy"
        ) from e
    if order not in ("C", "F"):
        raise ValueError(f"order is 'C' or 'F', not {order!r}")
    dtype = np.dtype(dtype)
    _check(dtype)
    # One that takes no memory knows what is a shape.
    like = np.broadcast_to(np.zeros((), dtype), shape)
    if like.dtype.itemsize == 0 or like.size == 0:
        return np.empty(like.shape, like.dtype, order)
    block: Any = make_block(like.nbytes)
    return np.ndarray(like.shape, like.dtype, block, 0, None, order)


def _asarray(numpy: Any, array: Any) -> Any:
    """What NumPy makes of something that says how."""
    if hasattr(array, "__array_interface__") or hasattr(array, "__array__"):
        return numpy.asarray(array)
    return numpy.from_dlpack(array)


def _check(dtype: Any) -> None:
    if dtype.hasobject:
        raise BadItemType(
            f"items of type {dtype} refer to objects of this process, so they cannot be shared: "
            "use numbers, or texts of a fixed length"
        )


def _lies_in_block(array: Any) -> bool:
    first = array.__array_interface__["data"][0]
    # A slice lies where its items do, and its block is found by any of them.
    return block_at(first, array.itemsize) is not None


def _share_bytes(view: memoryview) -> Any:
    if not view.c_contiguous:
        raise TypeError("share() takes contiguous memory: share view.tobytes()")
    code, shape = view.format, view.shape
    shared: Any = memoryview(make_block(view.nbytes))
    shared[:] = view.cast("B")
    if view.ndim != 1 or code != "B":
        shared = shared.cast(code) if view.ndim == 1 else shared.cast(code, shape)
    return shared
