"""What a pool answers that does not take work, or whose worker died for its task's time limit."""

from __future__ import annotations

import contextlib
import sys
import warnings
from concurrent.futures import BrokenExecutor
from typing import Any

from tarefa._runtime._errors import (
    StateError,
    TarefaError,
    TaskTimeout,
    TimeLimitExceeded,
    WorkerDied,
)


class BrokenPool(TarefaError, BrokenExecutor):
    """The pool cannot go on: its initializer failed. What that raised is the ``__cause__``."""

    __module__ = "tarefa"


class PoolClosed(StateError, ValueError):
    """The pool takes no more work: it was closed, shut down or terminated."""

    __module__ = "tarefa"


class KilledOverTime(TimeLimitExceeded, WorkerDied):
    """The task ran longer than its ``time_limit``, ignored its interrupt, and was killed."""

    __module__ = "tarefa"


_of_both: Any = None


def also_of_multiprocessing(error: TaskTimeout) -> TaskTimeout:
    """The same as a ``multiprocessing.TimeoutError``, which is no built-in ``TimeoutError``.

    Where the program has not loaded `multiprocessing` nobody catches one, and it stays as it is.
    """
    global _of_both
    context: Any = sys.modules.get("multiprocessing.context")
    # None of one that another thread is just importing.
    theirs = getattr(context, "TimeoutError", None)
    if theirs is None:
        return error
    if _of_both is None:
        # Another process makes its own.
        names = {"__module__": "tarefa", "__reduce__": lambda self: (TaskTimeout, self.args)}
        _of_both = type("TaskTimeout", (TaskTimeout, theirs), names)
    found: TaskTimeout = _of_both(*error.args)
    return found


def warn_of_fewer(pool: str, workers: int, wanted: int, error: Exception) -> None:
    """Tell that a pool goes on with fewer workers than it was made with."""
    # Where warnings are errors there is nobody here to raise it to.
    with contextlib.suppress(Warning):
        warnings.warn(
            f"{pool} goes on with {workers} of {wanted} workers, for no other can be started: "
            f"{type(error).__name__}: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
