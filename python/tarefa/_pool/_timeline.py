"""Timelines: who ran what when, of a pool or of the whole program."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from tarefa._engine import RecordingCore, TracedCall
from tarefa._runtime import _replaced
from tarefa._runtime._errors import Interrupted
from tarefa._runtime._shared import shown_dir

if TYPE_CHECKING:
    from tarefa._engine import TimelineCore
    from tarefa._pool._recorded import Recorded

_WIDTH = 80


class Slice(NamedTuple):
    """A task, or a call that a worker of a pool made.

    Attributes:
        name: the task's, or the function's.
        kind: ``"process"`` and ``"thread"`` of a task, ``"call"`` of a call.
        number: of a call its place in its batch; of a task what tells it from others.
        worker: the name of the thread that ran it: of a pool's worker, or of the task.
        pid: its process.
        thread: the system's number of it, as ``threading.get_native_id()``.
        start: when it began, as ``time.monotonic()``.
        end: when it ended; where it ran on, when the timeline did.
        ended: how: ``"returned"``, ``"failed"``, ``"interrupted"``, ``"running"``; the name of the
            signal that ended its process, as ``"SIGKILL"``, or ``"exited with 1"``.
        depth: in how many other slices of its thread it lies.
    """

    name: str
    kind: str
    number: int
    worker: str
    pid: int
    thread: int
    start: float
    end: float
    ended: str
    depth: int


class OnCore(NamedTuple):
    """A time during which a thread was on a core.

    Attributes:
        worker: the thread's name, as a slice has it.
        pid: its process.
        thread: the system's number of it.
        core: which core.
        start: since when, as ``time.monotonic()``.
        end: until when.
    """

    worker: str
    pid: int
    thread: int
    core: int
    start: float
    end: float


Slice.__module__ = OnCore.__module__ = "tarefa"


class Timeline:
    """Who ran what when: what :meth:`Pool.timeline` and :func:`timeline` give.

    ``print()`` shows it as text, a notebook as a picture.

    Attributes:
        start: when it begins, as ``time.monotonic()``.
        end: when it ends.
        lost: how many events are missing: there were more than there is room for.
        on_core_source: how it is known when threads were on a core: ``"kernel"`` where the kernel
            has told each switch, ``"sampled"`` where that is not granted and the time that each
            was on a core was looked at again and again, which is about right; ``"mixed"``, or
            ``"unknown"``.
    """

    __module__ = "tarefa"
    __slots__ = ("_core", "_on_core", "_slices", "end", "lost", "on_core_source", "start")

    def __init__(self, core: TimelineCore) -> None:
        self._core = core
        self.start, self.end = core.span
        self.lost = core.lost
        self.on_core_source = core.source
        self._slices: list[Slice] | None = None
        self._on_core: list[OnCore] | None = None

    @property
    def slices(self) -> list[Slice]:
        """What ran: by thread, and then by when it began."""
        if self._slices is None:
            rows = self._core.rows()
            self._slices = [
                Slice(name, kind, number, rows[row][2], *rows[row][:2], start, end, ended, depth)
                for row, depth, kind, number, name, start, end, ended in self._core.slices()
            ]
        return self._slices

    @property
    def on_core(self) -> list[OnCore]:
        """When the threads were on a core: by thread, and then by when that began."""
        if self._on_core is None:
            rows = self._core.rows()
            self._on_core = [
                OnCore(rows[row][2], *rows[row][:2], core, start, end)
                for row, core, start, end in self._core.on_core()
            ]
        return self._on_core

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, in the form that its name ends with.

        A file that is there is replaced when the new one is whole.

        Args:
            path: ``.pftrace`` for Perfetto (https://ui.perfetto.dev) in its own form, ``.json``
                for it and Chrome's tracing, which is three times as large, ``.svg`` for a picture,
                ``.html`` for a page with the picture and a table, ``.txt`` for text.

        Raises:
            ValueError: the name ends otherwise.
            OSError: the file cannot be written.
        """
        path = Path(path)
        check_suffix(path)
        suffix = path.suffix.lower()
        if suffix in (".json", ".pftrace"):
            _replaced.replace(path, lambda file: self._core.write(file, suffix == ".json"))
        elif suffix == ".txt":
            _replaced.write(path, f"{self}\n")
        else:
            _replaced.write(path, self._core.svg() if suffix == ".svg" else self._core.html(True))

    def text(self, width: int = _WIDTH) -> str:
        """Draw it with characters: a line for each thread, so many characters wide."""
        return self._core.text(max(0, width))

    def __str__(self) -> str:
        return self.text()

    __dir__ = shown_dir

    def __repr__(self) -> str:
        workers = len(self._core.rows())
        lost = f", {self.lost} events lost" if self.lost else ""
        return (
            f"<tarefa.Timeline: {len(self.slices)} slices on {workers} threads in "
            f"{self.end - self.start:.3g} s{lost}>"
        )

    def _repr_svg_(self) -> str:
        return self._core.svg()

    def _repr_html_(self) -> str:
        return self._core.html(False)


_SUFFIXES = (".pftrace", ".json", ".svg", ".html", ".txt")


def check_suffix(path: str | os.PathLike[str]) -> None:
    """Fail for a file that a timeline cannot be written to."""
    suffix = Path(path).suffix.lower()
    if suffix not in _SUFFIXES:
        known = ", ".join(_SUFFIXES[:-1])
        raise ValueError(
            f"a timeline is written to a file that ends with {known} or {_SUFFIXES[-1]}: "
            f"{os.fspath(path)!r} does not"
        )


class Recording:
    """What :func:`timeline` returns: a timeline that is being recorded."""

    __module__ = "tarefa"
    __slots__ = ("_core", "_last")

    def __init__(self, *, sampled: bool) -> None:
        self._core = RecordingCore(sampled)
        self._last: Timeline | None = None

    def timeline(self) -> Timeline:
        """All that has run so far; once it is stopped, all until then."""
        core = None if self._last is not None else self._core.timeline(None)
        if core is None:
            if self._last is None:
                raise RuntimeError("the recording was stopped by another thread just now")
            return self._last
        return Timeline(core)

    def stop(self) -> Timeline:
        """Record no more; what was recorded."""
        if self._last is None:
            self._last = self.timeline()
            self._core.stop()
        return self._last

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what was recorded so far to a file: see :meth:`Timeline.save`."""
        check_suffix(path)
        self.timeline().save(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __str__(self) -> str:
        return str(self.timeline())

    __dir__ = shown_dir

    def __repr__(self) -> str:
        state = "stopped" if self._last is not None else "goes on"
        return f"<tarefa.Recording: {state}>"

    def _repr_svg_(self) -> str:
        return self.timeline()._repr_svg_()

    def _repr_html_(self) -> str:
        return self.timeline()._repr_html_()


def timeline(*, sampled: bool = False) -> Recording:
    """Record who runs what when in the whole program, its processes included, from now on.

    >>> import tarefa
    >>> with tarefa.timeline() as recording:
    ...     tarefa.Process(target=sum, args=([1, 2],)).start().result()
    3
    >>> [s.kind for s in recording.timeline().slices if s.name.startswith("sum")] or "named so"
    'named so'

    Args:
        sampled: do not ask the kernel when threads are on a core, but look at it again and again,
            as is done where the kernel does not say it.

    Returns:
        A recording, for ``with``; :meth:`Recording.stop` ends it, too.

    Raises:
        MemoryError: there is no memory for what the threads write down.
    """
    return Recording(sampled=sampled)


class PoolRecording:
    """What a pool has of its own timeline: nothing before it is asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._core: RecordingCore | None = None
        self._last: Timeline | None = None
        self._pid = os.getpid()

    def begin(self) -> None:
        """Record from now on."""
        with self._lock:
            if self._core is None and self._last is None:
                self._core = RecordingCore(False)

    def look(self, pool: Recorded) -> Timeline:
        """All so far."""
        self.begin()
        with self._lock:
            core = None
            if self._core is not None and self._pid == os.getpid():
                core = self._core.timeline(_numbers(pool._crew))
            if core is not None:
                return Timeline(core)
            if self._last is None:
                raise RuntimeError(f"{pool.name} is of process {self._pid}: ask it there")
            return self._last

    def end(self, pool: Recorded) -> None:
        """The pool has ended: what was recorded stays."""
        with self._lock:
            if self._core is None or self._pid != os.getpid():
                return
            core = self._core.timeline(_numbers(pool._crew))
            if core is not None:
                self._last = Timeline(core)
            self._core.stop()
            self._core = None


# Behind all numbers of boards: pools of threads have no object in shared memory.
_OF_THREADS = 1 << 63


def pool_number(crew: Any) -> int:
    """What tells a pool from others in timelines."""
    board = getattr(crew, "board", None)
    if board is not None:
        return int(board.object_id[1])
    return _OF_THREADS | os.getpid() << 32 | id(crew) >> 4 & 0xFFFFFFFF


def _numbers(crew: Any) -> list[int]:
    """Those of all crews of a pool: one of kind ``"auto"`` has several."""
    return [pool_number(one) for one in getattr(crew, "_homes", [crew])]


def boards(crew: Any) -> list[int]:
    """The objects in shared memory of a pool; none of one of threads."""
    return [number for number in _numbers(crew) if number < _OF_THREADS]


def traced(
    function: Callable[..., Any], name: str, number: int, batch: int, *place: Any
) -> TracedCall:
    """A function of a batch, whose calls are written down."""
    return TracedCall((function, name), (number, batch), place, _finish, Interrupted)


def _finish(coroutine: Coroutine[Any, Any, Any]) -> Any:
    import asyncio

    return asyncio.run(coroutine)
