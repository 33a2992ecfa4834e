"""Which task runs this code, and which tasks this process has started."""

from __future__ import annotations

import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tarefa._task._base import TaskBase
    from tarefa._task._process import Process
    from tarefa._task._thread import Thread

# The Process that this process runs as a task; set in children.
process_task: Any = None

# Started here and perhaps still alive. Kept, so that a task outlives its last handle.
started: set[Any] = set()
_prune_at = 64

# Ended with an error that nobody has asked for yet.
unasked: weakref.WeakSet[Any] = weakref.WeakSet()


def current_task() -> TaskBase | None:
    """The task that runs the calling code: a Thread, else the Process; None outside of both."""
    thread = threading.current_thread()
    if hasattr(thread, "_tarefa_core"):
        return thread  # type: ignore[return-value]
    task: TaskBase | None = process_task
    return task


def active_tasks() -> list[Thread | Process]:
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
        if task in started:
            started.discard(task)
            note_ended(task)
        return True
    return False


def note_ended(task: Any) -> None:
    """If it has ended with an error, somebody is to hear of that."""
    core = task._tarefa_core
    if core.state in (4, 6) and not core.killed_by_us and task._tarefa_outcome is None:
        note_failed(task)


def note_failed(task: Any) -> None:
    """Its error is shown when the task goes away, unless somebody asks for it before."""
    task._tarefa_unasked = True
    unasked.add(task)


def note_asked(task: Any) -> None:
    """Somebody has asked for the error."""
    task._tarefa_unasked = False
    unasked.discard(task)


def forget_all() -> None:
    """In a child: its parent's tasks are not its own."""
    for task in list(unasked):
        note_asked(task)
    started.clear()


def report_unasked(task: Any) -> None:
    """Show the error of a task that nobody will ask for it any more."""
    note_asked(task)
    try:
        text = task._failure_text()
        if text:
            print(  # noqa: T201
                f"tarefa: {task._label()} failed, and nobody asked for its result:\n{text}",
                file=sys.stderr,
                flush=True,
            )
    except Exception:  # noqa: S110 - the program, or the runtime, is ending
        pass
