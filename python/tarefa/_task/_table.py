"""``table``: tasks as a table."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from tarefa._engine import TaskCore
from tarefa._runtime import _tables
from tarefa._runtime._shared import shown_dir
from tarefa._task._current import active_tasks
from tarefa._task._state import State
from tarefa._task._state_numbers import FAILED, KILLED, NEW

if TYPE_CHECKING:
    from tarefa._task._base import TaskBase


class TaskRow(NamedTuple):
    """What a :class:`TaskTable` says of a task."""

    name: str
    """Its name."""
    kind: str
    """``"process"`` or ``"thread"``; the class's name of a subclass."""
    pid: int | None
    """Its process; None before it is started."""
    state: State
    """Its state."""
    ended_by: str | None
    """What ended a killed process: ``"SIGKILL"``, ``"exit 3"``; None of all others."""
    wall: float | None
    """Seconds since its start, or from there to its end; None before it is started."""
    cpu: float | None
    """Seconds on a processor."""
    memory: int | None
    """The most memory that its process had, in bytes; None where that is not known yet."""


TaskRow.__module__ = "tarefa"

_TITLES = ("name", "kind", "pid", "state", "time", "processor", "memory")
_RIGHT = (2, 4, 5, 6)


class TaskTable(Sequence[TaskRow]):
    """Tasks at one moment, a row for each: what :func:`table` returns.

    ``print()`` shows it as text, a notebook as a table.
    """

    __module__ = "tarefa"
    __slots__ = ("_rows",)

    def __init__(self, tasks: Iterable[TaskBase[Any]]) -> None:
        self._rows = tuple(map(_row, tasks))

    @overload
    def __getitem__(self, index: int) -> TaskRow: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[TaskRow, ...]: ...
    def __getitem__(self, index: int | slice) -> TaskRow | tuple[TaskRow, ...]:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[TaskRow]:
        return iter(self._rows)

    def __str__(self) -> str:
        return _tables.text(_TITLES, [_cells(row) for row in self._rows], _RIGHT)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return _tables.html(_TITLES, [_cells(row) for row in self._rows], _RIGHT)

    def _repr_svg_(self) -> str:
        from tarefa._runtime import _bars

        bars = [
            _bars.Bar(
                row.name,
                _in_words(row),
                row.wall or 0.0,
                row.cpu or 0.0,
                is_bad=row.state in (FAILED, KILLED),
            )
            for row in self._rows
        ]
        return _bars.svg("Tasks", bars, "since the start; dark: on a processor", "no tasks")

    __dir__ = shown_dir


def table(tasks: Iterable[TaskBase[Any]] | None = None) -> TaskTable:
    """Tasks as a table: which there are, their states, what they have used.

    >>> import tarefa
    >>> tasks = [tarefa.Thread(target=pow, args=(2, n), name=f"t{n}") for n in range(2)]
    >>> for row in tarefa.table(tasks):
    ...     print(row.name, row.kind, row.state)
    t0 thread NEW
    t1 thread NEW

    ``print(tarefa.table())`` shows those that this process has started and that have not ended.

    Args:
        tasks: threads and processes; None for those that :func:`active_tasks` returns.

    Raises:
        TypeError: one of them is no task.
    """
    return TaskTable(active_tasks() if tasks is None else tasks)


def _row(task: Any) -> TaskRow:
    if not isinstance(getattr(task, "_tarefa_core", None), TaskCore):
        what = type(task).__name__
        raise TypeError(f"table() takes threads and processes of tarefa, not {what} {task!r}")
    core = task._tarefa_core
    state = State(core.state)
    kind = type(task).__name__
    if type(task).__module__ == "tarefa":
        kind = "thread" if core.is_thread else "process"
    if state == NEW:
        return TaskRow(core.name, kind, None, state, None, None, None, None)
    used = task.usage()
    ended_by = None
    if state == KILLED and not core.is_thread:
        ended_by = _ended_by(task.exitcode)
    cpu = used.cpu_user + used.cpu_system
    return TaskRow(
        core.name, kind, task.pid, state, ended_by, used.wall, cpu, used.peak_memory or None
    )


def _ended_by(code: int | None) -> str | None:
    if code is None or code >= 0:
        return None if code is None else f"exit {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _in_words(row: TaskRow) -> str:
    _, _, _, state, wall, _, _ = _cells(row)
    return state if row.wall is None else f"{state}, {wall}"


def _cells(row: TaskRow) -> tuple[str, ...]:
    state = row.state.name.lower() + (f" ({row.ended_by})" if row.ended_by else "")
    return (
        row.name,
        row.kind,
        "-" if row.pid is None else str(row.pid),
        state,
        "-" if row.wall is None else _tables.seconds(row.wall),
        "-" if row.cpu is None else _tables.seconds(row.cpu),
        "-" if row.memory is None else _tables.size(row.memory),
    )
