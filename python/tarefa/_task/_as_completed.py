"""``as_completed``: tasks and futures as they end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from tarefa._runtime._errors import TaskTimeout
from tarefa._task._base import check_timeout

T = TypeVar("T")


def as_completed(tasks: Iterable[T], timeout: float | None = None) -> Iterator[T]:
    """Give out tasks and futures as they end, those that have ended first.

    Args:
        tasks: threads and processes that were started, futures of pools or of
            ``concurrent.futures``, mixed at will; one that is there twice comes once.
        timeout: seconds from now on in which all end; None for any time.

    Raises:
        TimeoutError: they have not all ended in time.
        StateError: a task is not started.
        TypeError: something is no task and no future.
    """
    timeout = check_timeout(timeout)
    until = None if timeout is None else time.monotonic() + timeout
    waited: dict[int, Any] = {id(task): task for task in tasks}
    for task in waited.values():
        if not hasattr(task, "add_done_callback"):
            what = type(task).__name__
            raise TypeError(f"as_completed() takes tasks and futures, not {what} {task!r}")
    ended: SimpleQueue[Any] = SimpleQueue()
    for task in waited.values():
        task.add_done_callback(ended.put)
    return _ended(len(waited), ended, until, timeout)


def _ended(
    count: int, ended: SimpleQueue[Any], until: float | None, timeout: float | None
) -> Iterator[Any]:
    for left in range(count, 0, -1):
        try:
            yield ended.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
        except Empty:
            text = f"{left} of {count} tasks have not ended within {timeout} s; they go on"
            raise TaskTimeout(text) from None
