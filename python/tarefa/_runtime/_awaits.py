"""Which coroutines of this process await something of ours: for reports of who waits for whom.

A thread notes its wait in its slot; a coroutine has none. So each that waits has a record in a file
in memory, which is found by its name among the descriptors of the process. Nobody need answer to
be looked at: it is read where the event loop is stuck, too. ``trace/awaits.rs`` of the engine reads
it.

::

    record 0:  the process's number, a line
    record n:  a line of fields with tabs between, or a zero where there is none: since when; the
               loop's thread; numbers of objects; whether there are more; the task's name; the place
"""

from __future__ import annotations

import os
import sys
import threading
import time

from tarefa._runtime import _fork
from tarefa._runtime._high_fd import moved_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from typing import Any

_FILE = "tarefa-awaits"
# Bytes of a record, and how many there are: what is beyond is not shown. Pages that nobody has
# written to are not there.
_RECORD = 1024
_RECORDS = 1024
# Objects of one wait, and letters of a name and of a place, that are noted.
SEVERAL = 8
_NAME = 60
_PLACE = 120


class _Board:
    """The file."""

    memory: mmap.mmap

    def __init__(self) -> None:
        import mmap

        fd = moved_up(os.memfd_create(_FILE, os.MFD_CLOEXEC))
        size = _RECORD * _RECORDS
        try:
            os.ftruncate(fd, size)
            if sys.version_info >= (3, 13):
                self.memory = mmap.mmap(fd, size, trackfd=False)
            else:
                # It has a descriptor of its own.
                self.memory = mmap.mmap(fd, size)
                os.close(fd)
        except BaseException:
            os.close(fd)
            raise
        self.free = list(range(_RECORDS - 1, 0, -1))
        head = b"%d\n" % os.getpid()
        self.memory[: len(head)] = head


_board: _Board | None = None
_inherited: list[_Board] = []
_lock = threading.Lock()


def the_board() -> _Board | None:
    """That of this process; None where the system has no more to give."""
    global _board
    if _board is None:
        with _lock:
            if _board is None:
                try:
                    _board = _Board()
                except (OSError, ValueError):
                    return None
    return _board


def _anew() -> None:
    """In a forked child: the file is its parent's."""
    global _board, _lock
    if _board is not None:
        # Kept, with its descriptor: that number may be another file's by now.
        _inherited.append(_board)
    _board, _lock = None, threading.Lock()


_fork.in_child(_anew)


class Awaiting:
    """Says so of the running coroutine, within ``with``: it waits for all of these objects."""

    __slots__ = ("_at", "_board", "_objects")

    def __init__(self, *objects: int) -> None:
        self._objects = objects
        self._board: _Board | None = None
        self._at = 0

    def __enter__(self) -> None:
        import asyncio

        task = asyncio.current_task()
        board = the_board()
        if task is None or board is None:
            return
        record = _record(self._objects, task)
        try:
            self._at = board.free.pop()
        except IndexError:
            return
        self._board = board
        start = self._at * _RECORD
        board.memory[start : start + len(record)] = record

    def __exit__(self, *_: object) -> None:
        board, self._board = self._board, None
        if board is not None and board is _board:
            board.memory[self._at * _RECORD] = 0
            board.free.append(self._at)


def _record(objects: tuple[int, ...], task: Any) -> bytes:
    name = _plain(task.get_name())
    fields = (
        str(time.monotonic_ns()),
        str(threading.get_native_id()),
        ",".join(map(str, objects[:SEVERAL])),
        "1" if len(objects) > SEVERAL else "0",
        name if len(name) <= _NAME else name[: _NAME - 1] + "…",
        _place(task),
    )
    # The rest is that of an older record.
    return "\t".join(fields).encode("utf-8", "replace") + b"\n\0"


def _place(task: Any) -> str:
    """The innermost line of the task that is neither ours nor asyncio's; empty without one."""
    # What is around the coroutine of the task is the loop's, and whoever runs that.
    outermost = getattr(task.get_coro(), "cr_frame", None)
    frame = sys._getframe(3) if outermost is not None else None
    while frame is not None:
        module = frame.f_globals.get("__name__") or ""
        if module != "tarefa" and not module.startswith(("tarefa.", "asyncio.")):
            code = frame.f_code
            rest = f":{frame.f_lineno} in {code.co_name[: _PLACE // 2]}"
            file = code.co_filename
            room = _PLACE - len(rest)
            return _plain((file if len(file) <= room else "…" + file[1 - room :]) + rest)
        if frame is outermost:
            break
        frame = frame.f_back
    return ""


def _plain(text: str) -> str:
    """Without what would end the field."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
