"""What is to be done in a thread when the task in it has ended, before anybody hears of that."""

from __future__ import annotations

from collections.abc import Callable

callbacks: list[Callable[[], None]] = []


def run() -> None:
    """Do it, in the thread whose task has ended."""
    for callback in callbacks:
        callback()
