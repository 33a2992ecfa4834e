"""Who calls the callbacks of tasks: a thread that is there while there are any.

It sleeps until a task ends or another is to be watched, in one wait for all of them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from tarefa._runtime import _fork
from tarefa._task._state_numbers import FINISHED

Callback = Callable[[Any], object]


class _Watcher:
    """Tasks that are watched, with their callbacks, in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: dict[int, tuple[Any, list[Callback]]] = {}
        # Set where there is one more to be watched; None where nothing is.
        self._more: Any = None

    def add(self, task: Any, callback: Callback) -> None:
        """Have a callback called once a task has ended."""
        from tarefa._sync._event import Event

        with self._lock:
            self._watched.setdefault(id(task), (task, []))[1].append(callback)
            if self._more is not None:
                self._more.set()
                return
            self._more = Event()
            name = "calls what is called at ends of tasks"
            thread = threading.Thread(target=self._run, args=(self._more,), name=name, daemon=True)
            try:
                thread.start()
            except BaseException:
                self._more = None
                raise

    def _run(self, more: Any) -> None:
        from tarefa._channel._select import select

        while True:
            with self._lock:
                if not self._watched:
                    self._more = None
                    return
                more.clear()
                tasks = [task for task, _ in self._watched.values()]
            for found in select([more, *tasks]):
                if found is more:
                    continue
                self._call_all(found)
                del found
            del tasks

    def _call_all(self, task: Any) -> None:
        """Call the callbacks of a task, in their order, and those that are added meanwhile."""
        while True:
            with self._lock:
                callbacks = self._watched[id(task)][1]
                if not callbacks:
                    del self._watched[id(task)]
                    return
                callback = callbacks.pop(0)
            call(callback, task)
            del callback

    def is_at(self, task: Any) -> bool:
        """Whether a task is watched, or its callbacks are being called."""
        return id(task) in self._watched


def call(callback: Callback, task: Any) -> None:
    """Call a callback; what it raises is told, and hits nobody else."""
    try:
        callback(task)
    except Exception:
        logging.getLogger("tarefa").exception("exception calling callback for %s", repr(task))


_watcher = _Watcher()


def add(task: Any, callback: Callback) -> None:
    """Have a callback called once a task that was started has ended: at once if it has."""
    if task._tarefa_core.state >= FINISHED and not _watcher.is_at(task):
        call(callback, task)
    else:
        later(task, callback)


def later(task: Any, callback: Callback) -> None:
    """The same, but never at once: in the watching thread in any case."""
    _watcher.add(task, callback)


def _forked() -> None:
    """In a forked child: its parent's thread is not there."""
    global _watcher
    _watcher = _Watcher()


_fork.in_child(_forked)
