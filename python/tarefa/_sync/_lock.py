"""``Lock`` and ``RLock``."""

from __future__ import annotations

import os
from collections.abc import Callable

from tarefa._engine import LockCore, own_lock_methods, register_class
from tarefa._runtime._shared import Shared
from tarefa._runtime._showing import full_title, lock_place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self


class Lock(Shared, LockCore):
    """A lock that threads and processes share, with the habits of ``threading.Lock``.

    Anyone may release it, as in the standard library. If the process that holds it dies, the
    next ``acquire()`` raises :class:`OwnerDied`, once, and the lock is free again. A thread that
    has waited for a millisecond and was overtaken is the next, so nobody starves. It can be
    pickled into any other process and is the same lock there.

    Args:
        repair: a function without arguments that makes whole what the lock guards. With one,
            whoever takes the lock first after its owner's death calls it, with the lock held, and
            goes on as if nothing had happened; what it raises reaches that one, the lock is free
            again, and the next repairs. It is kept with the lock, as targets travel, and runs in
            whatever process comes first.
    """

    __module__ = "tarefa"
    __slots__ = ()

    acquire_lock = LockCore.acquire
    release_lock = LockCore.release

    def _at_fork_reinit(self) -> None:
        """As ``threading``'s in a forked child; the lock that its parent holds stays held."""
        owner = self.owner()
        if owner is not None and owner.pid == os.getpid():
            self.release()

    def __repr__(self) -> str:
        state = "locked" if self.locked() else "unlocked"
        return f"<{state} {full_title(self)} {lock_place(self)}>"

    def __eq__(self, other: object) -> bool:
        return self.object_id == other.object_id if isinstance(other, LockCore) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.object_id)


class RLock(Shared, LockCore):
    """A recursive lock that threads and processes share, as ``threading.RLock``.

    The thread that holds it may take it again, and releases it as often; nobody else may release
    it. If that thread ends, or its process dies, the next ``acquire()`` raises
    :class:`OwnerDied`, once, and the lock is free again.

    Args:
        repair: what makes whole what the lock guards, as of :class:`Lock`; it may take the lock.
    """

    __module__ = "tarefa"
    __slots__ = ()

    def __new__(cls, *args: Any, repair: Callable[[], object] | None = None, **kwargs: Any) -> Self:
        if len(args) == 1 and type(args[0]) is LockCore:
            return super().__new__(cls, args[0])
        return super().__new__(cls, "recursive", *args, repair=repair, **kwargs)

    def _at_fork_reinit(self) -> None:
        """As ``threading``'s in a forked child; the lock that its parent holds stays held."""
        if self._is_owned():
            self._release_save()

    def __repr__(self) -> str:
        state = "locked" if self.locked() else "unlocked"
        return f"<{state} {full_title(self)} {lock_place(self)}>"

    def __eq__(self, other: object) -> bool:
        return self.object_id == other.object_id if isinstance(other, LockCore) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.object_id)


for _class in (Lock, RLock):
    own_lock_methods(_class)

register_class("Lock", Lock)
register_class("RLock", RLock)
