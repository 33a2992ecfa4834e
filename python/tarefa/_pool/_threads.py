"""The workers of a pool as threads of the caller's process: nothing is copied, nothing travels."""

from __future__ import annotations

import _thread
import contextlib
import contextvars
import itertools
import operator
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from tarefa._engine import WorkerPinning, is_traced, sleep
from tarefa._pool import _wire
from tarefa._pool._cargo import SAFE, name_of
from tarefa._pool._clock import Meter
from tarefa._pool._errors import warn_of_fewer
from tarefa._pool._helping import aside, may_help
from tarefa._pool._initializer import First, starting
from tarefa._pool._leases import held, nothing_held
from tarefa._pool._stats import Look
from tarefa._pool._thread_member import Member
from tarefa._pool._variables import Origin, Own
from tarefa._runtime._contexts import with_own_decimal
from tarefa._runtime._errors import Interrupted, TaskInterrupted, TimeLimitExceeded
from tarefa._task import _outcome
from tarefa._task._thread import Thread

if TYPE_CHECKING:
    from tarefa._pool._errors import BrokenPool
    from tarefa._pool._work import Batch

_ON_ITS_WAY = 5.0
# Seconds that terminate() gives its workers, and after which it interrupts them again.
_PATIENCE, _AGAIN = 1.0, 0.05


class ThreadCrew:
    """The workers of a pool, and the work that they have not done yet."""

    encodes = False

    def __init__(
        self, name: str, workers: int, first: First, limit: int | None, resources: Any
    ) -> None:
        self._resources = resources
        self._origin = Origin()
        self.name = name
        self.workers = workers
        self._first = first
        self._limit = limit
        self._queue: SimpleQueue[Batch | None] = SimpleQueue()
        self.batches: dict[int, Batch] = {}
        self._numbers = itertools.count(1)
        self._serials = itertools.count(1)
        # Those at work, and those that have done their number of tasks and run their finalizer.
        self._members: dict[int, Member] = {}
        self._leaving: dict[int, Member] = {}
        # All of them, by their threads.
        self._by_thread: dict[int, Member] = {}
        self._lock = threading.RLock()
        # Workers that wait for a batch which nobody has sent yet; guarded as the queue is.
        self._idle = 0
        self._sending = threading.Lock()
        self._followers: list[tuple[Callable[[], bool], Any]] = []
        # How many of them are workers that wait for tasks; whom these are, of whatever crew.
        self._helpers = 0
        self._guests: list[Member] = []
        # Workers that wait and are not at work, in a pool that chooses; it guards that.
        self.asides = 0
        # The schedule of its pool, if there is one.
        self.schedule: Any = None
        self._overdue: dict[tuple[int, int], float] = {}
        self.killed: set[tuple[int, int]] = set()
        self.restarts = 0
        # Whether it was told that no more workers can be started.
        self._fewer = False
        self.broken: BrokenPool | None = None
        self.closed = False
        self.terminated = False
        self.unfed: set[Any] = set()
        self.watched: set[int] = set()
        self.on_done: Callable[[Batch], None] | None = None
        self.on_limited: Callable[[Batch], None] | None = None
        # Called with a batch that is clocked, when it begins and when it has ended.
        self.on_clocked: Callable[[Batch, Any], None] | None = None
        # One at a time tells the results of a batch that runs in one go.
        self._telling = threading.Lock()

    def is_at(self, number: int) -> bool:
        """Whether a worker is at a task of that batch."""
        found = [member.current for member in list(self._members.values())]
        return any(current is not None and current[0] == number for current in found)

    def ahead_of(self, _function: Any) -> int:
        """How many batches of a map wait at most."""
        return 2 * self.workers

    # Whether what a map may give out has changed: see the crew that chooses.
    epoch = 0

    @property
    def size(self) -> int:
        """How many workers there are."""
        return len(self._members)

    # -- work ----------------------------------------------------------------------------

    def variables(self, context: contextvars.Context | None) -> contextvars.Context | None:
        """A caller's context variables as batches have them."""
        return None if context is None else with_own_decimal(context)

    def fail_if_broken(self) -> None:
        """Have what was enrolled meanwhile fail, if the pool cannot go on."""
        if self.broken is not None:
            self._fail_all(self.broken)

    def enroll(self, batch: Batch) -> None:
        """Note a batch that is to be sent later."""
        batch.number = batch.number or next(self._numbers)
        if self._limit is not None:
            # Workers that are replaced after some tasks run them one by one.
            batch.flags &= ~_wire.LEAN
        # What runs in one go says how much of it is left.
        batch.run = iter(list(batch.calls) if batch.flags & _wire.LEAN else range(batch.count))
        self.batches[batch.number] = batch

    def put(self, batch: Batch) -> None:
        """Give a batch to whoever is free next."""
        self.enroll(batch)
        self.send(batch)

    def send(self, batch: Batch, _packed: None = None) -> None:
        """Give a batch that was enrolled to whoever is free next."""
        self._enqueue(batch)
        if self.broken is not None:
            self._fail_all(self.broken)

    def _enqueue(self, batch: Batch) -> None:
        """Put a batch into the queue, and have a worker for it."""
        with self._sending:
            self._queue.put(batch)
            wanted = self._idle == 0
            if not wanted:
                # It is for one of those.
                self._idle -= 1
        if wanted:
            if len(self._members) < self.workers:
                self._hire_for(batch)
            elif self._helpers:
                self._let_go()

    def _hire_for(self, batch: Batch) -> None:
        """Have another worker; where there can be none, those that there are run it."""
        try:
            self._hire()
        except BaseException as error:
            there = len(self._members)
            if there and isinstance(error, Exception):
                if not self._fewer:
                    self._fewer = True
                    warn_of_fewer(self.name, there, self.workers, error)
                if self._helpers:
                    self._let_go()
                return
            if not there:
                # Nobody would ever take it.
                list(batch.run)
                self.batches.pop(batch.number, None)
            raise

    # -- a task that waits for tasks -----------------------------------------------------

    @property
    def worker(self) -> Member | None:
        """The worker of this crew that the calling thread is, if it is one."""
        return self._by_thread.get(threading.get_ident())

    def wait_for(
        self,
        batches: Callable[[], Iterable[Batch]],
        done: Callable[[], bool],
        timeout: float | None = None,
    ) -> bool:
        """Wait until ``done()``; a worker of this crew runs what it waits for meanwhile."""
        member = self.worker
        if member is None or not may_help():
            return self.wait(done, timeout)
        with aside(self, self.schedule, member):
            return self.wait_helping(self, member, batches, done, timeout)

    def wait_helping(
        self,
        whole: Any,
        member: Member,
        batches: Callable[[], Iterable[Batch]],
        done: Callable[[], bool],
        timeout: float | None,
    ) -> bool:
        """Wait by means of the whole crew, and run what is waited for and is here."""
        until = None if timeout is None else time.monotonic() + timeout
        self._helpers += 1
        self._guests.append(member)
        try:
            while True:
                while not done() and (batch := self._to_help(batches())) is not None:
                    self._help(member, batch)
                left = None if until is None else until - time.monotonic()
                if done() or (left is not None and left <= 0):
                    return done()
                whole.wait(lambda: done() or self._to_help(batches()) is not None, left)
        finally:
            self._helpers -= 1
            self._guests.remove(member)

    def _to_help(self, batches: Iterable[Batch]) -> Batch | None:
        """One of these that nobody has begun, or not all of it."""
        for batch in batches:
            if batch.number in self.batches and not batch.flags & _wire.LEAN:
                run = batch.run
                if run is not None and operator.length_hint(run):
                    return batch
        return None

    def _help(self, member: Member, batch: Batch) -> None:
        """Run tasks on a thread whose task waits for them."""
        member.below.append((member.current, member.began))
        try:
            with nothing_held():
                member.done += self._run_in_context(member, batch, None)
        finally:
            member.current, member.began = member.below.pop()
        if member.current in member.stopped:
            member.stopped.discard(member.current)
            raise Interrupted("the task was interrupted while it waited for another")

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

    @property
    def starting(self) -> str:
        """Why none has begun that waits, if no initializer has returned; for people."""
        return starting(self.name, self._first, [it.ready_at != 0 for it in self._all()])

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
        """Have what is finished of a batch that runs in one go: it is at a long task."""
        if batch.flags & _wire.LEAN:
            self._tell(batch)

    def _tell(self, batch: Batch) -> None:
        """Hand over what is finished of a batch that runs in one go."""
        with self._telling:
            kept = batch.kept
            if kept is None:
                return
            first, values = kept
            told = batch.got.find(0, first)
            if told < 0 or told - first >= len(values):
                return
            new = values[told - first :]
            if SAFE.issuperset(map(type, new)):
                batch.give_many(told, new)
            else:
                # Each is kept no longer than until it is handed out.
                for index, value in enumerate(new, told):
                    batch.give(index, True, value)
        if not batch.left and not batch.over:
            self.finished(batch)

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
        if not batch.flags & _wire.LEAN:
            rest = list(batch.run)
            return (rest[0], rest[-1] + 1) if rest else None
        with self._telling:
            # These are calls, the last ones.
            end, count = batch.routed.end, len(list(batch.run))
            batch.routed.end = end - count
        return (end - count, end) if count else None

    def where(self, number: int, index: int) -> tuple[Member, int] | None:
        """The worker that runs a task, and since when."""
        for member in [*list(self._members.values()), *self._guests]:
            if member.current == (number, index):
                return member, member.began
            for current, began in list(member.below):
                if current == (number, index):
                    return member, began
        return None

    def stop(self, number: int, index: int, *, kill: bool) -> bool:  # noqa: ARG002 - as processes
        """Interrupt a task that runs, and none but that; false if it has ended."""
        found = self.where(number, index)
        if found is None:
            return False
        member = found[0]
        with member.lock:
            if member.current != (number, index):
                if not any(current == (number, index) for current, _ in member.below):
                    return False
                # What it waits for is interrupted, and then it.
                member.stopped.add((number, index))
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

    def look_at_workers(self) -> Iterator[Look]:
        """What each worker is at."""
        for member in list(self._members.values()):
            at, since = member.current, member.began
            busy, waiting = member.times()
            yield Look(member.task, member.done, at, since, busy, waiting, 0, member.restarts)

    # -- workers -------------------------------------------------------------------------

    def _hire(self, restarts: int = 0) -> None:
        with self._lock:
            if len(self._members) >= self.workers or self.terminated:
                return
            serial = next(self._serials)
            member = Member()
            member.restarts = restarts
            member.place = WorkerPinning.free_place([it.place for it in self._members.values()])
            member.task = Thread(
                target=self._be_worker,
                name=f"{self.name}-{serial}",
                args=(serial, member),
                daemon=True,
            )
            # Who joins the workers finds none that has not started, and its own end waits for the
            # lock.
            self._origin.run(member.task.start)
            self._members[serial] = member

    def _be_worker(self, serial: int, member: Member) -> None:
        me = threading.get_ident()
        self._by_thread[me] = member
        try:
            first = self._first.at(member.place)
            try:
                own = Own(lambda: first.begin(member.task))
            except BaseException as e:
                self._break(e)
                return
            if first.initializer is not None:
                member.own = own
            member.ready_at = time.monotonic_ns()
            try:
                self._work(serial, member)
            finally:
                first.end()
        finally:
            with self._lock:
                self._members.pop(serial, None)
                self._leaving.pop(serial, None)
                self._by_thread.pop(me, None)
            self._let_go()

    def _work(self, serial: int, member: Member) -> None:
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
        with self._sending:
            try:
                return self._queue.get_nowait()
            except Empty:
                self._idle += 1
        try:
            return self._queue.get()
        except BaseException:
            # An interrupt that came late: it comes back.
            with self._sending:
                self._idle = max(0, self._idle - 1)
            raise

    def _serve(self, serial: int, member: Member, batch: Batch) -> bool:
        """Run a batch; whether it is to be another worker's turn then."""
        most = None if self._limit is None else self._limit - member.done
        member.busy -= time.monotonic_ns()
        try:
            member.done += self._run_in_context(member, batch, most)
        finally:
            member.busy += time.monotonic_ns()
        if self._limit is None or member.done < self._limit:
            return False
        self.restarts += 1
        with self._lock:
            # So that another may be hired in its place.
            self._leaving[serial] = self._members.pop(serial)
        if self.batches or not self.closed:
            try:
                self._hire(member.restarts + 1)
            except Exception as error:
                if not self._members:
                    self._break(error)
        return True

    def _run_in_context(self, member: Member, batch: Batch, most: int | None) -> int:
        """Run a batch with its context variables and resources: how many tasks that were."""
        if batch.context is None:
            context = contextvars.Context()
        else:
            context = with_own_decimal(batch.context.copy())
        if member.own is not None:
            member.own.onto(context, self._origin)
        if batch.turn is not None:
            with held(self._resources, batch.turn.units):
                return context.run(self._run, member, batch, most)
        if batch.routed is not None:
            return context.run(self._run_routed, member, batch, most)
        return context.run(self._run, member, batch, most)

    def _run_routed(self, member: Member, batch: Batch, most: int | None) -> int:
        """Run a batch of a pool that chooses: clocked, or in one go."""
        told = self.on_clocked if batch.flags & _wire.CLOCKED else None
        if told is not None:
            told(batch, None)
            meter = Meter()
        if batch.flags & _wire.LEAN and most is None:
            count = self._run_lean(member, batch)
        else:
            count = self._run(member, batch, most)
        if told is not None:
            told(batch, (count, *meter.read(0, threading.get_native_id())))
        del batch
        return count

    def _run_lean(self, member: Member, batch: Batch) -> int:
        """Run a batch in one go; results are told at its end, or when somebody asks."""
        function, number = batch.function, batch.number
        one = batch.flags & _wire.HOW == _wire.ONE
        if batch.kept is not None:
            self._resume(batch)
        begin, began = _place(batch), time.perf_counter_ns()
        while True:
            values: list[Any] = []
            append, error = values.append, None
            first = _place(batch)
            batch.kept = first, values
            member.began = time.monotonic_ns()
            member.current = (number, first)
            try:
                # Nothing is in these loops that is not needed for each task.
                if one:
                    for call in batch.run:
                        value = function(call)
                        if type(value) is CoroutineType:
                            value = _finished(value)
                        append(value)
                else:
                    for call in batch.run:
                        value = function(*call)
                        if type(value) is CoroutineType:
                            value = _finished(value)
                        append(value)
            except BaseException as e:
                error = self._failure(batch, first + len(values), e)
                if isinstance(e, Interrupted):
                    member.held = False
            with member.lock:
                member.current = None
            if member.held:
                self._absorb(member)
            self._tell(batch)
            if error is None:
                break
            self._give(batch, first + len(values), False, error)
        batch.kept = None
        count = _place(batch) - begin
        if batch.sizes is not None and count:
            batch.sizes.measured(count, time.perf_counter_ns() - began)
        if self._followers:
            self._let_go()
        # Who keeps a task's exception keeps this frame.
        value = call = None
        del batch, function, values, append, value, call, error, member
        return count

    def _resume(self, batch: Batch) -> None:
        """An interrupt came beside a call: what was begun has a result after this."""
        self._tell(batch)
        batch.kept = None
        with self._telling:
            begun = _place(batch)
        for index in range(begun):
            if not batch.got[index]:
                self._give(batch, index, False, TaskInterrupted("the task was interrupted"))

    def _run(self, member: Member, batch: Batch, most: int | None) -> int:
        function, how, calls = batch.function, batch.flags & _wire.HOW, batch.calls
        number, count = batch.number, 0
        if is_traced():
            from tarefa._pool._timeline import pool_number, traced

            function = traced(function, name_of(function), pool_number(self), number, member)
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
            self._enqueue(batch)
        # Who keeps a task's exception keeps this frame.
        del batch, function, calls, value, member
        return count

    def _absorb(self, member: Member) -> None:
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
                self.broken = self._first.broken(self.name, error)
        if self.broken is not None:
            self._fail_all(self.broken)

    def _fail_all(self, error: Exception) -> None:
        for batch in list(self.batches.values()):
            self.fail(batch, error)
        self._let_go()

    def fail(self, batch: Batch, error: Exception) -> None:
        """Have all tasks of a batch that have no result yet fail."""
        for index in range(batch.count):
            self._give(batch, index, False, error)

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

    def _all(self) -> list[Member]:
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


def _place(batch: Batch) -> int:
    """Where a batch is that runs in one go: the first of its calls that is not begun."""
    end: int = batch.routed.end
    return end - operator.length_hint(batch.run)


def _finished(value: Any) -> Any:
    """What a coroutine returns."""
    import asyncio

    return asyncio.run(value)
