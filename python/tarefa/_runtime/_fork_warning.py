"""The warning of ``os.fork`` about threads, which CPython gives from 3.12 on: not for ours.

The system's number of threads is what it looks at, and a program that uses tarefa has at least one
of ours, which holds no lock of the interpreter's and of which nothing is missing in a child. A
program without threads of its own forks as if there were no others. The filter that sees to that
asks when the warning comes, so it changes nothing else.
"""

from __future__ import annotations

import _warnings
import os
import sys
import threading

from tarefa import _engine
from tarefa._runtime import _fork

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _OnlyOurs:
    """The text of a filter that fits the warning while all other threads are ours."""

    def match(self, text: str) -> bool:
        fits = "multi-threaded, use of " in text and are_only_ours()
        if fits:
            _remove()
        return fits

    def __repr__(self) -> str:
        return "<tarefa: a fork beside its own threads>"


FILTER: tuple[Any, ...] = ("ignore", _OnlyOurs(), DeprecationWarning, None, 0)


def are_only_ours() -> bool:
    """Whether all threads of this process but the calling one are tarefa's."""
    if threading.active_count() > 1:
        return False
    own = str(threading.get_native_id())
    try:
        for other in os.listdir("/proc/self/task"):
            if other != own:
                with open(f"/proc/self/task/{other}/comm") as file:
                    if not file.read().startswith("tarefa"):
                        return False
    except OSError:
        return False
    return True


def _before() -> None:
    if _engine.is_root() is None or _fork.is_zygote():
        return
    # First, whatever the program has set since.
    _remove()
    _filters().insert(0, FILTER)


def _remove() -> None:
    # The filters are the program's again: nothing of ours is seen there.
    filters = _filters()
    if FILTER in filters:
        filters.remove(FILTER)


def _filters() -> list[Any]:
    """Those of the module, which the interpreter itself has until that is loaded."""
    warnings: Any = sys.modules.get("warnings", _warnings)
    found: list[Any] = warnings.filters
    return found


if sys.version_info >= (3, 13):
    # The warning comes after the parent's functions; one that stays goes with the next.
    os.register_at_fork(before=_before, after_in_child=_remove)
elif sys.version_info >= (3, 12):
    os.register_at_fork(before=_before, after_in_parent=_remove, after_in_child=_remove)
