"""Limits of a task: what may be set, and how it is told."""

from __future__ import annotations

from tarefa import _engine
from tarefa._runtime import _errors
from tarefa._runtime._errors import MemoryLimitExceeded
from tarefa._runtime._timeouts import TIMEOUT_MAX, too_large
from tarefa._task._current import current_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST = 2**63 - 1


def check_time_limit(seconds: object, what: str = "time_limit") -> int | None:
    """A time limit, checked: nanoseconds, or None."""
    if seconds is None:
        return None
    kind = type(seconds).__name__
    if isinstance(seconds, (bool, str, bytes)) or not hasattr(seconds, "__float__"):
        raise TypeError(f"{what} must be a number of seconds, not {kind} {seconds!r}")
    try:
        number = float(seconds)
    except OverflowError:  # a whole number of more digits than a float has
        number = float("inf") if seconds > 0 else -1.0  # type: ignore[operator]
    if number > TIMEOUT_MAX:
        raise too_large(what, seconds, "sets no limit")
    if not number > 0:
        raise ValueError(
            f"{what} must be a number of seconds above 0: {seconds!r}; None sets no limit"
        )
    # The engine adds it to its clock; longer than any machine stays up is as good as for ever.
    return max(1, round(min(number * 1e9, float(1 << 62))))


def check_memory_limit(size: object, what: str = "memory_limit") -> int | None:
    """A memory limit, checked: bytes, or None."""
    if size is None:
        return None
    found: int | None
    if isinstance(size, str):
        found = _engine.parse_size(size)
    elif isinstance(size, bool) or not hasattr(size, "__index__"):
        raise TypeError(
            f"{what} must be a number of bytes or a size as in '512M', "
            f"not {type(size).__name__} {size!r}"
        )
    else:
        found = size.__index__()
    if found is None or not 0 < found <= _MOST:
        raise ValueError(
            f"{what} must be a number of bytes above 0, or a size as in '512M' or '2G': "
            f"{size!r}; None sets no limit"
        )
    return found


def over_time_text(core: Any, label: str) -> str:
    """What an interrupt says that comes from the time limit."""
    return f"{label} {core.over_time_words()}"


def _own_over_time() -> str:
    """The same of the task that runs the calling code."""
    task = current_task()
    core = getattr(task, "_tarefa_core", None)
    if task is None or core is None or core.time_limit is None:
        return "the task ran longer than its time limit"
    return over_time_text(core, task._label())


_errors.say_over_time = _own_over_time


def over_memory(core: Any, label: str, error: MemoryError) -> MemoryLimitExceeded:
    """The error of a target that ran out of memory and has a limit."""
    said = f" ({error})" if str(error) else ""
    text = (
        f"{label} (pid {core.pid}) ran out of memory{said}: its memory limit is "
        f"{core.memory_limit_words()} beyond what it started with; have it use less, or raise "
        "memory_limit"
    )
    found = MemoryLimitExceeded(text)
    found.__cause__ = error
    return found
