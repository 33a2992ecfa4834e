"""The warning of ``os.fork`` about threads, which CPython gives from 3.12 on: not for ours.

The system's number of threads is what it looks at, and a program that uses tarefa has at least one
of ours, which holds no lock of the interpreter's and of which nothing is missing in a child. A
program without threads of its own forks as if there were no others. The filter that sees to that
asks when the warning comes, so it changes nothing else.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from tarefa import _engine


class _OnlyOurs:
    """The text of a filter that fits the warning while all other threads are ours."""

    def match(self, text: str) -> bool:
        return "multi-threaded, use of " in text and are_only_ours()

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
    warnings: Any = sys.modules.get("warnings")
    if warnings is None or _engine.is_root() is None:
        return
    filters = warnings.filters
    if not filters or filters[0] is not FILTER:
        # First, whatever the program has set since.
        filters[:] = [FILTER, *(f for f in filters if f is not FILTER)]


if sys.version_info >= (3, 12):
    os.register_at_fork(before=_before)
