"""The states of a task as plain numbers, which is how a record's state is read on each call.

Later ones are greater, and all from ``FINISHED`` on are final.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

NEW: Final = 0
STARTING: Final = 1
RUNNING: Final = 2
FINISHED: Final = 3
FAILED: Final = 4
INTERRUPTED: Final = 5
KILLED: Final = 6
ALIVE: Final = (STARTING, RUNNING)

# How a process exits whose target returned, or did not.
EXIT_SUCCESS: Final = 0
EXIT_FAILURE: Final = 1
