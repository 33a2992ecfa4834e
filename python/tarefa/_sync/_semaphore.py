"""``Semaphore`` and ``BoundedSemaphore``."""

from __future__ import annotations

import operator

from tarefa._engine import SemaphoreCore, register_class
from tarefa._runtime._module_objects import is_attached
from tarefa._runtime._shared import Shared
from tarefa._runtime._showing import full_title, place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import SupportsIndex


class Semaphore(Shared, SemaphoreCore):
    """A number of permits that threads and processes share, as ``threading.Semaphore``.

    Permits are given out in the order in which they were asked for. One that is taken by a
    ``with`` comes back when its process dies; one taken by ``acquire()`` may be given back by
    anybody, so nobody knows whose it was, and it stays taken. It can be pickled into any other
    process and is the same semaphore there.

    Args:
        value: how many permits there are at first.

    Raises:
        ValueError: a value below 0.
    """

    __module__ = "tarefa"
    __slots__ = ()

    def __init__(self, value: SupportsIndex = 1) -> None:
        super().__init__()
        if not is_attached(self):
            self._set_up(operator.index(value), False)

    def __repr__(self) -> str:
        bound = self.bound
        most = "" if bound is None else f"/{bound}"
        return f"<{full_title(self)} {place(self)}: value={self.get_value()}{most}>"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, SemaphoreCore):
            return self.object_id == other.object_id
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.object_id)


class BoundedSemaphore(Semaphore):
    """A semaphore that never has more permits than at first, as ``threading``'s.

    ``release()`` raises ``ValueError`` where that would be so.

    Args:
        value: how many permits there are at first, and at most.

    Raises:
        ValueError: a value below 0.
    """

    __module__ = "tarefa"
    __slots__ = ()

    def __init__(self, value: SupportsIndex = 1) -> None:
        super().__init__()
        if not is_attached(self):
            self._set_up(operator.index(value), True)


def _from_handle(core: SemaphoreCore) -> Semaphore:
    return Semaphore.__new__(Semaphore if core.bound is None else BoundedSemaphore, core)


register_class("Semaphore", _from_handle)
