"""``RWLock``."""

from __future__ import annotations

from collections.abc import Callable

from tarefa._engine import RWLockCore, register_class
from tarefa._runtime._module_objects import is_attached
from tarefa._runtime._shared import Shared
from tarefa._runtime._showing import full_title, place


class RWLock(Shared, RWLockCore):
    """A lock that many threads and processes may hold to read, or one to write.

    Readers and writers take turns: after a writer all readers that wait, after the readers the
    next writer, so neither starves. A thread that reads may read again, and one that writes may
    write and read again; one that reads and asks to write gets a ``RuntimeError``, for it would
    wait for itself. If the process that writes dies, or the thread ends, the next to acquire it
    in either way gets :class:`OwnerDied`, once, and the lock is free again; what readers held
    comes back silently. It can be pickled into any other process and is the same lock there.

    Args:
        repair: what makes whole what the lock guards, as of :class:`Lock`: whoever takes it first
            after a writer's death, in either way, calls it while he holds the lock to write.

    >>> lock = RWLock()
    >>> with lock.read():
    ...     lock.readers
    1
    >>> with lock.write():
    ...     lock.locked()
    True
    """

    __module__ = "tarefa"
    __slots__ = ()

    def __init__(self, *, repair: Callable[[], object] | None = None) -> None:
        super().__init__()
        if repair is not None and not is_attached(self):
            self._set_repair(repair)

    def __repr__(self) -> str:
        state = "locked" if self.locked() else "unlocked"
        if readers := self.readers:
            state = f"readers={readers}"
        return f"<{full_title(self)} {place(self)}: {state}>"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RWLockCore):
            return self.object_id == other.object_id
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.object_id)


register_class("RWLock", RWLock)
