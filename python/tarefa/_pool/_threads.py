"""The workers of a pool as threads of the caller's process: nothing is copied, nothing travels."""

from __future__ import annotations

import _thread
import contextlib
import contextvars
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from tarefa._engine import sleep
from tarefa._pool import _wire
from tarefa._pool._cargo import name_of
from tarefa._pool._errors import BrokenPool
from tarefa._runtime._errors import Interrupted, TaskInterrupted, TimeLimitExceeded
from tarefa._task import _outcome
from tarefa._task._thread import Thread

if TYPE_CHECKING:
    from tarefa._pool._work import Batch

_ON_ITS_WAY = 5.0
# Seconds that terminate() gives its workers, and after which it interrupts them again.
_PATIENCE, _AGAIN = 1.0, 0.05


class _Member:
    """A worker, as its pool knows it."""

    __slots__ = ("began", "current", "done", "held", "lock", "task")

    def __init__(self) -> None:
        self.task: Any = None
        # The task that it is at, as the batch's number and the place there.
        self.current: tuple[int, int] | None = None
        self.began = 0
        # Tasks that it has begun, but for those of the batch that it is at.
        self.done = 0
        # Whether it was interrupted in that one.
        self.held = False
        self.lock = _thread.allocate_lock()


class ThreadCrew:
    """The workers of a pool, and the work that they have not done yet."""

    encodes = False

    def __init__(
        self, name: str, workers: int, first: Any, limit: int | None, resources: Any
    ) -> None:
        self._resources = resources
        self.name = name
        self.workers = workers
        self._first = first
        self._limit = limit
        self._queue: SimpleQueue[Batch | None] = SimpleQueue()
        self.batches: dict[int, Batch] = {}
        self._numbers = itertools.count(1)
        self._serials = itertools.count(1)
        # Those at work, and those that have done their number of tasks and run their finalizer.
        self._members: dict[int, _Member] = {}
        self._leaving: dict[int, _Member] = {}
        self._lock = threading.RLock()
        self._idle = 0
        self._followers: list[tuple[Callable[[], bool], Any]] = []
        self._overdue: dict[tuple[int, int], float] = {}
        self.killed: set[tuple[int, int]] = set()
        self.restarts = 0
        self.broken: BrokenPool | None = None
        self.closed = False
        self.terminated = False
        self.unfed: set[Any] = set()
        self.watched: set[int] = set()
        self.on_done: Callable[[Batch], None] | None = None
        self.on_limited: Callable[[Batch], None] | None = None

    # -- work ----------------------------------------------------------------------------

    def fail_if_broken(self) -> None:
        """Have what was enrolled meanwhile fail, if the pool cannot go on."""
        if self.broken is not None:
            self._fail_all(self.broken)

    def enroll(self, batch: Batch) -> None:
        """Note a batch that is to be sent later."""
        batch.number = next(self._numbers)
        batch.run = iter(range(batch.count))
        self.batches[batch.number] = batch

    def put(self, batch: Batch) -> None:
        """Give a batch to whoever is free next."""
        self.enroll(batch)
        self.send(batch)

    def send(self, batch: Batch, _packed: None = None) -> None:
        """Give a batch that was enrolled to whoever is free next."""
        self._queue.put(batch)
        if self._idle < self._queue.qsize() and len(self._members) < self.workers:
            self._hire()
        if self.broken is not None:
            self._fail_all(self.broken)

    @property
    def unfinished(self) -> bool:
        """Whether a task has no result yet."""
        return bool(self.batches)

    def wait(self, done: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until ``done()``; whether it is."""
        until = None if timeout is None else time.monotonic() + timeout
        while not done():
            left = -1 if until is None else until - time.monotonic()
            if until is not None and left <= 0:
                return done()
            lock = _thread.allocate_lock()
            lock.acquire()
            follower = (done, lock)
            self._followers.append(follower)
            try:
                if not done():
                    lock.acquire(timeout=left)
            finally:
                self._followers.remove(follower)
        return True

    def look(self) -> None:
        """Nothing: results come by themselves."""

    def wake(self) -> None:
        """Have those who wait look whether their wait is over."""
        self._let_go()

    def watch_over(self, _number: int | None = None, run: Any = None) -> None:
        """Keep what has inputs left to be given out."""
        if run is not None:
            self.unfed.add(run)

    def _let_go(self) -> None:
        for done, lock in list(self._followers):
            if done():
                try:
                    lock.release()
                except RuntimeError:
                    pass  # it is open

    def call_off(self, batch: Batch) -> bool:
        """Take a batch back that nobody has begun."""
        if batch.count > 1 or not list(batch.run):
            return False
        self.forget(batch)
        return True

    def fetch_kept(self, batch: Batch) -> None:
        """Nothing: each result comes by itself."""

    def recall(self, batch: Batch) -> bool:
        """Take a batch back that nobody has begun, to put it in anew."""
        if not list(batch.run):
            return False
        self.batches.pop(batch.number, None)
        return True

    def forget(self, batch: Batch) -> None:
        """Wait for no results of a batch any more."""
        batch.got[:] = b"\1" * batch.count
        batch.left = 0
        batch.over = True
        self.batches.pop(batch.number, None)
        if batch.turn is not None:
            batch.turn.end()
        self._let_go()

    def take_rest(self, batch: Batch) -> tuple[int, int] | None:
        """Take back what nobody has begun of a batch: first and end."""
        rest = list(batch.run)
        return (rest[0], rest[-1] + 1) if rest else None

    def where(self, number: int, index: int) -> tuple[_Member, int] | None:
        """The worker that runs a task, and since when."""
        for member in list(self._members.values()):
            if member.current == (number, index):
                return member, member.began
        return None

    def stop(self, number: int, index: int, *, kill: bool) -> bool:  # noqa: ARG002 - as processes
        """Interrupt a task that runs, and none but that; false if it has ended."""
        found = self.where(number, index)
        if found is None:
            return False
        member = found[0]
        with member.lock:
            if member.current != (number, index):
                return False
            member.held = True
            member.task.interrupt()
        return True

    def make_sure(self, number: int, index: int) -> None:
        """Interrupt again, for a moment, what goes on: an interrupt may be slept over."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and self.stop(number, index, kill=False):
            time.sleep(_AGAIN)

    def kill_held(self, number: int, index: int) -> bool:
        """Interrupt again a task that was interrupted and still runs."""
        return self.stop(number, index, kill=False)

    def note_overdue(self, number: int, index: int, limit: float) -> None:
        """A task is stopped for its time limit: its failure says so."""
        self._overdue[number, index] = limit

    def look_at_workers(self) -> Iterator[tuple[Any, int, tuple[int, int] | None, int]]:
        """Of each worker: its task, how many it has begun, which one it is at, and since when."""
        for member in list(self._members.values()):
            yield member.task, member.done, member.current, member.began

    # -- workers -------------------------------------------------------------------------

    def _hire(self) -> None:
        with self._lock:
            if len(self._members) >= self.workers or self.terminated:
                return
            serial = next(self._serials)
            member = _Member()
            member.task = Thread(
                target=self._be_worker,
                name=f"{self.name}-{serial}",
                args=(serial, member),
                daemon=True,
            )
            # Who joins the workers finds none that has not started, and its own end waits for the
            # lock.
            member.task.start()
            self._members[serial] = member

    def _be_worker(self, serial: int, member: _Member) -> None:
        try:
            initializer, args, finalizer = self._first
            if initializer is not None:
                try:
                    initializer(*args)
                except BaseException as e:
                    self._break(e)
                    return
            try:
                self._work(serial, member)
            finally:
                if finalizer is not None:
                    finalizer()
        finally:
            with self._lock:
                self._members.pop(serial, None)
                self._leaving.pop(serial, None)
            self._let_go()

    def _work(self, serial: int, member: _Member) -> None:
        batch: Batch | None = None
        while True:
            try:
                if batch is None:
                    batch = self._next()
                    if batch is None:
                        return
                if self._serve(serial, member, batch):
                    return
                batch = None
            except Interrupted:
                # One that came late: what is left of the batch is run.
                continue

    def _next(self) -> Batch | None:
        """The next batch; None when there are no more."""
        self._idle += 1
        try:
            return self._queue.get()
        finally:
            self._idle -= 1

    def _serve(self, serial: int, member: _Member, batch: Batch) -> bool:
        """Run a batch; whether it is to be another worker's turn then."""
        context = contextvars.Context() if batch.context is None else batch.context.copy()
        most = None if self._limit is None else self._limit - member.done
        if batch.turn is None:
            member.done += context.run(self._run, member, batch, most)
        else:
            from tarefa._pool._leases import held

            with held(self._resources, batch.turn.units):
                member.done += context.run(self._run, member, batch, most)
        if self._limit is None or member.done < self._limit:
            return False
        self.restarts += 1
        with self._lock:
            # So that another may be hired in its place.
            self._leaving[serial] = self._members.pop(serial)
        if self.batches or not self.closed:
            self._hire()
        return True

    def _run(self, member: _Member, batch: Batch, most: int | None) -> int:
        function, how, calls = batch.function, batch.flags & _wire.HOW, batch.calls
        number, count = batch.number, 0
        value: Any = None
        began = time.perf_counter_ns()
        index, interrupted = 0, False
        while True:
            try:
                for index in batch.run:
                    member.began = time.monotonic_ns()
                    member.current = (number, index)
                    try:
                        if how == _wire.ONE:
                            value = function(calls[index])
                        elif how == _wire.STAR:
                            value = function(*calls[index])
                        else:
                            args, kwargs = calls[index]
                            value = function(*args, **kwargs)
                        if type(value).__name__ == "coroutine":
                            value = _finished(value)
                        ok = True
                    except BaseException as e:
                        ok, value = False, self._failure(batch, index, e)
                        if isinstance(e, Interrupted):
                            member.held = False
                    with member.lock:
                        member.current = None
                    if member.held:
                        self._absorb(member)
                    self._give(batch, index, ok, value)
                    value = None
                    count += 1
                    if count == most:
                        break
                break
            except Interrupted as e:
                # It came beside the call. What was claimed has a result after this, in any case.
                member.current = None
                member.held = False
                self._give(batch, index, False, self._failure(batch, index, e))
                interrupted = True
        if interrupted and batch.left and not batch.shared and count != most:
            for index in range(batch.count):
                self._give(batch, index, False, TaskInterrupted("the task was interrupted"))
        if batch.sizes is not None and count:
            batch.sizes.measured(count, time.perf_counter_ns() - began)
        if count == most and batch.left:
            self._queue.put(batch)
        # Who keeps a task's exception keeps this frame.
        del batch, function, calls, value, member
        return count

    def _absorb(self, member: _Member) -> None:
        """The interrupt that was meant for the task that has just ended comes."""
        with contextlib.suppress(Interrupted):
            sleep(_ON_ITS_WAY)
        member.held = False

    def _give(self, batch: Batch, index: int, ok: bool, value: Any) -> None:
        try:
            batch.give(index, ok, value)
        finally:
            if not batch.left and not batch.over:
                self.finished(batch)
            if self._followers:
                self._let_go()

    def finished(self, batch: Batch) -> None:
        """All results of a batch are there."""
        batch.over = True
        self.batches.pop(batch.number, None)
        if self.on_done is not None:
            self.on_done(batch)
        if self._followers:
            self._let_go()

    def _failure(self, batch: Batch, index: int, error: BaseException) -> Exception:
        tb = error.__traceback__
        while tb is not None and tb.tb_frame.f_globals is globals():
            tb = tb.tb_next
        error.__traceback__ = tb
        if isinstance(error, Exception):
            return error
        label = f"task {batch.call_text(index, name_of(batch.function))}"
        limit = self._overdue.pop((batch.number, index), None)
        if limit is not None and isinstance(error, Interrupted):
            over = TimeLimitExceeded(f"{label} ran longer than its time limit of {limit:g} s")
            over.__cause__ = error
            return over
        return _outcome.for_asker(error, label)

    def _break(self, error: BaseException) -> None:
        with self._lock:
            if self.broken is None and not self.terminated:
                name = getattr(self._first[0], "__qualname__", repr(self._first[0]))
                text = f"{self.name} is broken: its initializer {name} failed: {error!r}"
                broken = BrokenPool(text)
                broken.__cause__ = error
                self.broken = broken
        if self.broken is not None:
            self._fail_all(self.broken)

    def _fail_all(self, error: Exception) -> None:
        for batch in list(self.batches.values()):
            for index in range(batch.count):
                self._give(batch, index, False, error)
        self._let_go()

    # -- the end -------------------------------------------------------------------------

    def close(self) -> None:
        """Take no more work; workers end once all is done."""
        if self.closed:
            return
        self.closed = True
        if not self.unfed:
            self._say_end()

    def _say_end(self) -> None:
        for _ in range(self.workers):
            self._queue.put(None)

    def finish(self, timeout: float | None = None) -> bool:
        """Wait until all is done, and then for the workers."""
        if not self.wait(lambda: not self.batches and not self.unfed, timeout):
            return False
        self._say_end()
        self._join()
        return True

    def _join(self) -> None:
        while members := self._all():
            for member in members:
                if member.task is threading.current_thread():
                    return
                member.task.join()

    def _all(self) -> list[_Member]:
        with self._lock:
            return [*self._members.values(), *self._leaving.values()]

    def terminate(self, error: Exception) -> None:
        """Interrupt the workers; what is not done fails with that error."""
        self.closed = self.terminated = True
        self.unfed.clear()
        while not self._queue.empty():
            self._queue.get()
        self._say_end()
        self._interrupt_all()
        self._fail_all(error)
        until = time.monotonic() + _PATIENCE
        while (members := self._all()) and time.monotonic() < until:
            for member in members:
                if member.task is not threading.current_thread():
                    member.task.join(_AGAIN)
            # An interrupt just before a call that sleeps may be slept over.
            self._interrupt_all()

    def _interrupt_all(self) -> None:
        for member in list(self._members.values()):
            current = member.current
            if current is not None and member.task is not threading.current_thread():
                self.stop(*current, kill=False)


def _finished(value: Any) -> Any:
    """What a coroutine returns."""
    import asyncio

    return asyncio.run(value)
