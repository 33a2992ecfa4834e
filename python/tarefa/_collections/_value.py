"""``Value`` and ``RawValue``: one item in memory that threads and processes share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from tarefa._collections import _items, _making
from tarefa._collections._items import Locked
from tarefa._collections._making import Copied
from tarefa._collections._typecodes import check, is_ctypes_array, is_dtype, resolve
from tarefa._engine import ValueCore
from tarefa._runtime._module_objects import shared_value


class RawValue(Copied, ValueCore):
    """A value without a lock: see :class:`Value`.

    It is what ``Value(..., lock=False)`` makes.
    """

    __module__ = "tarefa"
    __slots__ = ("_tarefa_view",)
    _tarefa_view: Any

    def __new__(cls, typecode_or_type: Any, *args: Any) -> Self:
        """Make a value; the arguments and errors are those of :class:`Value`."""
        made: Self = _of_module(cls, lambda: make(cls, typecode_or_type, args, None))
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
        memory = ValueCore.memory.__get__(self)
        shown = "closed" if memory.closed else self._tarefa_shown()
        code = ValueCore.type_code.__get__(self)
        return f"tarefa.{type(self).__name__}({code!r}, {shown})"

    def _tarefa_shown(self) -> str:
        return repr(self.inspect())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ValueCore):
            return bool(_identity(self) == _identity(other))
        return NotImplemented

    def __hash__(self) -> int:
        return hash(_identity(self))


def _identity(value: ValueCore) -> Any:
    return ValueCore.object_id.__get__(value)


class Value(Locked, RawValue):
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

    def __new__(cls, typecode_or_type: Any, *args: Any, lock: Any = True) -> Self:
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
        made: Self = _of_module(base, lambda: make(base, typecode_or_type, args, lock))
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
            ValueCore.put(made, args[0])
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
