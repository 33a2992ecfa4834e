"""From a native handle to the public object."""

from __future__ import annotations

from typing import Any


def wrap(core: Any, kind: int) -> Any:
    """The public object for a core of the engine's object kind."""
    if kind == 9:
        from tarefa._collections._dict import Dict

        return Dict.__new__(Dict, core)
    if kind == 10:
        from tarefa._collections._set import Set

        return Set.__new__(Set, core)
    if kind == 11:
        from tarefa._collections._counter import Counter

        return Counter.__new__(Counter, core)
    if kind == 12:
        from tarefa._collections._namespace import Namespace

        return Namespace.__new__(Namespace, core)
    if kind == 8:
        from tarefa._collections._list import List

        return List.__new__(List, core)
    if kind == 1:
        from tarefa._sync._lock import Lock

        return Lock.__new__(Lock, core)
    if kind == 3:
        from tarefa._sync._lock import RLock

        return RLock.__new__(RLock, core)
    if kind == 2:
        from tarefa._sync._event import Event

        return Event.__new__(Event, core)
    if kind == 4:
        from tarefa._sync._semaphore import BoundedSemaphore, Semaphore

        bounded = core.bound is not None
        return Semaphore.__new__(BoundedSemaphore if bounded else Semaphore, core)
    if kind == 5:
        from tarefa._sync._condition import Condition

        return Condition.__new__(Condition, core)
    if kind == 6:
        from tarefa._sync._barrier import Barrier

        return Barrier.__new__(Barrier, core)
    if kind == 7:
        from tarefa._sync._rwlock import RWLock

        return RWLock.__new__(RWLock, core)
    if kind == 13:
        from tarefa._collections._items import wrap as wrap_array

        return wrap_array(core)
    if core.is_thread:
        from tarefa._task._remote_thread import TaskView

        return TaskView(core)
    from tarefa._task._process import Process

    return Process._of(core)
