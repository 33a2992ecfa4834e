"""What a process of a task does at its end, after its target: as an interpreter at its own.

Functions that were registered with ``atexit`` run, those that the zygote's imports have registered
(coverage does) too; finalizers of objects that were made here; ``logging`` is shut down, which
registers itself. Who asks for the result need not wait for that, who joins does.
"""

from __future__ import annotations

import atexit
import sys
import threading
import weakref
from collections.abc import Callable

from tarefa._engine import Unchanged
from tarefa._task import _exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Seconds that all of it may take.
LIMIT = 5.0

# How many functions what the zygote imports for itself has registered: they have nothing to do.
_idle = 0
# How many there were before.
_first = 0
# Whether this is a child: the zygote, which runs tasks that are none, has no end of this kind.
_is_child = False
# Whether it is being done.
runs = False
# Tells whether there is still nothing to do, where that was so in the zygote.
_nothing: Unchanged | None = None


def note_first() -> None:
    """In the zygote, before it imports what children need."""
    global _first
    _first = _registered()


def note_idle() -> None:
    """In the zygote, once it has imported that, and nothing of the program's."""
    global _idle
    _idle = _registered() - _first - _idle_ones()


def _registered() -> int:
    count = getattr(atexit, "_ncallbacks", None)
    return -1 if count is None else int(count())


def _idle_ones() -> int:
    """How many functions modules have registered that have nothing to do of themselves.

    Those others are asked themselves, in :func:`is_needed`.
    """
    return (
        ("logging" in sys.modules)
        + ("multiprocessing.util" in sys.modules)
        + bool(getattr(weakref.finalize, "_registered_with_atexit", False))
        + _exit.watching
    )


def forget_inherited() -> None:
    """In a child: finalizers of what the zygote has are not for it."""
    registry: Any = getattr(weakref.finalize, "_registry", None)
    if registry:
        for finalizer in list(registry):
            finalizer.atexit = False
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        util._finalizer_registry.clear()


def be_child() -> None:
    """In a child: from now on what runs is a task."""
    global _is_child
    _is_child = True


def watch() -> None:
    """In the zygote, when it has imported modules: note whether its children have nothing to do."""
    global _nothing
    _nothing = None if _is_any() or has_logging() else _watch()


def _watch() -> Unchanged | None:
    count = getattr(atexit, "_ncallbacks", None)
    registry = getattr(weakref.finalize, "_registry", None)
    if count is None or registry is None:
        return None
    # As `is_needed` and `has_logging` look at them.
    flag: Any = getattr(weakref.finalize, "_registered_with_atexit", None)
    same: list[Any] = [(_exit, "watching", _exit.watching)]
    if flag is not None:
        same.append((weakref.finalize, "_registered_with_atexit", flag))
    equal: list[Any] = [(weakref.finalize, "_registry", {})]
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        equal.append((util, "_finalizer_registry", {}))
    logging: Any = sys.modules.get("logging")
    if logging is not None:
        equal.append((logging, "_handlerList", list(logging._handlerList)))
    return Unchanged(same, equal, [(count, count())], sys.modules)


def is_nothing() -> bool:
    """Whether there is nothing to do, told at once: false where that takes a longer look."""
    return _nothing is not None and _nothing.holds()


def is_child() -> bool:
    """Whether this process runs a task, and not the zygote."""
    return _is_child


def is_needed() -> bool:
    """Whether there is anything to do."""
    # All of it, also in the zygote, which rehearses what its children will run.
    return _is_any() and _is_child


def _is_any() -> bool:
    util: Any = sys.modules.get("multiprocessing.util")
    return bool(
        _registered() != _idle + _idle_ones()
        or getattr(weakref.finalize, "_registry", None)
        or (util is not None and util._finalizer_registry)
    )


def has_logging() -> bool:
    """Whether ``logging`` has anything to shut down."""
    logging: Any = sys.modules.get("logging")
    # The first handler is the one of last resort.
    return logging is not None and len(logging._handlerList) > 1


def shut_logging() -> None:
    """Shut ``logging`` down where nothing else is to be done, which takes no time."""
    if has_logging():
        sys.modules["logging"].shutdown()


def run(on_limit: Callable[[], None]) -> None:
    """Do it; ``on_limit`` is called by another thread if it takes too long."""
    global runs
    runs = True
    timer = threading.Timer(LIMIT, on_limit)
    timer.daemon = True
    try:
        timer.start()
    except RuntimeError:
        timer = None  # type: ignore[assignment]
    try:
        atexit._run_exitfuncs()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    if timer is not None:
        timer.cancel()
