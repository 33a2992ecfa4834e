"""What a pool answers that does not take work, or whose worker died for its task's time limit."""

from __future__ import annotations

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
