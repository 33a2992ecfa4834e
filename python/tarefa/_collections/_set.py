"""``Set``: what ``set`` has, in memory that threads and processes share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableSet, Sized
from collections.abc import Set as AbstractSet

from tarefa._collections._object_lock import ObjectLock
from tarefa._collections._room import as_members, check_distinct
from tarefa._engine import SetCore, register_class
from tarefa._runtime._errors import NestedUpdate
from tarefa._runtime._module_objects import is_attached
from tarefa._runtime._shared import Content, copied, state_of
from tarefa._runtime._showing import count_of, once, shown, title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, TypeVar
else:
    from tarefa._runtime._untyped import TypeVar

T = TypeVar("T")


def _plain(other: Any) -> Any:
    """A plain set of a shared one, at one instant."""
    return other.snapshot() if isinstance(other, Set) else other


def _operand(other: object) -> bool:
    """Whether it is a set: also the keys of a dict, as for ``set``."""
    return isinstance(other, AbstractSet)


class Set(Content, SetCore[T]):
    """A set that threads and processes share.

    It has all that ``set`` has; its members are what keys of a :class:`Dict` can be, and are
    compared in the same way. Each method happens at one instant for all who look, those with
    other sets too. An iteration shows the members that were there when it began, once each, in
    the order in which they came, but for those that are gone when it comes to them.
    :meth:`snapshot` is a plain set of one instant. Operators give a new shared set if the left
    one is.

    It can be pickled into any other process and is the same set there.
    """

    __module__ = "tarefa"
    __slots__ = ()
    _KIND = 10

    def __init__(self, iterable: Iterable[T] = (), /) -> None:
        if iterable != () and not is_attached(self):
            self.update(iterable)

    def lock(self, repair: Callable[[], object] | None = None) -> ObjectLock:
        """What groups operations: ``with s.lock():`` others' operations on it wait.

        Args:
            repair: a function without arguments, kept with the object: whoever takes this lock
                first after its owner's death calls it, with the lock held, and goes on. None
                leaves what is kept.
        """
        return ObjectLock(self, repair)

    def snapshot(self) -> set[T]:
        """A plain set of what is in it at this instant."""
        return set(self._read("keys")[1])

    def __iter__(self) -> Iterator[T]:
        return self._walk("keys", False)

    def copy(self) -> Self:
        """A new shared set with the same members."""
        return copied(self, state_of(self), self._read("keys")[1])  # type: ignore[no-any-return]

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        import copy

        content, state = copy.deepcopy((self._read("keys")[1], state_of(self)), memo)
        memo[id(self)] = made = copied(self, state, content)
        return made  # type: ignore[no-any-return]

    def update(self, *others: Iterable[T]) -> None:
        """Put in all members of the others, at one instant."""
        members: list[Any] = []
        for other in others:
            check_distinct(other, self)
            members += _plain(other) if isinstance(other, Sized) else as_members(other, self)
        changes = [("put", member, None) for member in members]
        if changes:
            self._apply(changes)

    def intersection_update(self, *others: Iterable[Any]) -> None:
        """Take out all that is not in all of the others, at one instant."""
        wanted = [set(_plain(other)) for other in others]

        def attempt() -> bool | None:
            version, members = self._read("keys")
            gone = [m for m in members if not all(m in other for other in wanted)]
            return not gone or self._apply([("remove", m, None) for m in gone], version)

        self._retry_optimistic(attempt, NestedUpdate)

    def difference_update(self, *others: Iterable[Any]) -> None:
        """Take out all members of the others, at one instant."""
        changes = [("remove", member, None) for other in others for member in _plain(other)]
        if changes:
            self._apply(changes)

    def symmetric_difference_update(self, other: Iterable[Any], /) -> None:
        """Take out what is in the other as well, and put in what is only there, at one instant."""
        check_distinct(other, self)
        changes = [("toggle", member, None) for member in set(_plain(other))]
        if changes:
            self._apply(changes)

    def union(self, *others: Iterable[Any]) -> Self:
        """A new shared set of what is in any of them."""
        return type(self)(self.snapshot().union(*map(_plain, others)))

    def intersection(self, *others: Iterable[Any]) -> Self:
        """A new shared set of what is in all of them."""
        return type(self)(self.snapshot().intersection(*map(_plain, others)))

    def difference(self, *others: Iterable[Any]) -> Self:
        """A new shared set of what is in none of the others."""
        return type(self)(self.snapshot().difference(*map(_plain, others)))

    def symmetric_difference(self, other: Iterable[Any], /) -> Self:
        """A new shared set of what is in one of the two only."""
        return type(self)(self.snapshot().symmetric_difference(_plain(other)))

    def isdisjoint(self, other: Iterable[Any], /) -> bool:
        """Whether no member is in the other."""
        return self.snapshot().isdisjoint(_plain(other))

    def issubset(self, other: Iterable[Any], /) -> bool:
        """Whether all members are in the other."""
        return self.snapshot().issubset(_plain(other))

    def issuperset(self, other: Iterable[Any], /) -> bool:
        """Whether all members of the other are here."""
        return self.snapshot().issuperset(_plain(other))

    def __or__(self, other: object, /) -> Self:
        return self.union(other) if _operand(other) else NotImplemented  # type: ignore[arg-type]

    def __and__(self, other: object, /) -> Self:
        return self.intersection(other) if _operand(other) else NotImplemented  # type: ignore[arg-type]

    def __sub__(self, other: object, /) -> Self:
        return self.difference(other) if _operand(other) else NotImplemented  # type: ignore[arg-type]

    def __xor__(self, other: object, /) -> Self:
        return self.symmetric_difference(other) if _operand(other) else NotImplemented  # type: ignore[arg-type]

    def __ror__(self, other: object, /) -> Any:
        return other | self.snapshot() if _operand(other) else NotImplemented  # type: ignore[operator]

    def __rand__(self, other: object, /) -> Any:
        return other & self.snapshot() if _operand(other) else NotImplemented  # type: ignore[operator]

    def __rsub__(self, other: object, /) -> Any:
        return other - self.snapshot() if _operand(other) else NotImplemented  # type: ignore[operator]

    def __rxor__(self, other: object, /) -> Any:
        return other ^ self.snapshot() if _operand(other) else NotImplemented  # type: ignore[operator]

    def __ior__(self, other: object, /) -> Self:
        if not _operand(other):
            return NotImplemented
        self.update(other)  # type: ignore[arg-type]
        return self

    def __iand__(self, other: object, /) -> Self:
        if not _operand(other):
            return NotImplemented
        self.intersection_update(other)  # type: ignore[arg-type]
        return self

    def __isub__(self, other: object, /) -> Self:
        if not _operand(other):
            return NotImplemented
        self.difference_update(other)  # type: ignore[arg-type]
        return self

    def __ixor__(self, other: object, /) -> Self:
        if not _operand(other):
            return NotImplemented
        self.symmetric_difference_update(other)  # type: ignore[arg-type]
        return self

    def __eq__(self, other: object) -> bool:
        return self.snapshot() == _plain(other) if _operand(other) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self.snapshot() < _plain(other) if _operand(other) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self.snapshot() <= _plain(other) if _operand(other) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self.snapshot() > _plain(other) if _operand(other) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self.snapshot() >= _plain(other) if _operand(other) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        def text() -> str:
            members = self._read("keys")[1]
            if not members:
                return f"{title(self)}()"
            return f"{title(self)}({{{shown(members)}}}{count_of(members)})"

        return once(self, text, f"{title(self)}({{...}})")


MutableSet.register(Set)


register_class("Set", Set)
