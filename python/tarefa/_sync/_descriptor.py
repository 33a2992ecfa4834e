"""A descriptor that is readable while an event is set, or a queue has something to take.

The same for what a connection reads; the end of a queue counts as something. It is made when
somebody asks for it. The kernel knows nothing of those, so a thread of this process waits and shows
the level on an event descriptor. What this process itself does to one is shown at once, and so is
the truth by each ``fileno()``, which ``select`` and ``multiprocessing.connection.wait`` call every
time.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Protocol

from tarefa._runtime import _fork
from tarefa._runtime._high_fd import moved_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from tarefa._engine import Level

_all: dict[int, list[_Shown]] = {}
# A finalizer may close one in the middle of anything.
_lock = threading.RLock()


class _Handle(Protocol):
    """A queue, a connection, or an event."""

    _descriptor: Descriptor | None

    def _level(self) -> Level: ...


class _Shown:
    """What the descriptor and its thread have in common."""

    def __init__(self, level: Level) -> None:
        self.level = level
        self.pid = os.getpid()
        self.fd = moved_up(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
        self.lock = threading.RLock()
        self.ready = False
        self.thread = 0

    def refresh(self) -> None:
        """Show whether there is something now."""
        # In the child of a fork the lock may be one that nobody opens.
        if self.pid != os.getpid():
            return
        with self.lock:
            if self.fd < 0:
                return
            ready = self.level.now()
            if ready and not self.ready:
                os.eventfd_write(self.fd, 1)
            elif self.ready and not ready:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(self.fd)
            changed, self.ready = self.ready != ready, ready
        if changed and threading.get_ident() != self.thread:
            # The thread may be about to wait for what is shown now.
            self.level.look_again()

    def run(self) -> None:
        """Show what others put and take; the thread's."""
        self.thread = threading.get_ident()
        while True:
            self.level.begin()
            if not self.level.wait(self.ready):
                return
            self.refresh()

    def close(self) -> None:
        if self.pid != os.getpid():
            fd, self.fd = self.fd, -1
            if fd >= 0:
                os.close(fd)
            return
        with self.lock:
            fd, self.fd = self.fd, -1
        if fd < 0:
            return
        with _lock:
            shown = _all.get(self.level.object, [])
            if self in shown:
                shown.remove(self)
            if not shown:
                _all.pop(self.level.object, None)
        self.level.stop()
        os.close(fd)


class Descriptor:
    """One for an event, a queue, or what a connection reads; closed when it is dropped."""

    def __init__(self, level: Level) -> None:
        self._shown = shown = _Shown(level)
        with _lock:
            _all.setdefault(level.object, []).append(shown)
        shown.refresh()
        threading.Thread(target=shown.run, name="tarefa-descriptor", daemon=True).start()

    @classmethod
    def of(cls, handle: _Handle) -> Descriptor:
        """That of a handle: made at the first call, and anew in a fork of this process."""
        kept = getattr(handle, "_descriptor", None)
        if kept is None or kept._shown.pid != os.getpid():
            kept = handle._descriptor = cls(handle._level())
        return kept

    def fileno(self) -> int:
        """The descriptor, which shows what is there now."""
        self._shown.refresh()
        return self._shown.fd

    def close(self) -> None:
        self._shown.close()

    def __del__(self, _is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # At the end of the program its thread stays where it was, perhaps with a lock.
        if not _is_finalizing():
            self._shown.close()


def refresh(shared: int) -> None:
    """Show what this process has just done to an object."""
    if sys.is_finalizing():
        return  # see above: nobody is left who would look
    for shown in tuple(_all.get(shared, ())):
        shown.refresh()


def _forked() -> None:
    """In the child of a fork: those of its parent's are no longer told of."""
    global _lock
    _lock = threading.RLock()
    _all.clear()


_fork.in_child(_forked)
