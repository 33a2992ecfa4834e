"""The workers of a pool that chooses: processes, threads, or one thread beside the caller.

    put(batch) ──> of a function that is tried: the trial, or held until its end
               └─> of one that is decided: its home ── too many are at work ──> held until some end

The homes are crews of their own, and each batch is at one of them. The trial of a function is told
forward by what comes of its batches and by a thread that knows the time; see ``_subject``. No lock
is held while calls are encoded, for that runs code of the user's.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tarefa._pool import _budget, _wire
from tarefa._pool._cargo import Function
from tarefa._pool._choice import CALLER, PROCESSES, THREADS, Choice
from tarefa._pool._explain import Explanation
from tarefa._pool._homes import Batches
from tarefa._pool._map import Mapping, Part
from tarefa._pool._processes import ProcessCrew
from tarefa._pool._subject import ALONE, DECIDED, NEW, PAIR, Chosen, Routed, Subject, key_of
from tarefa._pool._threads import ThreadCrew
from tarefa._pool._trials import Trials
from tarefa._pool._variables import Origin
from tarefa._runtime._errors import NotPicklable

if TYPE_CHECKING:
    from contextvars import Context

    from tarefa._pool._memory import MemoryLimits
    from tarefa._pool._work import Batch

# Functions that are known at once.
_MOST_KNOWN = 256
# Of so many batches one is clocked once it is decided, and each of the first few.
_CLOCKED, _FIRST = 8, 4


class AutoCrew(Trials):
    """The workers of a pool that chooses, and the work that they have not done yet.

    Args:
        name: the pool's.
        workers: tasks that run at once at most.
        first: what workers do first and last.
        limit: tasks of each worker.
        memory: the limits of each worker: then all are processes.
        resources: of which workers hold units.
    """

    # Functions are given to it as :class:`Chosen`.
    encodes = None

    def __init__(
        self,
        name: str,
        workers: int,
        first: Any,
        limit: int | None,
        memory: MemoryLimits | None,
        resources: Any,
    ) -> None:
        self.name = name
        self.workers = workers
        self._limit = limit
        self._memory = memory
        self._resources = resources
        self._first = first
        self._cores = _budget.cores()
        self._numbers = itertools.count(1)
        self.killed: set[tuple[int, int]] = set()
        self.unfed: set[Any] = set()
        self.closed = self.terminated = False
        self.epoch = 0
        self.on_done: Callable[[Batch], None] | None = None
        self._on_limited: Callable[[Batch], None] | None = None
        self._lock = threading.RLock()
        self._subjects: dict[Any, Subject] = {}
        # Batches that are at no home yet, by their numbers; of those that wait for room, the order.
        self._held: dict[int, Batch] = {}
        self._gated: deque[Batch] = deque()
        self._processes: ProcessCrew | None = None
        self._origin = Origin()
        self._hired = 0.0
        # Why there are none, if so; for people, with the error of who must have one.
        self._none: tuple[str, Exception] | None = None
        # Whether all are to be there.
        self._wants_processes = False
        self._threads = ThreadCrew(name, workers, first, limit, resources)
        self._single = ThreadCrew(f"{name} (alone)", 1, first, limit, resources)
        self._at: dict[Any, int] = {}
        self._tried: set[Subject] = set()
        for crew in (self._threads, self._single):
            self._adopt(crew)
        self._clock = threading.Condition()
        self._deadline: float | None = None
        self._ticker: threading.Thread | None = None
        self.batches = Batches(self)

    def _adopt(self, crew: Any) -> None:
        crew._numbers = self._numbers
        crew.killed, crew.unfed = self.killed, self.unfed
        crew.on_done, crew.on_clocked = self._batch_done, self._clocked
        crew.on_limited = self._on_limited
        self._at[crew] = 0

    # -- functions -----------------------------------------------------------------------

    def chosen(self, function: Any) -> Chosen:
        """A function, with what is known of it."""
        key = key_of(function)
        with self._lock:
            try:
                subject = self._subjects.pop(key, None)
            except TypeError:  # of a class that cannot be a key
                key = type(function).__qualname__
                subject = self._subjects.pop(key, None)
            if subject is None:
                subject = Subject(function)
                if len(self._subjects) >= _MOST_KNOWN:
                    self._subjects.pop(next(iter(self._subjects)))
            # The one that was called last comes last.
            self._subjects[key] = subject
        found = Chosen(function, subject)
        if subject.process_only or self._memory is not None:
            found.encoded()
        return found

    def explain(self) -> Explanation:
        """What was measured of each function, and what was chosen."""
        with self._lock:
            shown = [it.shown() for it in self._subjects.values() if it.stage != NEW]
        intro = f"{self.name}: {self.workers} workers on {self._cores} processors, of kind 'auto'"
        if not shown:
            intro += "; nothing has been run yet"
        return Explanation(self.name, intro, shown)

    # -- who is where --------------------------------------------------------------------

    def _process_crew(self) -> ProcessCrew | None:
        """The crew of processes, with one to begin with; None where there can be none."""
        if self._processes is not None or self._none is not None:
            return self._processes
        with self._lock:
            if self._has_no_processes():
                self._hired = time.perf_counter()
                try:
                    crew = self._origin.run(
                        ProcessCrew,
                        self.name,
                        self.workers,
                        self._first,
                        self._limit,
                        self._memory,
                        self._resources,
                        begin_with=1,
                    )
                except NotPicklable as error:
                    why = f"its workers' initializer cannot travel: {error}"
                    self._none = why, NotPicklable(why)
                    return None
                except Exception as error:
                    self._none = f"no worker process can be started: {error}", error
                    return None
                self._adopt(crew)
                crew.on_death = self._died
                self._processes = crew
        # Who waits for threads alone waits for these, too.
        self._threads.wake()
        self._single.wake()
        return self._processes

    def _has_no_processes(self) -> bool:
        return self._processes is None and self._none is None

    def _site(self, chosen: Chosen) -> Any:
        """Where a function is tried: processes, or threads of the caller if it cannot travel."""
        subject = chosen.subject
        if subject.stays is None or self._must_be_processes(subject):
            try:
                chosen.encoded()
                crew = self._process_crew()
                if crew is not None:
                    return crew
                words, why = self._none or ("", RuntimeError())
            except NotPicklable as error:
                words, why = f"it cannot travel: {error}", error
            if self._must_be_processes(subject):
                raise why.with_traceback(None)
            subject.stays = _first_sentence(words)
        return self._threads

    def _crew_for(self, kind: str, batch: Batch) -> Any:
        """The home of a batch by what was decided of its function."""
        if kind == PROCESSES:
            return self._processes
        # Calls one by one may wait for each other: they are not put into one row.
        return self._single if kind == CALLER and type(batch.sink) is Mapping else self._threads

    def variables(self, context: Context | None) -> Context | None:
        """A caller's context variables as batches have them: as threads do, until one is sent."""
        return self._threads.variables(context)

    # -- work ----------------------------------------------------------------------------

    def put(self, batch: Batch) -> None:
        """Give a batch to where its function runs.

        Raises:
            NotPicklable: it must run in processes, and cannot travel.
        """
        chosen = batch.function
        if type(chosen) is not Chosen:
            # A part of one that went out: what its function is decided for now runs it.
            whole = batch.sink.batch.routed
            batch.function = chosen = whole.chosen
            batch.context = whole.context
        subject = chosen.subject
        if batch.turn is not None:
            self.send(batch, self.enroll(batch))
            return
        batch.number = next(self._numbers)
        batch.routed = Routed(chosen, batch.count, batch.context)
        if type(batch.sink) is Mapping:
            subject.runs.add(batch.sink)
            if batch.first == 0 and subject.stage == DECIDED:
                self._decide_for(subject)
        if subject.stage == NEW:
            self._begin(chosen)
        with self._lock:
            placed = self._place(batch)
        if placed:
            self._send(batch)
        self._tell_fewer()

    def _place(self, batch: Batch) -> bool:
        """Find a home for a batch; false if it waits for one."""
        subject = batch.routed.chosen.subject
        crew = self._wanted(batch, subject)
        if crew is None:
            subject.held.append(batch)
            self._held[batch.number] = batch
            return False
        batch.routed.home = crew
        if subject.stage == ALONE and isinstance(crew, ProcessCrew):
            self._make_room(crew)
        if self._gated or not self._has_room(crew):
            self._gated.append(batch)
            self._held[batch.number] = batch
            return False
        self._count(batch)
        return True

    def _wanted(self, batch: Batch, subject: Subject) -> Any:
        """Where a batch is to go now; None if it waits for the end of a trial."""
        if subject.stage in (ALONE, PAIR):
            room = 1 if subject.stage == ALONE else 2 if subject.is_long else 4
            if subject.trying < room and self._can_try(subject):
                subject.trying += 1
                batch.routed.trial = True
                return subject.home
            if subject.choice is None:
                # The trial waits for what was taken from one of its batches.
                return subject.home if type(batch.sink) is Part else None
        kind = subject.choice.kind if subject.choice is not None else PROCESSES
        return self._crew_for(kind, batch) or self._threads

    def _can_try(self, subject: Subject) -> bool:
        """Whether what is tried again will be begun soon: a worker is free, or another may come."""
        processes = self._processes
        if subject.choice is None or processes is None or subject.home is not processes:
            return True
        if subject.is_for(PROCESSES):
            return True  # all of them are there, and it is the same queue
        size = processes.size
        if self._at[processes] < size:
            return True
        return size < self.workers and sum(self._busy(it) for it in self._at) < self.workers

    def _has_room(self, crew: Any) -> bool:
        """Whether a crew may have one more: together they are at no more than there are workers."""
        others = sum(self._busy(it) for it in self._at if it is not crew)
        return not others or others + self._busy(crew, 1) <= self.workers

    def _bring_back(self, subject: Subject) -> None:
        """Have those of a trial that no process has begun run where it was decided."""
        processes = self._processes
        if processes is None or subject.stage != DECIDED or subject.is_for(PROCESSES):
            return
        for batch in list(processes.batches.values()):
            routed = batch.routed
            if routed is None or routed.chosen is None or routed.chosen.subject is not subject:
                continue
            # What was taken from a batch of the trial went after it.
            of_trial = routed.trial or (type(batch.sink) is Part and batch.turn is None)
            if not of_trial or batch.left < batch.count or not processes.call_off(batch):
                continue
            self._uncount(batch)
            batch.function, batch.context = routed.chosen, routed.context
            batch.routed = Routed(routed.chosen, batch.count, routed.context)
            batch.routed.watched = routed.watched
            # Its old one is called off, should it go to a process after all.
            batch.number = next(self._numbers)
            with self._lock:
                placed = self._place(batch)
            if placed:
                self._send(batch)

    def _make_room(self, processes: ProcessCrew) -> None:
        """Have a worker for a trial where those that are there are busy, and there may be more."""
        if self._at[processes] >= processes.size:
            busy = sum(self._busy(it) for it in self._at)
            if busy < self.workers and processes.size < self.workers:
                self._hire(processes.size + 1)

    def _count(self, batch: Batch) -> None:
        batch.routed.counted = True
        self._at[batch.routed.home] += 1

    def _uncount(self, batch: Batch) -> None:
        routed = batch.routed
        if routed is None:
            return
        with self._lock:
            if routed.counted:
                routed.counted = False
                self._at[routed.home] -= 1
            if routed.trial:
                routed.trial = False
                routed.chosen.subject.trying -= 1
                routed.chosen.subject.running.pop(batch.number, None)

    def _send(self, batch: Batch) -> None:
        """Give a batch to its home."""
        routed = batch.routed
        chosen, crew = routed.chosen, routed.home
        subject = chosen.subject
        context = batch.context
        if subject.stage != DECIDED or self._is_clocked(
            subject, batch.sizes is not None or batch.count > 1
        ):
            batch.flags |= _wire.TIMED | _wire.CLOCKED
        if isinstance(crew, ProcessCrew):
            try:
                batch.function = chosen.encoded()
                batch.context = crew.variables(context)
                began = time.perf_counter_ns()
                crew.put(batch)
                if routed.trial:
                    subject.encoded.append((batch.count, time.perf_counter_ns() - began))
            except NotPicklable as error:
                if batch.routed is not routed:
                    return  # it was brought back meanwhile
                if self._must_be_processes(subject):
                    self._uncount(batch)
                    raise
                self._stay(batch, context, error)
                return
            if subject.stage == DECIDED and not subject.is_for(PROCESSES):
                # It was decided after this had its home, and the one worker there may be at a task
                # that takes long.
                self._bring_back(subject)
                self._release(subject)
            if batch.routed is routed and (routed.trial or routed.watched):
                crew.watch_over(batch.number)
            return
        batch.function = chosen.function
        if crew is self._single and batch.time_limit is None:
            batch.flags |= _wire.LEAN
        self._put(crew, batch)

    def _is_clocked(self, subject: Subject, many: bool) -> bool:
        subject.batches += 1
        return subject.batches <= _FIRST or subject.batches % _CLOCKED == 0 or many

    def _waits_in_vain(self, batch: Batch) -> bool:
        processes = self._processes
        if processes is None or batch.routed is None or batch.routed.chosen is None:
            return False
        choice = batch.routed.chosen.subject.choice
        if choice is None or choice.kind == PROCESSES:
            return False
        return processes.call_off(batch)

    def _hold_up(self, batch: Batch) -> None:
        subject = batch.routed.chosen.subject
        with self._lock:
            if subject.is_for(CALLER):
                why = "a task takes long, and others do not wait for it"
                subject.choice = Choice(THREADS, why)

    def _stay(self, batch: Batch, context: Any, error: NotPicklable) -> None:
        """What was to go to a process cannot: a thread of the caller runs it."""
        routed = batch.routed
        subject = routed.chosen.subject
        with self._lock:
            self._at[routed.home] -= 1
            routed.home = self._threads
            self._at[self._threads] += 1
            if subject.stays is None:
                subject.stays = _first_sentence(f"an argument cannot travel: {error}")
                if subject.stage in (ALONE, PAIR):
                    subject.home = self._threads
                elif subject.choice is not None and subject.choice.kind == PROCESSES:
                    subject.choice = Choice(THREADS, "processes cannot have all of its calls")
        batch.function, batch.context = routed.chosen.function, context
        self._put(self._threads, batch)

    def _put(self, crew: ThreadCrew, batch: Batch) -> None:
        """Give a batch to threads; where there can be none, to other workers that there are.

        Where there are none at all, who asks for its results is told.
        """
        try:
            crew.put(batch)
        except Exception as error:
            for other in (self._threads, self._processes):
                if other is not None and other is not crew and other.size:
                    try:
                        self._put_elsewhere(other, batch, error)
                    except NotPicklable:
                        continue
                    return
            crew.fail(batch, error)

    def _put_elsewhere(self, crew: Any, batch: Batch, error: Exception) -> None:
        routed = batch.routed
        if isinstance(crew, ProcessCrew):
            batch.function = routed.chosen.encoded()
            batch.context = crew.variables(routed.context)
        batch.flags &= ~_wire.LEAN
        # Under the one that it had it may have been called off there.
        batch.number = next(self._numbers)
        with self._lock:
            if routed.counted:
                self._at[routed.home] -= 1
                self._at[crew] += 1
            routed.home = crew
            subject = routed.chosen.subject
            if subject.choice is not None:
                kind = PROCESSES if isinstance(crew, ProcessCrew) else THREADS
                subject.choice = Choice(kind, f"no worker more can be started: {error}")
        crew.put(batch)

    # -- for schedules -------------------------------------------------------------------

    def enroll(self, batch: Batch) -> Any:
        """Note a batch that is to be sent later; it takes no part in a trial."""
        chosen = batch.function
        if type(chosen) is Chosen:
            subject = chosen.subject
            crew: Any = self._threads
            decided = None if subject.choice is None else subject.choice.kind
            if decided in (None, PROCESSES):
                crew = self._site(chosen)
            batch.routed = Routed(chosen, batch.count, batch.context)
            context = batch.context
            if isinstance(crew, ProcessCrew):
                try:
                    batch.function = chosen.encoded()
                    batch.context = crew.variables(context)
                    packed = crew.enroll(batch)
                except NotPicklable:
                    if self._must_be_processes(subject):
                        raise
                    crew, batch.context = self._threads, context
                else:
                    self._hire(self.workers)
                    batch.routed.home = crew
                    return packed
            batch.function = chosen.function
            batch.routed.home = crew
        elif type(chosen) is Function:
            batch.routed = Routed(None, batch.count, None)
            batch.routed.home = self._processes
        else:
            batch.routed = Routed(None, batch.count, None)
            batch.routed.home = self._threads
        return batch.routed.home.enroll(batch)

    def send(self, batch: Batch, packed: Any) -> None:
        """Give a batch that was enrolled to whoever is free next."""
        batch.routed.home.send(batch, packed)

    def fail_if_broken(self) -> None:
        """Have what was enrolled meanwhile fail, if the pool cannot go on."""
        for crew in self._homes:
            crew.fail_if_broken()

    def _release(self, subject: Subject | None = None) -> None:
        """Send what waited and may go now."""
        ready: list[Batch] = []
        with self._lock:
            while self._gated and self._has_room(self._gated[0].routed.home):
                batch = self._gated.popleft()
                self._held.pop(batch.number, None)
                self._count(batch)
                ready.append(batch)
            while subject is not None and subject.held:
                batch = subject.held.popleft()
                self._held.pop(batch.number, None)
                before = len(subject.held)
                if self._place(batch):
                    ready.append(batch)
                elif len(subject.held) > before:
                    # It still waits, as the first.
                    subject.held.rotate(1)
                    break
        for batch in ready:
            try:
                self._send(batch)
            except Exception as error:
                self._fail(batch, error)

    def _fail(self, batch: Batch, error: Exception) -> None:
        """A batch that was to go out cannot."""
        for index in range(batch.count):
            batch.give(index, False, error)
        batch.over = True
        self._batch_done(batch)
        self.wake()

    # -- results -------------------------------------------------------------------------

    def _batch_done(self, batch: Batch) -> None:
        """All results of a batch are there."""
        routed = batch.routed
        self._uncount(batch)
        if self.on_done is not None:
            self.on_done(batch)
        if routed is not None and routed.chosen is not None:
            subject = routed.chosen.subject
            if subject.held or self._gated:
                self._release(subject)
            if subject.stage == PAIR:
                self._advance(subject)
        elif self._gated:
            self._release()
        self._grow()

    def finished(self, batch: Batch) -> None:
        """All results of a batch are there: said by who shared it out."""
        home = None if batch.routed is None else batch.routed.home
        if home is not None:
            home.finished(batch)
        else:
            self._batch_done(batch)

    # -- a batch, wherever it is ---------------------------------------------------------

    def ahead_of(self, function: Any) -> int:
        """How many batches of a map wait at most."""
        if type(function) is Chosen and function.subject.choice is None:
            subject = function.subject
            return 0 if subject.stage != PAIR else 1 if subject.is_long else 3
        return 2 * self.workers

    def _take_back(self, batch: Batch) -> bool:
        """Take a batch back that is held."""
        with self._lock:
            if self._held.pop(batch.number, None) is None:
                return False
            routed = batch.routed
            if routed.home is None:
                routed.chosen.subject.held.remove(batch)
            else:
                self._gated.remove(batch)
        self._uncount(batch)
        return True

    def call_off(self, batch: Batch) -> bool:
        """Take a batch back that nobody has begun."""
        return self._take_back(batch) or self._off(batch, "call_off")

    def recall(self, batch: Batch) -> bool:
        """Take a batch back that nobody has begun, to put it in anew."""
        return self._take_back(batch) or self._off(batch, "recall")

    def _off(self, batch: Batch, how: str) -> bool:
        home = self._home_of(batch.number)
        if home is None or not getattr(home, how)(batch):
            return False
        self._uncount(batch)
        routed = batch.routed
        self._release(None if routed is None or routed.chosen is None else routed.chosen.subject)
        return True

    def close(self) -> None:
        """Take no more work; workers end once all is done."""
        if self.closed:
            return
        self.closed = True
        if not self.unfinished and not self.unfed:
            self._over = True
            with self._clock:
                self._clock.notify_all()
            for crew in self._homes:
                crew.close()

    def finish(self, timeout: float | None = None) -> bool:
        """Wait until all is done, and then for the workers."""
        if not self.wait(lambda: not self.unfinished and not self.unfed, timeout):
            return False
        self._end_ticker()
        for crew in self._homes:
            crew.close()
            crew.finish()
        return True

    def terminate(self, error: Exception) -> None:
        """End the workers; what is not done fails with that error."""
        self.closed = self.terminated = True
        self.unfed.clear()
        with self._lock:
            held = list(self._held.values())
            self._held.clear()
            self._gated.clear()
            for subject in self._subjects.values():
                subject.held.clear()
        for batch in held:
            self._fail(batch, error)
        self._end_ticker()
        for crew in self._homes:
            crew.terminate(error)


def _first_sentence(text: str) -> str:
    return text.partition("\n")[0][:200]
