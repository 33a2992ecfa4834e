"""``ObjectLock``: the lock that every container carries."""

from __future__ import annotations

from collections.abc import Callable

from tarefa import _engine
from tarefa._runtime._shared import shown_names
from tarefa._runtime._showing import place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tarefa._sync._owner import Owner


class ObjectLock:
    """Groups operations on one object: what ``obj.lock()`` returns.

    While a thread holds it, other threads' and processes' operations on the object wait, reads
    too, and its own go on. It is recursive, as :class:`RLock`; if its owner dies, waiting
    operations go on, and the next to take it gets :class:`OwnerDied`, once; or, with a function to
    repair the object, calls that while he holds it, and goes on.
    """

    __module__ = "tarefa"
    __slots__ = ("__weakref__", "_core")

    def __init__(self, core: Any, repair: Callable[[], object] | None = None) -> None:
        self._core = core
        if repair is not None:
            core._object_lock_repair(repair)

    def acquire(self, blocking: bool = True, timeout: float | None = -1) -> bool:
        """Take it; whether that succeeded within ``timeout`` seconds (-1 or None: for ever)."""
        taken: bool = self._core._object_lock_acquire(blocking, timeout)
        return taken

    def release(self) -> None:
        """Let it go; ``RuntimeError`` if this thread does not hold it."""
        self._core._object_lock_release()

    def locked(self) -> bool:
        """Whether somebody alive holds it."""
        return self.owner() is not None

    def owner(self) -> Owner | None:
        """Who holds it: task, pid, thread and since when; None if nobody does."""
        owner: Owner | None = self._core._object_lock_owner()
        return owner

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_exc: object) -> None:
        try:
            self.release()
        except RuntimeError:
            # A fork has copied the `with`, and the lock is the parent's.
            if not _engine.was_forked():
                raise

    def __dir__(self) -> list[str]:
        return shown_names(self, super().__dir__())

    def __reduce__(self) -> tuple[type[ObjectLock], tuple[Any]]:
        return ObjectLock, (self._core,)

    def __repr__(self) -> str:
        state = "locked" if self.locked() else "unlocked"
        of = type(self._core).__name__
        return f"<{state} tarefa.ObjectLock of {of} {place(self._core)}>"
