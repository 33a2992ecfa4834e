"""A worker of a pool of threads, as its pool knows it."""

from __future__ import annotations

import _thread
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tarefa._pool._variables import Own


class Member:
    """A worker, as its pool knows it."""

    __slots__ = (
        "began",
        "below",
        "busy",
        "current",
        "done",
        "held",
        "lock",
        "own",
        "place",
        "ready_at",
        "restarts",
        "stopped",
        "task",
    )

    def __init__(self) -> None:
        self.task: Any = None
        # The task that it is at, as the batch's number and the place there.
        self.current: tuple[int, int] | None = None
        self.began = 0
        # Tasks that it has begun, but for those of the batch that it is at.
        self.done = 0
        # Whether it was interrupted in that one.
        self.held = False
        # What its initializer set, if it has one.
        self.own: Own | None = None
        # When its initializer has returned; 0 before.
        self.ready_at = 0
        # Nanoseconds that it has had a batch; while it has one, less the time it began that at.
        self.busy = 0
        # Workers whose place it took, one after the other.
        self.restarts = 0
        # Which of the pool's places it has.
        self.place = 0
        self.lock = _thread.allocate_lock()
        # Tasks that wait for what it is at, and since when they run.
        self.below: list[tuple[tuple[int, int] | None, int]] = []
        # Those of them that are interrupted once they go on.
        self.stopped: set[tuple[int, int]] = set()

    def times(self) -> tuple[int, int]:
        """Nanoseconds that it has had work, and waited for some."""
        busy, now = self.busy, time.monotonic_ns()
        if busy < 0:
            busy += now
        age = now - self.ready_at if self.ready_at else 0
        return busy, max(0, age - busy)
