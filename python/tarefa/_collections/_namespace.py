"""``Namespace``: names with values, in memory that threads and processes share."""

from __future__ import annotations

from collections.abc import Callable

from tarefa._collections._object_lock import ObjectLock
from tarefa._engine import NamespaceCore, register_class
from tarefa._runtime._module_objects import is_attached
from tarefa._runtime._shared import Content, copied, shown_names, state_of
from tarefa._runtime._showing import once, shown, title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Namespace(Content, NamespaceCore):
    """Attributes that threads and processes share.

    As ``types.SimpleNamespace`` and the ``Namespace`` of ``multiprocessing``'s managers: setting,
    reading and deleting an attribute each happens at one instant for all who look. ``ns.n += 1``
    is two operations, between which others may come: group them by ``with ns.lock():``. A value
    read from it is a copy; other objects of tarefa are held by reference.

    A name that is set comes before a method of that name. Names with two underscores at both
    ends are Python's own and cannot be set.

    It can be pickled into any other process and is the same namespace there.
    """

    __module__ = "tarefa"
    __slots__ = ()
    _KIND = 12

    def __init__(self, /, **kwargs: Any) -> None:
        if kwargs and not is_attached(self):
            NamespaceCore._put_all(self, kwargs)

    def lock(self, repair: Callable[[], object] | None = None) -> ObjectLock:
        """What groups operations: ``with ns.lock():`` others' operations on it wait.

        Args:
            repair: a function without arguments, kept with the object: whoever takes this lock
                first after its owner's death calls it, with the lock held, and goes on. None
                leaves what is kept.
        """
        return ObjectLock(self, repair)

    def snapshot(self) -> dict[str, Any]:
        """A plain dict of the names and values at this instant."""
        return NamespaceCore._read_dict(self)[1]

    def __copy__(self) -> Namespace:
        return copied(self, state_of(self), **Namespace.snapshot(self))  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: dict[int, Any]) -> Namespace:
        import copy

        content, state = copy.deepcopy((Namespace.snapshot(self), state_of(self)), memo)
        memo[id(self)] = made = copied(self, state, **content)
        return made  # type: ignore[no-any-return]

    def __bool__(self) -> bool:
        return True

    def __dir__(self) -> list[str]:
        names = NamespaceCore._read(self, "keys")[1]
        return sorted({*shown_names(self, object.__dir__(self)), *names})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Namespace):
            return NotImplemented
        return Namespace.snapshot(self) == Namespace.snapshot(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        def text() -> str:
            pairs = list(Namespace.snapshot(self).items())
            return f"{title(self)}({shown(pairs, lambda pair: f'{pair[0]}={pair[1]!r}')})"

        return once(self, text, f"{title(self)}(...)")


register_class("Namespace", Namespace)
