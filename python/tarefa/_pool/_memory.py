"""How much memory the workers of a pool may use."""

from __future__ import annotations

from typing import NamedTuple

from tarefa._task import _limits


class MemoryLimits(NamedTuple):
    """What a pool was given, checked; in bytes."""

    hard: int | None
    """What a worker may use beyond what it starts with; more is refused, and fails the task."""
    soft: int | None
    """By how much it may grow once it is ready; past that another takes its place."""


def check_memory(kind: str, hard: object, soft: object) -> MemoryLimits | None:
    """The limits of a pool of that kind; None for none."""
    limits = MemoryLimits(
        _limits.check_memory_limit(hard), _limits.check_memory_limit(soft, "soft_memory_limit")
    )
    if limits == (None, None):
        return None
    if kind == "thread":
        raise ValueError(
            "a pool of threads cannot have a memory_limit: they share the memory of their "
            "process; make it of kind 'process'"
        )
    if None not in limits and limits.soft >= limits.hard:  # type: ignore[operator]
        raise ValueError(
            f"soft_memory_limit must be below memory_limit, of which a task may use all: {soft!r} "
            f"and {hard!r}"
        )
    return limits
