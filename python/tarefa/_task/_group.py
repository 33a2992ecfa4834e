"""``TaskGroup``: tasks that end together, a number of them at a time."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self, TypeVar, cast, overload

from tarefa._runtime._contexts import context_for_task
from tarefa._runtime._errors import StateError, TaskInterrupted
from tarefa._runtime._of_init import guard, shown
from tarefa._runtime._shared import shown_dir
from tarefa._runtime._showing import full_title
from tarefa._task import _watcher
from tarefa._task._base import TaskBase
from tarefa._task._state_numbers import NEW
from tarefa._task._wait import FIRST_COMPLETED, wait

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from asyncio import Task as AsyncTask

    from tarefa._runtime._coroutines import C

P = ParamSpec("P")
R = TypeVar("R")

KINDS = ("process", "thread")
# Seconds that tasks have to end in after Ctrl-C.
_PATIENCE = 2.0


class TaskGroup:
    """Tasks that are started together and joined on exit, for ``with`` and ``async with``.

    >>> import tarefa
    >>> with tarefa.TaskGroup(limit=2, kind="thread") as group:
    ...     tasks = [group.start(pow, 2, n) for n in range(4)]
    >>> [task.result() for task in tasks]
    [1, 2, 4, 8]

    When a task fails, the others are interrupted, those that wait for their turn are not started,
    and on exit an ``ExceptionGroup`` has what failed. When the body raises, the same is done.

    Args:
        limit: the most tasks that run at a time; None for any number.
        kind: ``"process"`` or ``"thread"``: what ``start()`` makes of a function.

    Raises:
        ValueError: ``limit`` below 1, another ``kind``.
        TypeError: ``limit`` is no whole number.
    """

    __module__ = "tarefa"

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        guard(cls, "_changed", "kind", "limit")

    def __init__(
        self, limit: int | None = None, kind: Literal["process", "thread"] = "process"
    ) -> None:
        if limit is not None:
            if isinstance(limit, bool) or not isinstance(limit, int):
                what = type(limit).__name__
                raise TypeError(f"limit must be a whole number or None, not {what} {limit!r}")
            if limit < 1:
                raise ValueError(f"limit must be 1 or more, not {limit}")
        if kind not in KINDS:
            raise ValueError(f"kind must be 'process' or 'thread', not {kind!r}")
        self.limit = limit
        self.kind = kind
        # Guards what follows.
        self._changed = threading.Lock()
        # Tasks, with the context variables of who gave them.
        self._waiting: deque[tuple[Any, Context]] = deque()
        self._running: set[Any] = set()
        self._interrupted: set[Any] = set()
        self._errors: list[Exception] = []
        self._entered = self._stopping = self._ended = False
        # Of an ``async with``: its loop, its body, the body that was cancelled for a failure.
        self._loop: AbstractEventLoop | None = None
        self._body: AsyncTask[Any] | None = None
        self._cancelled: AsyncTask[Any] | None = None
        self._news: Any = None

    # -- starting ------------------------------------------------------------------------

    @overload
    def start(self, target: TaskBase[R], /) -> TaskBase[R]: ...
    @overload
    def start(
        self, target: Callable[P, Coroutine[Any, Any, C]], /, *args: P.args, **kwargs: P.kwargs
    ) -> TaskBase[C]: ...
    @overload
    def start(
        self, target: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> TaskBase[R]: ...
    def start(self, target: Any, /, *args: Any, **kwargs: Any) -> TaskBase[Any]:
        """Start a function as a task, or have it wait until fewer run than the limit.

        Args:
            target: the function; or a ``Thread`` or ``Process`` that is not started.
            args: its arguments.
            kwargs: its arguments by name.

        Returns:
            The task. It may not be started yet: ask for its result after the ``with``.

        Raises:
            StateError: the group is not entered, or ends; the task is started.
            TypeError: the target cannot be called; arguments for a task that is made already.
        """
        task = self._made(target, args, kwargs)
        with self._changed:
            if not self._entered:
                raise StateError("the group is not entered: write `with tarefa.TaskGroup() as g:`")
            if self._stopping:
                raise StateError("the group ends, because a task of it failed or its body did")
            if self._ended:
                raise StateError("the group has ended: make another")
            self._waiting.append((task, context_for_task()))
            failure = self._start_waiting()
        if failure is not None:
            raise failure[1]
        return cast("TaskBase[Any]", task)

    create_task = start

    def _made(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if isinstance(target, TaskBase):
            if args or kwargs:
                raise TypeError(f"{target._label()} has its arguments already")
            if target._tarefa_core.state != NEW:
                raise StateError(f"{target._label()} is started: a group starts its tasks itself")
            return target
        if not callable(target):
            raise TypeError(f"a function is wanted, not {type(target).__name__} {target!r}")
        if self.kind == "process":
            from tarefa._task._process import Process as Kind
        else:
            from tarefa._task._thread import Thread as Kind  # type: ignore[assignment]
        return Kind(target=target, args=args, kwargs=kwargs)

    def _start_waiting(self) -> tuple[Any, Exception] | None:
        """Start those whose turn it is; a task that could not be, and why."""
        while self._waiting and (self.limit is None or len(self._running) < self.limit):
            task, context = self._waiting.popleft()
            try:
                context.run(task.start)
            except Exception as e:
                return task, e
            self._running.add(task)
            _watcher.later(task, self._has_ended)
        return None

    # -- ends of tasks -------------------------------------------------------------------

    def _has_ended(self, task: Any) -> None:
        """A task has ended: said by who watches, and by who waits on exit."""
        error = task.exception()
        with self._changed:
            if task not in self._running:
                return
            self._running.discard(task)
            if error is not None:
                if not (self._stopping and isinstance(error, TaskInterrupted)):
                    self._errors.append(error)
                self._stopping = True
            if not self._stopping:
                failure = self._start_waiting()
                if failure is not None:
                    self._errors.append(failure[1])
                    self._stopping = True
        if self._stopping:
            self._stop()
        self._tell()

    def _stop(self) -> None:
        """Interrupt what runs, and start nothing more."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            running = self._running - self._interrupted
            self._interrupted |= running
        for task in running:
            task._interrupt_as_far_as_possible()

    def _tell(self) -> None:
        """Have the loop look."""
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self._look)
            except RuntimeError:
                pass  # it is closed

    # -- with ----------------------------------------------------------------------------

    def _enter(self) -> None:
        with self._changed:
            if self._entered:
                raise StateError("the group was entered before: make another")
            self._entered = True

    def __enter__(self) -> Self:
        self._enter()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _tb: object) -> None:
        if error is not None:
            self._stop()
        try:
            self._join(None)
        except BaseException:
            # Ctrl-C: they are interrupted, and waited for a moment.
            self._stop()
            self._join(_PATIENCE)
            raise
        self._raise(error)

    def _join(self, timeout: float | None) -> None:
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._changed:
                running = list(self._running)
                if not running:
                    self._ended = True
                    return
            left = None if until is None else max(0.0, until - time.monotonic())
            ended = wait(running, left, FIRST_COMPLETED).done
            if not ended and left is not None:
                return
            for task in ended:
                self._has_ended(task)

    def _raise(self, error: BaseException | None) -> None:
        """Raise what failed; what is no Exception in the body goes on by itself."""
        if error is not None and not isinstance(error, Exception):
            return
        errors = self._errors if error is None else [error, *self._errors]
        self._errors = []
        if errors:
            try:
                count = len(errors)
                how = "what failed" if count == 1 else f"the {count} that failed"
                raise ExceptionGroup(f"{how} of a tarefa.TaskGroup", errors)
            finally:
                del errors, error

    # -- async with ----------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        import asyncio

        self._enter()
        self._loop = asyncio.get_running_loop()
        self._body = asyncio.current_task()
        self._news = asyncio.Event()
        return self

    def _look(self) -> None:
        """In the loop: there is news."""
        self._news.set()
        body = self._body
        if self._stopping and body is not None:
            # As asyncio does: what the body waits for is not to be had any more.
            self._body = None
            self._cancelled = body
            body.cancel()

    def _is_own_cancel(self) -> bool:
        """Whether a cancellation was the group's, for a failure."""
        cancelled, self._cancelled = self._cancelled, None
        return cancelled is not None and cancelled.uncancel() == 0

    async def __aexit__(self, _kind: object, error: BaseException | None, _tb: object) -> None:
        import asyncio

        from tarefa._runtime._awaits import SEVERAL, Awaiting

        self._body = None
        outside: BaseException | None = None
        if isinstance(error, asyncio.CancelledError) and self._is_own_cancel():
            error = None
        elif error is not None:
            self._stop()
        while self._running:
            self._news.clear()
            if not self._running:
                break
            # More are not shown.
            first = islice(list(self._running), SEVERAL + 1)
            running = [task._tarefa_core.object_id[1] for task in first]
            try:
                with Awaiting(*running):
                    await self._news.wait()
            except asyncio.CancelledError as e:
                if not self._is_own_cancel():
                    outside = e
                    self._stop()
        if self._cancelled is not None:
            # It has not come yet, and would hit what follows.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
            self._is_own_cancel()
        self._ended = True
        self._loop = None
        if outside is not None:
            raise outside
        self._raise(error)

    __dir__ = shown_dir

    def __repr__(self) -> str:
        if "_changed" not in self.__dict__:
            return shown(self)
        with self._changed:
            runs, waits = len(self._running), len(self._waiting)
        limit = "" if self.limit is None else f" of {self.limit} at most"
        return f"<{full_title(self)}: {runs} running{limit}, {waits} waiting>"
