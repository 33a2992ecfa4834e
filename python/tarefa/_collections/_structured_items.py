"""Values and arrays whose items have parts, or that only ctypes or NumPy read and write.

A class is made for each type, with the fields of a structure as its properties.
"""

from __future__ import annotations

from typing import Any

from tarefa._collections._items import core_of, exclusive, put, view
from tarefa._collections._typecodes import check, check_field, field_names, is_dtype
from tarefa._engine import ArrayCore
from tarefa._runtime._showing import THRESHOLD, cut_short

# (base, ctypes type or dtype) -> class: for as long as the program, as the types themselves.
_made: dict[tuple[Any, Any], Any] = {}


def class_of(base: Any, of: Any) -> Any:
    """The class for items of the ctypes type or dtype ``of``; ``base`` says the rest."""
    made = _made.get((base, of))
    if made is None:
        _made[base, of] = made = _make(base, of)
    return made


def _make(base: Any, of: Any) -> Any:
    ours: Any
    fields: dict[str, Any] = {}
    if is_dtype(of):
        ours = _NumpyItems if issubclass(base, ArrayCore) else _NumpyValue
    elif issubclass(base, ArrayCore):
        ours = _CtypesItems
    elif hasattr(of, "_fields_"):
        ours = _Structure
        fields = {name: _field(of, name) for name in field_names(of)}
    else:
        ours = _CtypesValue
    names = {"__slots__": (), "__module__": base.__module__, "__doc__": base.__doc__}
    names |= {"_tarefa_of": of, "_tarefa_base": base}
    return type(base.__name__, (ours, base), names | fields)


def _field(ctype: Any, name: str) -> property:
    def read(value: Any) -> Any:
        with exclusive(value):
            return getattr(view(value), name)

    def write(value: Any, new: Any) -> None:
        check_field(ctype, name, new, f"field {name}")
        with exclusive(value):
            setattr(view(value), name, new)

    return property(read, write, doc=f"The field ``{name}``; waits for the lock.")


def _copy(item: Any, ctype: Any) -> Any:
    with exclusive(item):
        return ctype.from_buffer_copy(core_of(item)._memory.__get__(item))


class _Structure:
    """A structure or a union: its fields are properties of the class made for it."""

    __slots__ = ()
    _tarefa_of: Any

    def snapshot(self) -> Any:
        """A copy, made while the lock is held if there is one."""
        return _copy(self, self._tarefa_of)

    def _tarefa_shown(self) -> str:
        shown = view(self)
        fields = (f"{name}={getattr(shown, name)!r}" for name in field_names(self._tarefa_of))
        return ", ".join(fields)


class _CtypesValue:
    """A simple type that is no scalar here: a long double, the other byte order."""

    __slots__ = ()
    _tarefa_of: Any

    @property
    def value(self) -> Any:
        """The value; reading and writing wait for the lock, if there is one."""
        with exclusive(self):
            return view(self).value

    @value.setter
    def value(self, new: Any) -> None:
        check(self._tarefa_of, new, "")
        with exclusive(self):
            view(self).value = new

    def _tarefa_shown(self) -> str:
        return repr(view(self).value)


class _CtypesItems:
    """Items that ctypes reads and writes: structures, arrays, the other byte order.

    An item with parts is a ctypes object in the shared memory: its fields are read and written
    there, without the lock.
    """

    __slots__ = ()
    _tarefa_of: Any

    def __getitem__(self, key: Any) -> Any:
        with exclusive(self):
            return view(self)[self._tarefa_key(key)]

    def __setitem__(self, key: Any, value: Any) -> None:
        key = self._tarefa_key(key)
        if isinstance(key, slice):
            value = list(value)
            wanted = len(range(*key.indices(len(self))))
            if len(value) != wanted:
                raise ValueError(f"{len(value)} items do not fit a slice of {wanted}: lengths stay")
            for i, part in enumerate(value):
                check(self._tarefa_of, part, f"item {i}")
        else:
            check(self._tarefa_of, value, "")
        with exclusive(self):
            put(self, key, value, "")

    def __len__(self) -> int:
        return ArrayCore.__len__(self)  # type: ignore[arg-type]

    def _tarefa_key(self, key: Any) -> Any:
        if isinstance(key, slice):
            return key
        if not hasattr(key, "__index__"):
            name = type(key).__name__
            raise TypeError(f"indices are whole numbers or slices, not {name}")
        if not -len(self) <= (index := key.__index__()) < len(self):
            raise IndexError(f"index {index} is out of range: the array has {len(self)} items")
        return index

    def snapshot(self) -> Any:
        """A list of copies, made while the lock is held if there is one."""
        return list(_copy(self, self._tarefa_of * len(self)))

    def _tarefa_shown(self) -> str:
        return f"{len(self)} items"


class _NumpyItems:
    """Items that NumPy reads and writes; what it returns are views of the shared memory."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        with exclusive(self):
            return view(self)[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        with exclusive(self):
            view(self)[key] = value

    def snapshot(self) -> Any:
        """A list of plain values, copied while the lock is held if there is one."""
        with exclusive(self):
            return view(self).tolist()

    def _tarefa_shown(self) -> str:
        items = view(self)
        if items.size <= THRESHOLD:
            return repr(items.tolist())
        return cut_short(items.shape, lambda key: repr(items[key].tolist()))


class _NumpyValue:
    """One item that NumPy reads and writes."""

    __slots__ = ()

    @property
    def value(self) -> Any:
        """The value; reading and writing wait for the lock, if there is one."""
        with exclusive(self):
            return view(self)[()]

    @value.setter
    def value(self, new: Any) -> None:
        with exclusive(self):
            view(self)[...] = new

    def snapshot(self) -> Any:
        """A plain value, copied while the lock is held if there is one."""
        with exclusive(self):
            return view(self).tolist()

    def _tarefa_shown(self) -> str:
        return repr(view(self).tolist())
