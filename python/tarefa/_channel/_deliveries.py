"""Which items a consumer has taken with ``ack=True`` and not acknowledged.

A consumer is a thread, or in an event loop a task of it: each acknowledges what it has taken
itself. What its end leaves here goes back to the queue, for that is what ``Deliveries`` do when
they are dropped.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import Any
from weakref import WeakKeyDictionary

from tarefa._engine import Deliveries
from tarefa._runtime import _event_loop, _task_end

_Taken = dict[tuple[int, int], deque[Deliveries]]


class _Thread(threading.local):
    def __init__(self) -> None:
        self.taken: _Taken = {}


_thread = _Thread()
_lock = threading.Lock()
_of_tasks: WeakKeyDictionary[Any, _Taken] = WeakKeyDictionary()


def _mine() -> _Taken:
    """What the calling consumer has taken, by queue."""
    loop = _event_loop.running()
    task = sys.modules["asyncio"].current_task(loop) if loop is not None else None
    if task is None:
        return _thread.taken
    with _lock:
        return _of_tasks.setdefault(task, {})


def keep(queue: tuple[int, int], deliveries: Deliveries) -> None:
    """Note what the calling consumer has taken from a queue at once."""
    _mine().setdefault(queue, deque()).append(deliveries)


def keep_first(queue: tuple[int, int], deliveries: Deliveries) -> None:
    """The calling consumer holds what `earliest` has given it as before."""
    _mine().setdefault(queue, deque()).appendleft(deliveries)


def earliest(queue: tuple[int, int]) -> Deliveries | None:
    """What the calling consumer took first, and has neither acknowledged nor given back."""
    mine = _mine()
    taken = mine.get(queue)
    if not taken:
        return None
    first = taken.popleft()
    if not taken:
        del mine[queue]
    return first


def give_back_all() -> None:
    """Give back what the calling thread has taken: its task ends."""
    _thread.taken.clear()


_task_end.callbacks.append(give_back_all)
