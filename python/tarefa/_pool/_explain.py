"""``Explanation``: what a pool has measured and chosen, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from tarefa._pool._choice import duration


class FunctionChoice(NamedTuple):
    """What a pool knows of a function, and who runs its tasks. Times are in seconds."""

    function: str
    """Its name."""
    choice: str | None
    """``"caller"``, ``"threads"`` or ``"processes"``; None as long as it is tried."""
    reason: str
    """Why, in a sentence."""
    tasks: int
    """How many of its tasks were measured."""
    wall: float | None
    """What one takes, alone."""
    cpu: float | None
    """The part of that which it is on a processor."""
    scaling: float | None
    """How many times as much two threads get done as one; None if that was not tried."""
    arguments: float | None
    """Encoding the arguments of one."""
    results: float | None
    """Encoding the result of one."""
    start: float | None
    """Starting a worker process."""
    left: int | None
    """Tasks that were left when it was decided, where that was known."""
    looks: int
    """How often it was decided: tasks that change are looked at again."""


_TITLES = ("function", "choice", "tasks", "wall", "cpu", "2 threads", "travel", "start", "left")


class Explanation(str):
    """What :meth:`tarefa.Pool.explain` returns: a table as text, with its figures as attributes."""

    __module__ = "tarefa"
    __slots__ = ("functions", "name")

    name: str
    """The pool's name."""
    functions: tuple[FunctionChoice, ...]
    """What is known of each function, the one that was called last at the end."""

    def __new__(cls, name: str, intro: str, functions: Sequence[FunctionChoice]) -> Self:
        made = super().__new__(cls, "\n".join([intro, *_lines(functions)]))
        made.name = name
        made.functions = tuple(functions)
        return made

    @property
    def choice(self) -> str | None:
        """Who runs the function that was called last; None where that is not decided."""
        return self.functions[-1].choice if self.functions else None

    @property
    def reason(self) -> str:
        """Why."""
        return self.functions[-1].reason if self.functions else ""

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """The figures of each function, by its name."""
        return {it.function: it._asdict() for it in self.functions}

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from tarefa._runtime import _tables

        return _tables.page(str(self))

    def __reduce__(self) -> Any:
        return _again, (self.name, str(self).partition("\n")[0], self.functions)


def _again(name: str, intro: str, functions: Sequence[FunctionChoice]) -> Explanation:
    return Explanation(name, intro, functions)


def _lines(functions: Sequence[FunctionChoice]) -> list[str]:
    if not functions:
        return []
    rows = [_TITLES, *map(_cells, functions)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_TITLES))]
    lines = [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    return [
        *lines,
        *(f"{it.function}: {it.choice or 'not decided'}: {it.reason}" for it in functions),
    ]


def _cells(it: FunctionChoice) -> tuple[str, ...]:
    travel = None if it.arguments is None else it.arguments + (it.results or 0.0)
    return (
        it.function,
        it.choice or "(tried)",
        str(it.tasks),
        _time(it.wall),
        "-" if it.cpu is None else f"{it.cpu:.0%}",
        "-" if it.scaling is None else f"{it.scaling:.2f} x",
        _time(travel),
        _time(it.start),
        "-" if it.left is None else str(it.left),
    )


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else duration(seconds)
