"""What a pool that chooses knows of one function: what was measured, and what was decided."""

from __future__ import annotations

import functools
import itertools
import time
import types
import weakref
from collections import deque
from typing import Any, NamedTuple, Self

from tarefa._pool import _cargo, _marks
from tarefa._pool._choice import SCALES, THREADS, WAITS, Choice, Figures
from tarefa._pool._clock import Taken, times_ns
from tarefa._pool._explain import FunctionChoice

# Stages: nothing of it was run; its first tasks run one after the other; two at a time; decided.
NEW, ALONE, PAIR, DECIDED = "new", "alone", "pair", "decided"

# Nanoseconds of tasks that are enough to know how long they are; batches that are in any case, and
# calls one by one.
_ENOUGH, _BATCHES, _CALLS = 3_000_000, 40, 16
# Nanoseconds that two threads must have been there for.
_PAIRED = 8_000_000
# Two threads that are on processors for less of the time, together, wait both.
_IDLE = 0.75
# Nanoseconds after which the system tells what a thread that runs has had of a processor; it may
# be more on some.
_TICK = 4_000_000
# Nanoseconds that two long tasks are looked at for: some ticks.
_LOOKED = 5 * _TICK
# Nanoseconds of tasks after which they are compared with what they were.
_STRETCH = 20_000_000
# Nanoseconds on a processor after which a thread is known to go on.
_HAD = 4_000_000
# How much they have changed then: their length; the part that they are on a processor.
_LONGER, _OTHER_PART = 2.0, 0.35
# Seconds between two looks, at least at first, and at most.
_PAUSE, _LONGEST_PAUSE = 0.25, 30.0
# Seconds after which a look does not wait any more for what is in its way.
_PATIENCE = 5.0


class Chosen(_cargo.Named):
    """A function that was given to a pool that chooses."""

    __slots__ = ("_encoded", "function", "subject")

    def __init__(self, function: Any, subject: Subject) -> None:
        self.function = function
        self.subject = subject
        self.name = _cargo.name_of(function)
        self._encoded: Any = None

    def encoded(self) -> Any:
        """The function as it travels.

        Raises:
            NotPicklable: it cannot.
        """
        if self._encoded is None:
            self._encoded = _cargo.encode(self.function)
        return self._encoded


class Routed:
    """Where a batch was sent, and what was seen of it there."""

    __slots__ = (
        "began",
        "chosen",
        "company",
        "context",
        "counted",
        "end",
        "home",
        "trial",
        "watched",
    )

    def __init__(self, chosen: Any, count: int, context: Any) -> None:
        # None for what was made of a batch that was called off.
        self.chosen: Any = chosen
        # Its context variables, as threads have them.
        self.context = context
        self.home: Any = None
        # Whether it is of the trial; whether its home counts it as being there.
        self.trial = self.counted = False
        # Of a batch that runs in one go: the first call that is not its own any more.
        self.end = count
        # When it began.
        self.began: float | None = None
        # Whether its worker was at another batch, too, when it began.
        self.company = False
        # Whether somebody waits for its result by means of ``concurrent.futures``.
        self.watched = False


class Sample:
    """What threads have had of the processors, seen from outside while their tasks run."""

    def __init__(self, pid: int | None, threads: list[int]) -> None:
        self.at = time.perf_counter_ns()
        self.pid = pid
        of = "self" if pid is None else pid
        self.threads = {it: found for it in threads if (found := _Thread.read(of, it)) is not None}

    def is_of_same(self, before: Sample) -> bool:
        """Whether those that were there before still are."""
        return self.pid == before.pid and self.threads.keys() >= before.threads.keys()

    def progress_since(self, before: Sample) -> int:
        """Nanoseconds that the first of them went on for, on a processor or waiting."""
        thread = next(iter(before.threads), None)
        if thread is None or thread not in self.threads:
            return 0
        now, then = self.threads[thread], before.threads[thread]
        if now.runs:
            # It may have been ready for long: that is told once it runs again.
            return now.cpu - then.cpu
        return self.at - before.at - (now.queued - then.queued)

    def busy_since(self, before: Sample) -> float:
        """How many of them were on a processor or ready for one, on the average."""
        passed = max(1, self.at - before.at)
        return sum(now.busy_since(then, passed) for then, now in self._both(before))

    def got_since(self, before: Sample) -> float:
        """How many processors they had, on the average."""
        passed = max(1, self.at - before.at)
        return sum(now.had_since(then) for then, now in self._both(before)) / passed

    def had_since(self, before: Sample) -> bool:
        """Whether each that was ready for a processor has had one for a while."""
        return all(not now.runs or now.cpu - then.cpu >= _HAD for then, now in self._both(before))

    def _both(self, before: Sample) -> list[tuple[_Thread, _Thread]]:
        return [
            (then, self.threads[it]) for it, then in before.threads.items() if it in self.threads
        ]


class _Thread(NamedTuple):
    """A thread, as the system shows it."""

    runs: bool
    waits: int
    cpu: int
    queued: int

    @classmethod
    def read(cls, of: int | str, thread: int) -> Self | None:
        """What it is at; None if it has ended."""
        try:
            with open(f"/proc/{of}/task/{thread}/status") as file:
                status = dict(line.split(":", 1) for line in file)
            state = status["State"].strip()[:1]
            waits = int(status["voluntary_ctxt_switches"])
        except (OSError, KeyError, ValueError):
            return None
        if state in "ZX":
            return None
        cpu, queued = times_ns(f"{of}/task/{thread}")
        return cls(state == "R", waits, cpu, queued)

    def busy_since(self, before: _Thread, passed: int) -> float:
        if self.waits == before.waits:
            # All the time what it is now.
            return float(self.runs)
        return min(1.0, (self.had_since(before) + self.queued - before.queued) / passed)

    def had_since(self, before: _Thread) -> int:
        """Nanoseconds on a processor."""
        # What it has had since the last tick of the clock is not told yet.
        return self.cpu - before.cpu + (_TICK if self.runs else 0)


class Subject:
    """A function of a pool that chooses. Its owner's lock guards it."""

    def __init__(self, function: Any) -> None:
        self.name = _cargo.name_of(function)
        self.process_only = _marks.is_process_only(function)
        self.stage = NEW
        self.choice: Choice | None = None
        # Why it cannot go to processes, if so.
        self.stays: str | None = None
        self.deaths = 0
        self.looks = 0
        self.left: int | None = None
        # Of the trial: batches that are in it, batches that wait for its end, maps that go on.
        self.trying = 0
        self.held: deque[Any] = deque()
        self.runs: weakref.WeakSet[Any] = weakref.WeakSet()
        self.home: Any = None
        self.deadline: float | None = None
        # When the last batch of the trial began.
        self.began = 0.0
        # When the trial did.
        self.since = 0.0
        self.start: float | None = None
        # Batches that were given out since it was decided.
        self.batches = 0
        self._pause, self._next_look = _PAUSE, 0.0
        self._forget()

    def _forget(self) -> None:
        self.alone: list[tuple[int, Taken]] = []
        # Of batches that went to a process: tasks, and nanoseconds that encoding them took.
        self.encoded: list[tuple[int, int]] = []
        self.paired: dict[int, list[tuple[int, Taken]]] = {}
        self.pair_began: int | None = None
        self.pid: int | None = None
        self.sample: Sample | None = None
        self.scaling: float | None = None
        self.running: dict[int, Any] = {}
        # What was seen in the middle of a long task: for how long it ran by then, and its part.
        self._mid: tuple[int, float] | None = None
        self._now: list[int] = [0, 0, 0]
        self._usual: tuple[float, float] | None = None
        self._changed = 0

    # -- the trial -----------------------------------------------------------------------

    def begin(self) -> None:
        """Try it, for the first time or again."""
        self._forget()
        self.since = time.monotonic()
        self.stage = ALONE
        self.deadline = None

    def note_alone(self, count: int, taken: Taken) -> None:
        """A batch has ended that ran alone."""
        self.alone.append((count, taken))

    @property
    def knows_alone(self) -> bool:
        """Whether enough tasks ran alone."""
        return (
            sum(taken.wall for _, taken in self.alone) >= _ENOUGH
            or len(self.alone) >= (_BATCHES if self.runs else _CALLS)
            or self._mid is not None
        )

    def note_middle(self, before: Sample, now: Sample) -> None:
        """A task that runs alone takes long."""
        self._mid = now.at - before.at, min(1.0, now.busy_since(before))

    def note_paired(self, count: int, taken: Taken) -> None:
        """A batch has ended that may have run beside another."""
        self.paired.setdefault(taken.seat, []).append((count, taken))

    @property
    def knows_paired(self) -> bool:
        """Whether enough tasks ran two at a time."""
        return self._rates() is not None

    def _rates(self) -> float | None:
        """What two threads got done while both were there, beside one; None if that was too short.

        A batch may be over before its thread has to give up the interpreter's lock, so what counts
        is the time between batches, too.
        """
        sides = list(self.paired.values())
        if len(sides) < 2 or not self.alone:
            return None
        begin = max(min(t.began for _, t in side) for side in sides)
        end = min(max(t.began + t.wall for _, t in side) for side in sides)
        if end - begin < _PAIRED:
            return None
        done = 0.0
        for count, it in itertools.chain(*sides):
            within = min(end, it.began + it.wall) - max(begin, it.began)
            done += count * max(0, within) / max(1, it.wall)
        return done * self.figures().wall * 1e9 / (end - begin)

    def sees_paired(self, now: Sample | None) -> bool:
        """Whether two long tasks that go on have run for long enough."""
        before = self.sample
        if now is None or before is None:
            return False
        return now.at - before.at >= _LOOKED and now.had_since(before)

    def settle_scaling(self, now: Sample | None) -> None:
        """What two threads got done beside one, as far as that is known."""
        figures = self.figures()
        rates = self._rates()
        if rates is not None:
            self.scaling = rates
        elif self.is_long and now is not None and self.sees_paired(now):
            busy = now.busy_since(self.sample) if self.sample is not None else 0.0
            if busy <= _IDLE:
                # Both wait at once: those that are in each other's way keep a processor busy.
                self.scaling = 2.0
            elif figures.cpu <= WAITS:
                self.scaling = None
            else:
                # What computes most of its time may do so all of it, for ticks are far apart. That
                # one is ready for a processor says nothing here: it may wait for the other's.
                got = now.got_since(self.sample) if self.sample is not None else 0.0
                self.scaling = min(2.0, got / (1.0 if figures.cpu > 0.5 else figures.cpu))

    def figures(self) -> Figures:
        """What is known of its tasks."""
        alone = self.alone
        # The first one imports what it needs, and meets cold caches.
        warm = alone[1:]
        if sum(taken.wall for _, taken in warm) * 3 > _ENOUGH:
            alone = warm
        arguments = _least(self.encoded) / 1e9
        took, part = self._mid or (0, 0.0)
        if took >= sum(taken.wall for _, taken in alone):
            return Figures(took / 1e9, part, self.scaling, arguments, 0.0, self.start or 0.0)
        results = _least([(n, t.telling) for n, t in alone]) / 1e9
        # Small batches are mostly what a batch costs.
        most = max(n for n, _ in alone)
        alone = [it for it in alone if it[0] * 4 >= most]
        count = sum(n for n, _ in alone)
        spent = sum(max(1, t.wall - t.telling - t.queued) for _, t in alone)
        cpu = sum(max(0, t.cpu - t.telling) for _, t in alone)
        part = min(1.0, cpu / spent)
        return Figures(
            spent / count / 1e9, part, self.scaling, arguments, results, self.start or 0.0
        )

    @property
    def is_long(self) -> bool:
        """Whether a task takes longer than it was waited for."""
        return self._mid is not None

    @property
    def is_measured(self) -> bool:
        """Whether anything is known of its tasks."""
        return bool(self.alone) or self.is_long

    def is_for(self, kind: str) -> bool:
        """Whether that is what was decided."""
        return self.choice is not None and self.choice.kind == kind

    def decide(self, choice: Choice, left: int | None) -> None:
        """Note what was decided."""
        if self.choice is not None and choice.kind == self.choice.kind:
            self._pause = min(_LONGEST_PAUSE, 2 * self._pause)
        self._next_look = time.monotonic() + self._pause
        self.choice = choice
        self.stage = DECIDED
        known = self.is_measured and not self.is_long
        if known and (choice.kind != THREADS or (self.scaling or 0.0) >= SCALES):
            # Else they are in each other's way, or nobody has seen one to its end.
            figures = self.figures()
            self._usual = figures.wall * 1e9, figures.cpu
        self.left = left
        self.looks += 1
        self.batches = 0
        self.deadline = None

    # -- after it ------------------------------------------------------------------------

    def has_changed(self, count: int, taken: Taken) -> bool:
        """Whether tasks have become others, by a batch of them that has ended."""
        now = self._now
        now[0] += count
        now[1] += max(1, taken.wall - taken.telling - taken.queued)
        now[2] += max(0, taken.cpu - taken.telling)
        if now[1] < _STRETCH:
            return False
        length, part = now[1] / now[0], min(1.0, now[2] / now[1])
        self._now = [0, 0, 0]
        if self._usual is None:
            self._usual = length, part
            return False
        usual, its_part = self._usual
        other = (
            max(length, usual) > _LONGER * min(length, usual) or abs(part - its_part) > _OTHER_PART
        )
        self._changed = self._changed + 1 if other else 0
        return self._changed > 1 and time.monotonic() >= self._next_look

    @property
    def is_overdue(self) -> bool:
        """Whether it was to be looked at again long ago."""
        return time.monotonic() >= self._next_look + _PATIENCE

    def shown(self) -> FunctionChoice:
        """What is known, for people."""
        figures = self.figures()
        count = sum(n for n, _ in self.alone)
        count += sum(n for batches in self.paired.values() for n, _ in batches)
        reason = "its first tasks are tried" if self.choice is None else self.choice.reason
        if self.stays is not None:
            reason += f" ({self.stays})"
        known = self.is_measured
        return FunctionChoice(
            self.name,
            None if self.choice is None else self.choice.kind,
            reason,
            count,
            figures.wall if known else None,
            figures.cpu if known else None,
            self.scaling,
            figures.arguments if self.encoded else None,
            figures.results if self.alone else None,
            self.start,
            self.left,
            self.looks,
        )


def _least(found: list[tuple[int, int]]) -> float:
    """What it took for each, where there were most at once."""
    most = max((count for count, _ in found), default=1)
    return min((took / most for count, took in found if count == most), default=0.0)


def key_of(function: Any) -> Any:
    """What tells functions apart whose tasks are alike: a lambda is the same in each call."""
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if isinstance(code, types.CodeType):
        return code
    if isinstance(function, types.BuiltinFunctionType):
        owner = function.__self__
        if owner is None or isinstance(owner, types.ModuleType):
            return owner, function.__name__
        return type(owner), function.__name__
    return function if isinstance(function, type) else type(function)
