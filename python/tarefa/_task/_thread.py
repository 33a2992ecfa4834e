"""``Thread``."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from types import CoroutineType

from tarefa import _engine
from tarefa._engine import TaskCore
from tarefa._runtime import _task_end, _unraisable
from tarefa._runtime._contexts import context_for_task
from tarefa._runtime._coroutines import run_if_coroutine
from tarefa._runtime._errors import Interrupted, StateError, TaskExited, TimeLimitInterrupt
from tarefa._runtime._of_init import shown
from tarefa._task import _exit, _limits, _outcome, _unretrieved
from tarefa._task._base import R, TaskBase, check_arguments, check_timeout
from tarefa._task._current import current_task, started
from tarefa._task._state_numbers import (
    EXIT_FAILURE,
    EXIT_SUCCESS,
    FAILED,
    FINISHED,
    INTERRUPTED,
    NEW,
    STARTING,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Context
    from typing import Any, Self, TypeVarTuple, overload

    from tarefa._runtime._coroutines import C

    Ts = TypeVarTuple("Ts")
else:
    from tarefa._runtime._untyped import overload

_prepared = False

_NOTHING: tuple[bool, Any] = (False, None)
_init, _start = threading.Thread.__init__, threading.Thread.start
_join, _is_alive = threading.Thread.join, threading.Thread.is_alive


def _prepare_interrupts() -> None:
    global _prepared
    _unraisable.watch()
    if not _prepared:
        _prepared = True
        _engine.prepare_thread_interrupts()


def _arm_time_limit(core: TaskCore) -> None:
    """In the thread of a task with a time limit."""
    _prepare_interrupts()
    core.arm_time_limit(threading.get_ident(), TimeLimitInterrupt)


def _run(task: Thread[Any], core: TaskCore, run: Callable[[], Any], context: Context) -> None:
    """What the new thread runs."""
    del task.run
    state, code, outcome = FINISHED, EXIT_SUCCESS, _NOTHING
    try:
        try:
            if core.run_thread():
                raise Interrupted("interrupted before it ran")
            if task._tarefa_limited:
                _arm_time_limit(core)
            value = context.run(run)
            if type(value) is CoroutineType:
                value = context.run(run_if_coroutine, value)
            if value is not None:
                outcome = (False, value)
        finally:
            # An interrupt that came as the target returned has nobody left to reach.
            core.end_target()
    except Interrupted as e:
        if not e.args:
            # Raised in this thread by its class alone.
            e.args = (_interruption_text(task, core, e),)
        state, code, outcome = INTERRUPTED, EXIT_FAILURE, (True, e)
    except KeyboardInterrupt as e:
        state, code, outcome = INTERRUPTED, EXIT_FAILURE, (True, e)
    except SystemExit as e:
        code = _outcome.exit_code(e.code)
        state, outcome = (FINISHED, (False, None)) if code == EXIT_SUCCESS else (FAILED, (True, e))
    except BaseException as e:
        state, code, outcome = FAILED, EXIT_FAILURE, (True, e)
    if outcome[0]:
        error = outcome[1]
        # The target's part: this module's frames would keep the handle.
        tb = error.__traceback__
        while tb is not None and tb.tb_frame.f_globals is globals():
            tb = tb.tb_next
        error.__traceback__ = tb
        del tb
        error = _outcome.for_asker(error, task._label())
        outcome = (True, error)
        task._tarefa_traceback = error.__traceback__
        if isinstance(error, TaskExited):
            core.keep_quiet()
        del error
    task._tarefa_outcome = outcome
    failed = outcome[0]
    del run, context, outcome
    _task_end.run()
    core.finish(state, code)
    started.discard(task)
    if failed:
        _unretrieved.note_thread(task)
    fd = task._tarefa_sentinel
    if fd is not None:
        core.signal_descriptor(fd)


def _let_go_of_handle(task: Thread[Any]) -> None:
    """Have the frames below the target's not keep the handle of a thread that has failed and ended.

    The exception has the target's frames, each of which leads to its caller's: they would keep the
    handle, which has the exception, and so the failure would not be told as the last handle goes.
    """
    error = (task._tarefa_outcome or _NOTHING)[1]
    for one in (error, getattr(error, "__cause__", None)):
        tb = getattr(one, "__traceback__", None)
        frame = None if tb is None else tb.tb_frame.f_back
        while frame is not None:
            # The program's own are for who looks at the exception.
            if frame.f_globals is globals() or frame.f_globals is vars(threading):
                try:
                    frame.clear()
                except RuntimeError:  # it still runs: of a cause that another thread has
                    pass
            frame = frame.f_back


def _interruption_text(task: Thread[Any], core: TaskCore, e: Interrupted) -> str:
    label = task._label()
    if isinstance(e, TimeLimitInterrupt):
        return _limits.over_time_text(core, label)
    return f"{label} was interrupted"


class Thread(TaskBase[R], threading.Thread):
    """A task that runs as a thread of this process: fast and light, sharing its memory.

    A real ``threading.Thread``, with what a :class:`tarefa.Process` has besides.

    Args:
        group: None, as in ``threading``.
        target: what to run.
        name: shown by ``repr``, ``logging`` and the system.
        args: the target's positional arguments.
        kwargs: the target's keyword arguments.
        daemon: whether the program may end without it; None takes the starter's.
        time_limit: the most seconds it may run; None for no limit. When they are over it is
            interrupted, with :class:`TimeLimitInterrupt`, and again every 2 s while it goes on: a
            thread cannot be killed alone.
        memory_limit: None, for threads share their process's memory.
    """

    __module__ = "tarefa"

    _tarefa_limited = False

    @overload
    def __init__(
        self: Thread[Any],
        group: None = None,
        target: None = None,
        name: str | None = None,
        args: Iterable[Any] = ...,
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = None,
        time_limit: float | None = None,
        memory_limit: int | str | None = None,
    ) -> None: ...
    # What an `async def` returns is run to its end.
    @overload
    def __init__(
        self: Thread[C],
        group: None = None,
        target: Callable[[], Coroutine[Any, Any, C]] = ...,
        name: str | None = None,
        args: tuple[()] = ...,
        kwargs: None = None,
        *,
        daemon: bool | None = None,
        time_limit: float | None = None,
        memory_limit: int | str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Thread[C],
        group: None,
        target: Callable[[*Ts], Coroutine[Any, Any, C]],
        name: str | None,
        args: tuple[*Ts],
        kwargs: None = None,
        *,
        daemon: bool | None = None,
        time_limit: float | None = None,
        memory_limit: int | str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Thread[C],
        group: None = None,
        *,
        target: Callable[[*Ts], Coroutine[Any, Any, C]],
        name: str | None = None,
        args: tuple[*Ts],
        kwargs: None = None,
        daemon: bool | None = None,
        time_limit: float | None = None,
        memory_limit: int | str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Thread[C],
        group: None = None,
        *,
        target: Callable[..., Coroutine[Any, Any, C]],
        name: str | None = None,
        args: list[Any],
        kwargs: Mapping[str, Any] | None = None,
        daemon: bool | None = None,
        time_limit: float | None = None,
        memory_limit: int | str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Thread[C],
        group: None = None,
        *,
        target: Callable[..., Coroutine[Any, Any, C]],
        name: str | None = None,
        args: Iterable[Any] = ...,
        kwargs: Mapping[str, Any],
        daemon: bool | None = None,
        time_limit: float | None = None,
        memory_limit: int | str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Thread[R],
        group: None = None,
        target: Callable[[], R] = ...,
        name: str | None = None,
        args: tuple[()] = ...,
        kwargs: None = None,
        *,
        daemon: bool | None = None,
        time_limit: float | None = None,
        memory_limit: int | str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Thread[R],
        group: None,
        target: Callable[[*Ts], R],
        name: str | None,
        args: tuple[*Ts],
        kwargs: None = None,
        *,
        daemon: bool | None = None,
        time_limit: float | None = None,
        memory_limit: int | str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Thread[R],
        group: None = None,
        *,
        target: Callable[[*Ts], R],
        name: str | None = None,
        args: tuple[*Ts],
        kwargs: None = None,
        daemon: bool | None = None,
        time_limit: float | None = None,
        memory_limit: int | str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Thread[R],
        group: None = None,
        *,
        target: Callable[..., R],
        name: str | None = None,
        args: list[Any],
        kwargs: Mapping[str, Any] | None = None,
        daemon: bool | None = None,
        time_limit: float | None = None,
        memory_limit: int | str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Thread[R],
        group: None = None,
        *,
        target: Callable[..., R],
        name: str | None = None,
        args: Iterable[Any] = ...,
        kwargs: Mapping[str, Any],
        daemon: bool | None = None,
        time_limit: float | None = None,
        memory_limit: int | str | None = None,
    ) -> None: ...
    def __init__(
        self,
        group: Any = None,
        target: Callable[..., Any] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = None,
        time_limit: float | None = None,
        memory_limit: int | str | None = None,
    ) -> None:
        if (
            group is not None
            or kwargs is not None
            or type(args) is not tuple
            or not callable(target)
        ):
            args, kwargs = check_arguments(group, target, args, kwargs)
        _init(
            self,
            None,
            target,
            name,
            args,
            kwargs,
            daemon=daemon if daemon is None else bool(daemon),
        )
        self._tarefa_core = TaskCore(True, self._daemonic, self._name)  # type: ignore[attr-defined]
        if memory_limit is not None:
            self.memory_limit = memory_limit
        if time_limit is not None:
            self.time_limit = time_limit

    def start(self) -> Self:  # type: ignore[override]
        """Start the task; returns it.

        Raises:
            StateError: it was started before.
            StartError: the system has no room for another thread.
        """
        core = self._tarefa_core
        if not core.begin():
            raise StateError(f"{self._label()} was started before: a task runs once; make another")
        context = context_for_task()
        self.run = partial(_run, self, core, self.run, context)  # type: ignore[method-assign]
        self._tarefa_started_in = os.getpid()
        started.add(self)  # taken out by the thread itself, at its end
        if not _exit.watching:
            _exit.watch()
        try:
            _start(self)
        except BaseException as e:
            if not isinstance(e, Exception) and self._started.wait(1):  # type: ignore[attr-defined]
                raise  # an interrupt of the caller, while it waited for the thread to begin
            core.unbegin()
            started.discard(self)
            del self.run
            if isinstance(e, (RuntimeError, OSError)):
                from tarefa._runtime._errors import StartError

                text = f"cannot start thread {self._name!r}: {e}"  # type: ignore[attr-defined]
                if not sys.is_finalizing():
                    text += f"; {_engine.no_thread()}"
                raise StartError(11, text) from e
            raise
        return self

    def is_alive(self) -> bool:
        """Whether it was started and has not ended; never in a fork of its process."""
        # Where it has not said yet in which process it runs, that is the one that started it.
        pid = self._tarefa_core.pid or self.__dict__.get("_tarefa_started_in")
        return TaskBase.is_alive(self) and (pid is None or pid == os.getpid() or _is_alive(self))

    def run(self) -> Any:
        """Call the target; subclasses may override it. Its value is the task's result."""
        try:
            if self._target is not None:  # type: ignore[attr-defined]
                return self._target(*self._args, **self._kwargs)  # type: ignore[attr-defined]
        finally:
            del self._target, self._args, self._kwargs  # type: ignore[attr-defined]

    def _make_sentinel(self) -> int:
        fd: int = TaskCore.event_descriptor(self._tarefa_core.state >= FINISHED)
        self._tarefa_sentinel = fd
        if self._tarefa_core.state >= FINISHED:
            TaskCore.signal_descriptor(fd)
        return fd

    def _wait(self, timeout: float | None) -> bool:
        if self._tarefa_core.state != NEW and current_task() is None:
            # Nobody can interrupt the caller but by a signal, which ends this join as well.
            if timeout is not None:
                check_timeout(timeout)
            if self._tarefa_core.join_thread(_join, self, timeout):
                if timeout is not None:
                    # The target has returned; what is left are the interpreter's own last steps.
                    _join(self)
                if self._tarefa_unretrieved:
                    _let_go_of_handle(self)
                return True
            if timeout is not None:
                return False
        ended = TaskBase._wait(self, timeout)
        if ended and _is_alive(self):
            _join(self)  # as above
        if ended and self._tarefa_unretrieved:
            _let_go_of_handle(self)
        return ended

    def join(self, timeout: float | None = None) -> None:
        """Wait until the task has ended, for ``timeout`` seconds at most.

        That is not to ask: a failure is still told, if nobody asks for the result.

        Raises:
            StateError: it is not started, or it is the calling task itself.
            ValueError: a timeout below 0.
            Interrupted: the calling task was interrupted.
        """
        if (
            timeout is None
            and current_task() is None
            and self._tarefa_core.join_thread(_join, self)
        ):
            if self._tarefa_unretrieved:
                _let_go_of_handle(self)
            return
        TaskBase.join(self, timeout)

    def _find_outcome(self) -> tuple[bool, Any]:
        if self._tarefa_core.pid != os.getpid():
            raise StateError(f"{self._label()} ran in another process, where its result is")
        return TaskBase._find_outcome(self)

    @property
    def native_id(self) -> int | None:
        """The system's number of the thread; None before it runs."""
        self._tarefa_core  # noqa: B018 - says so where __init__() was not called
        return threading.Thread.native_id.fget(self)  # type: ignore[attr-defined,no-any-return]

    @property
    def name(self) -> str:
        """Its name."""
        if not self._initialized:  # type: ignore[attr-defined]
            self._tarefa_core  # noqa: B018 - says so
        return threading.Thread.name.fget(self)  # type: ignore[attr-defined,no-any-return]

    @name.setter
    def name(self, name: str) -> None:
        threading.Thread.name.fset(self, name)  # type: ignore[attr-defined]
        self._tarefa_core.name = str(name)

    def _set_daemon(self, daemon: bool) -> None:
        threading.Thread.daemon.fset(self, bool(daemon))  # type: ignore[attr-defined]
        self._tarefa_core.daemon = bool(daemon)

    # The standard one's own getter, which threading asks in every run.
    daemon = property(
        threading.Thread.daemon.fget,  # type: ignore[attr-defined]
        _set_daemon,
        doc="Whether the program may end without it.",
    )

    def __repr__(self) -> str:
        if "_tarefa_core" not in self.__dict__:
            return shown(self)
        words = [self._state_words()]
        if self.daemon:
            words.append("daemon")
        if self.ident is not None:
            words.append(str(self.ident))
        return f"<{type(self).__name__}({self.name}, {' '.join(words)}){self._limit_words()}>"

    def _label(self) -> str:
        return f"thread {self.name!r}"

    def _set_limits(self, name: str, time: int | None, memory: int | None) -> None:
        if memory is not None:
            raise ValueError(
                f"{self._label()} cannot have a memory_limit: threads share the memory of their "
                "process; make it a tarefa.Process"
            )
        TaskBase._set_limits(self, name, time, memory)
        self._tarefa_limited = time is not None

    def interrupt(self) -> None:
        """Raise :class:`Interrupted` in the target; who asks gets :class:`TaskInterrupted`.

        At once where it waits in tarefa or sleeps, at the next bytecode in Python code, and on
        return from any other call. A task that has ended is left alone. ``terminate()`` and
        ``kill()`` are the same, for a thread cannot be killed alone.
        """
        if not self._need_started():
            return
        core = self._tarefa_core
        if core.state == STARTING:
            core.request_interrupt()
            if core.state == STARTING:
                # It has not come to its target yet, and will look before it does.
                return
        _prepare_interrupts()
        ident = self.ident
        if ident is None or ident == threading.get_ident():
            raise Interrupted(f"{self._label()} interrupts itself")
        if not core.raise_in_target(ident, Interrupted):
            return
        core.wake()
        tid = core.tid
        if tid is not None:
            _engine.wake_sleeper(tid)

    terminate = kill = interrupt

    def _stack(self) -> tuple[str, ...]:
        frame = sys._current_frames().get(self.ident or 0)
        stack = []
        while frame is not None:
            code = frame.f_code
            if frame.f_globals.get("__name__") not in (__name__, "threading"):
                stack.append(f"{code.co_filename}:{frame.f_lineno} in {code.co_name}")
            frame = frame.f_back
        return tuple(reversed(stack))
