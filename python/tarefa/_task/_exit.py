"""The end of a program: tasks that count are waited for, the others end."""

from __future__ import annotations

import atexit
import sys
import threading

from tarefa import _engine
from tarefa._runtime import _fork
from tarefa._task import _current, _unretrieved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

watching = False


def _forked() -> None:
    """In a forked child: it has an end of its own."""
    global watching
    watching = False
    _left.clear()
    _current.forget_all()
    _unretrieved.forget_all()
    _engine.forget_stack()


_fork.in_child(_forked)
# Of a program that ends already it is too late to ask.
try:
    threading._register_atexit(_engine.keep_daemon_threads)  # type: ignore[attr-defined]
except RuntimeError:
    pass


def watch() -> None:
    """Have :func:`at_exit` called when this process's main thread ends."""
    global watching
    if not watching:
        watching = True
        atexit.register(_engine.stop_thread_timer)
        # Before threading waits for its threads: an interrupted program interrupts them first.
        threading._register_atexit(at_exit)  # type: ignore[attr-defined]


def at_exit() -> None:
    """Join the tasks that are not daemons; after Ctrl-C, interrupt them first.

    Then the others end, and failures that nobody has asked about are told.
    """
    if _was_interrupted():
        stop_all()
    try:
        while True:
            waiting = [t for t in _current.active_tasks() if not t.daemon and t not in _left]
            if not waiting:
                break
            for task in waiting:
                if task is not threading.current_thread():
                    _wait_for(task)
    except KeyboardInterrupt:
        stop_all()
    for task in _current.active_tasks():
        if not task._tarefa_core.is_thread:
            _kill(task)
    _unretrieved.tell_all()


# Those that are not waited for.
_left: set[Any] = set()


def _wait_for(task: Any) -> None:
    """Until its end; or, of one that was to end and that nobody can end any more, not for ever."""
    while not task._wait(_LOOK if task._tarefa_refused or task.time_limit else None):
        if _is_out_of_reach(task):
            break
    else:
        return
    if not task._wait(_engine.GRACE):
        _left.add(task)
        print(  # noqa: T201
            f"tarefa: {task._label()} (pid {task.pid}) was to end, and goes on: it runs as another "
            "user than this process by now, which may not end it. The program does not wait for "
            "it any longer, and it ends with the program",
            file=sys.stderr,
        )


# Seconds.
_LOOK = 0.5


def _is_out_of_reach(task: Any) -> bool:
    """Whether it was to end, by its time limit or `kill()`, and may not be signalled."""
    import os

    if task._tarefa_core.is_thread or not (task._tarefa_refused or task._tarefa_core.over_time):
        return False
    try:
        os.kill(task.pid, 0)
    except PermissionError:
        return True
    except OSError:
        pass
    return False


def _was_interrupted() -> bool:
    if hasattr(sys, "ps1"):
        return False  # at a prompt, where it may have been any line's
    last = getattr(sys, "last_exc", None)
    kind: Any = type(last) if last is not None else getattr(sys, "last_type", None)
    return isinstance(kind, type) and issubclass(kind, KeyboardInterrupt)


def stop_all() -> None:
    """Interrupt all tasks; kill the processes that do not end within a second."""
    import time

    for task in _current.active_tasks():
        try:
            task.interrupt()
        except Exception:  # noqa: S112 - it may have ended this moment
            continue
    until = time.monotonic() + 1.0
    for task in _current.active_tasks():
        if not task._tarefa_core.is_thread:
            task.join(max(0.0, until - time.monotonic()))
            if task.is_alive():
                _kill(task)


def _kill(task: Any) -> None:
    # The end of the program ends it too, where the system refuses this.
    try:
        task.kill()
    except OSError:
        pass
