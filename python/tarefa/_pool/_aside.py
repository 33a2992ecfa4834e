"""The second thread of a worker process, on which a pool tries whether threads get more done.

    owner                       orders (a queue)             worker process
    pair(seconds) ───────────── a number ──────────> attend: starts the second thread
                                                     second thread: takes batches for so long
    interrupt of its task ───── INTERRUPT ─────────> attend: interrupts the second thread

Both threads take from the pool's queue of tasks, and each has a seat of its own: what a kill leaves
is as with two workers that die at once. Where a task ends the process, nobody can tell which of the
two it was, and both fail. What the owner stops is interrupted alone, and killed where it is alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from tarefa._channel._errors import ShutDown
from tarefa._task._thread import Thread

# An order to interrupt what the second thread runs.
INTERRUPT = "interrupt"


def attend(seat: int, orders: Any, make: Callable[[int], Any]) -> None:
    """In a worker process: follow orders, in a thread of its own."""
    threading.Thread(
        target=_follow, args=(seat, orders, make), name="tries a second thread", daemon=True
    ).start()


def _follow(seat: int, orders: Any, make: Callable[[int], Any]) -> None:
    second: Any = None
    while True:
        try:
            order = orders.get()
        except ShutDown:
            return
        if order == INTERRUPT:
            if second is not None and second.is_alive():
                second.interrupt()
        elif second is None or not second.is_alive():
            worker = make(seat)
            second = Thread(
                target=worker.run,
                args=(time.monotonic() + order,),
                name="second thread of a worker",
                daemon=True,
            )
            worker.own.run(second.start)
