"""``get_context``: a context of ``multiprocessing`` whose processes and objects are tarefa's."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable
from multiprocessing.context import BaseContext
from typing import Any

from tarefa import _engine
from tarefa._channel._connection import Pipe
from tarefa._channel._queue import JoinableQueue, Queue, SimpleQueue
from tarefa._collections._array import Array, RawArray
from tarefa._collections._value import RawValue, Value
from tarefa._pool._executors import StandardPool
from tarefa._runtime._configure import configure
from tarefa._runtime._errors import TarefaError
from tarefa._runtime._executable import freeze_support
from tarefa._runtime._missing import sentence
from tarefa._sync._barrier import Barrier
from tarefa._sync._condition import Condition
from tarefa._sync._event import Event
from tarefa._sync._lock import Lock, RLock
from tarefa._sync._semaphore import BoundedSemaphore, Semaphore
from tarefa._task._preload import preload
from tarefa._task._process import Process
from tarefa._task._standard import active_children, current_process, parent_process

_METHODS = ("fork", "spawn", "forkserver")
# What is nearest to our way: a child has what it is given, and is forked from a small process.
_NEAREST = "forkserver"


class TarefaContext(BaseContext):
    """What ``multiprocessing.get_context()`` returns, with tarefa's classes in it.

    It is a ``multiprocessing.context.BaseContext``, so what takes a context takes it.
    """

    _name = "tarefa"

    ProcessError = TarefaError  # type: ignore[assignment]
    TimeoutError = builtins.TimeoutError  # type: ignore[assignment]

    Process: Any = Process
    Pool: Any = StandardPool
    Queue: Any = Queue
    JoinableQueue: Any = JoinableQueue
    SimpleQueue: Any = SimpleQueue
    Pipe: Any = staticmethod(Pipe)
    Lock: Any = Lock
    RLock: Any = RLock
    Condition: Any = Condition
    Semaphore: Any = Semaphore
    BoundedSemaphore: Any = BoundedSemaphore
    Event: Any = Event
    Barrier: Any = Barrier
    Value: Any = Value
    Array: Any = Array
    RawValue: Any = RawValue
    RawArray: Any = RawArray

    current_process: Any = staticmethod(current_process)
    parent_process: Any = staticmethod(parent_process)
    active_children: Any = staticmethod(active_children)
    freeze_support: Any = staticmethod(freeze_support)

    def cpu_count(self) -> int:
        """How many processors this process may use."""
        return _engine.cpu_count()

    def Manager(self) -> Any:  # noqa: N802 - as multiprocessing has it
        """None: shared objects need no manager.

        Raises:
            NotImplementedError: always; it says what to use.
        """
        raise NotImplementedError(sentence("Manager"))

    def get_context(self, method: str | None = None) -> Any:
        """The context itself: there is one way of starting processes.

        Raises:
            ValueError: a method that ``multiprocessing`` has not, either.
        """
        return get_context(method)

    def get_start_method(self, allow_none: bool = False) -> str:  # noqa: ARG002 - as there
        """The method of ``multiprocessing`` that ours is nearest to: ``"forkserver"``."""
        return _NEAREST

    def set_start_method(self, method: str | None, force: bool = False) -> None:  # noqa: ARG002
        """Nothing to choose.

        Raises:
            ValueError: always; a context of ``multiprocessing`` refuses it, too.
        """
        raise ValueError(
            f"cannot set start method {method!r} of tarefa's context: there is one way of starting "
            "processes, with nothing to choose"
        )

    def get_all_start_methods(self) -> list[str]:
        """The one that ``get_start_method()`` says."""
        return [_NEAREST]

    def set_executable(self, executable: Any) -> None:
        """As ``tarefa.configure(executable=...)``."""
        configure(executable=executable)

    def set_forkserver_preload(self, module_names: Iterable[str]) -> None:
        """As ``tarefa.preload()``."""
        preload(module_names)

    def allow_connection_pickling(self) -> None:
        """Nothing: ends of pipes travel as they are."""

    def __reduce__(self) -> tuple[Callable[[], TarefaContext], tuple[()]]:
        return get_context, ()

    def __repr__(self) -> str:
        return "<tarefa's context of multiprocessing>"


_context = TarefaContext()


def get_context(method: str | None = None) -> TarefaContext:
    """A context of ``multiprocessing`` whose processes and objects are tarefa's.

    For what takes a context, such as ``torch.utils.data.DataLoader(multiprocessing_context=...)``,
    and for programs that get their classes from one.

    Args:
        method: None, or one of ``"fork"``, ``"spawn"`` and ``"forkserver"``: programs that name one
            get the same context, for there is one way of starting processes.

    Raises:
        ValueError: another method.
    """
    if method is not None and method not in _METHODS:
        raise ValueError(
            f"cannot find context for {method!r}: it is None, 'fork', 'spawn' or 'forkserver', "
            "which all give the same"
        )
    return _context
