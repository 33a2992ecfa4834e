"""``Array`` and ``RawArray``: items in memory that threads and processes share."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator

from tarefa._collections import _items, _making
from tarefa._collections._items import Locked
from tarefa._collections._making import Copied
from tarefa._collections._typecodes import (
    NUMPY_NAMES,
    ItemType,
    check,
    is_dtype,
    names_numpy,
    resolve,
)
from tarefa._engine import ArrayCore
from tarefa._runtime._module_objects import shared_value
from tarefa._runtime._showing import THRESHOLD, cut_short, title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctypes import _SimpleCData
    from typing import Any, Literal, TypeVar, overload

    from tarefa._collections._codes import ComplexCode, FloatCode, IntCode
else:
    from tarefa._runtime._untyped import TypeVar, overload

T = TypeVar("T")


class RawArray(Copied, ArrayCore[T]):
    """An array without a lock: see :class:`Array`.

    It is what ``Array(..., lock=False)`` makes.
    """

    __module__ = "tarefa"
    __slots__ = ("_tarefa_view",)
    _tarefa_view: Any

    @overload
    def __new__(cls, typecode_or_type: IntCode, size_or_initializer: Any) -> RawArray[int]: ...
    @overload
    def __new__(cls, typecode_or_type: FloatCode, size_or_initializer: Any) -> RawArray[float]: ...
    @overload
    def __new__(
        cls, typecode_or_type: ComplexCode, size_or_initializer: Any
    ) -> RawArray[complex]: ...
    @overload
    def __new__(
        cls, typecode_or_type: Literal["?"], size_or_initializer: Any
    ) -> RawArray[bool]: ...
    @overload
    def __new__(
        cls, typecode_or_type: Literal["c"], size_or_initializer: Any
    ) -> RawArray[bytes]: ...
    @overload
    def __new__(cls, typecode_or_type: Literal["u"], size_or_initializer: Any) -> RawArray[str]: ...
    @overload
    def __new__(
        cls, typecode_or_type: type[_SimpleCData[T]], size_or_initializer: Any
    ) -> RawArray[T]: ...
    @overload
    def __new__(cls, typecode_or_type: type[T], size_or_initializer: Any) -> RawArray[T]: ...
    @overload
    def __new__(cls, typecode_or_type: Any, size_or_initializer: Any = ...) -> RawArray[Any]: ...
    def __new__(cls, typecode_or_type: Any, size_or_initializer: Any = ...) -> Any:
        """Make an array; the arguments and errors are those of :class:`Array`."""
        typecode_or_type, size_or_initializer = _given(typecode_or_type, size_or_initializer)
        made: Any = _of_module(cls, lambda: make(cls, typecode_or_type, size_or_initializer, None))
        return made

    def get_obj(self) -> Any:
        """Its memory as a ctypes array, or as a NumPy array where ctypes has no such type.

        What is read and written through it takes no lock, and ctypes cuts numbers that do not
        fit. The memory stays as long as it does.
        """
        return _items.view(self)

    def snapshot(self) -> Any:
        """A plain copy: a list (of lists, for several dimensions), bytes or str.

        An array with a lock is copied while that is held: at one instant, for all who change it
        under the lock. Without one each item is copied at an instant of its own. Items that are
        structures are copied as their ctypes type.
        """
        return self._read_all(True)

    def close(self) -> None:
        """Give the memory back now, as far as this object is concerned.

        Raises:
            BufferError: views of it exist: NumPy arrays, memoryviews, ctypes objects.
        """
        _items.close(self)

    def __iter__(self) -> Iterator[T]:
        for i in range(len(self)):
            yield self[i]

    def __repr__(self) -> str:
        items = "closed" if self._memory.closed else self._tarefa_shown()
        return f"{title(self)}({self.type_code!r}, {items})"

    def _tarefa_shown(self) -> str:
        shape = self._memory.shape
        items = math.prod(shape)
        if items == 0 and len(shape) > 1:
            return f"[], shape={shape}"
        if items <= THRESHOLD:
            return repr(self._read_all(False))
        return cut_short(shape, self._tarefa_item)

    def _tarefa_item(self, key: tuple[int, ...]) -> str:
        return repr(self._inspect(key))

    @property
    def shape(self) -> tuple[int, ...]:
        """How many items there are along each dimension."""
        return self._memory.shape

    @property
    def dtype(self) -> Any:
        """The NumPy dtype of its items; ``ImportError`` without NumPy."""
        return _items.dtype_of(self)

    def __int__(self) -> int:
        """Refused: an array is no number, nor the text of one."""
        raise TypeError(f"int() takes a number, not an array: {title(self)} has items")

    def __float__(self) -> float:
        """Refused: as for ``int()``."""
        raise TypeError(f"float() takes a number, not an array: {title(self)} has items")

    def __eq__(self, other: object) -> bool:
        return self.object_id == other.object_id if isinstance(other, ArrayCore) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.object_id)


class Array(Locked, RawArray[T]):
    """An array of items in memory that threads and processes share.

    It has the habits of ``multiprocessing.Array``: ``a[i]`` and slices, ``get_lock()``,
    ``get_obj()``, ``.value`` and ``.raw`` for text. Each access waits for the lock if another
    thread has it, and raises :class:`OwnerDied`, once, if that thread's process died. It is a
    buffer too: ``numpy.asarray(a)`` and ``memoryview(a)`` are writable views of the shared memory,
    which stays as long as any of them.

    An item that is a number of 1, 2, 4 or 8 bytes is read and written at one instant.
    :meth:`add`, :meth:`exchange` and :meth:`compare_exchange` are single instants as well; they
    do not wait for the lock. A number that its type does not hold is refused.

    It can be pickled into any other process and is the same array there.
    """

    __module__ = "tarefa"
    __slots__ = ()

    @overload
    def __new__(
        cls, typecode_or_type: IntCode, size_or_initializer: Any, *, lock: Any = True
    ) -> Array[int]: ...
    @overload
    def __new__(
        cls, typecode_or_type: FloatCode, size_or_initializer: Any, *, lock: Any = True
    ) -> Array[float]: ...
    @overload
    def __new__(
        cls, typecode_or_type: ComplexCode, size_or_initializer: Any, *, lock: Any = True
    ) -> Array[complex]: ...
    @overload
    def __new__(
        cls, typecode_or_type: Literal["?"], size_or_initializer: Any, *, lock: Any = True
    ) -> Array[bool]: ...
    @overload
    def __new__(
        cls, typecode_or_type: Literal["c"], size_or_initializer: Any, *, lock: Any = True
    ) -> Array[bytes]: ...
    @overload
    def __new__(
        cls, typecode_or_type: Literal["u"], size_or_initializer: Any, *, lock: Any = True
    ) -> Array[str]: ...
    @overload
    def __new__(
        cls,
        typecode_or_type: type[_SimpleCData[T]],
        size_or_initializer: Any,
        *,
        lock: Any = True,
    ) -> Array[T]: ...
    @overload
    def __new__(
        cls, typecode_or_type: type[T], size_or_initializer: Any, *, lock: Any = True
    ) -> Array[T]: ...
    @overload
    def __new__(
        cls, typecode_or_type: Any, size_or_initializer: Any = ..., *, lock: Any = True
    ) -> Array[Any]: ...
    def __new__(
        cls, typecode_or_type: Any, size_or_initializer: Any = ..., *, lock: Any = True
    ) -> Any:
        """Make an array.

        Args:
            typecode_or_type: a typecode of :mod:`array` (also ``c``, ``?``, ``n``, ``N``, and
                ``F``, ``D`` for complex numbers), a ctypes type, or anything that is a NumPy dtype.
                Or a NumPy array alone, which is copied: its items, their type and its shape.
            size_or_initializer: how many items of zero, or the items. With a NumPy dtype a tuple
                is a shape; of a NumPy array the shape is kept.
            lock: True for a recursive lock of its own; a lock; or False for none, which makes a
                :class:`RawArray`.

        Raises:
            BadItemType: an unknown typecode, or a type that cannot be shared, with the reason (a
                ``TypeError`` and a ``ValueError``).
            TypeError: an item of another type.
            ValueError: a negative size.
            OverflowError: an item that its type does not hold.
            ArenaFull: there is no room for it (a ``MemoryError``).
        """
        typecode_or_type, size_or_initializer = _given(typecode_or_type, size_or_initializer)
        if lock is None:
            lock = True
        base, lock = (RawArray, None) if lock is False else (cls, lock)
        made: Any = _of_module(
            base, lambda: make(base, typecode_or_type, size_or_initializer, lock)
        )
        return made


def _given(typecode_or_type: Any, size_or_initializer: Any) -> tuple[Any, Any]:
    """The type and the items, which an array of NumPy's says both."""
    if size_or_initializer is ...:
        dtype = getattr(typecode_or_type, "dtype", None)
        if dtype is None or not isinstance(getattr(typecode_or_type, "shape", None), tuple):
            raise TypeError(
                "a type and a size or items are wanted, as in Array('d', 10), or a NumPy array"
            )
        return dtype, typecode_or_type
    return typecode_or_type, size_or_initializer


def _of_module(base: Any, make_it: Callable[[], Any]) -> Any:
    """What a module makes as it is imported is one in all processes."""
    return shared_value(base, make_it, lambda found: _making.as_class(base, found))


def make(base: Any, typecode_or_type: Any, size_or_initializer: Any, lock: Any) -> Any:
    """Make an array of class ``base``; ``lock`` is None for a raw one."""
    item = resolve(typecode_or_type)
    shape, items = _shape(item, names_numpy(typecode_or_type), size_or_initializer)
    of_ctype = item.of is not None and not is_dtype(item.of)
    if items is not None and of_ctype:
        for i, value in enumerate(items):
            check(item.of, value, f"item {i}")
    made = _making.build(base, item, shape, lock)
    if items is None:
        return made
    if item.of is None:
        ArrayCore._fill(made, items)
    elif of_ctype:
        for i, value in enumerate(items):
            _items.put(made, i, value, f"item {i}: ")
    else:
        _items.view(made)[...] = items
    return made


def _shape(item: ItemType, by_numpy: bool, given: Any) -> tuple[list[int], Any]:
    """The extents, and the items; None for zeroes."""
    if not hasattr(given, "__len__") and hasattr(given, "__index__"):
        return [_extent(given)], None
    if by_numpy and isinstance(given, tuple):
        if not given:
            raise ValueError(_SINGLE)
        return [_extent(n) for n in given], None
    extents = getattr(given, "shape", None)
    if extents == ():
        raise ValueError(_SINGLE)
    if isinstance(extents, tuple) and len(extents) > 1:
        if item.of is None:
            import numpy as np

            dtype = NUMPY_NAMES.get(item.format, item.format)
            given = np.ascontiguousarray(given, dtype=dtype)
        return list(extents), given
    if not hasattr(given, "__len__") or isinstance(given, (dict, set, frozenset)):
        try:
            given = list(given)
        except TypeError:
            name = type(given).__name__
            raise TypeError(f"a size (a whole number) or items are wanted, not {name}") from None
    return [len(given)], given


_SINGLE = "an array has a dimension at least; a single item is a tarefa.Value"


def _extent(given: Any) -> int:
    size = operator.index(given)
    if size < 0:
        raise ValueError(f"the size of an array is not below 0: {size}")
    return size


_making.note_classes(Array, RawArray, several=True)
