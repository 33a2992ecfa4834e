"""``List``: what ``list`` has, in memory that threads and processes share."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, MutableSequence

from tarefa._collections._object_lock import ObjectLock
from tarefa._collections._room import as_list
from tarefa._engine import ListCore, check_room, register_class
from tarefa._runtime._errors import ListChanged
from tarefa._runtime._module_objects import is_attached
from tarefa._runtime._shared import Content, copied, state_of
from tarefa._runtime._showing import count_of, once, shown, title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, SupportsIndex, TypeVar
else:
    from tarefa._runtime._untyped import TypeVar

T = TypeVar("T")


class List(Content, ListCore[T]):
    """A list that threads and processes share.

    It has all that ``list`` has and takes any picklable object; other objects of tarefa are
    held by reference. Each method happens at one instant for all who look, ``extend``, ``sort``
    and assignments to slices too. An element read from it is a copy: to change one, store it
    anew. ``numbers[i] += n`` is two operations, between which others may come: :meth:`update` is
    one. :meth:`snapshot` is a plain list of one instant. It can be pickled into any other process
    and is the same list there.
    """

    __module__ = "tarefa"
    __slots__ = ()

    def __init__(self, iterable: Iterable[T] = (), /) -> None:
        super().__init__()
        if iterable != () and not is_attached(self):
            self.extend(iterable)

    def extend(self, iterable: Iterable[T], /) -> None:
        """Add the elements of ``iterable`` at the end, all at one instant."""
        self._extend_from(iterable if type(iterable) is list else as_list(iterable))

    def __iadd__(self, other: Iterable[T], /) -> Self:
        self.extend(other)
        return self

    def __iter__(self) -> Iterator[T]:
        index = 0
        while True:
            try:
                item = self[index]
            except IndexError:
                return
            yield item
            index += 1

    def __reversed__(self) -> Iterator[T]:
        index = len(self)
        while index > 0:
            index -= 1
            try:
                item = self[index]
            except IndexError:
                continue
            yield item

    def lock(self, repair: Callable[[], object] | None = None) -> ObjectLock:
        """What groups operations: ``with numbers.lock():`` others' operations on it wait.

        Args:
            repair: a function without arguments, kept with the object: whoever takes this lock
                first after its owner's death calls it, with the lock held, and goes on. None
                leaves what is kept.
        """
        return ObjectLock(self, repair)

    def snapshot(self) -> list[T]:
        """A plain list of the elements at this instant."""
        return self._read()[1]

    def __contains__(self, value: object) -> bool:
        return value in self.snapshot()

    def index(
        self, value: T, start: SupportsIndex = 0, stop: SupportsIndex | None = None, /
    ) -> int:
        """The first index of ``value``; ``ValueError`` if it is not there."""
        items = self.snapshot()
        end = len(items) if stop is None else operator.index(stop)
        try:
            return items.index(value, operator.index(start), end)
        except ValueError:
            raise ValueError(f"{value!r} is not in list") from None

    def count(self, value: T, /) -> int:
        """How often ``value`` is in the list."""
        return self.snapshot().count(value)

    def _rearrange(self, plan: Callable[[list[T]], list[tuple[bool, Any]]]) -> None:
        """Rebuild the list as ``plan`` says of all elements, which nobody changes meanwhile."""

        def attempt() -> bool:
            version, items = self._read()
            return self._rebuild(version, len(items), plan(items))

        self._retry_optimistic(attempt, ListChanged)

    def remove(self, value: T, /) -> None:
        """Take out the first element that equals ``value``; ``ValueError`` if there is none."""

        def attempt() -> bool:
            version, items = self._read()
            try:
                at = items.index(value)
            except ValueError:
                raise ValueError("list.remove(x): x not in list") from None
            return self._remove_if(version, len(items), at)

        self._retry_optimistic(attempt, ListChanged)

    def reverse(self) -> None:
        """Turn the order around."""
        self._rearrange(lambda items: [(True, i) for i in reversed(range(len(items)))])

    def sort(self, *, key: Callable[[T], Any] | None = None, reverse: bool = False) -> None:
        """Sort the list, stably."""

        def plan(items: list[T]) -> list[tuple[bool, Any]]:
            keys: list[Any] = list(items) if key is None else [key(item) for item in items]
            order = sorted(range(len(items)), key=keys.__getitem__, reverse=reverse)
            return [(True, i) for i in order]

        self._rearrange(plan)

    def copy(self) -> Self:
        """A new shared list with the same elements."""
        return copied(self, state_of(self), self.snapshot())  # type: ignore[no-any-return]

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        import copy

        content, state = copy.deepcopy((self.snapshot(), state_of(self)), memo)
        memo[id(self)] = made = copied(self, state, content)
        return made  # type: ignore[no-any-return]

    def __add__(self, other: Iterable[T], /) -> List[T]:
        if not isinstance(other, (list, List)):
            return NotImplemented
        return List([*self.snapshot(), *other])

    def __radd__(self, other: Iterable[T], /) -> list[T]:
        if not isinstance(other, list):
            return NotImplemented
        return [*other, *self.snapshot()]

    def __mul__(self, times: SupportsIndex, /) -> List[T]:
        n = max(0, operator.index(times))
        check_room(len(self) * n)
        return List(self.snapshot() * n)

    __rmul__ = __mul__

    def __imul__(self, times: SupportsIndex, /) -> Self:
        n = operator.index(times)
        if n <= 0:
            self.clear()
            return self
        check_room(len(self) * (n - 1))

        def attempt() -> bool:
            version, items = self._read()
            return self._repeat(version, items, n)

        self._retry_optimistic(attempt, ListChanged)
        return self

    def _compare(self, other: object, how: Callable[[Any, Any], bool]) -> Any:
        if isinstance(other, List):
            return how(self.snapshot(), other.snapshot())
        if isinstance(other, list):
            return how(self.snapshot(), other)
        return NotImplemented

    def __eq__(self, other: object) -> bool:
        return self._compare(other, operator.eq)  # type: ignore[no-any-return]

    def __lt__(self, other: object) -> bool:
        return self._compare(other, operator.lt)  # type: ignore[no-any-return]

    def __le__(self, other: object) -> bool:
        return self._compare(other, operator.le)  # type: ignore[no-any-return]

    def __gt__(self, other: object) -> bool:
        return self._compare(other, operator.gt)  # type: ignore[no-any-return]

    def __ge__(self, other: object) -> bool:
        return self._compare(other, operator.ge)  # type: ignore[no-any-return]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """As ``list`` shows itself, also when it holds itself; cut short when it is long."""

        def text() -> str:
            items = self.snapshot()
            return f"{title(self)}([{shown(items)}]{count_of(items)})"

        return once(self, text, f"{title(self)}([...])")


MutableSequence.register(List)


def _of(core: ListCore[T]) -> List[T]:
    return List.__new__(List, core)


def set_slice(core: ListCore[T], key: slice, values: Iterable[T]) -> None:
    """``core[key] = values`` for a slice."""
    _need_slice(key)
    new = as_list(values)
    if not new and key.step in (None, 1):
        core._delete_slice(key)
        return
    if core._set_slice(key, new):
        return

    def plan(items: list[T]) -> list[tuple[bool, Any]]:
        kept: list[tuple[bool, Any]] = [(True, i) for i in range(len(items))]
        kept[key] = [(False, value) for value in new]
        return kept

    _of(core)._rearrange(plan)


def delete_slice(core: ListCore[Any], key: slice) -> None:
    """``del core[key]`` for a slice."""
    _need_slice(key)

    core._delete_slice(key)


def _need_slice(key: object) -> None:
    if not isinstance(key, slice):
        name = type(key).__name__
        raise TypeError(f"list indices must be integers or slices, not {name}")


register_class("List", List)
