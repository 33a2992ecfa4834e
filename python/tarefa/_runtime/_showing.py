"""How shared objects show themselves: in the forms of the standard library."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tarefa._engine import NamespaceCore
from tarefa._runtime._shared import own_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# As numpy.set_printoptions has it: of more items than that these many of each end are shown.
THRESHOLD = 1000
_EDGE = 3

_showing: set[tuple[int, int]] = set()


def title(shared: object) -> str:
    """``tarefa.List``; of a subclass its name alone, as the classes of ``collections`` do."""
    cls = own_class(shared)
    return f"tarefa.{cls.__qualname__}" if cls.__module__ == "tarefa" else cls.__name__


def full_title(shared: object) -> str:
    """``tarefa.Lock``; of a subclass with its module's name, as the classes of ``threading``."""
    cls = own_class(shared)
    return f"{cls.__module__}.{cls.__qualname__}"


def identity(shared: Any) -> tuple[int, int]:
    """What tells shared objects apart, whatever names a namespace has."""
    found: tuple[int, int]
    if isinstance(shared, NamespaceCore):
        found = NamespaceCore.object_id.__get__(shared)
    else:
        found = shared.object_id
    return found


def place(shared: Any) -> str:
    """``at 0x7f12, object 31``: the second is the object's number, the same in all processes."""
    return f"at {id(shared):#x}, object {identity(shared)[1]}"


def lock_place(shared: Any) -> str:
    """The same in the form of ``threading``'s locks: ``object 31 at 0x7f12``."""
    return f"object {identity(shared)[1]} at {id(shared):#x}"


def once(shared: Any, text: Callable[[], str], again: str = "...") -> str:
    """The text of a container, which may hold itself by way of others: there it is ``again``."""
    which = identity(shared)
    if which in _showing:
        return again
    _showing.add(which)
    try:
        return text()
    finally:
        _showing.discard(which)


def ends(items: list[Any]) -> tuple[list[Any], list[Any]]:
    """The first and the last of many items."""
    return items[:_EDGE], items[-_EDGE:]


def joined(first: Iterable[str], last: Iterable[str] | None) -> str:
    """``a, b, c, ..., x, y, z``; without ``last`` those are all."""
    return ", ".join(first if last is None else [*first, "...", *last])


def shown(items: list[Any], show: Callable[[Any], str] = repr) -> str:
    """What stands between the brackets: all items, or of many those of both ends."""
    if len(items) <= THRESHOLD:
        return joined(map(show, items), None)
    first, last = ends(items)
    return joined(map(show, first), map(show, last))


def count_of(items: Any) -> str:
    """What follows the bracket where items were left out: how many there are."""
    return f", len={len(items)}" if len(items) > THRESHOLD else ""


def pair(item: tuple[Any, Any]) -> str:
    """A key with its value."""
    return f"{item[0]!r}: {item[1]!r}"


def cut_short(shape: tuple[int, ...], item: Callable[[tuple[int, ...]], str]) -> str:
    """Items along several dimensions, of which those at the ends of each are shown; the shape."""

    def along(at: tuple[int, ...]) -> str:
        if len(at) == len(shape):
            return item(at)
        n = shape[len(at)]
        if n <= 2 * _EDGE:
            return f"[{joined((along((*at, i)) for i in range(n)), None)}]"
        first = (along((*at, i)) for i in range(_EDGE))
        last = (along((*at, i)) for i in range(n - _EDGE, n))
        return f"[{joined(first, last)}]"

    return f"{along(())}, shape={shape}"
