"""``wait`` for many tasks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tarefa import _engine
from tarefa._runtime._errors import StateError
from tarefa._task._base import check_timeout
from tarefa._task._state_numbers import FINISHED, NEW

ALL_COMPLETED = "ALL_COMPLETED"
FIRST_COMPLETED = "FIRST_COMPLETED"
FIRST_EXCEPTION = "FIRST_EXCEPTION"


class Waited(NamedTuple):
    """What :func:`wait` returns."""

    done: set[Any]
    """Tasks that have ended."""
    not_done: set[Any]
    """Tasks that have not."""


Waited.__module__ = "tarefa"


def wait(
    tasks: Iterable[Any],
    timeout: float | None = None,
    return_when: str = ALL_COMPLETED,
) -> Waited:
    """Wait for tasks, as ``concurrent.futures.wait`` does for futures.

    Args:
        tasks: threads and processes, mixed at will, all started.
        timeout: seconds to wait at most; None waits for ever.
        return_when: ``ALL_COMPLETED``, ``FIRST_COMPLETED`` or ``FIRST_EXCEPTION``.

    Returns:
        The tasks that have ended and those that have not.

    Raises:
        StateError: a task is not started.
        ValueError: a timeout below 0, another ``return_when``.
    """
    check_timeout(timeout)
    if return_when not in (ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION):
        raise ValueError(
            "return_when must be ALL_COMPLETED, FIRST_COMPLETED or FIRST_EXCEPTION, "
            f"not {return_when!r}"
        )
    waited = set(tasks)
    for task in waited:
        if not hasattr(task, "_tarefa_core"):
            raise TypeError(f"wait() takes tasks of tarefa, not {type(task).__name__} {task!r}")
        if task._tarefa_core.state == NEW:
            raise StateError(f"{task._label()} is not started: call start() first")
    _engine.join_several([task._tarefa_core for task in waited], timeout, return_when)
    done = {task for task in waited if task._tarefa_core.state >= FINISHED}
    for task in done:
        task.join(0)
    return Waited(done, waited - done)
