"""Names of ``threading`` and ``multiprocessing`` that programs import, for tasks of tarefa.

What ``threading`` says of threads it says of a :class:`tarefa.Thread` as well, so those functions
are the very ones of the standard library.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterable, Mapping
from threading import (
    active_count,
    current_thread,
    enumerate,  # noqa: A004 - the standard library's name
    get_ident,
    get_native_id,
    getprofile,
    gettrace,
    local,
    main_thread,
    setprofile,
    settrace,
    stack_size,
)
from typing import TYPE_CHECKING, Any, overload

from tarefa._runtime import _fork
from tarefa._runtime._high_fd import moved_up
from tarefa._runtime._shared import shown_dir
from tarefa._runtime._timeouts import TIMEOUT_MAX
from tarefa._sync._event import Event
from tarefa._task import _current
from tarefa._task._base import R, check_timeout
from tarefa._task._process import Process
from tarefa._task._thread import Thread

if TYPE_CHECKING:
    from tarefa._runtime._coroutines import C

__all__ = [
    "TIMEOUT_MAX",
    "MainProcess",
    "Timer",
    "active_children",
    "active_count",
    "current_process",
    "current_thread",
    "enumerate",
    "get_ident",
    "get_native_id",
    "getprofile",
    "gettrace",
    "local",
    "main_thread",
    "parent_process",
    "setprofile",
    "settrace",
    "stack_size",
]


class MainProcess:
    """The process of the program itself, which is nobody's task: as ``multiprocessing`` has it.

    What :func:`current_process` returns there, and :func:`parent_process` in the processes that it
    has started.
    """

    __module__ = "tarefa"

    def __init__(self, pid: int | None) -> None:
        # None is this process, whichever that is after a fork.
        self._pid = pid
        self._sentinel: int | None = None
        self._name = "MainProcess"

    @property
    def name(self) -> str:
        """``MainProcess``, unless somebody sets another."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = str(name)

    @property
    def pid(self) -> int:
        """Its process id."""
        return os.getpid() if self._pid is None else self._pid

    @property
    def ident(self) -> int:
        """Its process id."""
        return self.pid

    @property
    def daemon(self) -> bool:
        """No: it is the program."""
        return False

    @property
    def exitcode(self) -> None:
        """None: only its own starter learns that."""
        return

    @property
    def authkey(self) -> bytes:
        """The key that ``multiprocessing`` uses between its processes."""
        import multiprocessing

        return bytes(multiprocessing.current_process().authkey)

    @property
    def sentinel(self) -> int:
        """A descriptor that is readable once the process has ended."""
        if self._sentinel is None:
            self._sentinel = moved_up(os.pidfd_open(self.pid))
        return self._sentinel

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._pid is None or not self._ended(0)

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, for ``timeout`` seconds at most.

        Raises:
            StateError: it is the calling process.
        """
        if self._pid is None:
            from tarefa._runtime._errors import StateError

            raise StateError("the main process cannot join itself: it would wait for ever")
        self._ended(check_timeout(timeout))

    def _ended(self, timeout: float | None) -> bool:
        import select

        try:
            fd = self.sentinel
        except ProcessLookupError:
            return True
        return bool(select.select([fd], [], [], timeout)[0])

    def __reduce__(self) -> tuple[type[MainProcess], tuple[int]]:
        return MainProcess, (self.pid,)

    __dir__ = shown_dir

    def __repr__(self) -> str:
        state = "started" if self.is_alive() else "stopped"
        return f"<MainProcess name={self._name!r} pid={self.pid} {state}>"

    def __del__(self) -> None:
        if self._sentinel is not None:
            os.close(self._sentinel)


_main = MainProcess(None)
_parent: Process[Any] | MainProcess | None = None


def _forked() -> None:
    """In a forked child: its starter is no task of its own."""
    global _parent
    _parent = None


_fork.in_child(_forked)


def current_process() -> Process[Any] | MainProcess:
    """The process that runs the calling code: a task, or the program itself."""
    task: Process[Any] | None = _current.process_task
    return _main if task is None else task


def parent_process() -> Process[Any] | MainProcess | None:
    """The process that started this one as a task; None in the program itself."""
    global _parent
    task: Process[Any] | None = _current.process_task
    if task is None:
        return None
    starter = task._tarefa_core.starter()
    if starter is None:
        return _parent
    pid, core = starter
    if _parent is None or _parent.pid != pid:
        _parent = MainProcess(pid) if core is None else Process._of(core)
    return _parent


def active_children() -> list[Process[Any]]:
    """The processes that this one has started as tasks and that have not ended."""
    return [task for task in _current.active_tasks() if isinstance(task, Process)]


class Timer(Thread[R]):
    """A thread that calls a function after some time, unless it is cancelled: as ``threading``'s.

    Args:
        interval: seconds until the call.
        function: what to call; its value is the task's result, None if it was cancelled.
        args: its positional arguments.
        kwargs: its keyword arguments.
    """

    __module__ = "tarefa"

    @overload
    def __init__(
        self: Timer[C],
        interval: float,
        function: Callable[..., Coroutine[Any, Any, C]],
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        interval: float,
        function: Callable[..., R],
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None: ...
    def __init__(
        self,
        interval: float,
        function: Callable[..., Any],
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.interval = interval
        self.function = function
        self.args = [] if args is None else args
        self.kwargs = {} if kwargs is None else kwargs
        self.finished = Event()

    def cancel(self) -> None:
        """Have it not call the function, if it has not yet."""
        self.finished.set()

    def run(self) -> Any:
        """Wait, and call the function."""
        self.finished.wait(self.interval)
        value = None
        if not self.finished.is_set():
            value = self.function(*self.args, **self.kwargs)
        self.finished.set()
        return value
