"""``configure``: how the runtime works."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from types import EllipsisType

from tarefa import _engine
from tarefa._runtime import _executable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Says where processes log to; set by `_hooks`.
set_logging: Callable[[str | None], None] = repr  # type: ignore[assignment]
# Has an initializer called in processes; set by `_hooks`.
set_initializer: Callable[[Callable[..., object] | None, tuple[Any, ...]], None] = repr  # type: ignore[assignment]


def configure(
    *,
    spares: int | None = None,
    report_after: float | None = None,
    max_depth: int | None = None,
    executable: str | bytes | os.PathLike[Any] | None = None,
    initializer: Callable[..., object] | EllipsisType | None = ...,
    initargs: Iterable[Any] = (),
    logging: str | EllipsisType | None = ...,
) -> None:
    """Set how the runtime works, for all processes in it.

    Args:
        spares: how many processes are forked ahead, so that a start is one wake-up: 0 to 64.
            The environment variable ``TAREFA_SPARES`` sets it from outside.
        report_after: seconds after which a wait in tarefa has a report of who waits for whom
            written to standard error, as :func:`deadlocks` makes it; once for each wait, which
            goes on. 0 turns that off, as it is at first. The environment variable
            ``TAREFA_REPORT_AFTER`` sets it from outside. Waits that sleep already keep to what
            was set before.

        max_depth: how deep processes may start processes: those that the program itself starts
            are at depth 1. A start that would be deeper is a :class:`StartError`. 64 unless it
            is set; the environment variable ``TAREFA_MAX_DEPTH`` sets it from outside.
        executable: the Python interpreter that is executed as the process that forks all others;
            ``sys.executable`` if not given. For programs with an interpreter inside, whose
            ``sys.executable`` is none. To be set before the first ``Process``.
        initializer: called with ``initargs`` in each process before its target, in those that this
            process starts from now on and in those that they start; None for nothing, as it is at
            first. What it raises is the task's failure.
        initargs: its arguments.
        logging: ``"forward"`` has what processes log, those that are started from now on and those
            that they start, handled by the handlers of this process, with the levels and filters
            that its loggers have at the start. A record is there when the call that logged it has
            returned, also if the process is killed then; this process handles all of them before
            it ends. None ends that, once what is there is handled: processes have handlers of
            their own, as it is at first. In a process whose logging is forwarded it does nothing.

    Raises:
        ValueError: a number out of range; no program that can be executed; another ``logging``.
        TypeError: what should be a number is none.
        StateError: it is too late for ``executable``.
        NotPicklable: the initializer or an argument cannot go to another process.
    """
    if initializer is not ...:
        set_initializer(initializer, tuple(initargs))
    elif initargs != ():
        raise TypeError("initargs are the arguments of an initializer, which is not given")
    if logging is not ...:
        if logging is not None and logging != "forward":
            raise ValueError(f"logging must be 'forward' or None, not {logging!r}")
        set_logging(logging)
    if executable is not None:
        _executable.choose(executable)
    if max_depth is not None:
        if type(max_depth) is not int:
            raise TypeError(f"max_depth must be a whole number, not {type(max_depth).__name__}")
        if not 1 <= max_depth < 1 << 63:
            raise ValueError(f"max_depth must be 1 or more: {max_depth}")
        _engine.set_max_depth(max_depth)
    if report_after is not None:
        if isinstance(report_after, bool) or not isinstance(report_after, (int, float)):
            kind = type(report_after).__name__
            raise TypeError(f"report_after must be a number of seconds, not {kind}")
        if not report_after >= 0:
            raise ValueError(
                f"report_after must be a number of seconds, not below 0: {report_after}"
            )
        _engine.set_report_after(float(report_after) or None)
    if spares is not None:
        if type(spares) is not int:
            raise TypeError(f"spares must be a whole number, not {type(spares).__name__}")
        most = _engine.most_spares()
        if not 0 <= spares <= most:
            raise ValueError(f"spares must be from 0 to {most}: {spares}")
        _engine.prepare_zygote()
        _engine.set_spares(spares)
