"""The futures of pools: those of ``concurrent.futures``, whose waits take results themselves."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from concurrent.futures import Future as _Future
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED, PENDING
from typing import TYPE_CHECKING, Any, TypeVar

from tarefa._runtime import _event_loop
from tarefa._runtime._errors import TaskTimeout
from tarefa._runtime._shared import shown_dir
from tarefa._task._base import check_timeout

if TYPE_CHECKING:
    from tarefa._pool._work import Batch

R = TypeVar("R")
_DONE = frozenset([CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED])


class _Waiters(list[Any]):
    """Those who wait by means of ``concurrent.futures``: somebody must take results for them."""

    def __init__(self, future: Future[Any]) -> None:
        # None once it is done.
        self._future: Future[Any] | None = future

    def append(self, waiter: Any) -> None:
        super().append(waiter)
        future = self._future
        if future is not None:
            future._tarefa_watch()


class Future(_Future[R]):
    """What ``submit()`` of a pool returns: a real ``concurrent.futures.Future``."""

    __module__ = "tarefa"

    def __init__(self, crew: Any, batch: Batch | None) -> None:
        super().__init__()
        self._tarefa_crew = crew
        self._tarefa_batch: Any = batch
        self._waiters: _Waiters = _Waiters(self)

    # -- the sink of its batch -----------------------------------------------------------

    def put(self, _index: int, ok: bool, value: Any) -> None:
        """Take the result of its task."""
        if self._state in _DONE:
            return
        if ok:
            self.set_result(value)
        else:
            self.set_exception(value)
        # No circle keeps its arguments and its result.
        self._tarefa_batch = None
        self._waiters._future = None

    # -- waiting -------------------------------------------------------------------------

    def _is_over(self) -> bool:
        return self._state in _DONE

    def _its_batch(self) -> tuple[Batch, ...]:
        batch = self._tarefa_batch
        return () if batch is None else (batch,)

    def _until_over(self, timeout: float | None) -> None:
        timeout = check_timeout(timeout)
        if not self._tarefa_crew.wait_for(self._its_batch, self._is_over, timeout):
            raise TaskTimeout(
                f"the task has not ended within {timeout} s; it goes on: ask again, or cancel() it"
                f"{self._tarefa_crew.starting}"
            )

    def result(self, timeout: float | None = None) -> R:
        """What the call returned; raises what it raised.

        Raises:
            TimeoutError: it has not ended within ``timeout`` seconds.
            CancelledError: it was cancelled.
            WorkerDied: its worker died.
        """
        if self._state not in _DONE:
            self._until_over(timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What ``result()`` would raise; None if the call returned.

        Raises:
            TimeoutError: it has not ended within ``timeout`` seconds.
            CancelledError: it was cancelled.
        """
        if self._state not in _DONE:
            self._until_over(timeout)
        return super().exception(0)

    def done(self) -> bool:
        """Whether it has ended or was cancelled."""
        if self._state not in _DONE:
            self._tarefa_crew.look()
        return self._state in _DONE

    def running(self) -> bool:
        """Whether a worker is at it now."""
        if self.done():
            return False
        batch = self._tarefa_batch
        return batch is not None and self._tarefa_crew.where(batch.number, 0) is not None

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._state in (CANCELLED, CANCELLED_AND_NOTIFIED)

    def add_done_callback(self, fn: Callable[[_Future[R]], object]) -> None:
        """Have a function called with the future when it ends, in any thread."""
        _event_loop.refuse_its_own(fn, "hand it asyncio.wrap_future(future)")
        super().add_done_callback(fn)
        if self._state not in _DONE:
            self._tarefa_watch()

    def _tarefa_watch(self) -> None:
        batch = self._tarefa_batch
        if batch is not None and self._state not in _DONE:
            self._tarefa_crew.watch_over(batch.number)

    # -- cancelling ----------------------------------------------------------------------

    def cancel(self, *, kill: bool = False, grace: float = 5.0) -> bool:
        """Have it not run, if no worker has begun it.

        Args:
            kill: stop it even where it runs: its process is killed, or its thread interrupted.
                Another worker takes that one's place, and no other task is affected.
            grace: seconds to wait at most for the end of a thread's task that is interrupted.

        Returns:
            Whether it is cancelled.
        """
        crew, batch = self._tarefa_crew, self._tarefa_batch
        if self._state in _DONE or batch is None:
            return self.cancelled()
        if crew.call_off(batch):
            self._tarefa_cancel()
            if batch.turn is not None:
                batch.turn.end()
            return True
        if not kill:
            return False
        until = time.monotonic() + grace
        crew.killed.add((batch.number, 0))
        while not self.done():
            # A worker that has taken it may not have begun it.
            if crew.stop(batch.number, 0, kill=True):
                self._tarefa_cancel()
                crew.make_sure(batch.number, 0)
                crew.forget(batch)
                return True
            if time.monotonic() > until:
                break
            time.sleep(0.001)
        crew.killed.discard((batch.number, 0))
        return self.cancelled()

    def _tarefa_cancel(self) -> None:
        if self._state == PENDING:
            super().cancel()
        else:
            with self._condition:
                if self._state in _DONE:
                    return
                self._state = CANCELLED
                self._condition.notify_all()
            self._invoke_callbacks()  # type: ignore[attr-defined]
        # Those who wait by concurrent.futures.wait() are told by this.
        self.set_running_or_notify_cancel()

    __dir__ = shown_dir


__all__ = ["CancelledError", "Future"]
