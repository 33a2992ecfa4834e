"""The states of a task."""

import enum
from typing import Final


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

    def __str__(self) -> str:
        """Its name."""
        return self.name

    def __format__(self, spec: str) -> str:
        """Its name, or its number where the format is one of whole numbers."""
        return (
            int.__format__(self, spec) if spec[-1:] in tuple("bcdoxXn") else format(self.name, spec)
        )


# The same as plain numbers, which is how a record's state is read on each call. Later ones are
# greater, and all from FINISHED on are final.
NEW: Final = State.NEW.value
STARTING: Final = State.STARTING.value
RUNNING: Final = State.RUNNING.value
FINISHED: Final = State.FINISHED.value
FAILED: Final = State.FAILED.value
INTERRUPTED: Final = State.INTERRUPTED.value
KILLED: Final = State.KILLED.value
ALIVE: Final = (STARTING, RUNNING)

# How a process exits whose target returned, or did not.
EXIT_SUCCESS: Final = 0
EXIT_FAILURE: Final = 1
