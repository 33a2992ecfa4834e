"""``Lock``."""

from __future__ import annotations

from tarefa._engine import LockCore


class Lock(LockCore):
    """A lock that threads and processes share, with the habits of ``threading.Lock``.

    Anyone may release it, as in the standard library. If the process that holds it dies, the
    next ``acquire()`` raises :class:`OwnerDied`, once, and the lock is free again. It can be
    pickled into any other process and is the same lock there.
    """

    __module__ = "tarefa"
    __slots__ = ()

    def acquire(
        self,
        blocking: bool = True,
        timeout: float | None = -1,
        *,
        block: bool | None = None,
    ) -> bool:
        """Take the lock.

        Args:
            blocking: whether to wait.
            timeout: seconds to wait at most; -1 or None waits for ever.
            block: the name that ``multiprocessing`` has for ``blocking``.

        Returns:
            Whether the lock was taken.

        Raises:
            OwnerDied: the process that held it died; the lock is free, and not taken.
            ValueError: a timeout below 0 (but -1), or one without waiting.
        """
        if block is not None:
            blocking = block
        if timeout == -1:
            timeout = None
        elif not blocking and timeout is not None:
            raise ValueError("can't specify a timeout for a non-blocking call")
        elif timeout is not None and timeout < 0:
            raise ValueError("timeout value must be a non-negative number")
        return self.take(bool(blocking), timeout)

    acquire_lock = acquire

    def __repr__(self) -> str:
        state = "locked" if self.locked() else "unlocked"
        return f"<{state} tarefa.Lock {self.object_id[1]}>"

    def __eq__(self, other: object) -> bool:
        return self.object_id == other.object_id if isinstance(other, LockCore) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.object_id)
