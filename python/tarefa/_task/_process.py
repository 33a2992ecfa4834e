"""``Process``."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Coroutine, Iterable, Mapping

from tarefa import _engine
from tarefa._engine import TaskCore
from tarefa._runtime._errors import StateError
from tarefa._runtime._of_init import shown
from tarefa._task import _current, _environment, _exit, _unretrieved
from tarefa._task._base import SIGKILL, SIGTERM, R, TaskBase, check_arguments, check_timeout
from tarefa._task._limits import check_memory_limit, check_time_limit
from tarefa._task._state_numbers import ALIVE, FINISHED, NEW
from tarefa._task._zygote_command import prepare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, TypeVarTuple, overload

    from tarefa._runtime._coroutines import C

    Ts = TypeVarTuple("Ts")
else:
    from tarefa._runtime._untyped import overload

_count = itertools.count(1)

# Attributes of a process that only its starter needs.
_OF_STARTER = ("_target", "_args", "_kwargs")

# Seconds.
_MOMENT = 0.1

# Imported with the first process, for they are slow to import.
_image: Any = None
_payload: Any = None


def _make_ready() -> None:
    """Once, before a process is made: what only starting one needs."""
    global _image, _payload
    # First, for it takes its time in a process of its own.
    prepare()
    from tarefa._task import _image as image
    from tarefa._task import _payload as payload

    _image, _payload = image, payload


_can_read = False


def _read_ahead() -> None:
    """Once, while the zygote comes up: what later starts and the failure of one need.

    Later it may not be there: a program may change its root folder or its user.
    """
    global _can_read
    _can_read = True
    import traceback  # noqa: F401

    from tarefa._convert import _exception_pickling  # noqa: F401
    from tarefa._task import _logging_state  # noqa: F401


class Process(TaskBase[R]):
    """A task that runs as a process of its own: its own memory, its own interpreter lock.

    Takes the arguments of ``multiprocessing.Process``, and has the methods of
    :class:`tarefa.Thread`. It starts like a thread, from a process that was forked ahead. The
    target may be anything callable, lambdas and closures too; no ``__main__`` guard is needed.

    Args:
        group: None, as in ``multiprocessing``.
        target: what to run.
        name: shown by ``repr``, ``logging`` and the system.
        args: the target's positional arguments.
        kwargs: the target's keyword arguments.
        daemon: whether the program may end without it; None takes the starter's.
        time_limit: the most seconds it may run; None for no limit. When they are over it is
            interrupted, with :class:`TimeLimitInterrupt`, and 2 s later killed if it goes on.
        memory_limit: the most memory it may use beyond what its process starts with, in bytes
            or as a size in text such as ``"512M"``; None for no limit. What goes beyond is a
            ``MemoryError`` in the target; one that leaves it arrives as
            :class:`MemoryLimitExceeded`.
    """

    __module__ = "tarefa"

    @overload
    def __init__(
        self: Process[Any],
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
        self: Process[C],
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
        self: Process[C],
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
        self: Process[C],
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
        self: Process[C],
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
        self: Process[C],
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
        self: Process[R],
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
        self: Process[R],
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
        self: Process[R],
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
        self: Process[R],
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
        self: Process[R],
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
        self._args, self._kwargs = check_arguments(group, target, args, kwargs)
        self._target = target
        if daemon is None:
            task = _current.process_task
            daemon = False if task is None else task._tarefa_core.daemon
        if name is None:
            name = f"Process-{next(_count)}"
            task = _current.process_task
            if task is not None:
                name = f"{task.name}:{name[8:]}"
        self._tarefa_name = str(name)
        limited = time_limit is not None or memory_limit is not None
        if limited:
            time, memory = check_time_limit(time_limit), check_memory_limit(memory_limit)
        self._tarefa_core = TaskCore(False, bool(daemon), self._tarefa_name)
        if limited:
            self._tarefa_core.set_limits(time, memory)
        if _image is None:
            _make_ready()
        _image.make(target)

    @classmethod
    def _of(cls, core: Any) -> Process[Any]:
        """A handle of a process that somebody else made."""
        self = cls.__new__(cls)
        self._tarefa_core = core
        self._tarefa_name = core.name
        self._target, self._args, self._kwargs = None, (), {}
        return self

    def start(self) -> Self:
        """Start the task; returns it, once its process exists.

        Raises:
            StateError: it was started before.
            NotPicklable: the target or an argument, named, cannot go to another process.
            StartError: the system has no room for another process.
            ArenaFull: the shared memory has no room for the arguments.
        """
        core = self._tarefa_core
        if _current.reads_task:
            raise StateError(_current.refusal(self._label()))
        if not core.begin():
            raise StateError(f"{self._label()} was started before: a task runs once; make another")
        descriptors: list[int] = []
        try:
            run: Any = self._target
            if type(self).run is not Process.run:
                run = _SubclassRun(type(self), self._state())
            call = (run, self._args, self._kwargs)
            extra = _environment.difference()
            core.set_payload((extra, call, descriptors), _payload.dumps_payload)
            if not _can_read:
                _read_ahead()
        except BaseException:
            core.unbegin()
            raise
        _current.note_started(self)
        _exit.watch()
        _engine.listen_for_reminders()
        try:
            core.start_process(descriptors)
        except BaseException:
            _current.started.discard(self)
            raise
        # What it was made of goes when the caller lets it go, as in `multiprocessing`.
        del self._target, self._args, self._kwargs
        return self

    def run(self) -> Any:
        """Call the target; subclasses may override it. Its value is the task's result."""
        if self._target is not None:
            return self._target(*self._args, **self._kwargs)
        return None

    def _state(self) -> dict[str, Any]:
        """What a subclass's instance consists of, besides the handle."""
        return {k: v for k, v in self.__dict__.items() if not k.startswith("_tarefa_")}

    @property
    def _parent_pid(self) -> int | None:
        """The process that starts it, or has; None where that has ended."""
        core = self._tarefa_core
        if core.state == NEW:
            return os.getpid()
        starter = core.starter()
        return None if starter is None else starter[0]

    def _handle_state(self) -> dict[str, Any]:
        return {k: v for k, v in self._state().items() if k not in _OF_STARTER}

    def __repr__(self) -> str:
        if "_tarefa_core" not in self.__dict__:
            return shown(self)
        core = self._tarefa_core
        parts = [f"{type(self).__name__} name={self._tarefa_name!r}"]
        if core.pid:
            parts.append(f"pid={core.pid}")
        parent = self._parent_pid
        if parent is not None:
            parts.append(f"parent={parent}")
        parts.append(self._state_words())
        if core.state >= FINISHED:
            code = core.exitcode
            signal = code is not None and code < 0 and _engine.signal_name(-code)
            parts.append(f"exitcode={f'-{signal}' if signal else code}")
        if core.daemon:
            parts.append("daemon")
        return f"<{' '.join(parts)}{self._limit_words()}>"

    @property
    def name(self) -> str:
        """Its name."""
        return self._tarefa_name

    @name.setter
    def name(self, name: str) -> None:
        self._tarefa_core.name = self._tarefa_name = str(name)

    @property
    def daemon(self) -> bool:
        """Whether the program may end without it."""
        daemon: bool = self._tarefa_core.daemon
        return daemon

    @daemon.setter
    def daemon(self, daemon: bool) -> None:
        if self._tarefa_core.state != NEW:
            raise StateError(f"{self._label()} is started: set daemon before start()")
        self._tarefa_core.daemon = bool(daemon)

    @property
    def ident(self) -> int | None:
        """Its process id; None before it is started."""
        return self.pid

    @property
    def authkey(self) -> bytes:
        """The key that ``multiprocessing`` uses between its processes."""
        import multiprocessing

        return bytes(multiprocessing.current_process().authkey)

    def _label(self) -> str:
        return f"process {self._tarefa_name!r}"

    def _wait_outcome(self, timeout: float | None) -> bool:
        timeout = check_timeout(timeout)
        core = self._tarefa_core
        if core.state in ALIVE and not self._is_here():
            if not core.join_outcome(timeout):
                return self._wait(0)  # its sentinel may say that it has ended
            # Most ends take no time, and who has the result looks at the exit code next.
            if core.state in ALIVE and not core.join(
                _MOMENT if timeout is None else min(timeout, _MOMENT)
            ):
                return True
        return self._wait(timeout)

    def interrupt(self) -> None:
        """Raise :class:`Interrupted` in the target; see :meth:`Thread.interrupt` for when."""
        if self._need_started():
            core = self._tarefa_core
            core.request_interrupt()
            try:
                core.send_signal(_engine.interrupt_signal())
            except PermissionError as e:
                then = "; it hears of the interrupt at its next wait in tarefa, and nowhere else"
                raise self._not_signalled(e, then) from None
            except OSError:
                pass

    def terminate(self) -> None:
        """Have it end: its ``finally`` blocks and exit functions run, for 2 s.

        It is sent SIGTERM, for which the target may have a handler of its own, that has all the
        time it wants. One that blocks or ignores the signal is killed after 2 s.
        """
        self._signal(SIGTERM)

    def kill(self) -> None:
        """Send it SIGKILL."""
        self._signal(SIGKILL)


def _from_handle(core: TaskCore) -> TaskBase[Any]:
    """The task of a handle: a process, or a thread of another process."""
    if core.is_thread:
        from tarefa._task._remote_thread import RemoteThread

        return RemoteThread(core)
    return Process._of(core)


_engine.register_class("Task", _from_handle)


class _SubclassRun:
    """Makes the instance of a subclass again and calls its ``run``."""

    def __init__(self, cls: type[Process[Any]], state: dict[str, Any]) -> None:
        self.cls = cls
        self.state = state

    def tarefa_parts(self) -> list[tuple[str, Any]]:
        """What it consists of, in the words of who wrote the class: for a message."""
        name = self.cls.__qualname__
        parts = [(f"attribute {name}.{key}", value) for key, value in self.state.items()]
        return [*parts, (f"class {name!r}", self.cls)]

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        process = _current.process_task
        again = self.cls.__new__(self.cls)
        again.__dict__.update(self.state)
        again._tarefa_core = process._tarefa_core
        again._tarefa_name = process._tarefa_name
        _current.process_task = again
        return again.run()


_unretrieved.handle_of.append(Process._of)
