"""Who holds a lock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tarefa._task._base import TaskBase


class Owner(NamedTuple):
    """Who holds a lock.

    Attributes:
        task: the task that holds it; None for a thread that is no task.
        pid: its process.
        thread: the system's number of its thread, as ``threading.get_native_id()``.
        since: when it took the lock, in seconds as ``time.time()``, to within some milliseconds.
    """

    task: TaskBase[Any] | None
    pid: int
    thread: int
    since: float

    @classmethod
    def _since(cls, task: TaskBase[Any] | None, pid: int, thread: int, ago: float) -> Owner:
        return cls(task, pid, thread, time.time() - ago)


Owner.__module__ = "tarefa"
