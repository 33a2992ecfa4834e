"""Waiting for a queue from an event loop.

One thread for each queue and side waits while a coroutine does, and takes nothing: it has the
coroutines look, each in its own loop. So a coroutine that is cancelled has taken nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Any

from tarefa._engine import QueueCore, QueueWatch

_Waiter = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]
_lock = threading.Lock()
_watched: dict[tuple[tuple[int, int], int | None], _Watched] = {}


class _Watched:
    """The coroutines of this process that wait for one side of a queue."""

    def __init__(self, queue: QueueCore, for_room: int | None) -> None:
        self.waiters: deque[_Waiter] = deque()
        self.watch = QueueWatch(queue, for_room)
        thread = threading.Thread(target=self._run, name="tarefa-queue-watch", daemon=True)
        self.start = thread.start

    def _run(self) -> None:
        while self.watch.wait():
            with _lock:
                if not self.waiters:
                    break
                loop, future = self.waiters.popleft()
                last = not self.waiters
                if last:
                    _forget(self)
            _tell(loop, future)
            if last:
                break


def _forget(watched: _Watched) -> None:
    for key, value in list(_watched.items()):
        if value is watched:
            del _watched[key]


def _tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
    def done() -> None:
        if not future.done():
            future.set_result(None)

    try:
        loop.call_soon_threadsafe(done)
    except RuntimeError:
        # The loop is closed: nobody waits there any more.
        return


async def until(queue: Any, for_room: int | None) -> None:
    """Wait until there may be a message, or room for one of so many bytes."""
    loop = asyncio.get_running_loop()
    waiter: _Waiter = (loop, loop.create_future())
    key = (queue.object_id, for_room)
    with _lock:
        watched = _watched.get(key)
        if watched is None:
            watched = _watched[key] = _Watched(queue, for_room)
            watched.waiters.append(waiter)
            watched.start()
        else:
            watched.waiters.append(waiter)
    try:
        await waiter[1]
    finally:
        with _lock:
            if waiter in watched.waiters:
                watched.waiters.remove(waiter)
                if not watched.waiters:
                    _forget(watched)
                    watched.watch.stop()
