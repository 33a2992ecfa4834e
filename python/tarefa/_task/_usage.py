"""What a task has used, and what the system knows of it now."""

from __future__ import annotations

from typing import NamedTuple


class Usage(NamedTuple):
    """What a task has used so far, or in all once it has ended."""

    cpu_user: float
    """Processor time in user code, seconds."""
    cpu_system: float
    """Processor time in the kernel, seconds."""
    wall: float
    """Time from start to end, or to now, seconds."""
    peak_memory: int
    """The most memory its process had, bytes."""
    voluntary_switches: int
    """How often it gave the processor up, to wait."""
    involuntary_switches: int
    """How often the processor was taken from it."""


class Context(NamedTuple):
    """What the system knows of a task at this moment."""

    pid: int
    """Its process."""
    tid: int
    """Its thread."""
    os_state: str
    """``"running"``, ``"ready"``, ``"waiting"``, ``"stopped"`` or ``"ended"``."""
    memory: int
    """Memory of its process, bytes."""
    threads: int
    """Threads of its process."""
    open_files: int | None
    """Descriptors of its process; None where that may not be seen."""
    waits_in: str
    """How an interrupt reaches it: ``"tarefa"`` (at once), ``"python"`` (at the next bytecode)
    or ``"system"`` (it sleeps in a call of the system)."""
    stack: tuple[str, ...]
    """Where it stands, outermost first: ``file:line in function``."""


Usage.__module__ = Context.__module__ = "tarefa"
