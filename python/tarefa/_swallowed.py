"""Interrupts that the interpreter drops, in finalizers and the callbacks of weak references.

``UnraisableHook`` says why, and raises them again.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tarefa._current import current_task
from tarefa._engine import UnraisableHook
from tarefa._errors import Interrupted

if TYPE_CHECKING:
    from tarefa._engine import TaskCore


def watch() -> None:
    """Have dropped interrupts raised again; called anew, for others may have set their hook."""
    present: Any = sys.unraisablehook
    if not isinstance(present, UnraisableHook):
        sys.unraisablehook = UnraisableHook(present, _interrupted)


def _interrupted(dropped: type[BaseException]) -> TaskCore | None:
    """The core of the task whose interrupt was dropped in this thread, while its target runs."""
    if not issubclass(dropped, Interrupted):
        return None
    task = current_task()
    return None if task is None else task._interruptible_here()
