"""What pools and their processes tell each other.

A batch is a message ``(number, count, flags, key, function, context, calls)``; see ``_cargo``.
One that has had its place in a schedule ends with the units of resources that are its own.
A result is ``(id, value)``, or ``(id, status, what)``; the id is the batch's number and the task's
place in it. Of tasks whose results are words it is ``(id of the first, KEPT, all as bytes)``.
"""

from __future__ import annotations

from typing import Any

INDEX_BITS = 24
INDEX_MASK = (1 << INDEX_BITS) - 1

# Flags: how a call is written; that the worker says how long the batch took, and with what; that
# a thread runs it in one go; the attempt, above.
ONE, STAR, CALL = 0, 1, 2
HOW = 3
TIMED = 4
CLOCKED = 8
LEAN = 16
ATTEMPT_SHIFT = 5

# What a batch's message consists of, without units.
FIELDS = 7

# Statuses.
ERROR, DIED, TOOK, UNBUILT, UNSENT, KEPT, BEGAN = 1, 2, 3, 4, 5, 6, 7

# What the message of how long a batch took consists of, where it is not clocked.
UNCLOCKED = 4

# What a worker's process returns.
LEFT, RECYCLED, INIT_FAILED = "left", "recycled", "init failed"

Call = tuple[tuple[Any, ...], dict[str, Any]]
