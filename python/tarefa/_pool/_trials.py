"""The trials of functions: what moves each on, from its first task to the choice."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tarefa._pool._choice import PROCESSES, THREADS, Around, Choice, Figures, choose
from tarefa._pool._clock import Taken
from tarefa._pool._errors import warn_of_fewer
from tarefa._pool._homes import Homes
from tarefa._pool._subject import ALONE, DECIDED, NEW, PAIR, Chosen, Sample, Subject

if TYPE_CHECKING:
    from tarefa._pool._work import Batch

# Seconds that a task runs alone before another joins it, and that two run together at most.
_ALONE, _PAIR = 0.006, 0.03
# Seconds that a worker takes to start, at most, beside its initializer.
_START = 0.005
# Seconds that those may take longer who do not get a processor.
_LONGEST = 0.2
# Seconds until one that could not be looked at is looked at again.
_AGAIN = 0.002


class Trials(Homes):
    """Functions that are tried, and what is decided of them.

    A trial is told forward by what comes of its batches, and by a thread that knows the time.
    """

    name: str
    workers: int
    terminated: bool
    # How many batches each home has.
    _at: dict[Any, int]
    # Those whose trial goes on.
    _tried: set[Subject]
    _first: Any
    _limit: int | None
    _memory: Any
    _cores: int
    _subjects: dict[Any, Subject]
    # When the first worker process was asked for, and whether all are to be there.
    _hired: float
    _wants_processes: bool
    epoch: int
    # Whether no more processes can be started.
    _fewer = False
    # Why, until it is told.
    _untold: Exception | None = None
    _deadline: float | None
    _ticker: threading.Thread | None
    _clock: threading.Condition

    def _bring_back(self, subject: Subject) -> None:
        """Have those of a trial that no process has begun run where it was decided."""
        raise NotImplementedError

    def _site(self, chosen: Chosen) -> Any:
        """Where a function is tried."""
        raise NotImplementedError

    def _must_be_processes(self, subject: Subject) -> bool:
        return subject.process_only or self._memory is not None

    # -- the trial -----------------------------------------------------------------------

    def _begin(self, chosen: Chosen) -> None:
        """Begin the trial of a function, where there is something to choose."""
        subject = chosen.subject
        home = self._site(chosen)
        # Without one a task that waits for another would end a trial never.
        error = self._start_ticker()
        with self._lock:
            if subject.stage != NEW:
                return
            subject.home = home
            if self._must_be_processes(subject):
                why = (
                    "it is marked process_only"
                    if subject.process_only
                    else "there is a memory_limit"
                )
                subject.decide(Choice(PROCESSES, f"{why}, so it never runs on threads"), None)
                self._wants_processes = True
            elif error is not None:
                kind = PROCESSES if home is self._processes else THREADS
                subject.decide(Choice(kind, f"there can be no trial: {error}"), None)
                self._wants_processes = self._wants_processes or kind == PROCESSES
            else:
                subject.begin()
                self._tried.add(subject)
        if subject.stage == DECIDED:
            self._grow()

    def _look_again(self, subject: Subject) -> None:
        """Try a function again, while its tasks go on."""
        processes = self._processes
        with self._lock:
            if subject.stage != DECIDED or self._must_be_processes(subject):
                return
            home = self._threads if subject.stays or processes is None else processes
            if home is processes and processes.is_paired and not subject.is_overdue:
                return  # it is looked at again soon
            subject.home = home
            subject.begin()
            self._tried.add(subject)
        self._move_on(subject)

    def _clocked(self, batch: Batch, what: Any) -> None:
        """A batch that is clocked has begun, or has ended."""
        routed = batch.routed
        if routed is None or routed.chosen is None:
            return
        self._note_clocked(batch, routed.chosen.subject, what)
        if what is not None and batch.shared and batch.left:
            # Its worker is through with it; what was taken from it waits for room, not it.
            self._uncount(batch)
            self._release(routed.chosen.subject)

    def _note_clocked(self, batch: Batch, subject: Subject, what: Any) -> None:
        routed, changed = batch.routed, False
        with self._lock:
            if what is None:
                if routed.trial:
                    self._has_begun(batch, subject)
                return
            count, taken = what[0], Taken(*what[1:])
            if subject.start is None and routed.home is self._processes:
                subject.start = max(0.0, taken.began / 1e9 - self._hired)
            if count == 0:
                return
            if subject.stage == ALONE and routed.began is not None:
                if not self._had_company(batch, taken):
                    subject.note_alone(count, taken)
            elif subject.stage == PAIR and taken.began >= (subject.pair_began or 0):
                subject.note_paired(count, taken)
            elif subject.stage == DECIDED and routed.began is None:
                changed = subject.has_changed(count, taken)
        if changed:
            self._look_again(subject)
        else:
            self._advance(subject)

    def _has_begun(self, batch: Batch, subject: Subject) -> None:
        now = time.monotonic()
        routed = batch.routed
        routed.began = subject.began = now
        if self._processes is not None and routed.home is self._processes:
            routed.company = self._processes.has_company(batch.number)
        if routed.home is self._processes:
            subject.running[batch.number] = None
        else:
            subject.running[batch.number] = threading.get_native_id()
        if subject.stage == ALONE:
            subject.sample = self._sample(subject)
            self._wake_at(now + _ALONE)
        elif subject.stage == PAIR and len(subject.running) == 2 and subject.sample is None:
            subject.sample = self._sample(subject)

    def _sample(self, subject: Subject) -> Sample | None:
        """What the threads that run the trial have had of the processors."""
        processes = self._processes
        if processes is None or subject.home is not processes:
            return Sample(None, [it for it in subject.running.values() if it is not None])
        pids = {processes.pid_at(number) for number in list(subject.running)}
        if len(pids) != 1 or (pid := pids.pop()) is None:
            # They have ended, or are not in one process.
            return None
        # The one that runs alone may be on the second thread.
        one = subject.stage == ALONE and not processes.is_paired
        return Sample(pid, [pid] if one else _threads_of(pid))

    def _died(self, batch: Batch) -> None:
        """A worker died in a task."""
        routed = batch.routed
        if routed is not None and routed.chosen is not None:
            with self._lock:
                subject = routed.chosen.subject
                subject.deaths += 1
                if subject.choice is not None and subject.choice.kind != PROCESSES:
                    subject.choice = Choice(PROCESSES, "a task of it has ended its process")
                    self._wants_processes = True
            self._grow()

    def _advance(self, subject: Subject) -> None:
        """Go on with a trial as far as what is known allows."""
        with self._lock:
            stage = subject.stage
            if stage == ALONE:
                self._see_middle(subject)
                if not subject.knows_alone:
                    return
                self._pair(subject)
            elif stage == PAIR:
                over = self._is_time_over(subject)
                if not (over or subject.knows_paired or self._left_of(subject) == 0):
                    return
                self._decide(subject)
            else:
                return
        self._move_on(subject)

    def _has_company(self, subject: Subject) -> bool:
        """Whether what is to run alone has another task beside it, in the same process.

        After a while that is measured, too: the other may wait for what has to come first.
        """
        processes = self._processes
        if processes is None or subject.home is not processes:
            return False
        found = any(processes.has_company(number) for number in list(subject.running))
        return found and time.monotonic() < subject.since + _LONGEST

    def _had_company(self, batch: Batch, taken: Taken) -> bool:
        """The same for a batch that has ended, as it was at its begin and is at its end."""
        processes, routed = self._processes, batch.routed
        if processes is None or routed.home is not processes:
            return False
        if time.monotonic() >= routed.chosen.subject.since + _LONGEST:
            return False
        return routed.company or processes.is_shared(taken.seat)

    def _goes_on(self, subject: Subject, count: int) -> bool:
        """Whether so many batches of a trial are run now, as far as their workers say."""
        running = [number for number in list(subject.running) if subject.home.is_at(number)]
        return len(running) >= count

    def _is_time_over(self, subject: Subject) -> bool:
        """Whether two threads had their time; where others have the processors it is longer."""
        now = time.monotonic()
        if subject.deadline is None or now < subject.deadline:
            return False
        if subject.is_long and now < subject.deadline + _LONGEST:
            seen = self._sample(subject)
            return subject.sample is None or seen is None or subject.sees_paired(seen)
        return True

    def _see_middle(self, subject: Subject) -> None:
        """Look at a task that has run alone for long."""
        if not subject.running or self._has_company(subject):
            return
        now = self._sample(subject)
        if subject.sample is None:
            # Its worker has not been there yet, or another is now.
            subject.sample = now
            return
        if now is None or not self._goes_on(subject, 1):
            return
        if now.is_of_same(subject.sample):
            if now.progress_since(subject.sample) >= _ALONE * 0.8e9:
                subject.note_middle(subject.sample, now)
        else:
            # It has died, and another begins.
            subject.sample = now

    def _pair(self, subject: Subject) -> None:
        """Have tasks run on two threads, where that can be, or decide."""
        left = self._left_of(subject)
        if left is None and not subject.runs:
            left = len(subject.held)
        travels = subject.home is self._processes
        can = self.workers > 1 and self._limit is None and not subject.deaths
        # Too few to keep them for long in one process.
        few = left is not None and left < 2 * self.workers
        if (
            few
            or not can
            or (travels and self._processes is not None and self._processes.is_paired)
        ):
            self._decide(subject)
            return
        subject.stage = PAIR
        subject.sample = None
        subject.pair_began = time.perf_counter_ns()
        if self._processes is not None and travels:
            self._processes.pair(_PAIR)
        subject.deadline = time.monotonic() + _PAIR
        self._wake_at(subject.deadline)

    def _decide(self, subject: Subject) -> None:
        """Decide by what is known."""
        if subject.stage == PAIR:
            now = self._sample(subject) if self._goes_on(subject, 2) else None
            subject.settle_scaling(now)
        left = self._left_of(subject)
        self._tried.discard(subject)
        subject.decide(choose(self._figures(subject), self._around(subject, left)), left)
        self._wants_processes = self._wants_processes or subject.is_for(PROCESSES)

    def _decide_for(self, subject: Subject) -> None:
        """Decide again for inputs that are more or fewer, by what is known already."""
        if self._must_be_processes(subject) or not subject.is_measured:
            return
        with self._lock:
            left = self._left_of(subject)
            choice = choose(self._figures(subject), self._around(subject, left))
            if not subject.is_for(choice.kind):
                subject.choice = choice
            subject.left = left
            self._wants_processes = self._wants_processes or subject.is_for(PROCESSES)
        self._grow()

    def _figures(self, subject: Subject) -> Figures:
        """What is known of a function's tasks, with what one more worker takes."""
        figures = subject.figures()
        if self._first.initializer is None:
            # The first one came with what starts the others.
            figures = replace(figures, start=min(figures.start, _START))
        return figures

    def _around(self, subject: Subject, left: int | None) -> Around:
        processes = self._processes
        return Around(
            self.workers,
            self._cores,
            0 if processes is None else processes.size,
            left,
            travels=subject.stays is None and processes is not None,
            threads=not subject.deaths,
        )

    def _left_of(self, subject: Subject) -> int | None:
        """How many tasks of a function are still to be begun, where that is known."""
        left = sum(batch.count for batch in subject.held)
        runs = list(subject.runs)
        for run in runs:
            if run.exhausted or run.stopped:
                continue
            if run.total is None:
                return None
            left += max(0, run.total - run.given)
        return left if runs else None

    def _move_on(self, subject: Subject) -> None:
        """Give out what may go out now."""
        self.epoch += 1
        self._bring_back(subject)
        self._grow()
        self._release(subject)
        for run in list(subject.runs):
            if not run.lazy and not run.exhausted and not run.stopped:
                run.feed()
        self.wake()
        self._tell_fewer()

    def _grow(self) -> None:
        """Have all workers as processes, if something is decided so."""
        processes = self._processes
        if not self._wants_processes or processes is None or processes.size >= self.workers:
            return
        # Those who are at work elsewhere count, and a second thread as long as it is at a task.
        others = sum(self._busy(it) for it in self._at if it is not processes)
        room = self.workers - others - (1 if processes.is_paired else 0)
        if room > processes.size:
            self._hire(room)

    def _hire(self, workers: int) -> None:
        """Have so many processes; where that cannot be, those that there are do the work."""
        processes = self._processes
        if processes is None or self._fewer:
            return
        try:
            processes.grow(workers)
        except Exception as error:
            self._fewer = True
            self._untold = error

    def _tell_fewer(self) -> None:
        """Warn of that, where no lock is held."""
        error, self._untold = self._untold, None
        if error is not None and self._processes is not None:
            warn_of_fewer(self.name, self._processes.size, self.workers, error)

    def _busy(self, crew: Any, more: int = 0) -> int:
        """How many workers of a crew are at work, if it has so many batches more."""
        processes = self._processes
        if processes is not None and crew is processes:
            most = processes.size + (1 if self._pairs else 0)
        else:
            most = crew.workers - crew.asides
        return min(self._at[crew] + more, most)

    @property
    def _pairs(self) -> bool:
        """Whether a worker process runs tasks on two threads."""
        processes = self._processes
        return processes is not None and (
            processes.is_paired
            or any(it.stage == PAIR and it.home is processes for it in self._tried)
        )

    # -- the time ------------------------------------------------------------------------

    def _wake_at(self, when: float) -> None:
        """Have trials looked at then."""
        with self._clock:
            if self._deadline is None or when < self._deadline:
                self._deadline = when
            self._clock.notify()

    def _start_ticker(self) -> Exception | None:
        """Have somebody know the time; else why there is nobody."""
        with self._clock:
            if self._ticker is None:
                ticker = threading.Thread(
                    target=self._tick, name=f"{self.name} (chooses)", daemon=True
                )
                try:
                    ticker.start()
                except Exception as error:
                    return error
                self._ticker = ticker
        return None

    def _tick(self) -> None:
        while True:
            with self._clock:
                while True:
                    if self._is_over():
                        return
                    left = None if self._deadline is None else self._deadline - time.monotonic()
                    if left is not None and left <= 0:
                        break
                    self._clock.wait(left)
                self._deadline = None
            for subject in list(self._tried):
                self._advance(subject)
                if subject.stage == PAIR and subject.deadline is not None:
                    self._wake_at(max(subject.deadline, time.monotonic() + _AGAIN))
                elif subject.stage == ALONE and subject.running:
                    self._wake_at(max(subject.began + _ALONE, time.monotonic() + _AGAIN))

    _over = False

    def _is_over(self) -> bool:
        return self._over or self.terminated

    def _end_ticker(self) -> None:
        self._over = True
        with self._clock:
            self._clock.notify_all()
        ticker = self._ticker
        if ticker is not None and ticker is not threading.current_thread():
            ticker.join()


def _threads_of(pid: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []
