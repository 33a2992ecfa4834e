"""Threads and processes with one interface, and data that both share safely.

>>> import tarefa
>>> task = tarefa.Process(target=lambda x: x + 1, args=(41,)).start()
>>> task.result()
42
"""

from tarefa._array import Array, RawArray
from tarefa._configure import configure
from tarefa._current import active_tasks, current_task
from tarefa._engine import cpu_count, sleep
from tarefa._errors import (
    ArenaFull,
    BadItemType,
    HandleGone,
    Interrupted,
    ListChanged,
    NotPicklable,
    NotReadable,
    OwnerDied,
    ProgramFailed,
    RemoteError,
    RemoteTraceback,
    StartError,
    StateError,
    TarefaError,
    TaskTimeout,
    WorkerDied,
)
from tarefa._event import Event
from tarefa._guard import ObjectLock
from tarefa._list import List
from tarefa._lock import Lock, Owner, RLock
from tarefa._preload import preload
from tarefa._process import Process
from tarefa._program import CompletedProgram, Program
from tarefa._state import State
from tarefa._thread import Thread
from tarefa._usage import Context, Usage
from tarefa._value import RawValue, Value
from tarefa._wait import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, Waited, wait

__version__ = "0.1.0"

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "ArenaFull",
    "Array",
    "BadItemType",
    "CompletedProgram",
    "Context",
    "Event",
    "HandleGone",
    "Interrupted",
    "List",
    "ListChanged",
    "Lock",
    "NotPicklable",
    "NotReadable",
    "ObjectLock",
    "Owner",
    "OwnerDied",
    "Process",
    "Program",
    "ProgramFailed",
    "RLock",
    "RawArray",
    "RawValue",
    "RemoteError",
    "RemoteTraceback",
    "StartError",
    "State",
    "StateError",
    "TarefaError",
    "TaskTimeout",
    "Thread",
    "Usage",
    "Value",
    "Waited",
    "WorkerDied",
    "active_tasks",
    "configure",
    "cpu_count",
    "current_task",
    "preload",
    "sleep",
    "wait",
]
