"""Who is to run a function's tasks: what follows from what was measured of them.

Nothing is run or measured here. All times are in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

CALLER, THREADS, PROCESSES = "caller", "threads", "processes"

# What a task costs beside its own time: a thread's loop, a process's loop, taking a result.
_LEAN = 0.1e-6
_BY_THREAD = 2e-6
_BY_PROCESS = 0.1e-6
_TAKEN = 0.15e-6
# Tasks that are on a processor for less of their time wait most of it.
WAITS = 0.1
# Two threads that get so many times as much done as one go on so with more.
SCALES = 1.6
# What is so much better is preferred to what was there before it in the order.
_WORTH = 0.95
# The longest tasks that are run one after the other where threads would not be slower.
_SHORT = 1e-3
# Tasks that are thought to come where nobody knows how many.
_UNKNOWN = 1000


@dataclass(frozen=True)
class Figures:
    """What was measured of a function's tasks."""

    wall: float
    """What a task takes, alone."""
    cpu: float
    """The part of it that it is on a processor."""
    scaling: float | None = None
    """How many times as much two threads get done as one; None if that was not tried."""
    arguments: float = 0.0
    """Encoding the arguments of a task."""
    results: float = 0.0
    """Encoding its result."""
    start: float = 0.0
    """Starting one more worker process."""


@dataclass(frozen=True)
class Around:
    """What a choice depends on beside the tasks."""

    workers: int
    cores: int
    started: int = 0
    """Worker processes that are there."""
    left: int | None = None
    """Tasks that are still to be begun, where that is known."""
    travels: bool = True
    """Whether the function and its arguments can go to processes."""
    threads: bool = True
    """Whether it may run on threads."""


@dataclass(frozen=True)
class Choice:
    """Who runs the tasks, and why, in a sentence."""

    kind: str
    reason: str


def choose(it: Figures, around: Around) -> Choice:
    """Who gets done what remains in the shortest time."""
    by_threads, by_processes = _speed_up(it, around), _spread(it, around.workers, around.cores)
    left = _UNKNOWN if around.left is None else max(around.left, 1)
    costs = {}
    if around.threads:
        costs[CALLER] = left * (it.wall + _LEAN)
        costs[THREADS] = left * (it.wall / by_threads + _BY_THREAD)
    if around.travels:
        # The caller encodes the arguments of all and decodes their results, one after the other.
        caller = it.arguments + it.results + _TAKEN
        worker = (it.wall + it.arguments + it.results + _BY_PROCESS) / by_processes
        missing = max(0, min(around.workers, left) - around.started)
        costs[PROCESSES] = left * max(caller, worker) + missing * it.start
    kind = min(costs, key=lambda kind: costs[kind] * (1 if kind == CALLER else 1 / _WORTH))
    if CALLER in costs and it.wall > _SHORT and kind == CALLER:
        # Whoever waits for one does not wait for all.
        kind = THREADS
    elif kind == PROCESSES and THREADS in costs and costs[THREADS] * _WORTH < costs[PROCESSES]:
        # As good, and nothing has to travel.
        kind = THREADS
    return Choice(kind, _reason(kind, it, around, costs))


def _speed_up(it: Figures, around: Around) -> float:
    """How many times as fast threads are as one alone."""
    workers = around.workers
    if workers == 1:
        return 1.0
    if it.scaling is not None and it.cpu > WAITS:
        if it.scaling < SCALES:
            return max(1.0, it.scaling)
        return _spread(it, workers, around.cores)
    if it.cpu <= WAITS:
        return _spread(it, workers, around.cores)
    # Nobody tried: what computes holds the interpreter's lock.
    return max(1.0, min(workers, 1 / it.cpu))


def _spread(it: Figures, workers: int, cores: int) -> float:
    """How many times as fast workers are that are in nobody's way, but for the processors."""
    return max(1.0, min(workers, cores / max(it.cpu, 1e-3)))


def _reason(kind: str, it: Figures, around: Around, costs: dict[str, float]) -> str:
    task = duration(it.wall)
    if len(costs) == 1 or (kind == PROCESSES and not around.threads):
        return "it must not run on threads"
    tried = (
        "" if it.scaling is None else f"two threads get {it.scaling:.2g} times as much done as one"
    )
    if kind == CALLER:
        if not around.travels:
            return f"a task takes {task}, and more threads would not be faster"
        if around.left is not None and around.left * it.wall < it.start:
            return (
                f"the {around.left} tasks that are left take {duration(around.left * it.wall)}, "
                f"and starting a worker {duration(it.start)}"
            )
        return f"a task takes {task}, and would not be done sooner anywhere else"
    if kind == THREADS:
        if it.cpu <= WAITS:
            return f"tasks wait for {1 - it.cpu:.0%} of their time, and threads wait together"
        if not around.travels:
            return f"processes cannot have them; {tried}" if tried else "processes cannot have them"
        if it.scaling is not None and it.scaling >= SCALES:
            return f"{tried}, and nothing has to travel"
        if PROCESSES in costs and around.started < around.workers and it.start > it.wall:
            return f"a task takes {task}, and starting a worker {duration(it.start)}"
        travel = duration(2 * (it.arguments + it.results))
        return f"a task takes {task}, and {travel} more to go to a process and back"
    if it.scaling is not None and it.scaling < SCALES:
        return f"tasks compute, and {tried}"
    if it.cpu > WAITS:
        return (
            f"tasks are on a processor for {it.cpu:.0%} of their time, and processes share nothing"
        )
    return "processes are done sooner"


def duration(seconds: float) -> str:
    """A length of time in words."""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
