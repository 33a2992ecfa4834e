"""``Dict``: what ``dict`` has, in memory that threads and processes share."""

from __future__ import annotations

from collections.abc import (
    Callable,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    MutableMapping,
    ValuesView,
)
from types import GenericAlias, MappingProxyType
from typing import Any, Self

from tarefa._collections._object_lock import ObjectLock
from tarefa._engine import DictCore, MapCore, register_class
from tarefa._runtime._module_objects import is_attached

_showing: set[tuple[int, int]] = set()


def plain(arguments: tuple[Any, ...], named: dict[str, Any], what: str) -> dict[Any, Any]:
    """What ``dict`` makes of a constructor's arguments."""
    if len(arguments) > 1:
        raise TypeError(f"{what} expected at most 1 argument, got {len(arguments)}")
    if arguments and isinstance(arguments[0], Dict):
        return {**arguments[0].snapshot(), **named}
    return dict(*arguments, **named)


def show(shared: MapCore, text: Callable[[], str], again: str = "...") -> str:
    """The text of a container, which may hold itself by way of others: there it is ``again``."""
    if shared.object_id in _showing:
        return again
    _showing.add(shared.object_id)
    try:
        return text()
    finally:
        _showing.discard(shared.object_id)


class Dict(DictCore):
    """A dict that threads and processes share.

    It has all that ``dict`` has, in the order in which the keys came, and takes any picklable
    value; other objects of tarefa are held by reference. Each method happens at one instant for
    all who look, ``update``, ``setdefault``, ``pop`` and ``|=`` too. A value read from it is a
    copy: to change one, store it anew. ``d[k] += n`` is two operations, between which others may
    come: :meth:`add` is one, and :meth:`update_value` for anything but numbers.

    Keys are compared as in ``dict`` (``1 == 1.0 == True``). What is equal to the same things in
    every process can be a key: numbers, strings, bytes, tuples and frozensets of keys, members of
    enumerations, dates and times, paths, UUIDs, ranges, classes and functions that can be
    imported, frozen dataclasses. Anything else is refused (:class:`NotAKey`), and so is a NaN.

    An iteration shows the keys that were there when it began, once each and in order, but for
    those that are gone when it comes to them. Keys that come meanwhile are not shown; nothing
    others do makes it fail. :meth:`snapshot` is a plain dict of one instant.

    It can be pickled into any other process and is the same dict there.
    """

    __module__ = "tarefa"
    __slots__ = ()
    _KIND = 9

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pairs = plain(args, kwargs, "Dict")
        if pairs and not is_attached(self):
            self.put_all(pairs)

    @classmethod
    def fromkeys(cls, keys: Iterable[Any], value: Any = None, /) -> Self:
        """A new dict with these keys, all of which have ``value``."""
        made = cls()
        made.update(dict.fromkeys(keys, value))
        return made

    def lock(self, repair: Callable[[], object] | None = None) -> ObjectLock:
        """What groups operations: ``with d.lock():`` others' operations on it wait.

        Args:
            repair: a function without arguments, kept with the object: whoever takes this lock
                first after its owner's death calls it, with the lock held, and goes on. None
                leaves what is kept.
        """
        return ObjectLock(self, repair)

    def snapshot(self) -> dict[Any, Any]:
        """A plain dict of what is in it at this instant."""
        return self.read_dict()[1]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set keys to values, as ``dict.update``, all at one instant."""
        pairs = plain(args, kwargs, "update")
        if pairs:
            self.put_all(pairs)

    def keys(self) -> DictKeys:
        """A live view of the keys."""
        return DictKeys(self)

    def values(self) -> DictValues:
        """A live view of the values."""
        return DictValues(self)

    def items(self) -> DictItems:
        """A live view of the pairs."""
        return DictItems(self)

    def copy(self) -> Self:
        """A new shared dict with the same keys and values."""
        return type(self)(self.snapshot())

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        import copy

        return type(self)(copy.deepcopy(self.snapshot(), memo))

    def __iter__(self) -> Iterator[Any]:
        return self.walk("keys", False)

    def __reversed__(self) -> Iterator[Any]:
        return self.walk("keys", True)

    def __or__(self, other: Any, /) -> Self:
        if not isinstance(other, (dict, Dict)):
            return NotImplemented
        return type(self)({**self.snapshot(), **plain((other,), {}, "|")})

    def __ror__(self, other: Any, /) -> dict[Any, Any]:
        if not isinstance(other, dict):
            return NotImplemented
        return {**other, **self.snapshot()}

    def __ior__(self, other: Any, /) -> Self:
        self.update(other)
        return self

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Dict):
            same = self.object_id == other.object_id
            return same or self.snapshot() == other.snapshot()
        return self.snapshot() == other if isinstance(other, dict) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __class_getitem__(cls, item: Any, /) -> GenericAlias:
        return GenericAlias(cls, item)

    def __repr__(self) -> str:
        name = type(self).__name__
        return show(self, lambda: f"tarefa.{name}({self.snapshot()!r})", f"tarefa.{name}({{...}})")


class _View:
    """What the views of a dict have in common."""

    __slots__ = ()
    _mapping: Dict

    @property
    def mapping(self) -> MappingProxyType[Any, Any]:
        """The dict, to be read only."""
        return MappingProxyType(self._mapping)

    def __repr__(self) -> str:
        return show(self._mapping, lambda: f"{type(self).__name__}({list(self)!r})")  # type: ignore[call-overload]


class DictKeys(_View, KeysView[Any]):
    """The keys of a :class:`Dict`, as they are when one looks."""

    __module__ = "tarefa"
    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return self._mapping.walk("keys", False)

    def __reversed__(self) -> Iterator[Any]:
        return self._mapping.walk("keys", True)


class DictItems(_View, ItemsView[Any, Any]):
    """The pairs of a :class:`Dict`, as they are when one looks."""

    __module__ = "tarefa"
    __slots__ = ()

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self._mapping.walk("items", False)

    def __reversed__(self) -> Iterator[tuple[Any, Any]]:
        return self._mapping.walk("items", True)

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:
            return False
        missing = object()
        value = self._mapping.get(item[0], missing)
        return value is not missing and (value is item[1] or value == item[1])


class DictValues(_View, ValuesView[Any]):
    """The values of a :class:`Dict`, as they are when one looks."""

    __module__ = "tarefa"
    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return self._mapping.walk("values", False)

    def __reversed__(self) -> Iterator[Any]:
        return self._mapping.walk("values", True)

    def __contains__(self, value: object) -> bool:
        return value in self._mapping.read("values")[1]


MutableMapping.register(Dict)
Mapping.register(Dict)


register_class("Dict", Dict)
