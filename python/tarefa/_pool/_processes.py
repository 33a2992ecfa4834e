"""The workers of a pool as processes: how they get work, and what is done when one ends.

    caller                              arena                        worker
    put(batch) ── encode ──> tasks (a queue) ── get, to ack ──> begin on the board
                                        board <── claim ──────── each task
    Turns <── take many ──── results (a queue) <── put ───────── each result
                                        tasks <── ack ────────── the batch is done

What a dead worker leaves comes out of ``tasks`` again; the worker that takes it says whom the board
blames, and goes on behind that task. Whether it is tried again is decided here.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tarefa._channel._queue import Queue
from tarefa._engine import WorkerStarts, kept_results, signal_name
from tarefa._pool import _budget, _wire
from tarefa._pool._aside import INTERRUPT
from tarefa._pool._board import Board
from tarefa._pool._cargo import SAFE, Arrived, Cargo, Function, Packed
from tarefa._pool._errors import BrokenPool, KilledOverTime, PoolClosed
from tarefa._pool._hiring import Hiring, Member
from tarefa._pool._initializer import once
from tarefa._pool._stats import Look
from tarefa._pool._turns import Turns
from tarefa._pool._variables import Origin
from tarefa._pool._work import Batch
from tarefa._runtime._errors import (
    Interrupted,
    NotPicklable,
    TaskInterrupted,
    TimeLimitExceeded,
    WorkerDied,
)
from tarefa._task import _outcome

if TYPE_CHECKING:
    from contextvars import Context

    from tarefa._pool._initializer import First
    from tarefa._pool._memory import MemoryLimits

_BITS, _MASK = _wire.INDEX_BITS, _wire.INDEX_MASK
_UNBOUNDED = 2**62
# Seconds in which a thread that takes results comes back for more.
_SOON = 0.01
# Seconds after which who waits for an initializer is told so.
_LONG = 30.0


class ProcessCrew(Hiring):
    """The workers of a pool, and the work that they have not done yet."""

    encodes = True

    def __init__(
        self,
        name: str,
        workers: int,
        first: First,
        limit: int | None,
        memory: MemoryLimits | None,
        resources: Any,
        *,
        begin_with: int | None = None,
    ) -> None:
        self.name = name
        # Of which workers hold units; None for none.
        self._resources = resources or None
        # How many processors each worker has for threads and pools of its own.
        self._share = _budget.share_for(workers)
        self.workers = workers
        self._origin = Origin()
        self._first = first if first.initializer is None else first._replace(args=once(first.args))
        self._limit = limit
        self._memory = memory
        self.tasks: Queue[Any] = Queue(max_bytes=_UNBOUNDED)
        self.results: Queue[Any] = Queue(max_bytes=_UNBOUNDED)
        self.board = Board(4 * workers + 16)
        self.turns = Turns(self.results, self._handle_many, self._recount, self._on_free)
        self.batches: dict[int, Batch] = {}
        self._numbers = itertools.count(1)
        self._serials = itertools.count(1)
        self._members: dict[int, Member] = {}
        # Workers that have ended, and how: for those whom a later worker blames.
        self._ended: dict[int, tuple[int | None, Exception | None]] = {}
        # Tasks in which a worker died, of batches that are not done.
        self._blamed: set[tuple[int, int]] = set()
        self._overdue: dict[tuple[int, int], float] = {}
        self.killed: set[tuple[int, int]] = set()
        self._lock = threading.Lock()
        self._starts = WorkerStarts(workers, first.initializer is not None)
        self.restarts = 0
        self.broken: BrokenPool | None = None
        self._failing = False
        self.closed = False
        self._shut = False
        # For the thread in the background: see _in_background.
        self._wanted = threading.Condition()
        self._thread: threading.Thread | None = None
        self._sleeps = False
        self.watched: set[int] = set()
        self.unfed: set[Any] = set()
        # Called with each batch whose last result has come.
        self.on_done: Callable[[Batch], None] | None = None
        # Called with a batch that is clocked, when it begins and when it has ended; with a death.
        self.on_clocked: Callable[[Batch, Any], None] | None = None
        self.on_death: Callable[[Batch], None] | None = None
        # What the second thread of a worker is told: see ``_aside``; and who has one.
        self._orders: Queue[Any] | None = None
        self._monitors: list[threading.Thread] = []
        if begin_with is not None:
            self._orders = Queue()
        try:
            self.grow(workers if begin_with is None else begin_with)
        except BaseException as error:
            # Whoever asked for it has none.
            self.terminate(PoolClosed(f"{name} could not be made: {error}"))
            raise

    @property
    def size(self) -> int:
        """How many workers there are."""
        return len(self._members)

    def pair(self, seconds: float) -> None:
        """Have a worker take batches with a second thread, too, for so long."""
        if self._orders is not None:
            self._orders.put(seconds)

    def pid_at(self, number: int) -> int | None:
        """The worker that is at a batch."""
        for member in list(self._members.values()):
            if any(self.board.batch_of(seat) == number for seat in member.seats):
                return member.task.pid
        return None

    def is_at(self, number: int) -> bool:
        """Whether a worker is at that batch."""
        members = list(self._members.values())
        return any(self.board.batch_of(seat) == number for it in members for seat in it.seats)

    def has_company(self, number: int) -> bool:
        """Whether the worker that is at a batch is at another one, too."""
        for member in list(self._members.values()):
            at = [self.board.batch_of(seat) for seat in member.seats]
            if number in at:
                return any(it and it != number for it in at)
        return False

    def is_shared(self, seat: int) -> bool:
        """Whether the worker with that seat is at a batch by means of another one."""
        for member in list(self._members.values()):
            if seat in member.seats:
                return any(self.board.batch_of(it) for it in member.seats if it != seat)
        return False

    @property
    def is_paired(self) -> bool:
        """Whether a second thread of a worker is at a task."""
        members = list(self._members.values())
        return any(self.board.batch_of(seat) for it in members for seat in it.seats[1:])

    def ahead_of(self, _function: Any) -> int:
        """How many batches of a map wait at most."""
        return 2 * self.workers

    # Whether what a map may give out has changed: see the crew that chooses.
    epoch = 0

    # -- work ----------------------------------------------------------------------------

    def enroll(self, batch: Batch) -> Any:
        """Note a batch that is to be sent later, and what is to be sent of it: as it is now.

        Raises:
            NotPicklable: its calls cannot travel.
        """
        packed = Packed(Cargo(batch.calls))
        batch.number = batch.number or next(self._numbers)
        self.batches[batch.number] = batch
        return packed

    def send(self, batch: Batch, packed: Any) -> None:
        """Give a batch that was enrolled to whoever is free next."""
        function: Function = batch.function
        key, data, units = function.key, function.data, batch.turn.units
        number, count = batch.number, batch.count
        self.tasks.put((number, count, batch.flags, key, data, batch.context, packed, units))
        self.fail_if_broken()

    def variables(self, context: Context | None) -> list[bytes] | None:
        """A caller's context variables as batches have them."""
        return self._origin.pack(context)

    def fail_if_broken(self) -> None:
        """Have what was enrolled meanwhile fail, if the pool cannot go on."""
        if self.broken is not None:
            self.turns.wake()

    def put(self, batch: Batch) -> None:
        """Give a batch to whoever is free next.

        Raises:
            NotPicklable: its calls cannot travel.
        """
        if batch.turn is not None:
            self.send(batch, self.enroll(batch))
            return
        number = batch.number = batch.number or next(self._numbers)
        function: Function = batch.function
        calls = batch.calls
        packed: Any = None
        if batch.count == 1:
            how = batch.flags & _wire.HOW
            call = calls[0]
            flat = (
                type(call) in SAFE
                if how == _wire.ONE
                else how == _wire.STAR and all(type(a) in SAFE for a in call)
            )
            packed = call if flat else Cargo(calls)
        else:
            packed = Cargo(calls)
        self.batches[number] = batch
        context, data = batch.context, function.data
        message = (number, batch.count, batch.flags, function.key, data, context, packed)
        try:
            self.tasks.put(message)
        except BaseException:
            self.batches.pop(number, None)
            raise
        if self.broken is not None:
            self.turns.wake()

    @property
    def unfinished(self) -> bool:
        """Whether a task has no result yet."""
        return any(batch.left for batch in list(self.batches.values()))

    def wait(self, done: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until ``done()``, taking results."""
        return self.turns.wait(done, timeout)

    def wait_for(
        self,
        _batches: Callable[[], Iterable[Batch]],
        done: Callable[[], bool],
        timeout: float | None = None,
    ) -> bool:
        """The same for who waits for those batches: no worker of these does."""
        return self.turns.wait(done, timeout)

    # The schedule of its pool, if there is one.
    schedule: Any = None

    def look(self) -> None:
        """Take what has come."""
        self.turns.look()

    def wake(self) -> None:
        """Have those who wait look whether their wait is over."""
        self.turns.wake()

    def call_off(self, batch: Batch) -> bool:
        """Take a batch back that nobody has begun."""
        if not self.board.call_off(batch.number):
            return False
        self.batches.pop(batch.number, None)
        return True

    def recall(self, batch: Batch) -> bool:
        """Take a batch back that nobody has begun, to put it in anew."""
        self.watched.discard(batch.number)
        return self.call_off(batch)

    def take_rest(self, batch: Batch) -> tuple[int, int] | None:
        """Take back what nobody has begun of a batch that a worker is at: first and end."""
        for member in list(self._members.values()):
            for seat in member.seats:
                found: tuple[int, int] | None = self.board.take_rest(seat, batch.number)
                if found is not None:
                    return found
        return None

    def fetch_kept(self, batch: Batch) -> None:
        """Have what a worker has finished of a batch, and has not told: it is at a long task."""
        for index, packed in self.board.kept_of(batch.number):
            if batch.got.find(0, index, index + len(packed) // 8) >= 0:
                # By way of the queue, for results are taken by one thread at a time.
                self.results.put(((batch.number << _BITS) + index, _wire.KEPT, packed))

    def forget(self, batch: Batch) -> None:
        """Wait for no results of a batch any more."""
        batch.got[:] = b"\1" * batch.count
        batch.left = 0
        batch.flags &= ~_wire.TIMED
        if not batch.over:
            self.finished(batch)

    def where(self, number: int, index: int) -> tuple[Member, int] | None:
        """The worker that runs a task, and since when."""
        found = self._seat_of(number, index)
        return None if found is None else (found[0], found[2])

    def _seat_of(self, number: int, index: int) -> tuple[Member, int, int] | None:
        for member in list(self._members.values()):
            for seat in member.seats:
                running = self.board.running(seat)
                if running is not None and running[:2] == (number, index):
                    return member, seat, running[2]
        return None

    def stop(self, number: int, index: int, *, kill: bool) -> bool:
        """Interrupt or kill a task that runs, and none but that; false if it has ended."""
        found = self._seat_of(number, index)
        if found is None or not self.board.hold(found[1], number, index):
            return False
        self._stop(found[0], found[1], kill=kill)
        return True

    def _stop(self, member: Member, seat: int, *, kill: bool) -> None:
        """Stop what runs at a seat that is held: where two threads run tasks, the one alone."""
        if kill and not any(self.board.running(it) for it in member.seats if it != seat):
            member.task.kill()
        elif seat == member.seat:
            member.task._interrupt_as_far_as_possible()
        elif self._orders is not None:
            self._orders.put(INTERRUPT)

    def make_sure(self, _number: int, _index: int) -> None:
        """Nothing: who is killed has ended."""

    def kill_held(self, number: int, index: int) -> bool:
        """Kill a task that was interrupted and still runs."""
        found = self._seat_of(number, index)
        if found is None or not self.board.is_held(found[1]):
            return False
        self._stop(found[0], found[1], kill=True)
        return True

    def note_overdue(self, number: int, index: int, limit: float) -> None:
        """A task is stopped for its time limit: its failure says so."""
        self._overdue[number, index] = limit

    def look_at_workers(self) -> Iterator[Look]:
        """What each worker is at."""
        for member in list(self._members.values()):
            for seat in member.seats:
                running = self.board.running(seat)
                claimed, busy, waiting, carried = self.board.usage(seat)
                at = None if running is None else (running[0], running[1])
                if seat == member.seat or claimed:
                    since = 0 if running is None else running[2]
                    usage = busy, waiting, carried, member.restarts
                    yield Look(member.task, claimed, at, since, *usage)

    # -- results -------------------------------------------------------------------------

    def _handle_many(self, messages: list[Any]) -> None:
        """Take what has come; most of it are results of a few batches that need no look."""
        batches = self.batches
        last, batch = 0, None
        for message in messages:
            if message is None or len(message) != 2 or type(message[1]) is Arrived:
                self._handle(message)
                continue
            number = message[0] >> _BITS
            if number != last:
                last, batch = number, batches.get(number)
            if batch is None:
                continue
            index = message[0] & _MASK
            if not batch.got[index]:
                batch.sink.put(batch.first + index, True, message[1])
                batch.got[index] = 1
                batch.left -= 1
                if batch.left < 1:
                    if batch.shared:
                        batch.recount()
                    if not batch.left and not batch.over:
                        self.finished(batch)

    def _handle(self, message: Any) -> None:
        if message is None:
            if self.broken is not None and not self._failing:
                self._fail_all(self.broken)
            return
        number = message[0] >> _wire.INDEX_BITS
        batch = self.batches.get(number)
        if batch is None:
            return
        index = message[0] & _wire.INDEX_MASK
        if len(message) == 2:
            value = message[1]
            if type(value) is Arrived:
                if value.error is not None:
                    batch.give(index, False, _unbuilt(batch, value.error))
                else:
                    batch.give(index, True, value.value)
            else:
                batch.give(index, True, value)
        else:
            self._handle_other(batch, index, message)
        if not batch.left and not batch.over:
            self.finished(batch)

    def finished(self, batch: Batch) -> None:
        """All results of a batch are there."""
        if not batch.flags & _wire.TIMED:
            self.batches.pop(batch.number, None)
        self.watched.discard(batch.number)
        if batch.deaths:
            self._blamed.difference_update((batch.number, index) for index in batch.deaths)
        if self.on_done is not None:
            self.on_done(batch)
        batch.over = True
        if batch.number in self.batches:
            # Nobody may ask for anything any more, and so take what is to come, for long.
            batch.let_go()

    def _handle_other(self, batch: Batch, index: int, message: Any) -> None:
        status, what = message[1], message[2]
        if status == _wire.TOOK:
            if batch.sizes is not None:
                batch.sizes.measured(message[3], what)
            batch.flags &= ~_wire.TIMED
            if not batch.left:
                self.batches.pop(batch.number, None)
            if len(message) > _wire.UNCLOCKED and self.on_clocked is not None:
                self.on_clocked(batch, message[3:])
        elif status == _wire.BEGAN:
            if self.on_clocked is not None:
                self.on_clocked(batch, None)
        elif status == _wire.KEPT:
            batch.give_many(index, kept_results(what))
        elif status == _wire.DIED:
            if not batch.got[index]:
                self._died(batch, index, what)
        elif not batch.got[index]:
            batch.give(index, False, self._failure(batch, index, status, what))

    def _failure(self, batch: Batch, index: int, status: int, packed: bytes) -> Exception:
        from tarefa._convert._exception_pickling import unpack
        from tarefa._convert._pickling import loads

        error = unpack(loads(packed))
        label = f"task {batch.call_text(index, batch.function.name)}"
        if status == _wire.UNBUILT:
            made = NotPicklable(
                f"{label} cannot be built in its worker: {type(error).__name__}: {error}"
            )
            made.__cause__ = error
            return made
        limit = self._overdue.pop((batch.number, index), None)
        if limit is not None and isinstance(error, Interrupted):
            over = TimeLimitExceeded(f"{label} ran longer than its time limit of {limit:g} s")
            over.__cause__ = error
            return over
        if isinstance(error, Interrupted):
            found = TaskInterrupted(f"{label} was interrupted")
            found.__cause__ = error
            return found
        return _outcome.for_asker(error, label)

    def _died(self, batch: Batch, index: int, serial: int) -> None:
        """A worker died in a task: it is tried again, or fails."""
        # Whoever says so may die before he has forgotten it, and the next says it again.
        key = batch.number, index
        if key in self._blamed:
            return
        pid, error = self._end_of(serial)
        if self.on_death is not None:
            self.on_death(batch)
        if key in self.killed:
            self.killed.discard(key)
            batch.give(index, False, error or WorkerDied("the task was killed"))
            return
        self._blamed.add(key)
        deaths = batch.deaths.setdefault(index, [])
        deaths.append((pid, _end_words(pid, error)))
        limit = self._overdue.pop(key, None)
        if limit is None and len(deaths) <= batch.retries and not self.broken:
            again = Batch(
                batch.function,
                batch.calls[index : index + 1],
                batch.flags & _wire.HOW,
                _Again(self, batch, index),
            )
            again.flags |= (len(deaths) + 1) << _wire.ATTEMPT_SHIFT
            again.context = batch.context
            again.retries, again.time_limit = batch.retries, batch.time_limit
            again.name = batch.name
            again.deaths = {0: deaths}
            # With what it had: that is not free before it has its result.
            again.turn = batch.turn
            self.put(again)
            if batch.time_limit is not None and self.on_limited is not None:
                self.on_limited(again)
            return
        batch.give(index, False, _death(batch, index, deaths, error, limit))

    on_limited: Callable[[Batch], None] | None = None

    def _fail_all(self, error: Exception) -> None:
        self._failing = True
        try:
            for batch in list(self.batches.values()):
                for index in range(batch.count):
                    batch.give(index, False, error)
                batch.flags &= ~_wire.TIMED
                if not batch.over:
                    self.finished(batch)
        finally:
            self._failing = False

    def _recount(self) -> None:
        for batch in list(self.batches.values()):
            batch.recount()
            sink = batch.sink
            if batch.count > 1 and sink is not None:
                sink.recount()

    # -- the background ------------------------------------------------------------------

    def _has_demand(self) -> bool:
        return bool(self.watched or self.unfed or (self.closed and not self._shut))

    def watch_over(self, number: int | None = None, run: Any = None) -> None:
        """Take results in the background while nobody else does."""
        with self._wanted:
            if number is not None:
                self.watched.add(number)
                if number not in self.batches:
                    self.watched.discard(number)  # it has ended meanwhile
            if run is not None:
                self.unfed.add(run)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._in_background, name=f"{self.name} (takes results)", daemon=True
                )
                self._thread.start()
            self._wanted.notify()

    def _on_free(self) -> None:
        if self._sleeps and self._has_demand():
            with self._wanted:
                self._wanted.notify()

    def _is_over(self) -> bool:
        return self._shut

    def _in_background(self) -> None:
        while not self._is_over():
            with self._wanted:
                while not self._is_over() and (not self._has_demand() or self.turns.is_taken):
                    self._sleeps = True
                    self._wanted.wait()
                    self._sleeps = False
                if self._is_over():
                    return
                if self.unfed and not self.watched:
                    # Who iterates over results comes back soon.
                    waits = self.turns.waits
                    self._wanted.wait(_SOON)
                    if self.turns.waits != waits:
                        continue
            self.turns.wait(lambda: self._is_over() or not self._has_demand(), background=True)

    # -- the end -------------------------------------------------------------------------

    def close(self) -> None:
        """Take no more work; workers end once all is done."""
        if self.closed:
            return
        self.closed = True
        if not self.unfinished and not self.unfed:
            self._shut_down()

    def finish(self, timeout: float | None = None) -> bool:
        """Wait until all is done, and then for the workers."""
        done = self.wait(lambda: not self.unfinished and not self.unfed, timeout)
        if not done:
            return False
        self._shut_down()
        for member in list(self._members.values()):
            member.task.join()
        self._join_monitors()
        self._end()
        return True

    def _shut_down(self) -> None:
        if not self._shut:
            self._shut = True
            self.tasks.shutdown()
            with self._wanted:
                self._wanted.notify_all()

    def terminate(self, error: Exception) -> None:
        """End the workers; what is not done fails with that error."""
        self.closed = self.terminated = True
        self._shut_down()
        with self._lock:
            members = list(self._members.values())
        for member in members:
            member.task.kill()
        for member in members:
            member.task.join()
        self._join_monitors()
        self.turns.look()
        self._fail_all(error)
        self.unfed.clear()
        self._end()

    def _end(self) -> None:
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            self.turns.wake()
            with self._wanted:
                self._wanted.notify_all()
            thread.join()
        self.turns.close()
        self.on_done = self.on_limited = self.on_clocked = self.on_death = None


class _Again:
    """Gets the result of a task that is tried again."""

    __slots__ = ("batch", "crew", "index")

    def __init__(self, crew: ProcessCrew, batch: Batch, index: int) -> None:
        self.crew = crew
        self.batch = batch
        self.index = index

    def put(self, _index: int, ok: bool, value: Any) -> None:
        batch = self.batch
        batch.give(self.index, ok, value)
        if not batch.left and not batch.over:
            self.crew.finished(batch)


def _unbuilt(batch: Batch, error: Exception) -> NotPicklable:
    made = NotPicklable(
        f"the result of {batch.function.name} arrived and cannot be built here: "
        f"{type(error).__name__}: {error}"
    )
    made.__cause__ = error
    return made


def _end_words(pid: int | None, error: Exception | None) -> str:
    """How a worker ended, in short."""
    code = getattr(error, "exitcode", None)
    how = ""
    if code is not None:
        how = f" ended by {signal_name(-code)}" if code < 0 else f" exited with {code}"
    return f"process {pid}{how}"


def _death(
    batch: Batch,
    index: int,
    deaths: list[tuple[int | None, str]],
    error: Exception | None,
    limit: float | None,
) -> WorkerDied:
    """The error of a task whose worker has died, the last time it was tried."""
    call = batch.call_text(index, batch.function.name)
    words = str(error) if error is not None else "its worker died"
    text = f"{call} failed with its worker: {words}"
    kind: type[WorkerDied] = WorkerDied
    if limit is not None:
        kind = KilledOverTime
        text += f"; it had run longer than its time limit of {limit:g} s, and went on"
    if len(deaths) > 1:
        text += f"; it was tried {len(deaths)} times: {', '.join(said for _, said in deaths)}"
    made: WorkerDied
    if isinstance(error, WorkerDied):
        made = kind(
            text, error.pid, error.exitcode, error.peak_memory, error.last_line, error.last_seen
        )
    else:
        made = kind(text, deaths[-1][0])
        made.__cause__ = error
    made.attempts = len(deaths)
    made.argument = call
    return made
