"""Waiting for a queue from an event loop.

::

    coroutine ──waits──> waiters ──the first──> told ──looks, waits again or goes──> coroutine
                            │ somebody waits      │ there is something
                            v                     │
                         thread ──looks out──> queue

One thread for each queue and side waits while a coroutine does, and takes nothing: it has one of
them look, in its own loop, and goes on when that one has looked or is gone. So a coroutine that is
cancelled has taken nothing, and the wake-up of the queue that the thread got is for whoever comes.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from sys import is_finalizing
from typing import Any

from tarefa._engine import QueueWatch
from tarefa._runtime import _fork
from tarefa._runtime._awaits import Awaiting

# Turns of the loop in which a coroutine looks before it waits: what others of that loop put, or a
# process that is at it, needs no thread.
_LOOKS = 8
# How long one who was told keeps the others from being told, in seconds.
_PATIENCE = 0.01
# How long the thread stays when nobody waits.
_STAYS = 0.05


class _State:
    """What a process has of it; the child of a fork has none of its parent's threads."""

    def __init__(self) -> None:
        # What drops a coroutine, which leaves then, may come in the middle of anything.
        self.lock = threading.RLock()
        self.sides: dict[tuple[tuple[int, int], bool], _Side] = {}


_state = _State()


def _anew() -> None:
    global _state
    _state = _State()


_fork.in_child(_anew)


class Ask:
    """What a coroutine has that waits for a side of a queue: for messages, or for room."""

    def __init__(self, queue: Any, for_room: bool) -> None:
        self.queue = queue
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] | None = None
        self.room: int | None = None
        self._for_room = for_room
        self._looks = 0
        self._side: _Side | None = None

    async def turn(self, room: int | None = None) -> None:
        """Wait until there may be a message, or room for one of so many bytes."""
        self.leave()
        if self._looks < _LOOKS:
            self._looks += 1
            await asyncio.sleep(0)
            return
        self.room = room
        self.future = self.loop.create_future()
        self._side = _Side.of(self, self._for_room)
        with Awaiting(self.queue.object_id[1]):
            await self.future

    def leave(self) -> None:
        """Wait no more, whether it was told or not."""
        side, self._side = self._side, None
        # At the end of the program the thread stays where it was, perhaps with the lock.
        if side is not None and not is_finalizing():
            side.leave(self)

    def tell(self, error: BaseException | None = None) -> bool:
        """Have it look, in its loop; False: that is closed, and nobody is there."""

        def look() -> None:
            future = self.future
            if future is None or future.done():
                return
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

        try:
            self.loop.call_soon_threadsafe(look)
        except RuntimeError:
            return False
        return True


class _Side:
    """The coroutines of this process that wait for one side of a queue."""

    def __init__(self, state: _State, key: tuple[tuple[int, int], bool]) -> None:
        self.state = state
        self.key = key
        self.waiting: deque[Ask] = deque()
        self.told: Ask | None = None
        self.watch: QueueWatch | None = None
        self.changed = threading.Condition(state.lock)

    @classmethod
    def of(cls, ask: Ask, for_room: bool) -> _Side:
        """That in which it waits from here on."""
        state = _state
        key = (ask.queue.object_id, for_room)
        with state.lock:
            side = state.sides.get(key)
            if side is not None:
                side.waiting.append(ask)
                side.changed.notify_all()
                return side
            side = state.sides[key] = cls(state, key)
            side.waiting.append(ask)
        thread = threading.Thread(target=side.run, name="tarefa-queue-watch", daemon=True)
        try:
            thread.start()
        except BaseException as error:
            with state.lock:
                side.waiting.remove(ask)
            side.fails(error)
            raise
        return side

    def leave(self, ask: Ask) -> None:
        """See ``Ask.leave``."""
        with self.state.lock:
            if self.told is ask:
                self.told = None
                if self.waiting:
                    self.changed.notify_all()
                return
            if ask not in self.waiting:
                return
            is_first = self.waiting[0] is ask
            self.waiting.remove(ask)
            if is_first:
                self.look_again()

    def look_again(self) -> None:
        """Have the thread seek what the first waits for; the lock is held."""
        if self.watch is not None:
            self.watch.stop()

    def close(self, queue: Any) -> None:
        """Have those look who wait by a handle that is closed."""
        with self.state.lock:
            closed = [ask for ask in list(self.waiting) if ask.queue is queue]
            for ask in closed:
                self.waiting.remove(ask)
            if closed:
                self.look_again()
        for ask in closed:
            ask.tell()

    def ends(self) -> None:
        """Nobody waits here any more; the lock is held."""
        if self.state.sides.get(self.key) is self:
            del self.state.sides[self.key]

    def run(self) -> None:
        """The thread's."""
        try:
            while (watch := self._next()) is not None:
                found = watch.wait()
                del watch
                self._tell(found)
        except BaseException as error:
            self.fails(error)

    def fails(self, error: BaseException) -> None:
        """Nobody can look out."""
        with self.state.lock:
            self.ends()
            left = list(self.waiting)
            self.waiting.clear()
        for ask in left:
            ask.tell(error)

    def _next(self) -> QueueWatch | None:
        """What the first waits for; None once nobody has come for a while."""
        with self.state.lock:
            while not self.waiting:
                if not self.changed.wait(_STAYS) and not self.waiting:
                    self.ends()
                    return None
            first = self.waiting[0]
            room = first.room if self.key[1] else None
            self.watch = QueueWatch(first.queue, room)
            return self.watch

    def _tell(self, found: bool) -> None:
        """Have the first look, and wait until it has."""
        with self.state.lock:
            self.watch = None
            if not found or not self.waiting:
                return
            ask = self.told = self.waiting.popleft()
        if ask.tell():
            del ask
            with self.state.lock:
                self.changed.wait_for(self._is_free, _PATIENCE)
        with self.state.lock:
            self.told = None

    def _is_free(self) -> bool:
        return self.told is None


def closed(queue: Any) -> None:
    """A handle of a queue is closed in this process."""
    for for_room in (False, True):
        side = _state.sides.get((queue.object_id, for_room))
        if side is not None:
            side.close(queue)
