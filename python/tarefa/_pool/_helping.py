"""A task that waits for tasks of its own pool, on a thread: it runs them meanwhile.

While it waits, others may be at work in its place: else those that it waits for would wait for it.
What it runs is only what it waits for, so nothing is begun on its thread that has nothing to do
with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tarefa._runtime import _event_loop


def may_help() -> bool:
    """Whether the calling thread may run another task: an event loop that runs is in the way."""
    return _event_loop.running() is None


@contextmanager
def aside(crew: Any, schedule: Any, member: Any) -> Iterator[None]:
    """The task of a worker does not count among those at work while it waits."""
    current = member.current
    batch = None if current is None else crew.batches.get(current[0])
    turn = None if batch is None else batch.turn
    if schedule is None or turn is None:
        yield
        return
    schedule.stand_aside()
    try:
        yield
    finally:
        schedule.come_back()
