"""How a target's value or exception gets from the task to who asks for it."""

from __future__ import annotations

from tarefa._convert import _descriptors
from tarefa._runtime._errors import (
    Interrupted,
    NotPicklable,
    TaskExited,
    TaskFailed,
    TaskInterrupted,
    TimeLimitExceeded,
    TimeLimitInterrupt,
    TooManyThreads,
    WorkerDied,
)
from tarefa._task._state_numbers import EXIT_FAILURE, EXIT_SUCCESS, FAILED, FINISHED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


# Types whose values have nothing in them.
_PLAIN = frozenset((type(None), bool, int, float, str, bytes))


def for_asker(error: BaseException, label: str) -> Exception:
    """What stands for a target's exception where it is asked for: nothing that ends the asker."""
    if isinstance(error, Exception):
        return error
    from tarefa._convert._exception_pickling import shown

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


def explain(error: BaseException) -> None:
    """In a process: have an error that comes of what is not here say so."""
    if isinstance(error, (NameError, AttributeError, KeyError, ImportError)):
        from tarefa._task import _left_out

        _left_out.explain(error)
    elif type(error) is EOFError and not error.args:
        from tarefa._task import _standard_input

        _standard_input.explain_end(error)


class Ending:
    """How a process's task ends: its outcome, and then its state."""

    def __init__(self, core: Any) -> None:
        self._core = core
        self.state, self.code = FINISHED, EXIT_SUCCESS

    def failed(self, state: int, code: int, error: BaseException, *, deliver: bool) -> None:
        """With an exception. If it only delivers that, :meth:`publish` follows."""
        from tarefa._convert._exception_pickling import pack

        explain(error)
        self.state, self.code = state, code
        if deliver:
            self._core.deliver(True, error, pack)
        else:
            self._core.finish(state, code, True, error, pack)

    def returned(self, value: Any, what: str, *, deliver: bool) -> None:
        """With a value; one that cannot travel fails the task."""
        try:
            if type(value) not in _PLAIN and _descriptors.may_travel():
                # They would be this process's, which ends.
                with _descriptors.refused("a result"):
                    self._give(value, deliver)
            else:
                self._give(value, deliver)
        except Exception as e:
            error = NotPicklable(f"the result of {what} cannot be sent back: {e}")
            error.__cause__ = e
            self.failed(FAILED, EXIT_FAILURE, error, deliver=deliver)

    def _give(self, value: Any, deliver: bool) -> None:
        if deliver:
            self._core.deliver(False, value)
        else:
            self._core.finish(FINISHED, EXIT_SUCCESS, False, value)

    def publish(self) -> None:
        """Say that it has ended, after an outcome that was delivered."""
        self._core.finish(self.state, self.code)


def read(core: Any) -> tuple[bool, Any] | None:
    """(is an error, value or exception) of a task that has ended; None without an outcome."""
    try:
        found = core.outcome()
    except (MemoryError, TooManyThreads):
        # Of who asks, and not of what is asked for.
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
        from tarefa._convert._exception_pickling import unpack

        value = unpack(value)
    return is_error, value


def died(core: Any, label: str) -> WorkerDied:
    """The error for a task whose process ended without an outcome."""
    text = f"{label} (pid {core.pid}) {core.death_words()}"
    place, broken = core.last_line() or (None, False)
    line, seen = (place, None) if broken else (None, place)
    return WorkerDied(text, core.pid, core.exitcode, core.usage()[3], line, seen)
