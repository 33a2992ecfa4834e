"""Batches of tasks, as their pool keeps them, and who gets their results."""

from __future__ import annotations

import reprlib
from typing import Any, Protocol

from tarefa._pool import _wire


class Sink(Protocol):
    """Who gets the results of a batch."""

    def put(self, index: int, ok: bool, value: Any) -> None:
        """Take a result, or the exception that stands for it; each index comes once."""


class Batch:
    """Tasks that go to a worker together, until each has its result."""

    __slots__ = (
        "calls",
        "context",
        "count",
        "deaths",
        "first",
        "flags",
        "function",
        "got",
        "kept",
        "left",
        "name",
        "number",
        "over",
        "retries",
        "routed",
        "run",
        "shared",
        "sink",
        "sizes",
        "time_limit",
        "turn",
    )

    def __init__(self, function: Any, calls: list[Any], flags: int, sink: Sink) -> None:
        self.number = 0
        # Whether some of its tasks went to others.
        self.shared = False
        # Whether all was done that follows from its last result.
        self.over = False
        self.function = function
        self.calls = calls
        self.flags = flags
        # A mapping, where there are several calls.
        self.sink: Any = sink
        # What the sink calls the first of its tasks.
        self.first = 0
        self.count = self.left = len(calls)
        self.got = bytearray(self.count)
        self.context: Any = None
        # How long its tasks take is told to these.
        self.sizes: Any = None
        self.time_limit: float | None = None
        self.retries = 0
        # Of a task: the workers that died in it, as (pid, words).
        self.deaths: dict[int, list[tuple[int | None, str]]] = {}
        # Its place in a schedule, if it has one.
        self.turn: Any = None
        # Of a thread pool: what is left to run; of a batch that runs in one go, what is done.
        self.run: Any = None
        self.kept: Any = None
        # What its task is called, if it was given a name.
        self.name: str | None = None
        # Where a pool that chooses has sent it.
        self.routed: Any = None

    def give(self, index: int, ok: bool, value: Any) -> None:
        """Hand a result over, if it is the first of its task."""
        if self.got[index]:
            return
        self.sink.put(self.first + index, ok, value)
        self.got[index] = 1
        self.left -= 1
        if self.shared:
            # Several threads may be at this.
            self.recount()

    def give_many(self, index: int, values: list[Any]) -> None:
        """Hand results over of tasks that follow each other."""
        end = index + len(values)
        if self.got.find(1, index, end) >= 0:
            # Some were read from the seat of a worker that was busy, and are told again.
            for value in values:
                self.give(index, True, value)
                index += 1
            return
        self.sink.put_many(self.first + index, values)
        self.got[index:end] = b"\1" * len(values)
        self.left -= len(values)
        if self.shared:
            self.recount()

    def recount(self) -> None:
        """Count again what is left: an interrupt may have come between two lines.

        Several threads may be at this, and one that was held up stores an old count. Who stores
        looks again, so the last one to store has the right one, and sees for itself whether that
        was the last result.
        """
        while True:
            self.left = left = self.got.count(0)
            if self.got.count(0) == left:
                return

    def let_go(self) -> None:
        """Keep no argument and no variable of its caller's: how long it took is to be told."""
        self.function = self.sink = self.context = self.run = self.kept = None
        self.calls = []
        if self.routed is not None:
            self.routed.context = None

    def call_text(self, index: int, name: str, calls: Any = None) -> str:
        """The call of a task, for people; of these calls, if they were asked for before."""
        call, how = (calls or self.calls)[index], self.flags & _wire.HOW
        args: tuple[Any, ...]
        kwargs: dict[str, Any] = {}
        if how == _wire.ONE:
            args = (call,)
        elif how == _wire.STAR:
            args = tuple(call)
        else:
            args, kwargs = call
        words = [_short(a) for a in args] + [f"{k}={_short(v)}" for k, v in kwargs.items()]
        text = f"{name}({', '.join(words)})"
        return text if self.name is None else f"{self.name!r}, {text}"


def _short(value: Any) -> str:
    try:
        return reprlib.repr(value)
    except Exception:
        return f"<{type(value).__name__}>"
