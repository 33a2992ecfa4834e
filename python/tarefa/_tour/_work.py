"""What the tasks of the tour do. Processes find these functions by their names."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, MutableSequence
from typing import Any

clock = time.perf_counter
Span = tuple[float, float]

# Who has not run for so long was not on a core, in seconds.
_PAUSE = 0.0005
# Shorter than a thread takes to go off a core and come back.
_JOINED = 1e-6


def compute(rounds: int) -> int:
    """Compute something that takes a while and asks nobody."""
    total = 0
    for i in range(rounds):
        total += i * i
    return total


def rest(seconds: float) -> None:
    """Wait: for the network, say."""
    time.sleep(seconds)


def computing(rounds: int, begin: float = 0.0) -> Span:
    """Compute, not before `begin`; return when that began and ended."""
    while (now := clock()) < begin:
        pass
    compute(rounds)
    return now, clock()


def turns(together: Any, seconds: float, core: int | None = None) -> list[Span]:
    """Compute for so long once all have met at the barrier, on one `core` if it is named.

    Returns when it ran, by the system's clock, which is one for all processes.
    """
    if core is not None:
        os.sched_setaffinity(0, {core})
    together.wait()
    found = []
    first = last = clock()
    end = first + seconds
    while last < end:
        now = clock()
        if now - last > _PAUSE:
            found.append((first, last))
            first = now
        last = now
    found.append((first, last))
    return found


def from_start(rows: list[list[Span]], seconds: float) -> list[list[Span]]:
    """Return the spans from the moment on when the first of all began, as far as `seconds` go."""
    start = min(row[0][0] for row in rows)
    return [
        [(a - start, min(b - start, seconds)) for a, b in row if a - start < seconds]
        for row in rows
    ]


def joined(spans: list[Span]) -> list[Span]:
    """Return the spans in order, those as one that follow each other without a pause."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start - found[-1][1] < _JOINED:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


def part_at_once(rows: list[list[Span]]) -> float:
    """Return for which part of the time that any of them ran two or more ran at once."""
    any_, several = at_once(rows)
    return several / any_ if any_ else 0.0


def at_once(rows: list[list[Span]]) -> tuple[float, float]:
    """Return how long at least one of them ran, and how long two or more ran at once."""
    edges = sorted((at, step) for row in rows for a, b in row for at, step in ((a, 1), (b, -1)))
    running, before, any_, several = 0, 0.0, 0.0, 0.0
    for at, step in edges:
        any_ += (at - before) * (running > 0)
        several += (at - before) * (running > 1)
        running, before = running + step, at
    return any_, several


def fill(numbers: MutableSequence[int], count: int, pause: float = 0.0) -> None:
    """Append that many numbers, with a pause before each."""
    for i in range(count):
        if pause:
            time.sleep(pause)
        numbers.append(i)


def phases(seconds: float) -> None:
    """Wait, compute, wait: so long each."""
    time.sleep(seconds)
    end = clock() + seconds
    while clock() < end:
        pass
    time.sleep(seconds)


def increase(counter: Any, times: int, lock: Any, together: Any) -> None:
    """Count up in a shared value: read, add, write; under the lock if there is one."""
    together.wait()
    if lock is None:
        for _ in range(times):
            counter.value = counter.value + 1
    else:
        for _ in range(times):
            with lock:
                counter.value = counter.value + 1


def longest_pause(together: Any, seconds: float, every: float = 0.001) -> float:
    """Look at the clock again and again; return the longest time between two looks, in seconds."""
    together.wait()
    last, longest = clock(), 0.0
    end = last + seconds
    while last < end:
        time.sleep(every)
        now = clock()
        longest, last = max(longest, now - last), now
    return longest


def work_for_long() -> None:
    """Work for an hour, unless somebody interrupts it."""
    end = clock() + 3600
    while clock() < end:
        time.sleep(0.01)


def wait_for(event: Any) -> None:
    """Do nothing until the event is set."""
    event.wait()


def timed(call: Callable[[], object]) -> float:
    """Return how many seconds a call takes."""
    begin = clock()
    call()
    return clock() - begin
