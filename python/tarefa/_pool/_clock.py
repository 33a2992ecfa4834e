"""What tasks take of time and of processors, as the thread that runs them measures it."""

from __future__ import annotations

import os
import time
from resource import RUSAGE_THREAD, getrusage
from typing import Any, NamedTuple

from tarefa._pool import _wire


class Taken(NamedTuple):
    """What a batch took, in nanoseconds."""

    wall: int
    """From its begin to its end."""
    cpu: int
    """Of that, on a processor."""
    queued: int
    """Of that, ready to run while others had the processors."""
    telling: int
    """Of that, on a processor for handing over the results."""
    began: int
    """When it began, by the monotonic clock, which is the same for all processes."""
    seat: int
    """Which worker it was."""


def times_ns(where: str = "thread-self") -> tuple[int, int]:
    """For how long a thread was on a processor, and ready for one; 0 where that is not known."""
    try:
        file = os.open(f"/proc/{where}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0, 0
    try:
        cpu, queued, _ = os.read(file, 80).split()
        return int(cpu), int(queued)
    except (OSError, ValueError):
        return 0, 0
    finally:
        os.close(file)


class Meter:
    """Measures what the calling thread has of time and of processors, from now on."""

    __slots__ = ("began", "cpu", "queued", "waits")

    def __init__(self) -> None:
        self.queued = times_ns()[1]
        self.waits = getrusage(RUSAGE_THREAD).ru_nvcsw
        self.cpu = time.thread_time_ns()
        self.began = time.perf_counter_ns()

    def read(self, telling: int, seat: int) -> Taken:
        """What it had since then."""
        wall = time.perf_counter_ns() - self.began
        cpu = time.thread_time_ns() - self.cpu
        queued = times_ns()[1] - self.queued
        if getrusage(RUSAGE_THREAD).ru_nvcsw == self.waits:
            # It never waited: all of the rest was taken from it, by others or by the machine.
            queued = wall
        queued = max(0, min(queued, wall - cpu))
        return Taken(wall, cpu, queued, telling, self.began, seat)


class Clock:
    """Measures a batch of a worker process, and what of it is the hand-over of results."""

    def __init__(self, worker: Any, first: int) -> None:
        self._worker = worker
        self._put = worker.put
        self._telling = 0
        self._put((first, _wire.BEGAN, worker.seat))
        worker.put = self._timed
        self._meter = Meter()

    def _timed(self, message: Any) -> None:
        # On the processor: what others take meanwhile is not the hand-over's.
        began = time.thread_time_ns()
        try:
            self._put(message)
        finally:
            self._telling += time.thread_time_ns() - began

    def stop(self) -> Taken:
        """What was taken since it was made."""
        taken = self._meter.read(self._telling, self._worker.seat)
        self._worker.put = self._put
        return taken
