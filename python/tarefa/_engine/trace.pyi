"""Who waits for whom, and stacks of processes."""

from collections.abc import Callable
from types import FrameType
from typing import Any

def deadlocks() -> tuple[str, float, list[dict[str, Any]], list[list[int]], list[list[int]]]:
    """Who waits for whom.

    Returns:
        A text, its age in seconds, threads, deadlocks, and cycles that will end: the latter two
        as indices into the threads.
    """

def forget_stack() -> None:
    """In the child of a fork of the program's own: it has no file for its stack yet."""

def offer_stack() -> None:
    """Say that this process writes its stack on the stack signal."""

def prepare_stacks(
    fd: int,
    install_faulthandler: Callable[[], Any],
    install_interpreter: Callable[[], Any] | None,
) -> None:
    """Take over the stack signal, with two functions that install what writes stacks to ``fd``."""

def report_after() -> float | None:
    """After how many seconds a wait is reported; None for never."""

def request_stack(slot: int, timeout: float) -> str | None:
    """Have a process write its main thread's stack; None when it does not answer in time."""

def set_report_after(seconds: float | None) -> None:
    """Say after how many seconds a wait is reported; None for never."""

def write_stack(signal: int, frame: FrameType | None, /) -> None:
    """The interpreter's handler of the stack signal."""

def stack_signal() -> int:
    """The signal that makes a process write its stack."""

def watch_faults() -> None:
    """In a zygote: from now on its children note where they were when a fault ends them."""

def note_frame(frame: FrameType) -> None:
    """Note that the calling thread stands there."""
