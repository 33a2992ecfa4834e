"""From a native handle to the public object."""

from __future__ import annotations

from typing import Any


def wrap(core: Any, kind: int) -> Any:
    """The public object for a core of the engine's object kind."""
    if kind == 8:
        from tarefa._list import List

        return List.__new__(List, core)
    if kind == 1:
        from tarefa._lock import Lock

        return Lock.__new__(Lock, core)
    if kind == 3:
        from tarefa._lock import RLock

        return RLock.__new__(RLock, core)
    if kind == 2:
        from tarefa._event import Event

        return Event.__new__(Event, core)
    if kind == 13:
        from tarefa._cells import wrap as wrap_array

        return wrap_array(core)
    if core.is_thread:
        from tarefa._view import TaskView

        return TaskView(core)
    from tarefa._process import Process

    return Process._of(core)
