"""The states of a task."""

import enum


class State(enum.IntEnum):
    """``NEW → STARTING → RUNNING → FINISHED | FAILED | INTERRUPTED | KILLED``."""

    NEW = 0
    """Made, not started."""
    STARTING = 1
    """``start()`` was called."""
    RUNNING = 2
    """The target runs."""
    FINISHED = 3
    """The target returned."""
    FAILED = 4
    """The target raised."""
    INTERRUPTED = 5
    """The target was interrupted and did not handle it."""
    KILLED = 6
    """The process died without an outcome: a signal, ``os._exit``, no memory."""

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return self >= State.FINISHED
