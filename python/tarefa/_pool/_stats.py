"""``PoolStats``: what a pool is at."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from tarefa._pool import _cargo

_TITLES = ("worker", "pid", "tasks", "runs", "for", "busy", "waiting", "bytes", "restarts")


class Look(NamedTuple):
    """What a crew knows of a worker."""

    task: Any
    begun: int
    """Tasks that it has begun."""
    at: tuple[int, int] | None
    """Which one it is at: the batch's number and the place there."""
    since: int
    """Since when, in nanoseconds of the monotonic clock."""
    busy: int
    """Nanoseconds."""
    waiting: int
    bytes: int
    restarts: int


class WorkerStats(NamedTuple):
    """What a worker of a pool is at."""

    name: str
    """Its name."""
    pid: int | None
    """The process that it is, or runs in."""
    tasks: int
    """Tasks that it has begun."""
    running: str | None
    """The call that it runs, for people; None where it waits for work."""
    seconds: float
    """For how long it has run that."""
    busy: float
    """Seconds that it has had work."""
    waiting: float
    """Seconds that it has waited for work, since it was ready."""
    bytes: int
    """Bytes of the messages that brought it work and took results away; threads need none: 0."""
    restarts: int
    """Workers whose place it took, one after the other."""


class PoolStats(NamedTuple):
    """What :meth:`tarefa.Pool.stats` returns."""

    workers: tuple[WorkerStats, ...]
    """Those that are there now."""
    waiting: int
    """Tasks that no worker has begun."""
    running: int
    """Tasks that run."""
    restarts: int
    """Workers that took the place of others, which had died or had run enough tasks."""

    def _repr_html_(self) -> str:
        from tarefa._runtime import _tables

        rows = [
            (
                it.name,
                "-" if it.pid is None else str(it.pid),
                str(it.tasks),
                it.running or "-",
                "-" if it.running is None else _tables.seconds(it.seconds),
                _tables.seconds(it.busy),
                _tables.seconds(it.waiting),
                _tables.size(it.bytes),
                str(it.restarts),
            )
            for it in self.workers
        ]
        caption = f"{self.running} tasks run, {self.waiting} wait, {self.restarts} workers replaced"
        return _tables.html(_TITLES, rows, (1, 2, 4, 5, 6, 7, 8), caption)

    def _repr_svg_(self) -> str:
        from tarefa._runtime import _bars

        bars = [
            _bars.Bar(it.name, it.running or "waits for work", it.busy + it.waiting, it.busy)
            for it in self.workers
        ]
        return _bars.svg("Workers", bars, "since it was ready; dark: with work", "no workers")


def stats_of(crew: Any) -> PoolStats:
    """What the workers of a crew are at, and how much waits."""
    crew.look()
    now, workers, running = time.monotonic_ns(), [], 0
    for task, begun, at, since, busy, waited, carried, before in crew.look_at_workers():
        batch = None if at is None else crew.batches.get(at[0])
        words, seconds = None, 0.0
        if at is not None and batch is not None and not batch.got[at[1]]:
            function, calls = batch.function, batch.calls
            # It may have let go of them meanwhile.
            if function is not None and calls:
                running += 1
                name = _cargo.called(function)
                words, seconds = batch.call_text(at[1], name, calls), (now - since) / 1e9
        times = busy / 1e9, waited / 1e9
        workers.append(
            WorkerStats(task.name, task.pid, begun, words, seconds, *times, carried, before)
        )
    left = sum(batch.left for batch in list(crew.batches.values()))
    return PoolStats(tuple(workers), max(0, left - running), running, crew.restarts)
