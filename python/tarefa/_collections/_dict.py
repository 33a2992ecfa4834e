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
    Sized,
    ValuesView,
)
from types import MappingProxyType

from tarefa._collections._object_lock import ObjectLock
from tarefa._collections._room import as_dict, check_distinct
from tarefa._engine import DictCore, register_class
from tarefa._runtime._module_objects import is_attached
from tarefa._runtime._shared import Content, copied, state_of
from tarefa._runtime._showing import count_of, once, pair, shown, title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, TypeVar, overload
else:
    from tarefa._runtime._untyped import TypeVar, overload

K = TypeVar("K")
V = TypeVar("V")


def plain(
    arguments: tuple[Any, ...], named: dict[str, Any], what: str, there: Sized = ()
) -> dict[Any, Any]:
    """What ``dict`` makes of a constructor's arguments, for what has those ``there``."""
    if len(arguments) > 1:
        raise TypeError(f"{what} expected at most 1 argument, got {len(arguments)}")
    if arguments and isinstance(arguments[0], Dict):
        return {**arguments[0].snapshot(), **named}
    if arguments and not (isinstance(arguments[0], Sized) or hasattr(arguments[0], "keys")):
        return {**as_dict(arguments[0], there), **named}
    return dict(*arguments, **named)


class Dict(Content, DictCore[K, V]):
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

    @overload
    def __init__(self, /) -> None: ...
    @overload
    def __init__(self: Dict[str, V], /, **kwargs: V) -> None: ...
    @overload
    def __init__(self, pairs: Mapping[K, V] | Dict[K, V], /) -> None: ...
    @overload
    def __init__(self, pairs: Iterable[tuple[K, V]], /) -> None: ...
    @overload
    def __init__(
        self: Dict[str, V], pairs: Mapping[str, V] | Iterable[tuple[str, V]], /, **kwargs: V
    ) -> None: ...
    def __init__(self, /, *args: Any, **kwargs: Any) -> None:
        pairs = plain(args, kwargs, "Dict")
        if pairs and not is_attached(self):
            self._put_all(pairs)

    @classmethod
    def fromkeys(cls, keys: Iterable[K], value: Any = None, /) -> Self:
        """A new dict with these keys, all of which have ``value``."""
        made = cls()
        check_distinct(keys, ())
        is_there = isinstance(keys, Sized)
        made.update(dict.fromkeys(keys, value) if is_there else ((key, value) for key in keys))
        return made

    def lock(self, repair: Callable[[], object] | None = None) -> ObjectLock:
        """What groups operations: ``with d.lock():`` others' operations on it wait.

        Args:
            repair: a function without arguments, kept with the object: whoever takes this lock
                first after its owner's death calls it, with the lock held, and goes on. None
                leaves what is kept.
        """
        return ObjectLock(self, repair)

    def snapshot(self) -> dict[K, V]:
        """A plain dict of what is in it at this instant."""
        return self._read_dict()[1]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set keys to values, as ``dict.update``, all at one instant."""
        pairs = plain(args, kwargs, "update", self)
        if pairs:
            self._put_all(pairs)

    def keys(self) -> DictKeys[K]:
        """A live view of the keys."""
        return DictKeys(self)

    def values(self) -> DictValues[V]:
        """A live view of the values."""
        return DictValues(self)

    def items(self) -> DictItems[K, V]:
        """A live view of the pairs."""
        return DictItems(self)

    def copy(self) -> Self:
        """A new shared dict with the same keys and values."""
        return copied(self, state_of(self), self.snapshot())  # type: ignore[no-any-return]

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        import copy

        content, state = copy.deepcopy((self.snapshot(), state_of(self)), memo)
        memo[id(self)] = made = copied(self, state, content)
        return made  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[K]:
        return self._walk("keys", False)

    def __reversed__(self) -> Iterator[K]:
        return self._walk("keys", True)

    def __or__(self, other: Any, /) -> Self:
        if not isinstance(other, (dict, Dict)):
            return NotImplemented
        return type(self)({**self.snapshot(), **plain((other,), {}, "|")})

    def __ror__(self, other: Any, /) -> dict[K, V]:
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

    def __repr__(self) -> str:
        def text() -> str:
            pairs = self._read("items")[1]
            return f"{title(self)}({{{shown(pairs, pair)}}}{count_of(pairs)})"

        return once(self, text, f"{title(self)}({{...}})")


class _View:
    """What the views of a dict have in common."""

    __slots__ = ()
    _mapping: Dict[Any, Any]

    @property
    def mapping(self) -> MappingProxyType[Any, Any]:
        """The dict, to be read only."""
        return MappingProxyType(self._mapping)

    def __repr__(self) -> str:
        def text() -> str:
            items = list(self)  # type: ignore[call-overload]
            return f"{type(self).__name__}([{shown(items)}]{count_of(items)})"

        return once(self._mapping, text)


class DictKeys(_View, KeysView[K]):
    """The keys of a :class:`Dict`, as they are when one looks."""

    __module__ = "tarefa"
    __slots__ = ()

    def __iter__(self) -> Iterator[K]:
        return self._mapping._walk("keys", False)

    def __reversed__(self) -> Iterator[K]:
        return self._mapping._walk("keys", True)


class DictItems(_View, ItemsView[K, V]):
    """The pairs of a :class:`Dict`, as they are when one looks."""

    __module__ = "tarefa"
    __slots__ = ()

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._mapping._walk("items", False)

    def __reversed__(self) -> Iterator[tuple[K, V]]:
        return self._mapping._walk("items", True)

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:
            return False
        missing = object()
        value = self._mapping.get(item[0], missing)
        return value is not missing and (value is item[1] or value == item[1])


class DictValues(_View, ValuesView[V]):
    """The values of a :class:`Dict`, as they are when one looks."""

    __module__ = "tarefa"
    __slots__ = ()

    def __iter__(self) -> Iterator[V]:
        return self._mapping._walk("values", False)

    def __reversed__(self) -> Iterator[V]:
        return self._mapping._walk("values", True)

    def __contains__(self, value: object) -> bool:
        return value in self._mapping._read("values")[1]


MutableMapping.register(Dict)
Mapping.register(Dict)


register_class("Dict", Dict)
