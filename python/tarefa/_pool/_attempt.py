"""``attempt``: how often the running task has been begun."""

from __future__ import annotations

import threading


class _Running(threading.local):
    attempt = 1


running = _Running()


def attempt() -> int:
    """Which attempt at the running task this is: 1, or more after a worker died in it.

    Outside of a pool's tasks it is 1.
    """
    return running.attempt
