"""What to use instead of an object of the standard library's that does not travel."""

from __future__ import annotations

from tarefa._convert import _files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# By the names of their classes, in `multiprocessing` and below.
_OF_MULTIPROCESSING = {
    "Lock": "tarefa.Lock",
    "RLock": "tarefa.RLock",
    "Semaphore": "tarefa.Semaphore",
    "BoundedSemaphore": "tarefa.BoundedSemaphore",
    "Condition": "tarefa.Condition",
    "Event": "tarefa.Event",
    "Barrier": "tarefa.Barrier",
    "Queue": "tarefa.Queue",
    "JoinableQueue": "tarefa.JoinableQueue",
    "SimpleQueue": "tarefa.SimpleQueue",
    "Synchronized": "tarefa.Value",
    "SynchronizedArray": "tarefa.Array",
    "SynchronizedString": "tarefa.Array",
    "SemLock": "tarefa.Lock",
}

_LOCAL = (
    "a variable of the function that runs there, or contextvars.ContextVar, whose value travels"
)
_WORK = "the function and its arguments, and start that there"
_POOL = "the function that uses it, and make one there (tarefa.Pool, tarefa.ThreadPoolExecutor)"

# Those of one process alone, by module and class.
_OF_ONE_PROCESS = {
    ("_thread", "lock"): "tarefa.Lock",
    ("_thread", "RLock"): "tarefa.RLock",
    ("threading", "_RLock"): "tarefa.RLock",
    ("threading", "Event"): "tarefa.Event",
    ("threading", "Condition"): "tarefa.Condition",
    ("threading", "BoundedSemaphore"): "tarefa.BoundedSemaphore",
    ("threading", "Semaphore"): "tarefa.Semaphore",
    ("threading", "Barrier"): "tarefa.Barrier",
    ("queue", "LifoQueue"): "tarefa.LifoQueue",
    ("queue", "PriorityQueue"): "tarefa.PriorityQueue",
    ("queue", "Queue"): "tarefa.Queue",
    ("_queue", "SimpleQueue"): "tarefa.SimpleQueue",
    ("queue", "_PySimpleQueue"): "tarefa.SimpleQueue",
    ("asyncio.locks", "Lock"): "tarefa.Lock",
    ("asyncio.locks", "Event"): "tarefa.Event",
    ("asyncio.locks", "Condition"): "tarefa.Condition",
    ("asyncio.locks", "BoundedSemaphore"): "tarefa.BoundedSemaphore",
    ("asyncio.locks", "Semaphore"): "tarefa.Semaphore",
    ("asyncio.locks", "Barrier"): "tarefa.Barrier",
    ("asyncio.queues", "LifoQueue"): "tarefa.LifoQueue",
    ("asyncio.queues", "PriorityQueue"): "tarefa.PriorityQueue",
    ("asyncio.queues", "Queue"): "tarefa.Queue",
}

# Those that nothing of tarefa's stands for: what to hand over in their place.
_HAND_OVER = {
    ("_thread", "_local"): _LOCAL,
    ("_threading_local", "local"): _LOCAL,
    ("threading", "Thread"): _WORK,
    ("multiprocessing.process", "BaseProcess"): _WORK,
    ("_asyncio", "Task"): "what it returns, once it is done",
    ("_asyncio", "Future"): "its result, once it is done",
    ("asyncio.events", "AbstractEventLoop"): "an async function, which runs in a loop of its own",
    ("concurrent.futures._base", "Future"): "its result(), once it is done",
    ("concurrent.futures._base", "Executor"): _POOL,
}


def hint(obj: Any) -> str:
    """What to use instead of an object of the standard library's that does not travel.

    It begins with a semicolon, to follow what went wrong; empty of any other object.
    """
    kind = type(obj)
    if str(kind.__module__).startswith("multiprocessing"):
        ours = _OF_MULTIPROCESSING.get(kind.__name__)
        if ours is not None:
            return (
                f"; use {ours}, which goes anywhere, or one that "
                "multiprocessing.get_context('spawn') makes, as an argument of a process"
            )
    for one in kind.__mro__:
        module = str(one.__module__)
        if module == "tarefa" or module.startswith("tarefa."):
            return ""  # it is ours, and what keeps it back is something in it
        ours = _OF_ONE_PROCESS.get((module, one.__name__))
        if ours is not None:
            return f"; it is of one process alone: use {ours}, which goes anywhere"
        other = _HAND_OVER.get((module, one.__name__))
        if other is not None:
            return f"; it is of one process alone: hand over {other}"
    return _files.hint(obj)


def hint_of(error: str) -> str:
    """The same of what ``pickle`` says that it met, where nobody else knows where."""
    _, found, rest = error.partition("cannot pickle '")
    module, _, name = rest.partition("'")[0].rpartition(".")
    ours = _OF_ONE_PROCESS.get((module, name)) if found else None
    return f"; it is of one process alone: use {ours}, which goes anywhere" if ours else ""
