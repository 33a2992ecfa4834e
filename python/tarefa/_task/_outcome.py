"""How a target's value or exception travels from the task to who asks for it."""

from __future__ import annotations

from typing import Any

from tarefa import _engine
from tarefa._convert._pickling import dumps, loads
from tarefa._runtime._errors import NotPicklable, RemoteError, RemoteTraceback, WorkerDied
from tarefa._task import _limits


def finish_failed(core: Any, state: int, code: int, error: BaseException) -> None:
    """End the task with an exception; one that does not survive the way goes as its text."""
    import traceback

    text = "".join(traceback.format_exception(error)).rstrip()
    try:
        data = dumps((error, text))
        survives = type(loads(data)[0]).__qualname__ == type(error).__qualname__
    except BaseException:
        survives = False
    if not survives:
        name = type(error).__qualname__
        try:
            shown = f"{name}: {error}"
        except Exception:
            shown = name
        data = dumps((RemoteError(shown, name, text), text))
    core.finish(state, code, True, data, _same)


def _same(data: bytes) -> bytes:
    return data


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
    if is_error:
        error, text = value
        error.__cause__ = RemoteTraceback(text)
        return True, error
    return False, value


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
