"""The states of a task."""

from __future__ import annotations

import enum

from tarefa._task import _state_numbers as _numbers


class State(enum.IntEnum):
    """``NEW → STARTING → RUNNING → FINISHED | FAILED | INTERRUPTED | KILLED``."""

    __module__ = "tarefa"

    NEW = _numbers.NEW
    """Made, not started."""
    STARTING = _numbers.STARTING
    """``start()`` was called."""
    RUNNING = _numbers.RUNNING
    """The target runs."""
    FINISHED = _numbers.FINISHED
    """The target returned."""
    FAILED = _numbers.FAILED
    """The target raised."""
    INTERRUPTED = _numbers.INTERRUPTED
    """The target was interrupted and did not handle it."""
    KILLED = _numbers.KILLED
    """The process died without an outcome: a signal, ``os._exit``, no memory."""

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return self >= State.FINISHED

    def __str__(self) -> str:
        """Its name."""
        return self.name

    def __format__(self, spec: str) -> str:
        """Its name, or its number where the format is one of whole numbers."""
        return (
            int.__format__(self, spec) if spec[-1:] in tuple("bcdoxXn") else format(self.name, spec)
        )
