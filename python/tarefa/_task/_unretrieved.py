"""Failures that nobody has asked about: each is told once, by the process that started the task.

It is told when the last handle goes, ten seconds after the end at the latest, or when the process
ends; of a thread through ``threading.excepthook``, of a process through ``tarefa.excepthook``. Of
all handles, threads and processes the record lets one tell.

Nobody keeps the time here: the engine reminds this process, and a thread is made for the telling.
"""

from __future__ import annotations

import _thread
import sys
import threading
import time
from collections.abc import Callable

from tarefa import _engine
from tarefa._convert._pickling import loads
from tarefa._runtime._errors import RemoteError, TaskFailed, WorkerDied
from tarefa._task import _outcome
from tarefa._task._current import (
    forget_ended,
    note_retrieved,
    note_unretrieved,
    of_nobody,
    started,
    unretrieved,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from tarefa._task._process import Process

# By number: cores of processes that have failed, whose handle is gone here, but not elsewhere.
elsewhere: dict[tuple[int, int], Any] = {}

# One for each thread that tells now; locked until it has.
_at_work: list[_thread.LockType] = []
_over = False

# What makes a handle of a process's core: _process has it.
handle_of: list[Callable[[Any], Any]] = []

# Those whose time comes so soon after are told at the same reminder; nanoseconds.
_TOGETHER = 1_000_000_000
# How long the end of the program waits for who tells.
_PATIENCE = 2.0


class ExceptHookArgs:
    """What :func:`tarefa.excepthook` is called with.

    Attributes:
        exc_type: the class of the exception.
        exc_value: what ``exception()`` of the task returns.
        exc_traceback: None, for it stayed in the process: ``exc_value`` has its text as a cause.
        task: the :class:`tarefa.Process`, with its name, pid and exit code; None where the process
            that started it died before it told.
        label: what the task is called: ``process 'name' (pid 123)``.
    """

    __module__ = "tarefa"
    __slots__ = ("exc_traceback", "exc_type", "exc_value", "label", "task")

    def __init__(self, exc_value: Exception, task: Process[Any] | None, label: str) -> None:
        self.exc_type = type(exc_value)
        self.exc_value = exc_value
        self.exc_traceback: TracebackType | None = None
        self.task = task
        self.label = label

    def __repr__(self) -> str:
        return f"<tarefa.ExceptHookArgs, {self.label}, {self.exc_value!r}>"


def excepthook(args: ExceptHookArgs, /) -> None:
    """Tell of a process's failure that nobody has asked about: write it to ``sys.stderr``.

    A program may set ``tarefa.excepthook`` to a function of its own, before the failure is told; it
    is called in any thread, between any two lines of it. What it raises is written to
    ``sys.stderr``. ``tarefa.__excepthook__`` is this one.

    Args:
        args: the exception, and whose it is.
    """
    _write(
        f"tarefa: {args.label} failed, and nobody asked for its result:\n{_text(args.exc_value)}\n"
    )


def note_thread(task: Any) -> None:
    """In a thread that has run its task: if that has failed, it is to be told."""
    if note_unretrieved(task):
        _engine.remind_at(task._tarefa_core.remind_at)
        _engine.listen_for_reminders()


def handle_goes(task: Any) -> None:
    """A handle goes; told if it was the last."""
    core = task.__dict__.get("_tarefa_core")
    if core is None:
        return
    if task._tarefa_unretrieved:
        note_retrieved(task)
        if core.is_thread or core.is_last_handle(1):
            _tell(core, task)
        elif core.is_untold():
            elsewhere[core.object_id] = core
    elif core.object_id in elsewhere and core.is_last_handle(2):
        _tell(elsewhere.pop(core.object_id), task)


def on_reminder() -> None:
    """Tell what is due, in a thread of its own: in whatever thread this is called, and wherever."""
    if not _over:
        _in_thread(_tell_due)


def _in_thread(tell: Callable[[], None]) -> None:
    ended = _thread.allocate_lock()
    ended.acquire()
    _at_work.append(ended)

    def work() -> None:
        try:
            tell()
        finally:
            _at_work.remove(ended)
            ended.release()

    try:
        _thread.start_new_thread(work, ())
    except RuntimeError:
        work()  # no room for a thread


def _tell_due() -> None:
    for found in _engine.take_orphaned():
        _tell_orphaned(*found)
    for task in list(started):
        # Those without another handle go when this returns, and are told.
        forget_ended(task)
    until, next_time = time.monotonic_ns() + _TOGETHER, 0
    for task in unretrieved():
        core = task._tarefa_core
        if core.tell_at <= until:
            note_retrieved(task)
            _tell(core, task)
        else:
            next_time = min(next_time or core.remind_at, core.remind_at)
    for number, core in list(elsewhere.items()):
        if core.tell_at <= until:
            elsewhere.pop(number, None)
            _tell(core, None)
        else:
            next_time = min(next_time or core.remind_at, core.remind_at)
    if next_time:
        _engine.remind_at(next_time)


def are_any() -> bool:
    """Whether there may be something to tell."""
    return bool(of_nobody or elsewhere)


def tell_all() -> None:
    """The program ends: tell what is left."""
    global _over
    _over = True
    for found in _engine.take_orphaned():
        _tell_orphaned(*found)
    for task in unretrieved():
        note_retrieved(task)
        _tell(task._tarefa_core, task)
    while elsewhere:
        _tell(elsewhere.popitem()[1], None)
    until = time.monotonic() + _PATIENCE
    for ended in _at_work:
        ended.acquire(timeout=max(0.0, until - time.monotonic()))


def forget_all() -> None:
    """In a child: its parent's failures are not its own."""
    global _over
    _over = False
    elsewhere.clear()
    _at_work.clear()


def _tell(core: Any, task: Any) -> None:
    if not core.claim_telling():
        return
    if core.is_thread:
        _tell_thread(task)
        return
    if task is None:
        task = handle_of[0](core)
    label = f"{task._label()} (pid {core.pid})"
    try:
        error = task._failure()
    except Exception as e:
        _write(f"tarefa: {label} failed, and nobody asked for its result, which is lost: {e}\n")
    else:
        _call_hook(ExceptHookArgs(error, task, label))


def _tell_orphaned(
    name: str, pid: int, exitcode: int, death: str | None, peak: int, pickled: bytes | None
) -> None:
    label = f"process {name!r} (pid {pid})"
    error: Exception
    if pickled is not None:
        from tarefa._convert._exception_pickling import unpack

        error = _outcome.for_asker(unpack(loads(pickled)), label)
    elif death is not None:
        error = WorkerDied(f"{label} {death}", pid, exitcode, peak)
    else:
        error = TaskFailed(f"{label} failed, and left no word of how")
    label += ", whose starter has died,"
    _call_hook(ExceptHookArgs(error, None, label))


def _call_hook(args: ExceptHookArgs) -> None:
    hook = getattr(sys.modules.get("tarefa"), "excepthook", None) or excepthook
    try:
        hook(args)
    except (Exception, SystemExit) as e:
        _write(
            f"Error in tarefa.excepthook:\n{_text(e)}\n"
            f"Original exception was, of {args.label}:\n{_text(args.exc_value)}\n"
        )


def _tell_thread(task: Any) -> None:
    error = task._failure()
    args = threading.ExceptHookArgs((type(error), error, error.__traceback__, task))
    hook = getattr(threading, "excepthook", None) or threading.__excepthook__
    try:
        hook(args)
    except (Exception, SystemExit) as e:
        _write(
            f"Exception in threading.excepthook:\n{_text(e)}\n"
            f"Original exception was, of {task._label()}:\n{_text(error)}\n"
        )


def _text(error: BaseException) -> str:
    """The exception with its traceback, as it was where it was raised."""
    from tarefa._convert._exception_pickling import remote_text, traceback_text

    text = remote_text(error)
    if text is None:
        return traceback_text(error)
    if isinstance(error, RemoteError):
        text = f"{text}\n{type(error).__name__}: {error}"
    return text


def _write(text: str) -> None:
    """To standard error, at once, so that it stays together."""
    try:
        _write_here(text)
    except RuntimeError:
        # This is a finalizer, which came while its thread was writing there.
        _in_thread(lambda: _write_here(text))


def _write_here(text: str) -> None:
    stream = sys.stderr or sys.__stderr__
    if stream is not None:
        try:
            stream.write(text)
            stream.flush()
        except RuntimeError:
            raise
        except Exception:  # noqa: S110 - closed, or nobody reads it any more
            pass
