"""``Condition``."""

from __future__ import annotations

import time
from collections.abc import Callable

from tarefa._engine import ConditionCore, LockCore, register_class
from tarefa._runtime._module_objects import is_attached
from tarefa._runtime._shared import Shared
from tarefa._runtime._showing import full_title, lock_place
from tarefa._sync._lock import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from tarefa._sync._lock import Lock
else:
    from tarefa._runtime._untyped import TypeVar

T = TypeVar("T")


class Condition(Shared, ConditionCore):
    """A condition that threads and processes wait for, with the habits of ``threading``'s.

    Those who have waited longest are notified first. A task that is killed, interrupted or out
    of time does not take a notification along that was meant for another. If the one who holds
    the lock dies, every ``wait()`` raises :class:`OwnerDied` once it has the lock, so that a
    ``with`` around it releases the lock as always. It can be pickled into any other process and
    is the same condition there.

    Args:
        lock: a :class:`Lock` or :class:`RLock` of tarefa; None makes an ``RLock``.

    Raises:
        TypeError: a lock of another kind.
    """

    __module__ = "tarefa"
    __slots__ = ()

    def __init__(self, lock: Lock | RLock | None = None) -> None:
        super().__init__()
        given: object = lock
        if given is not None and not isinstance(given, LockCore):
            kind = f"{type(given).__module__}.{type(given).__qualname__}"
            raise TypeError(
                f"Condition() takes a Lock or RLock of tarefa, not a {kind}, "
                "which other processes could not see"
            )
        if not is_attached(self):
            self._set_lock(RLock() if lock is None else lock)

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        """Wait until a predicate is true; the lock is held while it is called.

        Args:
            predicate: what is called, at first and after each notification.
            timeout: seconds to wait at most in all, not at all below 0; None waits for ever.

        Returns:
            What the predicate returned last: false when the time passed first.

        Raises:
            RuntimeError: this thread does not hold the lock.
            OverflowError: a timeout above ``TIMEOUT_MAX``.
            OwnerDied: the thread or process that held the lock died; this thread has it now.
            Interrupted: the calling task was interrupted; this thread has the lock.
        """
        end = None if timeout is None else time.monotonic() + timeout
        result = predicate()
        while not result:
            left = None if end is None else end - time.monotonic()
            # What is no number is over, too.
            if left is not None and not left > 0:
                break
            self.wait(left)
            result = predicate()
        return result

    def notifyAll(self) -> None:  # noqa: N802 - the name that threading had first
        """Deprecated, as in ``threading``: use ``notify_all()``."""
        import warnings

        warnings.warn("notifyAll() is deprecated, use notify_all() instead", DeprecationWarning, 2)
        self.notify_all()

    def __repr__(self) -> str:
        state = "locked" if self.locked() else "unlocked"
        return f"<{state} {full_title(self)} {lock_place(self)}, waiters={self.n_waiting}>"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ConditionCore):
            return self.object_id == other.object_id
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.object_id)


register_class("Condition", Condition)
