"""Who watches over the time limits of a pool's tasks: a thread, where there are any."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from tarefa._engine import GRACE

if TYPE_CHECKING:
    from tarefa._pool._work import Batch


class Warden:
    """Interrupts tasks that run too long, and kills those that go on.

    It sleeps until the first of them could be over its limit.
    """

    def __init__(self, crew: Any) -> None:
        self._crew = crew
        self._changed = threading.Condition()
        self._batches: dict[int, Batch] = {}
        # Tasks that were interrupted, and when they are killed.
        self._interrupted: dict[tuple[int, int], float] = {}
        self._over = False
        self._thread: threading.Thread | None = None

    def watch(self, batch: Batch) -> None:
        """Watch over a batch's tasks until all have ended."""
        with self._changed:
            self._batches[batch.number] = batch
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name=f"{self._crew.name} (time limits)", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def end(self) -> None:
        """Watch over nothing any more."""
        with self._changed:
            self._over = True
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._over and not self._batches:
                    self._changed.wait()
                if self._over:
                    return
                pause = self._look()
                if pause is not None:
                    self._changed.wait(pause)

    def _look(self) -> float | None:
        """Stop what is over its limit; seconds until the next can be."""
        # Results that have come say what has ended.
        self._crew.look()
        now = time.monotonic()
        pause: float | None = None
        for number, batch in list(self._batches.items()):
            if batch.over or batch.left == 0:
                del self._batches[number]
                continue
            limit = batch.time_limit or 0.0
            wait = limit
            for index in range(batch.count):
                if batch.got[index]:
                    continue
                found = self._crew.where(number, index)
                if found is None:
                    continue
                wait = self._check(batch, index, found[1] / 1e9 + limit - now, limit, now)
                break
            pause = wait if pause is None else min(pause, wait)
        return pause

    def _check(self, batch: Batch, index: int, left: float, limit: float, now: float) -> float:
        """Stop a task that is over its limit; seconds until it is to be looked at again."""
        key = batch.number, index
        until = self._interrupted.get(key)
        if until is not None:
            if now < until:
                return until - now
            self._crew.kill_held(*key)
            self._interrupted[key] = now + GRACE
            return GRACE
        if left > 0:
            return left
        self._crew.note_overdue(batch.number, index, limit)
        if self._crew.stop(batch.number, index, kill=False):
            self._interrupted[key] = now + GRACE
            return GRACE
        return 0.01
