"""``deadlocks``: who waits for whom."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tarefa import _engine
from tarefa._runtime._shared import shown_dir

if TYPE_CHECKING:
    from tarefa._task._process import Process
    from tarefa._task._thread import Thread


class Waiting(NamedTuple):
    """A thread that waits in tarefa.

    Attributes:
        task: the task that it runs; None for a thread that is no task.
        pid: its process.
        thread: the system's number of it, as ``threading.get_native_id()``.
        name: what it is called, as in ``"process 'a' (pid 10) MainThread"``.
        waits_for: what it waits for, as in ``"Lock 4"`` or ``"process 'b'"``; several for
            ``tarefa.wait``, none for something that has no name.
        since: when the wait began, in seconds as ``time.time()``.
        timeout: seconds until it gives up; None for never.
        line: where it stands, as in ``"app.py:12 in f"``; None when that is not known.
    """

    task: Thread[Any] | Process[Any] | None
    pid: int
    thread: int
    name: str
    waits_for: tuple[str, ...]
    since: float
    timeout: float | None
    line: str | None


class Awaiting(NamedTuple):
    """A coroutine that waits in tarefa, while its event loop goes on.

    Attributes:
        name: what its task is called, as ``asyncio.Task.get_name()``.
        pid: its process.
        thread: the thread that runs the loop: the system's number of it.
        waits_for: what it waits for, as in ``"Queue 4"`` or ``"process 'b'"``; none for a call in a
            pool of threads.
        since: when the wait began, in seconds as ``time.time()``.
        line: the line of the ``await``, as in ``"app.py:12 in f"``; None when that is not known.
    """

    name: str
    pid: int
    thread: int
    waits_for: tuple[str, ...]
    since: float
    line: str | None


class Holding(NamedTuple):
    """Something that a thread holds.

    Attributes:
        task: the task that the thread runs; None for a thread that is no task.
        pid: its process.
        thread: the system's number of it, as ``threading.get_native_id()``.
        name: what it is called, as in ``"process 'a' (pid 10) MainThread"``.
        holds: what it holds, as in ``"Lock 3"``.
        since: when it got that, in seconds as ``time.time()``, to within some milliseconds; None
            of what does not note it (permits of a semaphore, a read-write lock).
        line: where the thread stands now, as in ``"app.py:12 in f"``; None when that is not known.
    """

    task: Thread[Any] | Process[Any] | None
    pid: int
    thread: int
    name: str
    holds: str
    since: float | None
    line: str | None


class DeadlockReport:
    """Who waits for whom, at one moment: what :func:`deadlocks` returns.

    True if there is a deadlock. ``str()`` of it is a text for people, and a notebook shows it as a
    picture.

    Attributes:
        cycles: the deadlocks: threads that wait for one another, each for the next one, and the
            last for the first.
        passing: cycles that are no deadlock, because somebody in them waits with a timeout.
        waiting: all threads that wait in tarefa.
        awaiting: all coroutines that do, in tasks of asyncio. They are in no cycle: whether nobody
            else in their event loop can let them go is not known.
        holding: all that threads hold.
    """

    __module__ = "tarefa"
    __slots__ = ("_svg", "_text", "awaiting", "cycles", "holding", "passing", "waiting")

    cycles: list[list[Waiting]]
    passing: list[list[Waiting]]
    waiting: list[Waiting]
    awaiting: list[Awaiting]
    holding: list[Holding]

    def __init__(
        self,
        text: str,
        age: float,
        threads: list[dict[str, Any]],
        awaits: list[tuple[int, str, list[str], float, str | None]],
        cycles: list[list[int]],
        passing: list[list[int]],
        svg: str,
    ) -> None:
        taken = time.time() - age
        waiting: dict[int, Waiting] = {}
        self.holding = []
        for i, t in enumerate(threads):
            who = (t["task"], t["pid"], t["thread"], t["name"])
            if t["waits_for"] is not None:
                things = tuple(t["waits_for"])
                waiting[i] = Waiting(*who, things, taken - t["ago"], t["left"], t["line"])
            for held, ago in t["holds"]:
                since = None if ago is None else taken - ago
                self.holding.append(Holding(*who, held, since, t["line"]))
        self.awaiting = [
            Awaiting(
                name, threads[i]["pid"], threads[i]["thread"], tuple(things), taken - ago, line
            )
            for i, name, things, ago, line in awaits
        ]
        self._text, self._svg = text, svg
        self.waiting = list(waiting.values())
        self.cycles = [[waiting[i] for i in cycle] for cycle in cycles]
        self.passing = [[waiting[i] for i in cycle] for cycle in passing]

    def __bool__(self) -> bool:
        return bool(self.cycles)

    def __str__(self) -> str:
        return self._text.rstrip("\n")

    def svg(self) -> str:
        """Draw who waits for whom: an SVG document, with the arrows of a deadlock in red."""
        return self._svg

    def _repr_svg_(self) -> str:
        return self._svg

    def _repr_html_(self) -> str:
        from tarefa._runtime import _tables

        picture = (
            f'<div style="overflow-x:auto">{self._svg}</div>'
            if self.waiting or self.awaiting
            else ""
        )
        return picture + _tables.page(str(self))

    __dir__ = shown_dir

    def __repr__(self) -> str:
        return (
            f"<tarefa.DeadlockReport: {len(self.cycles)} deadlocks, "
            f"{len(self.waiting) + len(self.awaiting)} waiting, {len(self.holding)} held>"
        )


Waiting.__module__ = Awaiting.__module__ = Holding.__module__ = "tarefa"


def deadlocks() -> DeadlockReport:
    """Look at who waits for whom now, over all threads and processes of the runtime.

    Seen are waits in tarefa: for its locks and other objects, in ``join``, ``result``, ``wait``,
    and those of coroutines that await them.
    Nobody is held up by the look, and it works where all others are stuck. A deadlock is a
    cycle of waits without a timeout, seen twice and unchanged in between. A plain lock can be
    released by anybody, also by a thread outside the cycle; such a release is not foreseen.
    """
    return DeadlockReport(*_engine.deadlocks())
