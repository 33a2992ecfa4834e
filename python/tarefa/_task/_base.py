"""What ``Thread`` and ``Process`` have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Mapping

from tarefa import _engine
from tarefa._runtime import (
    _eval_breaker,  # noqa: F401 - for waits, which may come when there is no descriptor to read it with
    _event_loop,
)
from tarefa._runtime._errors import (
    ArenaFull,
    StateError,
    TaskFailed,
    TaskTimeout,
)
from tarefa._runtime._high_fd import moved_up
from tarefa._runtime._of_init import guard, shown
from tarefa._runtime._shared import attach_as, shown_names
from tarefa._runtime._timeouts import TIMEOUT_MAX, too_large
from tarefa._task import _limits, _outcome
from tarefa._task._current import current_task, let_go, note_retrieved
from tarefa._task._state_numbers import ALIVE, FINISHED, KILLED, NEW, RUNNING, STARTING
from tarefa._task._unretrieved import elsewhere, handle_goes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Generic, TypeVar

    from tarefa._task._state import State
    from tarefa._task._usage import Context, Usage
else:
    from tarefa._runtime._untyped import Generic, TypeVar

R = TypeVar("R")


def check_arguments(
    group: Any, target: Any, args: Any, kwargs: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a constructor, checked; ``args`` and ``kwargs`` as tuple and dict."""
    if group is None and kwargs is None and type(args) is tuple and callable(target):
        return args, {}
    if group is not None:
        raise ValueError(f"group must be None, as in threading; it is {group!r}")
    if target is not None and not callable(target):
        raise TypeError(f"target must be callable; it is {type(target).__name__} {target!r}")
    if kwargs is None:
        kwargs = {}
    if not isinstance(kwargs, Mapping):
        raise TypeError(f"kwargs must be a dict of arguments; it is {type(kwargs).__name__}")
    if not isinstance(args, Iterable):
        raise TypeError(
            f"args must be a tuple of arguments; it is {type(args).__name__} {args!r}: "
            "for one argument write args=(x,)"
        )
    return tuple(args), dict(kwargs)


def check_timeout(timeout: float | None) -> float | None:
    """A timeout, checked as ``threading`` does: seconds, 0 for what is below that, or None."""
    try:
        if timeout is None or 0 <= timeout <= TIMEOUT_MAX:
            return timeout
    except TypeError:
        raise TypeError(
            f"timeout must be a number of seconds, or None, not {type(timeout).__name__} "
            f"{timeout!r}"
        ) from None
    if timeout < 0:
        return 0
    if timeout > TIMEOUT_MAX:
        raise too_large("timeout value", timeout, "waits for ever")
    raise ValueError(
        f"Invalid value NaN (not a number): timeout must be a number of seconds: {timeout!r}"
    )


class TaskBase(Generic[R]):
    """A run of a target, as a thread or as a process."""

    __module__ = "tarefa"

    if TYPE_CHECKING:
        _tarefa_core: Any
        _tarefa_outcome: tuple[bool, Any] | None
        _tarefa_traceback: Any
        _tarefa_sentinel: int | None
    _tarefa_outcome = None
    _tarefa_traceback = None
    _tarefa_sentinel = None
    _tarefa_unretrieved = False
    # Whether it was to end, and the system let nobody here tell it so.
    _tarefa_refused = False

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        guard(cls, "_tarefa_core", "_tarefa_name")

    def _label(self) -> str:
        return f"task {self._tarefa_core.name!r}"

    # -- state ---------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the task is in its life."""
        from tarefa._task._state import State

        state = self._tarefa_core.state
        if state in ALIVE and self._sentinel_says_ended():
            state = self._tarefa_core.state
        return State(state)

    def is_alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._tarefa_core.state in ALIVE and not self._sentinel_says_ended()

    def _sentinel_says_ended(self) -> bool:
        """Whether its process is gone, as its sentinel says.

        The supervisor publishes that moments later; who was told by the sentinel waits for it.
        """
        fd = self._tarefa_sentinel
        if fd is None or self._tarefa_core.is_thread:
            return False
        import select

        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if not poll.poll(0):
            return False
        self._tarefa_core.join(_PUBLISHED_WITHIN)
        return True

    @property
    def native_id(self) -> int | None:
        """The system's number of the thread that runs it; None before it runs."""
        tid: int | None = self._tarefa_core.tid
        return tid

    @property
    def pid(self) -> int | None:
        """The process that runs it; None before it is started."""
        pid: int | None = self._tarefa_core.pid
        return pid

    @property
    def exitcode(self) -> int | None:
        """0 after a return, 1 after an exception, minus the signal's number; None before."""
        core = self._tarefa_core
        if core.state < FINISHED and not (self._sentinel_says_ended() and core.state >= FINISHED):
            return None
        code: int | None = core.exitcode
        return code

    # -- limits --------------------------------------------------------------------------

    @property
    def time_limit(self) -> float | None:
        """The most time it may run, in seconds; None for no limit. To be set before ``start()``."""
        limit: float | None = self._tarefa_core.time_limit
        return limit

    @time_limit.setter
    def time_limit(self, seconds: float | None) -> None:
        self._set_limits("time_limit", _limits.check_time_limit(seconds), self.memory_limit)

    @property
    def memory_limit(self) -> int | None:
        """The most memory it may use beyond what its process starts with, in bytes; None: no limit.

        To be set before ``start()``, also as a size in text, as in ``"512M"``.
        """
        limit: int | None = self._tarefa_core.memory_limit
        return limit

    @memory_limit.setter
    def memory_limit(self, size: int | str | None) -> None:
        time = _limits.check_time_limit(self.time_limit)
        self._set_limits("memory_limit", time, _limits.check_memory_limit(size))

    def _set_limits(self, name: str, time: int | None, memory: int | None) -> None:
        if self._tarefa_core.state != NEW:
            raise StateError(f"{self._label()} is started: set {name} before start()")
        self._tarefa_core.set_limits(time, memory)

    # -- waiting -------------------------------------------------------------------------

    def _wait(self, timeout: float | None) -> bool:
        timeout = check_timeout(timeout)
        core = self._tarefa_core
        state = core.state
        if state == NEW:
            raise StateError(f"{self._label()} is not started: call start() first")
        if state < FINISHED:
            if current_task() is self or self._is_here():
                raise StateError(f"{self._label()} cannot join itself: it would wait for ever")
            if not core.join(timeout) and not (
                self._sentinel_says_ended() and core.state >= FINISHED
            ):
                return False
        let_go(self)
        return True

    def _wait_outcome(self, timeout: float | None) -> bool:
        """Wait until there is an outcome, which may be before the end."""
        return self._wait(timeout)

    def _is_here(self) -> bool:
        me = current_task()
        return me is not None and me._tarefa_core.object_id == self._tarefa_core.object_id

    def join(self, timeout: float | None = None) -> None:
        """Wait until the task has ended, for ``timeout`` seconds at most.

        That is not to ask: a failure is still told, if nobody asks for the result. A timeout
        below 0 is 0.

        Raises:
            StateError: it is not started, or it is the calling task itself.
            OverflowError: a timeout above ``TIMEOUT_MAX``.
            Interrupted: the calling task was interrupted.
        """
        self._wait(timeout)

    def _ended(self, timeout: float | None) -> tuple[bool, Any]:
        """The outcome: (is an error, value or exception)."""
        if not self._wait_outcome(timeout):
            raise TaskTimeout(
                f"{self._label()} has not ended within {timeout} s; it goes on: "
                "ask again, or interrupt() it"
            )
        found = self._tarefa_outcome
        if found is None:
            found = self._tarefa_outcome = self._find_outcome()
        # A process that still runs, with its result delivered, may die of what it does at its exit.
        if found[0] or self._tarefa_core.state != FINISHED:
            self._tarefa_core.note_retrieved()
            if self._tarefa_unretrieved:
                note_retrieved(self)
        return found

    def _failure(self) -> Exception:
        """The exception of a task that has failed, for telling: that is not asking."""
        found = self._tarefa_outcome
        if found is None:
            found = self._tarefa_outcome = self._find_outcome()
        if not found[0]:
            # It died of what it did at its exit.
            return _outcome.died(self._tarefa_core, self._label())
        error: Exception = found[1]
        # Without what was added where it was raised again.
        error.__traceback__ = self._tarefa_traceback
        return error

    def _find_outcome(self) -> tuple[bool, Any]:
        core = self._tarefa_core
        state = core.state
        delivered = core.delivered()
        if state == KILLED and not delivered:
            return True, _outcome.died(core, self._label())
        found = _outcome.read(core)
        if found is not None:
            is_error, value = found
            return is_error, _outcome.for_asker(value, self._label()) if is_error else value
        if core.outcome_lost:
            return True, ArenaFull(
                f"{self._label()} ended, but the shared memory had no room for its result; "
                "free something, or raise TAREFA_ARENA_MAX"
            )
        if state != FINISHED and not delivered:
            return True, TaskFailed(f"{self._label()} failed, and left no word of how")
        return False, None

    def result(self, timeout: float | None = None) -> R:
        """What the target returned; raises what it raised, each time with a traceback of its own.

        Raises:
            TaskTimeout: it has not ended within ``timeout`` seconds.
            WorkerDied: its process died.
            TaskInterrupted: it was interrupted and did not handle that.
            TimeLimitExceeded: it was interrupted for its time limit, and did not handle that.
            TaskExited: the target called ``sys.exit()`` with a code other than 0.
            TaskFailed: it raised what is no ``Exception``, a ``GeneratorExit`` for example.
            RemoteError: it raised what cannot travel between processes.
        """
        is_error, value = self._ended(timeout)
        if is_error:
            from tarefa._convert import _exceptions

            value = _exceptions.copy(value)
            try:
                raise BaseException.with_traceback(value, self._tarefa_traceback)
            finally:
                del value
        return value  # type: ignore[no-any-return]

    def exception(self, timeout: float | None = None) -> Exception | None:
        """What ``result()`` would raise; None if the target returned.

        It is the same object each time; of a thread, the very one that its target raised.

        Raises:
            TaskTimeout: it has not ended within ``timeout`` seconds.
        """
        return self._failure() if self._ended(timeout)[0] else None

    def __await__(self) -> Generator[Any, None, R]:
        return self._as_coroutine().__await__()

    async def _as_coroutine(self) -> R:
        await self._until_ended()
        return self.result(0)

    async def _until_ended(self) -> None:
        import asyncio

        if self._tarefa_core.state == NEW:
            raise StateError(f"{self._label()} is not started: call start() first")
        from tarefa._runtime._awaits import Awaiting

        loop = asyncio.get_running_loop()
        while self._tarefa_core.state < FINISHED:
            ended = loop.create_future()
            fd = moved_up(os.dup(self.sentinel))
            loop.add_reader(fd, _set_result, ended)
            try:
                with Awaiting(self._tarefa_core.object_id[1]):
                    await ended
            finally:
                loop.remove_reader(fd)
                os.close(fd)
            # The process is gone; the supervisor publishes that within moments.
            self._tarefa_core.join(0.05)

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Have a function called with the task when it has ended; at once if it has.

        It runs in a thread of this process; what it raises is logged.

        Raises:
            StateError: the task is not started.
        """
        if self._tarefa_core.state == NEW:
            raise StateError(f"{self._label()} is not started: call start() first")
        if not callable(fn):
            raise TypeError(f"a function is wanted, not {type(fn).__name__} {fn!r}")
        _event_loop.refuse_its_own(fn, f"hand it asyncio.ensure_future(task) of {self._label()}")
        from tarefa._task import _watcher

        _watcher.add(self, fn)

    @property
    def sentinel(self) -> int:
        """A descriptor that becomes readable when the task ends: for ``select`` and friends."""
        if self._tarefa_core.state == NEW:
            raise StateError(f"{self._label()} is not started: call start() first")
        if self._tarefa_sentinel is None:
            self._tarefa_sentinel = self._make_sentinel()
        return self._tarefa_sentinel

    def _make_sentinel(self) -> int:
        fd: int = self._tarefa_core.process_descriptor()
        return fd

    def _tarefa_selectable(self) -> Any:
        """What :func:`tarefa.select` waits for."""
        if self._tarefa_core.state == NEW:
            raise StateError(f"{self._label()} is not started: call start() first")
        return self._tarefa_core.selectable()

    def _close_sentinel(self) -> None:
        fd, self._tarefa_sentinel = self._tarefa_sentinel, None
        if fd is not None:
            os.close(fd)

    def close(self) -> None:
        """Give back what the handle holds. The task must have ended, or never have started."""
        if self.is_alive():
            raise StateError(f"{self._label()} still runs: join() or kill() it before close()")
        self._close_sentinel()
        let_go(self)

    # -- stopping ------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Raise :class:`Interrupted` in the target; who asks gets :class:`TaskInterrupted`.

        At once where it waits in tarefa or sleeps, at the next bytecode in Python code, and on
        return from any other call; ``context().waits_in`` tells which. A task that has ended
        is left alone.
        """
        raise NotImplementedError

    def terminate(self) -> None:
        """Send a process SIGTERM; interrupt a thread, which cannot be killed alone.

        A process that blocks or ignores the signal is killed 2 s later.
        """
        raise NotImplementedError

    def kill(self) -> None:
        """Send a process SIGKILL; interrupt a thread, which cannot be killed alone."""
        raise NotImplementedError

    def _need_started(self) -> bool:
        """Whether it runs; an error if it was never started."""
        state = self._tarefa_core.state
        if state == NEW:
            raise StateError(f"{self._label()} is not started: call start() first")
        return bool(state < FINISHED)

    def _signal(self, number: int) -> None:
        if not self._need_started():
            return
        core = self._tarefa_core
        try:
            core.send_signal(number, True)
        except OSError as error:
            self._tarefa_refused = True
            raise self._not_signalled(error) from None

    def _interrupt_as_far_as_possible(self) -> None:
        """Interrupt it: one that may not be signalled hears of it at its next wait in tarefa."""
        try:
            self.interrupt()
        except PermissionError:
            pass

    def _not_signalled(self, error: OSError, then: str = "") -> OSError:
        why = os.strerror(error.errno or 0)
        if isinstance(error, PermissionError):
            why += "; it runs as another user than this process, or has other capabilities"
        pid = self._tarefa_core.pid
        return OSError(error.errno, f"{self._label()} (pid {pid}) cannot be signalled: {why}{then}")

    # -- looking -------------------------------------------------------------------------

    def usage(self) -> Usage:
        """What the task has used: processor, time, memory, switches."""
        from tarefa._task._usage import Usage

        core = self._tarefa_core
        if core.state in ALIVE and core.tid:
            now = _engine.thread_context(core.pid, core.tid)
            if now is not None:
                wall = core.usage()[2]
                user, system = now["user"], now["system"]
                peak = now["peak_memory"]
                return Usage(
                    user, system, wall, peak, now["voluntary"] or 0, now["involuntary"] or 0
                )
        return Usage(*core.usage())

    def context(self) -> Context:
        """What the system knows of the task now, with its current stack."""
        from tarefa._task._usage import Context

        core = self._tarefa_core
        self._need_started()
        now = _engine.thread_context(core.pid or 0, core.tid or core.pid or 0)
        if now is None or core.state >= FINISHED:
            return Context(core.pid or 0, core.tid or 0, "ended", 0, 0, None, "ended", ())
        names = {"R": "running", "S": "waiting", "D": "waiting", "I": "waiting", "Z": "ended"}
        os_state = names.get(now["letter"], "stopped")
        if os_state == "running" and _runs_elsewhere(now["cpu"], core.tid):
            os_state = "ready"
        waits_in = "python" if now["letter"] == "R" else "system"
        if core.waits_here():
            waits_in = "tarefa"
        return Context(
            now["pid"],
            now["tid"],
            os_state,
            now["memory"],
            now["threads"],
            now["open_files"],
            waits_in,
            self._stack(),
        )

    def _stack(self) -> tuple[str, ...]:
        slot = self._tarefa_core.process_slot()
        text = None if slot is None else _engine.request_stack(slot, 1.0)
        return parse_stack(text or "")

    def __repr__(self) -> str:
        if "_tarefa_core" not in self.__dict__:
            return shown(self)
        core = self._tarefa_core
        parts = [f"{type(self).__name__} name={core.name!r}"]
        if core.pid:
            parts.append(f"pid={core.pid}")
        parts.append(self._state_words())
        if core.daemon:
            parts.append("daemon")
        return f"<{' '.join(parts)}{self._limit_words()}>"

    def _repr_html_(self) -> str:
        from tarefa._task._table import TaskTable

        return TaskTable([self])._repr_html_()

    def _repr_svg_(self) -> str:
        from tarefa._task._table import TaskTable

        return TaskTable([self])._repr_svg_()

    def _state_words(self) -> str:
        """Its state in the words that the standard library has, and ours for what it has not."""
        state = self._tarefa_core.state
        if state in _STANDARD_WORDS:
            return _STANDARD_WORDS[state]
        name: str = self.state.name
        return name.lower()

    def _limit_words(self) -> str:
        core = self._tarefa_core
        words = ""
        if core.time_limit is not None:
            words += f", time limit {core.time_limit_words()}"
        if core.memory_limit is not None:
            words += f", memory limit {core.memory_limit_words()}"
        return words

    def __dir__(self) -> list[str]:
        return shown_names(self, super().__dir__())

    def __reduce__(self) -> Any:
        made = self._tarefa_core.__reduce__()
        if type(self).__module__ == "tarefa":
            return made
        call = (type(self), *made)
        state = self._handle_state()
        return (attach_as, call) if not state else (attach_as, call, state)

    def _handle_state(self) -> dict[str, Any]:
        """What goes along with a handle of a subclass: the attributes that are not the task's."""
        return {}

    @classmethod
    def _tarefa_as(cls, kind: type, found: Any) -> Any:
        """The same task as ``found``, of the subclass ``kind`` if that is one of processes."""
        if isinstance(found, cls):
            found.__class__ = kind
        return found

    def __del__(self) -> None:
        fd = self._tarefa_sentinel
        if fd is not None:
            os.close(fd)
        if self._tarefa_unretrieved or elsewhere:
            handle_goes(self)


_STANDARD_WORDS = {
    NEW: "initial",
    STARTING: "started",
    RUNNING: "started",
    FINISHED: "stopped",
}


def _set_result(future: Any) -> None:
    if not future.done():
        future.set_result(None)


def _runs_elsewhere(cpu: int, tid: int | None) -> bool:
    """Whether the caller itself is on the task's processor: then the task is only ready."""
    mine = _engine.thread_context(os.getpid(), _native_id())
    return mine is not None and mine["cpu"] == cpu and tid != _native_id()


def _native_id() -> int:
    import threading

    return threading.get_native_id()


def parse_stack(text: str) -> tuple[str, ...]:
    """What ``faulthandler`` wrote, as ``file:line in function``, outermost first.

    Without the frames that run a task's target in its process.
    """
    frames = []
    for line in text.splitlines():
        line = line.strip()
        if line.startswith('File "'):
            path, _, rest = line[6:].rpartition('", line ')
            number, _, name = rest.partition(" in ")
            if name in _RUNS_TARGET:
                break
            if path == "<shim>":
                continue  # which CPython 3.12 puts between C and Python
            frames.append(f"{path}:{number} in {name}")
    return tuple(reversed(frames))


# Functions of `_child`, which no target calls: what is further out is not the target's either.
_RUNS_TARGET = ("_tarefa_call", "_tarefa_run")

# How long to wait, in seconds, until a process that is gone is published as ended. Mostly that
# takes moments; it takes longer while the root is stopped.
_PUBLISHED_WITHIN = 5.0

# As everywhere on Linux; the module `signal` is slow to import.
SIGTERM, SIGKILL = 15, 9
