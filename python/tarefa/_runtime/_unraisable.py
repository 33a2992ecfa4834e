"""Interrupts that the interpreter drops, in finalizers and the callbacks of weak references.

``UnraisableHook`` says why, and raises them again.
"""

from __future__ import annotations

import sys

from tarefa._engine import UnraisableHook
from tarefa._runtime._errors import Interrupted, TimeLimitInterrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def watch() -> None:
    """Have dropped interrupts raised again; called anew, for others may have set their hook."""
    present: Any = getattr(sys, "unraisablehook", None) or sys.__unraisablehook__
    if not isinstance(present, UnraisableHook):
        sys.unraisablehook = UnraisableHook(present, (Interrupted, TimeLimitInterrupt))
