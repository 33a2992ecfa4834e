"""Which task runs this code, and which tasks this process has started."""

from __future__ import annotations

import sys
import threading
import weakref
from types import FrameType

from tarefa._runtime import _fork
from tarefa._task._state_numbers import FINISHED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tarefa._task._base import TaskBase
    from tarefa._task._process import Process
    from tarefa._task._thread import Thread

# The Process that this process runs as a task; set in children.
process_task: Any = None

# Whether this process is about to build a task, or a script, of what it was told, and so imports.
reads_task = False

# Started here and perhaps still alive. Kept, so that a task outlives its last handle.
started: set[Any] = set()
_prune_at = 64

# Handles of tasks started here that have failed since, of which nobody knows: see _unretrieved. A
# dict, for any thread may change it while another looks through it, in one step.
of_nobody: dict[int, weakref.ref[Any]] = {}


def current_task() -> TaskBase[Any] | None:
    """The task that runs the calling code: a Thread, else the Process; None outside of both."""
    thread = threading.current_thread()
    if hasattr(thread, "_tarefa_core"):
        return thread  # type: ignore[return-value]
    task: TaskBase[Any] | None = process_task
    return task


def refusal(label: str) -> str:
    """Why a process is not started while a task is read."""
    at: FrameType | None = sys._getframe()
    while at is not None and at.f_code.co_name != "<module>":
        at = at.f_back
    module = "a module" if at is None else f"module {at.f_globals.get('__name__')!r}"
    return (
        f"{label} is not started: {module} starts it as it is imported, and this process imports "
        "the module to read its own task. Put what starts processes under if __name__ == "
        '"__main__":, or into a function that the module does not call as it is imported'
    )


def active_tasks() -> list[Thread[Any] | Process[Any]]:
    """The tasks that this process has started and that have not ended."""
    return [task for task in list(started) if not forget_ended(task)]


def note_started(task: Any) -> None:
    """Keep the task until it has ended."""
    global _prune_at
    if _fork.is_zygote():
        return  # a thread that some module's import made is none of its children's
    started.add(task)
    if len(started) >= _prune_at:
        alive = len(active_tasks())
        _prune_at = max(64, 2 * alive)


def forget_ended(task: Any) -> bool:
    """Let go of the task if it has ended."""
    if task._tarefa_core.state >= FINISHED:
        let_go(task)
        return True
    return False


def let_go(task: Any) -> None:
    """The task has ended: only who has a handle keeps it."""
    if task in started:
        started.discard(task)
        if not task._tarefa_core.is_thread:
            # A thread has done so itself.
            note_unretrieved(task)


def note_unretrieved(task: Any) -> bool:
    """If the task has failed and nobody knows, somebody is to be told. Whether that is so."""
    if not task._tarefa_core.is_untold():
        return False
    task._tarefa_unretrieved = True
    of_nobody[id(task)] = weakref.ref(task)
    return True


def note_retrieved(task: Any) -> None:
    """Somebody knows of the failure."""
    task._tarefa_unretrieved = False
    of_nobody.pop(id(task), None)


def unretrieved() -> list[Any]:
    """The tasks that have failed, and of which nobody knows."""
    found = (ref() for ref in list(of_nobody.values()))
    return [task for task in found if task is not None]


def forget_all() -> None:
    """In a child: its parent's tasks are not its own."""
    if of_nobody:
        for task in unretrieved():
            note_retrieved(task)
    started.clear()
