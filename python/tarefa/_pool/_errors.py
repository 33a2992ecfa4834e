"""What a pool answers that does not take work, or whose worker died for its task's time limit."""

from __future__ import annotations

import contextlib
import warnings
from concurrent.futures import BrokenExecutor

from tarefa._runtime._errors import StateError, TarefaError, TimeLimitExceeded, WorkerDied


class BrokenPool(TarefaError, BrokenExecutor):
    """The pool cannot go on: its initializer failed. What that raised is the ``__cause__``."""

    __module__ = "tarefa"


class PoolClosed(StateError, ValueError):
    """The pool takes no more work: it was closed, shut down or terminated."""

    __module__ = "tarefa"


class KilledOverTime(TimeLimitExceeded, WorkerDied):
    """The task ran longer than its ``time_limit``, ignored its interrupt, and was killed."""

    __module__ = "tarefa"


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
