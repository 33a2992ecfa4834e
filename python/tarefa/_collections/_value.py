"""``Value`` and ``RawValue``: one item in memory that threads and processes share."""

from __future__ import annotations

import operator
from collections.abc import Callable

from tarefa._collections import _items, _making
from tarefa._collections._items import Locked
from tarefa._collections._making import Copied
from tarefa._collections._typecodes import check, is_ctypes_array, is_dtype, resolve
from tarefa._engine import ValueCore
from tarefa._runtime._module_objects import shared_value
from tarefa._runtime._showing import title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctypes import _SimpleCData
    from typing import Any, Literal, TypeVar, overload

    from tarefa._collections._codes import ComplexCode, FloatCode, IntCode
else:
    from tarefa._runtime._untyped import TypeVar, overload

T = TypeVar("T")


class RawValue(Copied, ValueCore[T]):
    """A value without a lock: see :class:`Value`.

    It is what ``Value(..., lock=False)`` makes.
    """

    __module__ = "tarefa"
    __slots__ = ("_tarefa_view",)
    _tarefa_view: Any

    @overload
    def __new__(cls, typecode_or_type: IntCode, *args: Any) -> RawValue[int]: ...
    @overload
    def __new__(cls, typecode_or_type: FloatCode, *args: Any) -> RawValue[float]: ...
    @overload
    def __new__(cls, typecode_or_type: ComplexCode, *args: Any) -> RawValue[complex]: ...
    @overload
    def __new__(cls, typecode_or_type: Literal["?"], *args: Any) -> RawValue[bool]: ...
    @overload
    def __new__(cls, typecode_or_type: Literal["c"], *args: Any) -> RawValue[bytes]: ...
    @overload
    def __new__(cls, typecode_or_type: Literal["u"], *args: Any) -> RawValue[str]: ...
    @overload
    def __new__(cls, typecode_or_type: type[_SimpleCData[T]], *args: Any) -> RawValue[T]: ...
    @overload
    def __new__(cls, typecode_or_type: type[T], *args: Any) -> RawValue[T]: ...
    @overload
    def __new__(cls, typecode_or_type: Any, *args: Any) -> RawValue[Any]: ...
    def __new__(cls, typecode_or_type: Any, *args: Any) -> Any:
        """Make a value; the arguments and errors are those of :class:`Value`."""
        made: Any = _of_module(cls, lambda: make(cls, typecode_or_type, args, None))
        return made

    if TYPE_CHECKING:
        # The fields of a structure.
        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    def get_obj(self) -> Any:
        """Its memory as a ctypes object, or as a NumPy array where ctypes has no such type.

        What is read and written through it takes no lock, and ctypes cuts numbers that do not
        fit. The memory stays as long as it does.
        """
        return _items.view(self)

    def snapshot(self) -> Any:
        """A plain copy, made while the lock is held if there is one.

        It is a number, bytes or str; of a structure, a copy as its ctypes type.
        """
        return self.value

    def close(self) -> None:
        """Give the memory back now, as far as this object is concerned.

        Raises:
            BufferError: views of it exist: NumPy arrays, memoryviews, ctypes objects.
        """
        _items.close(self)

    @property
    def _as_parameter_(self) -> Any:
        """What ctypes passes to a function of C."""
        return _items.view(self)

    def __repr__(self) -> str:
        memory = ValueCore._memory.__get__(self)
        shown = "closed" if memory.closed else self._tarefa_shown()
        code = ValueCore.type_code.__get__(self)
        return f"{title(self)}({code!r}, {shown})"

    def _tarefa_shown(self) -> str:
        return repr(self._inspect())

    @property
    def shape(self) -> tuple[int, ...]:
        """That of a single item: ``()``."""
        return ()

    @property
    def dtype(self) -> Any:
        """The NumPy dtype of the item; ``ImportError`` without NumPy."""
        return _items.dtype_of(self)

    def __int__(self) -> int:
        """What ``int()`` makes of its number; waits for the lock."""
        return int(_number(self, "int()"))

    def __float__(self) -> float:
        """What ``float()`` makes of its number; waits for the lock."""
        return float(_number(self, "float()"))

    def __complex__(self) -> complex:
        """What ``complex()`` makes of its number; waits for the lock."""
        return complex(_number(self, "complex()"))

    def __index__(self) -> int:
        """Its number, if it is a whole one; waits for the lock."""
        return operator.index(_number(self, "an index"))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ValueCore):
            return bool(_identity(self) == _identity(other))
        return NotImplemented

    def __hash__(self) -> int:
        return hash(_identity(self))


def _number(value: Any, wanted: str) -> Any:
    """The number in a value; ``TypeError`` for one that holds none: text, or several fields."""
    kind: Any = type(value)
    found: Any = None
    if not hasattr(getattr(kind, "_tarefa_of", None), "_fields_"):
        found = kind.value.__get__(value)
    if isinstance(found, (bool, int, float, complex)):
        return found
    if hasattr(found, "dtype") and found.dtype.kind in "biufc":
        return found.item()
    code = ValueCore.type_code.__get__(value)
    raise TypeError(f"{wanted} takes a number: a {title(value)} of type {code!r} holds none")


def _identity(value: ValueCore[Any]) -> Any:
    return ValueCore.object_id.__get__(value)


class Value(Locked, RawValue[T]):
    """One item in memory that threads and processes share.

    It has the habits of ``multiprocessing.Value``: ``.value`` (or the fields of a structure),
    ``get_lock()``, ``get_obj()``. Each access waits for the lock if another thread has it, and
    raises :class:`OwnerDied`, once, if that thread's process died. It is a buffer too:
    ``memoryview(v)``, ``numpy.asarray(v)``.

    ``v.value += 1`` reads and then writes, between which others may write: :meth:`add` does both
    at one instant. :meth:`add`, :meth:`exchange` and :meth:`compare_exchange` do not wait for the
    lock. A number that its type does not hold is refused.

    It can be pickled into any other process and is the same value there.
    """

    __module__ = "tarefa"
    __slots__ = ()

    @overload
    def __new__(cls, typecode_or_type: IntCode, *args: Any, lock: Any = True) -> Value[int]: ...
    @overload
    def __new__(cls, typecode_or_type: FloatCode, *args: Any, lock: Any = True) -> Value[float]: ...
    @overload
    def __new__(
        cls, typecode_or_type: ComplexCode, *args: Any, lock: Any = True
    ) -> Value[complex]: ...
    @overload
    def __new__(
        cls, typecode_or_type: Literal["?"], *args: Any, lock: Any = True
    ) -> Value[bool]: ...
    @overload
    def __new__(
        cls, typecode_or_type: Literal["c"], *args: Any, lock: Any = True
    ) -> Value[bytes]: ...
    @overload
    def __new__(
        cls, typecode_or_type: Literal["u"], *args: Any, lock: Any = True
    ) -> Value[str]: ...
    @overload
    def __new__(
        cls, typecode_or_type: type[_SimpleCData[T]], *args: Any, lock: Any = True
    ) -> Value[T]: ...
    @overload
    def __new__(cls, typecode_or_type: type[T], *args: Any, lock: Any = True) -> Value[T]: ...
    @overload
    def __new__(cls, typecode_or_type: Any, *args: Any, lock: Any = True) -> Value[Any]: ...
    def __new__(cls, typecode_or_type: Any, *args: Any, lock: Any = True) -> Any:
        """Make a value.

        Args:
            typecode_or_type: a typecode of :mod:`array` (also ``c``, ``?``, ``n``, ``N``, and
                ``F``, ``D`` for complex numbers), a ctypes type, or anything that is a NumPy dtype.
            args: what it is at first; zero if not given. A structure takes its fields.
            lock: True for a recursive lock of its own; a lock; or False for none, which makes a
                :class:`RawValue`.

        Raises:
            BadItemType: an unknown typecode, or a type that cannot be shared, with the reason (a
                ``TypeError`` and a ``ValueError``).
            TypeError: a value of another type.
            OverflowError: a value that its type does not hold.
            ArenaFull: there is no room for it (a ``MemoryError``).
        """
        if lock is None:
            lock = True
        base, lock = (RawValue, None) if lock is False else (cls, lock)
        made: Any = _of_module(base, lambda: make(base, typecode_or_type, args, lock))
        return made


def _of_module(base: Any, make_it: Callable[[], Any]) -> Any:
    """What a module makes as it is imported is one in all processes."""
    return shared_value(base, make_it, lambda found: _making.as_class(base, found))


def make(base: Any, typecode_or_type: Any, args: tuple[Any, ...], lock: Any) -> Any:
    """Make a value of class ``base``; ``lock`` is None for a raw one."""
    item = resolve(typecode_or_type)
    if item.of is None:
        if len(args) > 1:
            raise TypeError(f"one value is wanted for type {item.format!r}, not {len(args)}")
        made = _making.build(base, item, [], lock)
        if args:
            ValueCore._put(made, args[0])
        return made
    if is_dtype(item.of):
        made = _making.build(base, item, [], lock)
        if args:
            _items.view(made)[...] = args[0] if len(args) == 1 else args
        return made
    if is_ctypes_array(item.of):
        # An array, as in multiprocessing.
        from tarefa._collections._array import Array, RawArray
        from tarefa._collections._array import make as make_array

        check(item.of, list(args), "")
        whole = item.of(*args)
        made = make_array(RawArray if lock is None else Array, item.of._type_, len(whole), lock)
        if args:
            import ctypes

            ctypes.memmove(_items.view(made), whole, ctypes.sizeof(whole))
        return made
    check(item.of, args, "")
    first = item.of(*args)
    made = _making.build(base, item, [], lock)
    if args:
        import ctypes

        ctypes.pointer(_items.view(made))[0] = first
    return made


_making.note_classes(Value, RawValue, several=False)
