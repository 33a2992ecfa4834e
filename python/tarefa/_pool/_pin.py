"""Which processors the workers of a pool run on."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable
from typing import Any

from tarefa._engine import WorkerPinning

# One for each worker; or for each worker a number, or the numbers that it may use.
Pin = bool | Iterable[int | Iterable[int]]


def check_pin(pin: Any) -> WorkerPinning | None:
    """What a pool was given as ``pin``; None for workers that run anywhere.

    Raises:
        ValueError: there are no processors, or one that this process may not use.
        TypeError: it says nothing of processors.
    """
    if pin is None or pin is False:
        return None
    if pin is True:
        return WorkerPinning()
    wanted = "pin must be True, or for each worker a processor's number or several"
    if isinstance(pin, (str, bytes)) or not isinstance(pin, Iterable):
        raise TypeError(f"{wanted}, not {type(pin).__name__} {pin!r}")
    return WorkerPinning([_numbers(one, wanted) for one in pin])


def _numbers(one: Any, wanted: str) -> list[int]:
    several = isinstance(one, Iterable) and not isinstance(one, (str, bytes))
    found = []
    for number in one if several else (one,):
        if isinstance(number, bool) or not hasattr(number, "__index__"):
            raise TypeError(f"{wanted}, not {type(number).__name__} {number!r}")
        if (processor := operator.index(number)) < 0:
            raise ValueError(f"pin: a processor's number is 0 or above, not {processor}")
        found.append(processor)
    return found


def apply(processors: list[int]) -> None:
    """Have the calling worker run on these alone.

    Raises:
        OSError: they have been taken away since the pool was made.
    """
    try:
        os.sched_setaffinity(0, processors)
    except OSError as e:
        text = f"a worker cannot be pinned to processors {processors}: {e.strerror}"
        raise OSError(e.errno, text) from None
