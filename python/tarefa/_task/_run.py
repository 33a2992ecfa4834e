"""``run``: a call in a task of its own, awaited; who gives it up ends it."""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, overload

from tarefa._engine import GRACE
from tarefa._runtime._shared import shown_dir
from tarefa._runtime._timeouts import TIMEOUT_MAX
from tarefa._task._process import Process
from tarefa._task._state_numbers import FINISHED, INTERRUPTED, KILLED
from tarefa._task._thread import Thread

if TYPE_CHECKING:
    from tarefa._runtime._coroutines import C
    from tarefa._task._base import TaskBase

R = TypeVar("R")
Ts = TypeVarTuple("Ts")

_KINDS: dict[Any, Any] = {"process": Process, "thread": Thread}


@overload
def run(
    function: Callable[[*Ts], Coroutine[Any, Any, C]],
    /,
    *args: *Ts,
    kind: type[Process[Any] | Thread[Any]] | str = Process,
    name: str | None = None,
    time_limit: float | None = None,
    memory_limit: int | str | None = None,
    grace: float = GRACE,
) -> Coroutine[Any, Any, C]: ...
@overload
def run(
    function: Callable[[*Ts], R],
    /,
    *args: *Ts,
    kind: type[Process[Any] | Thread[Any]] | str = Process,
    name: str | None = None,
    time_limit: float | None = None,
    memory_limit: int | str | None = None,
    grace: float = GRACE,
) -> Coroutine[Any, Any, R]: ...
def run(
    function: Callable[[*Ts], Any],
    /,
    *args: *Ts,
    kind: type[Process[Any] | Thread[Any]] | str = Process,
    name: str | None = None,
    time_limit: float | None = None,
    memory_limit: int | str | None = None,
    grace: float = GRACE,
) -> Coroutine[Any, Any, Any]:
    """Call a function in a task of its own, to await what it returns.

    The event loop goes on meanwhile. The task starts with the first ``await``; several may await
    it. When the last of them is cancelled (by ``asyncio.wait_for``, ``timeout``, a ``TaskGroup``)
    the task is interrupted, and ``grace`` seconds later killed if it is a process that goes on. The
    cancellation waits for that end, so nothing of the call goes on behind; ``asyncio.shield``
    leaves the task alone. A thread cannot be killed: one that goes on is left, with a
    ``RuntimeWarning``. For arguments by name there is ``functools.partial``.

    Args:
        function: what to call.
        args: its arguments.
        kind: ``Process`` or ``Thread``.
        name: the task's name.
        time_limit: the most seconds that it may run; None for no limit.
        memory_limit: the most memory that it may use beyond what a process starts with.
        grace: seconds that it has to end after an interrupt.

    Returns:
        A coroutine, with the function's value as its result. It raises what ``result()`` of the
        task raises.

    Raises:
        TypeError: ``function`` cannot be called; another ``kind``.
        ValueError: a limit or ``grace`` that is no such number.
        OverflowError: a time limit or ``grace`` above ``TIMEOUT_MAX``.
    """
    known = _KINDS.get(kind, kind)
    if not isinstance(known, type) or not issubclass(known, (Process, Thread)):
        raise TypeError(f"kind must be tarefa.Process or tarefa.Thread, not {kind!r}")
    if not callable(function):
        raise TypeError(f"a function is wanted, not {type(function).__name__} {function!r}")
    if isinstance(grace, (bool, str, bytes)) or not hasattr(grace, "__float__"):
        raise TypeError(f"grace must be a number of seconds, not {type(grace).__name__} {grace!r}")
    if grace > TIMEOUT_MAX:
        raise OverflowError(f"grace is too large: {grace!r} s are more than TIMEOUT_MAX")
    if not grace >= 0:
        raise ValueError(f"grace must be a number of seconds, not below 0: {grace!r}")
    task: Any = known(
        target=function,
        name=name,
        args=args,
        time_limit=time_limit,
        memory_limit=memory_limit,
    )
    return Run(task, grace)


class Run(Coroutine[Any, Any, R]):
    """What :func:`tarefa.run` returns: it is awaited, or given to ``asyncio.create_task``."""

    __module__ = "tarefa"

    def __init__(self, task: TaskBase[R], grace: float) -> None:
        self._task: Any = task
        self._grace = grace
        self._started = False
        # Whether somebody took it up, so that nobody need be told of it.
        self._taken_up = False
        self._awaiters = 0
        # Of the one who drives it as a coroutine.
        self._driven: Coroutine[Any, Any, R] | None = None

    def __await__(self) -> Generator[Any, None, R]:
        return self._wait().__await__()

    def send(self, value: Any, /) -> Any:
        """Go on, as coroutines do."""
        if self._driven is None:
            self._driven = self._wait()
        return self._driven.send(value)

    def throw(self, *error: Any) -> Any:
        """Raise in it, as coroutines do; before its first step the task is not started."""
        self._taken_up = True
        if self._driven is None:
            self._driven = self._wait()
        return self._driven.throw(*error)

    def close(self) -> None:
        """End it, as coroutines do: the task, if it was started, is interrupted."""
        if self._driven is not None:
            self._driven.close()
        self._started = self._taken_up = True

    async def _wait(self) -> R:
        import asyncio

        task = self._task
        if not self._started:
            self._started = self._taken_up = True
            task.start()
        self._awaiters += 1
        try:
            return await task  # type: ignore[no-any-return]
        except asyncio.CancelledError:
            if self._awaiters == 1 and task.is_alive():
                await self._end()
            raise
        except GeneratorExit:
            # The loop itself is gone, so nobody can wait.
            if self._awaiters == 1 and task.is_alive():
                task._interrupt_as_far_as_possible()
            raise
        finally:
            self._awaiters -= 1

    async def _end(self) -> None:
        """Interrupt the task and wait for its end; kill it when its time is up."""
        import asyncio

        task, loop = self._task, asyncio.get_running_loop()
        task._interrupt_as_far_as_possible()
        ended = loop.create_task(task._until_ended())
        until = loop.time() + self._grace
        while not ended.done():
            left = until - loop.time()
            if left <= 0:
                break
            if await _cancelled(asyncio.wait({ended}, timeout=left)):
                break  # once more: no more patience
        if not ended.done() and isinstance(task, Thread):
            ended.cancel()
            warnings.warn(
                f"{task._label()} was given up and ignores its interrupt: it goes on, for a thread "
                "cannot be killed; have it look for interrupts, or make it a tarefa.Process",
                RuntimeWarning,
                stacklevel=2,
            )
            return
        while not ended.done():
            task.kill()
            await _cancelled(asyncio.wait({ended}))
        if task._tarefa_core.state in (FINISHED, INTERRUPTED, KILLED):
            # Its end is our doing; another failure is told, for nobody gets it here.
            task.exception(0)

    __dir__ = shown_dir

    def __repr__(self) -> str:
        return f"<tarefa.run of {self._task!r}>"

    def __del__(self) -> None:
        if not self._taken_up:
            warnings.warn(
                f"tarefa.run() of {self._task._label()} was never awaited",
                RuntimeWarning,
                stacklevel=2,
                source=self,
            )


async def _cancelled(waiting: Awaitable[Any]) -> bool:
    """Await something; whether that was cancelled."""
    import asyncio

    try:
        await waiting
    except asyncio.CancelledError:
        return True
    return False
