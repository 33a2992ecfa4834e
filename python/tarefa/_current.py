"""Which task runs this code, and which tasks this process has started."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tarefa._task import TaskBase

# The Process that this process runs as a task; set in children.
process_task: Any = None

# Started here and perhaps still alive. Kept, so that a task outlives its last handle.
started: set[Any] = set()
_prune_at = 64


def current_task() -> TaskBase | None:
    """The task that runs the calling code: a Thread, else the Process; None outside of both."""
    thread = threading.current_thread()
    if hasattr(thread, "_tarefa_core"):
        return thread  # type: ignore[return-value]
    task: TaskBase | None = process_task
    return task


def active_tasks() -> list[TaskBase]:
    """The tasks that this process has started and that have not ended."""
    return [task for task in list(started) if not forget_ended(task)]


def note_started(task: Any) -> None:
    """Keep the task until it has ended."""
    global _prune_at
    started.add(task)
    if len(started) >= _prune_at:
        alive = len(active_tasks())
        _prune_at = max(64, 2 * alive)


def forget_ended(task: Any) -> bool:
    """Let go of the task if it has ended."""
    if task._tarefa_core.state >= 3:
        started.discard(task)
        return True
    return False


def forget_all() -> None:
    """In a child: its parent's tasks are not its own."""
    started.clear()
