"""How a target's value or exception gets from the task to who asks for it."""

from __future__ import annotations

from typing import Any

from tarefa import _engine
from tarefa._convert._exception_pickling import pack, shown, unpack
from tarefa._runtime._errors import (
    Interrupted,
    NotPicklable,
    TaskExited,
    TaskFailed,
    TaskInterrupted,
    TimeLimitExceeded,
    TimeLimitInterrupt,
    WorkerDied,
)
from tarefa._task import _limits


def for_asker(error: BaseException, label: str) -> Exception:
    """What stands for a target's exception where it is asked for: nothing that ends the asker."""
    if isinstance(error, Exception):
        return error
    found: Exception
    if isinstance(error, TimeLimitInterrupt):
        found = TimeLimitExceeded(str(error))
    elif isinstance(error, Interrupted):
        found = TaskInterrupted(str(error) or f"{label} was interrupted")
    elif isinstance(error, KeyboardInterrupt):
        found = TaskInterrupted(f"{label} was interrupted: {shown(error)}")
    elif isinstance(error, SystemExit):
        found = TaskExited(f"{label} called sys.exit({error.code!r})", error.code)
    else:
        found = TaskFailed(f"{label} ended with {shown(error)}")
    found.__cause__ = error
    return found


def exit_code(code: object) -> int:
    """The exit code for what ``sys.exit()`` was called with; 0 only for what is no failure."""
    if code is None:
        return 0
    if isinstance(code, int):
        # The system keeps the last byte.
        return code & 0xFF or (1 if code else 0)
    return 1


def finish_failed(core: Any, state: int, code: int, error: BaseException) -> None:
    """End the task with an exception."""
    core.finish(state, code, True, error, pack)


def finish_returned(core: Any, value: Any, what: str) -> bool:
    """End the task with a value; False if the value could not travel, which fails the task."""
    if value is None:
        core.finish(3, 0)
        return True
    try:
        core.finish(3, 0, False, value)
    except Exception as e:
        error = NotPicklable(f"the result of {what} cannot be sent back: {e}")
        error.__cause__ = e
        finish_failed(core, 4, 1, error)
        return False
    return True


def read(core: Any) -> tuple[bool, Any] | None:
    """(is an error, value or exception) of a task that has ended; None without an outcome."""
    try:
        found = core.outcome()
    except MemoryError:
        raise
    except Exception as e:
        kind = "thread" if core.is_thread else "process"
        error = NotPicklable(
            f"the result of {kind} {core.name!r} arrived and cannot be built here: "
            f"{type(e).__name__}: {e}"
        )
        error.__cause__ = e
        return True, error
    if found is None:
        return None
    is_error, value = found
    return is_error, unpack(value) if is_error else value


def died(core: Any, label: str) -> WorkerDied:
    """The error for a task whose process ended without an outcome."""
    code, peak, pid = core.exitcode, core.usage()[3], core.pid
    memory = f"{peak / 2**20:.0f} MiB" if peak else "an unknown amount"
    label = f"{label} (pid {pid})"
    if code == -9 and core.killed_over_time:
        text = f"{_limits.over_time_text(core, label)}, {_limits.killed_text()}"
        return WorkerDied(f"{text}; peak memory {memory}.", pid, code, peak)
    limit = core.memory_limit
    if core.killed_by_us:
        cause = "it was ended by kill() or terminate()"
    elif code == -9:
        cause = (
            "somebody sent it SIGKILL, or the system did because memory ran out; "
            "look at the memory it used, and at the system's log"
        )
    elif limit is not None and code in (-6, -11):
        cause = (
            f"native code in it did not get the memory it wanted, for its memory limit is "
            f"{_limits.size_text(limit)} beyond what it started with; or it is broken"
        )
    elif code in (-11, -7, -4, -8):
        cause = "native code that it called is broken; faulthandler shows where"
    elif code is not None and code >= 0:
        cause = "something called os._exit(), or the interpreter could not go on"
    else:
        cause = "a signal ended it"
    if code == -255:
        how = "ended, and another part of the program collected its status first"
    elif code is not None and code < 0:
        how = f"was ended by {_engine.signal_name(-code)}"
    else:
        how = f"exited with code {code}"
    text = f"{label} {how} before it had a result; peak memory {memory}. Likely: {cause}."
    if core.over_time:
        text += f" It was interrupted before: {_limits.over_time_text(core, 'it')}."
    return WorkerDied(text, pid, code, peak)
