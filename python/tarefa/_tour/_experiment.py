"""What an experiment is, and what comes of one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from tarefa._tour._language import Number, Text


class Figure(NamedTuple):
    """One number that was measured."""

    key: str
    label: Text
    value: float
    unit: str = ""

    def shown(self, language: str) -> str:
        """Return it as people read it."""
        return f"{number(self.value).of(language)} {self.unit}".rstrip()


class Picture(Protocol):
    """A small picture, as text and as SVG."""

    def lines(self, language: str, width: int) -> list[str]:
        """Return it as lines of text, of at most that many characters."""

    def svg(self, language: str) -> str:
        """Return it as an SVG document."""


@dataclass(frozen=True)
class Outcome:
    """What an experiment has found on this machine."""

    holds: bool
    """Whether the statement holds here."""
    sentence: Text
    """What the figures say."""
    figures: tuple[Figure, ...]
    picture: Picture
    because: Text | None = None
    """Why it may not hold, where it does not."""


@dataclass(frozen=True)
class Experiment:
    """A statement of the lesson, and what shows it."""

    key: str
    title: Text
    lesson: Text
    """What the lesson says, in its own words and in English."""
    measure: Callable[[], Outcome] = field(repr=False)


def number(value: float) -> Number:
    """Return a number with three digits that count, as people read it."""
    if isinstance(value, int) or abs(value) >= 1000:
        return Number(f"{round(value):,}")
    if value == 0:
        return Number("0")
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return Number(f"{value:.{digits}f}" if abs(value) >= 0.01 else f"{value:.2g}")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def has_gil() -> bool:
    """Tell whether this interpreter has a global lock."""
    is_enabled: Callable[[], bool] | None = getattr(sys, "_is_gil_enabled", None)
    return is_enabled is None or is_enabled()


def why_not_parallel() -> Text:
    """Say why tasks may not have run at once here."""
    if cores() < 2:
        return Text(
            "this process may use one core only, and two tasks run at once on two",
            "este processo só pode usar um núcleo, e duas tarefas só rodam ao mesmo tempo em dois",
        )
    return Text(
        "other programs may have had the cores: {load} tasks wanted to run on {cores} during the"
        " last minute, and a cgroup may grant less than that",
        "outros programas podem ter ocupado os núcleos: {load} tarefas queriam rodar em {cores} no"
        " último minuto, e um cgroup pode conceder menos que isso",
    ).format(load=number(os.getloadavg()[0]), cores=cores())


WITHOUT_GIL = Text(
    "this interpreter is free-threaded: it has no GIL, so threads run in parallel, too",
    "este interpretador é free-threaded: não tem GIL, e as threads também rodam em paralelo",
)
