"""Who waits for whom, and stacks of processes."""

import os
from collections.abc import Callable
from types import FrameType
from typing import Any, Self, final

def deadlocks() -> tuple[
    str,
    float,
    list[dict[str, Any]],
    list[tuple[int, str, list[str], float, str | None]],
    list[list[int]],
    list[list[int]],
    str,
]:
    """Who waits for whom.

    Returns:
        A text, its age in seconds, threads, coroutines that wait, deadlocks, and cycles that will
        end: the latter two as indices into the threads; a picture.
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

@final
class RecordingCore:
    """A recording of who runs what when, which goes on until it is stopped."""

    def __new__(cls, only_samples: bool) -> Self: ...
    def timeline(self, pools: list[int] | None) -> TimelineCore | None:
        """All so far, or what the workers of some pools did; None once it is stopped."""

    def stop(self) -> None:
        """Stop it: nothing is written down for it any more."""

@final
class TimelineCore:
    """Who ran what when."""

    @property
    def span(self) -> tuple[float, float]:
        """Beginning and end, by the monotonic clock."""

    @property
    def source(self) -> str:
        """How it is known when threads were on a core."""

    @property
    def lost(self) -> int:
        """Events that are missing."""

    def rows(self) -> list[tuple[int, int, str]]:
        """The threads: pid, tid, name."""

    def slices(self) -> list[tuple[int, int, str, int, str, float, float, str]]:
        """The slices: row, depth, kind, number, name, beginning, end, how it ended."""

    def on_core(self) -> list[tuple[int, int, float, float]]:
        """When the rows were on a core: row, core, beginning, end."""

    def write(self, path: str | os.PathLike[str], as_json: bool) -> None:
        """Write it as Perfetto reads it."""

    def svg(self) -> str:
        """As an SVG document."""

    def html(self, whole: bool) -> str:
        """As a page, or as a part of one."""

    def text(self, width: int) -> str:
        """As text, so many characters wide."""

    def check(self) -> list[str]:
        """What does not hold of it that must hold of any."""
