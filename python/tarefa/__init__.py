"""Threads and processes with one interface, and data that both share safely.

>>> import tarefa
>>> task = tarefa.Process(target=lambda x: x + 1, args=(41,)).start()
>>> task.result()
42
"""

from collections.abc import Callable as _Callable
from typing import TYPE_CHECKING
from typing import Any as _Any

# Before a wait may come when there is no descriptor to read it with.
from tarefa import _hooks  # noqa: F401
from tarefa._channel._errors import BadMessage, Empty, Full, ItemsLost, ShutDown
from tarefa._channel._queue import JoinableQueue, LifoQueue, PriorityQueue, Queue, SimpleQueue
from tarefa._collections._array import Array, RawArray
from tarefa._collections._counter import Counter
from tarefa._collections._dict import Dict
from tarefa._collections._list import List
from tarefa._collections._namespace import Namespace
from tarefa._collections._object_lock import ObjectLock
from tarefa._collections._set import Set
from tarefa._collections._value import RawValue, Value
from tarefa._convert._address import address, attach
from tarefa._engine import cpu_count, sleep
from tarefa._runtime._configure import configure
from tarefa._runtime._errors import (
    ArenaFull,
    BadItemType,
    BrokenBarrierError,
    HandleGone,
    Interrupted,
    ListChanged,
    MemoryLimitExceeded,
    NestedUpdate,
    NotAKey,
    NotPicklable,
    NotReadable,
    OwnerDied,
    ProgramFailed,
    RemoteError,
    RemoteTraceback,
    StartError,
    StateError,
    TarefaError,
    TaskExited,
    TaskFailed,
    TaskInterrupted,
    TaskTimeout,
    TimeLimitExceeded,
    TimeLimitInterrupt,
    WorkerDied,
)
from tarefa._runtime._executable import freeze_support
from tarefa._sync._barrier import Barrier
from tarefa._sync._condition import Condition
from tarefa._sync._event import Event
from tarefa._sync._lock import Lock, Owner, RLock
from tarefa._sync._rwlock import RWLock
from tarefa._sync._semaphore import BoundedSemaphore, Semaphore
from tarefa._task._current import active_tasks, current_task
from tarefa._task._preload import preload
from tarefa._task._process import Process
from tarefa._task._program import CompletedProgram, Program
from tarefa._task._state import State
from tarefa._task._thread import Thread
from tarefa._task._unretrieved import ExceptHookArgs
from tarefa._task._unretrieved import excepthook as __excepthook__
from tarefa._task._usage import Context, Usage
from tarefa._task._wait import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, Waited, wait
from tarefa._trace._deadlocks import DeadlockReport, Holding, Waiting, deadlocks

if TYPE_CHECKING:
    from tarefa._task._run import run

excepthook: _Callable[[ExceptHookArgs], object] = __excepthook__

__version__ = "0.1.0"

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "ArenaFull",
    "Array",
    "BadItemType",
    "BadMessage",
    "Barrier",
    "BoundedSemaphore",
    "BrokenBarrierError",
    "CompletedProgram",
    "Condition",
    "Context",
    "Counter",
    "DeadlockReport",
    "Dict",
    "Empty",
    "Event",
    "ExceptHookArgs",
    "Full",
    "HandleGone",
    "Holding",
    "Interrupted",
    "ItemsLost",
    "JoinableQueue",
    "LifoQueue",
    "List",
    "ListChanged",
    "Lock",
    "MemoryLimitExceeded",
    "Namespace",
    "NestedUpdate",
    "NotAKey",
    "NotPicklable",
    "NotReadable",
    "ObjectLock",
    "Owner",
    "OwnerDied",
    "PriorityQueue",
    "Process",
    "Program",
    "ProgramFailed",
    "Queue",
    "RLock",
    "RWLock",
    "RawArray",
    "RawValue",
    "RemoteError",
    "RemoteTraceback",
    "Semaphore",
    "Set",
    "ShutDown",
    "SimpleQueue",
    "StartError",
    "State",
    "StateError",
    "TarefaError",
    "TaskExited",
    "TaskFailed",
    "TaskInterrupted",
    "TaskTimeout",
    "Thread",
    "TimeLimitExceeded",
    "TimeLimitInterrupt",
    "Usage",
    "Value",
    "Waited",
    "Waiting",
    "WorkerDied",
    "active_tasks",
    "address",
    "attach",
    "configure",
    "cpu_count",
    "current_task",
    "deadlocks",
    "excepthook",
    "freeze_support",
    "preload",
    "run",
    "sleep",
    "wait",
]


def __dir__() -> list[str]:
    return sorted({*globals(), "run"})


if not TYPE_CHECKING:  # else every name would be there

    def __getattr__(name: str) -> _Any:
        """Find `run` at its first use: most programs have no event loop."""
        if name == "run":
            from tarefa._task._run import run

            return globals().setdefault("run", run)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
