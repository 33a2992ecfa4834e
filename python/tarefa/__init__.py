"""Threads and processes with one interface, and data that both share safely.

>>> import tarefa
>>> task = tarefa.Process(target=lambda x: x + 1, args=(41,)).start()
>>> task.result()
42
"""

import sys as _sys
from collections.abc import Callable as _Callable

# Before a wait may come when there is no descriptor to read it with.
from tarefa import _hooks  # noqa: F401
from tarefa._collections._dict import Dict
from tarefa._collections._list import List
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
    TooManyThreads,
    WorkerDied,
)
from tarefa._runtime._executable import freeze_support
from tarefa._sync._lock import Lock, RLock
from tarefa._task._current import active_tasks, current_task
from tarefa._task._preload import preload
from tarefa._task._process import Process
from tarefa._task._thread import Thread
from tarefa._task._unretrieved import ExceptHookArgs
from tarefa._task._unretrieved import excepthook as __excepthook__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tarefa._channel._connection import Connection, Pipe
    from tarefa._channel._errors import BadMessage, Empty, Full, ItemsLost, ShutDown
    from tarefa._channel._queue import JoinableQueue, LifoQueue, PriorityQueue, Queue, SimpleQueue
    from tarefa._channel._select import select
    from tarefa._collections._array import Array, RawArray
    from tarefa._collections._blocks import empty, share
    from tarefa._collections._counter import Counter
    from tarefa._collections._namespace import Namespace
    from tarefa._collections._object_lock import ObjectLock
    from tarefa._collections._pinned import Pinned, pin
    from tarefa._collections._set import Set
    from tarefa._collections._value import RawValue, Value
    from tarefa._pool._attempt import attempt
    from tarefa._pool._context import get_context
    from tarefa._pool._errors import BrokenPool, KilledOverTime, PoolClosed
    from tarefa._pool._executors import ProcessPoolExecutor, ThreadPool, ThreadPoolExecutor
    from tarefa._pool._leases import leased
    from tarefa._pool._marks import process_only
    from tarefa._pool._pool import Pool
    from tarefa._pool._register import register_joblib_backend
    from tarefa._pool._timeline import OnCore, Recording, Slice, Timeline, timeline
    from tarefa._pool._warm import map as map  # noqa: A004 - as a pool has it
    from tarefa._sync._barrier import Barrier
    from tarefa._sync._condition import Condition
    from tarefa._sync._event import Event
    from tarefa._sync._owner import Owner
    from tarefa._sync._rwlock import RWLock
    from tarefa._sync._semaphore import BoundedSemaphore, Semaphore
    from tarefa._task._as_completed import as_completed
    from tarefa._task._group import TaskGroup
    from tarefa._task._program import CompletedProgram, Program
    from tarefa._task._program_failed import ProgramFailed
    from tarefa._task._run import run
    from tarefa._task._standard import (
        TIMEOUT_MAX,
        MainProcess,
        Timer,
        active_children,
        active_count,
        current_process,
        current_thread,
        get_ident,
        get_native_id,
        getprofile,
        gettrace,
        local,
        main_thread,
        parent_process,
        setprofile,
        settrace,
        stack_size,
    )
    from tarefa._task._standard import enumerate as enumerate  # noqa: A004 - as threading has it
    from tarefa._task._state import State
    from tarefa._task._table import TaskRow, TaskTable, table
    from tarefa._task._usage import Context, Usage
    from tarefa._task._wait import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, Waited, wait
    from tarefa._trace._deadlocks import Awaiting, DeadlockReport, Holding, Waiting, deadlocks

excepthook: _Callable[[ExceptHookArgs], object] = __excepthook__

__version__ = "0.1.0"

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "TIMEOUT_MAX",
    "ArenaFull",
    "Array",
    "Awaiting",
    "BadItemType",
    "BadMessage",
    "Barrier",
    "BoundedSemaphore",
    "BrokenBarrierError",
    "BrokenPool",
    "CompletedProgram",
    "Condition",
    "Connection",
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
    "KilledOverTime",
    "LifoQueue",
    "List",
    "ListChanged",
    "Lock",
    "MainProcess",
    "MemoryLimitExceeded",
    "Namespace",
    "NestedUpdate",
    "NotAKey",
    "NotPicklable",
    "NotReadable",
    "ObjectLock",
    "OnCore",
    "Owner",
    "OwnerDied",
    "Pinned",
    "Pipe",
    "Pool",
    "PoolClosed",
    "PriorityQueue",
    "Process",
    "ProcessPoolExecutor",
    "Program",
    "ProgramFailed",
    "Queue",
    "RLock",
    "RWLock",
    "RawArray",
    "RawValue",
    "Recording",
    "RemoteError",
    "RemoteTraceback",
    "Semaphore",
    "Set",
    "ShutDown",
    "SimpleQueue",
    "Slice",
    "StartError",
    "State",
    "StateError",
    "TarefaError",
    "TaskExited",
    "TaskFailed",
    "TaskGroup",
    "TaskInterrupted",
    "TaskRow",
    "TaskTable",
    "TaskTimeout",
    "Thread",
    "ThreadPool",
    "ThreadPoolExecutor",
    "TimeLimitExceeded",
    "TimeLimitInterrupt",
    "Timeline",
    "Timer",
    "TooManyThreads",
    "Usage",
    "Value",
    "Waited",
    "Waiting",
    "WorkerDied",
    "active_children",
    "active_count",
    "active_tasks",
    "address",
    "as_completed",
    "attach",
    "attempt",
    "configure",
    "cpu_count",
    "current_process",
    "current_task",
    "current_thread",
    "deadlocks",
    "empty",
    "excepthook",
    "freeze_support",
    "get_context",
    "get_ident",
    "get_native_id",
    "getprofile",
    "gettrace",
    "leased",
    "local",
    "main_thread",
    "parent_process",
    "pin",
    "preload",
    "process_only",
    "register_joblib_backend",
    "run",
    "select",
    "setprofile",
    "settrace",
    "share",
    "sleep",
    "stack_size",
    "table",
    "timeline",
    "wait",
]

# Names whose modules are imported at their first use, for most programs and processes do without.
_QUEUES = frozenset(["JoinableQueue", "LifoQueue", "PriorityQueue", "Queue", "SimpleQueue"])
_PIPES = frozenset(["Connection", "Pipe"])
_QUEUE_ERRORS = frozenset(["BadMessage", "Empty", "Full", "ItemsLost", "ShutDown"])
_BLOCKS = frozenset(["empty", "share"])
_PINNED = frozenset(["Pinned", "pin"])
_PROGRAMS = frozenset(["CompletedProgram", "Program"])
_EXECUTORS = frozenset(["ProcessPoolExecutor", "ThreadPool", "ThreadPoolExecutor"])
_POOL_ERRORS = frozenset(["BrokenPool", "KilledOverTime", "PoolClosed"])
_TIMELINES = frozenset(["OnCore", "Recording", "Slice", "Timeline", "timeline"])
_ARRAYS = frozenset(["Array", "RawArray"])
_VALUES = frozenset(["RawValue", "Value"])
_SEMAPHORES = frozenset(["BoundedSemaphore", "Semaphore"])
_USAGES = frozenset(["Context", "Usage"])
_WAITS = frozenset(["ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION", "Waited", "wait"])
_TABLES = frozenset(["TaskRow", "TaskTable", "table"])
_REPORTS = frozenset(["Awaiting", "DeadlockReport", "Holding", "Waiting", "deadlocks"])
# Names that programs bring along from `threading` and `multiprocessing`, found at their first use.
# `enumerate` and `map` are not in `__all__`: a star would hide the built-in ones.
_STANDARD = frozenset(
    [
        "TIMEOUT_MAX",
        "MainProcess",
        "Timer",
        "active_children",
        "active_count",
        "current_process",
        "current_thread",
        "enumerate",
        "get_ident",
        "get_native_id",
        "getprofile",
        "gettrace",
        "local",
        "main_thread",
        "parent_process",
        "setprofile",
        "settrace",
        "stack_size",
    ]
)


if not TYPE_CHECKING:  # else every name would be there

    def __getattr__(name: str) -> object:
        home: object = None
        if name in _QUEUES:
            from tarefa._channel import _queue as home
        elif name in _PIPES:
            from tarefa._channel import _connection as home
        elif name in _QUEUE_ERRORS:
            from tarefa._channel import _errors as home
        elif name in _BLOCKS:
            from tarefa._collections import _blocks as home
        elif name in _PINNED:
            from tarefa._collections import _pinned as home
        elif name in _ARRAYS:
            from tarefa._collections import _array as home
        elif name in _VALUES:
            from tarefa._collections import _value as home
        elif name == "Counter":
            from tarefa._collections import _counter as home
        elif name == "Namespace":
            from tarefa._collections import _namespace as home
        elif name == "ObjectLock":
            from tarefa._collections import _object_lock as home
        elif name == "Set":
            from tarefa._collections import _set as home
        elif name == "Barrier":
            from tarefa._sync import _barrier as home
        elif name == "Condition":
            from tarefa._sync import _condition as home
        elif name == "Event":
            from tarefa._sync import _event as home
        elif name == "Owner":
            from tarefa._sync import _owner as home
        elif name == "RWLock":
            from tarefa._sync import _rwlock as home
        elif name in _SEMAPHORES:
            from tarefa._sync import _semaphore as home
        elif name == "State":
            from tarefa._task import _state as home
        elif name in _USAGES:
            from tarefa._task import _usage as home
        elif name in _WAITS:
            from tarefa._task import _wait as home
        elif name in _PROGRAMS:
            from tarefa._task import _program as home
        elif name == "ProgramFailed":
            from tarefa._task import _program_failed as home
        elif name == "Pool":
            from tarefa._pool import _pool as home
        elif name in _EXECUTORS:
            from tarefa._pool import _executors as home
        elif name in _POOL_ERRORS:
            from tarefa._pool import _errors as home
        elif name == "attempt":
            from tarefa._pool import _attempt as home
        elif name == "leased":
            from tarefa._pool import _leases as home
        elif name == "map":
            from tarefa._pool import _warm as home
        elif name == "process_only":
            from tarefa._pool import _marks as home
        elif name == "register_joblib_backend":
            from tarefa._pool import _register as home
        elif name == "get_context":
            from tarefa._pool import _context as home
        elif name == "TaskGroup":
            from tarefa._task import _group as home
        elif name == "as_completed":
            from tarefa._task import _as_completed as home
        elif name in _TABLES:
            from tarefa._task import _table as home
        elif name in _TIMELINES:
            from tarefa._pool import _timeline as home
        elif name in _REPORTS:
            from tarefa._trace import _deadlocks as home
        elif name in _STANDARD:
            from tarefa._task import _standard as home
        elif name == "run":
            from tarefa._task import _run as home
        elif name == "select":
            from tarefa._channel import _select as home
        if home is not None:
            return globals().setdefault(name, getattr(home, name))
        if not name.startswith("_"):
            from tarefa._runtime._missing import sentence

            if name.endswith("_all_threads"):
                import threading

                if hasattr(threading, name):
                    return getattr(threading, name)
            text = sentence(name)
            if text is not None:
                # `from tarefa import name` drops what an AttributeError says.
                if _sys._getframe(1).f_code.co_name == "_handle_fromlist":
                    raise ImportError(text, name=__name__, path=__file__)
                raise AttributeError(text)
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}", name=name, obj=_sys.modules[__name__]
        )


class _Submodules:
    """Finds none: says what to use in the place of those that ``multiprocessing`` has."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        package, _, rest = name.partition(".")
        if package == __name__ and not rest.startswith("_"):
            from tarefa._runtime._missing import sentence

            text = sentence(rest)
            if text is not None:
                raise ModuleNotFoundError(text, name=name)


# Last: asked only for what no other finds.
_sys.meta_path.append(_Submodules)


def __dir__() -> list[str]:
    return sorted({*__all__, "__doc__", "__file__", "__name__", "__version__", "enumerate", "map"})
