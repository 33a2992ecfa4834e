"""Every error of tarefa, each also the built-in one that a user expects."""

from __future__ import annotations

import _pickle as pickle
import threading
from collections.abc import Callable

# Says whose time is up in the calling thread; the module of limits sets it.
say_over_time: Callable[[], str] | None = None
_OVER_TIME = "the task ran longer than its time limit"


class TarefaError(Exception):
    """What all errors of tarefa are."""

    __module__ = "tarefa"


class Interrupted(KeyboardInterrupt):
    """``interrupt()`` was called on the task that runs this code.

    Raised inside the task only: who asks for the result gets :class:`TaskInterrupted`. It is a
    ``KeyboardInterrupt``, so ``except Exception`` does not swallow it; for that reason it is not a
    :class:`TarefaError`.
    """

    __module__ = "tarefa"


class TimeLimitInterrupt(Interrupted):
    """The task that runs this code has run longer than its ``time_limit``.

    Raised inside the task only: who asks for the result gets :class:`TimeLimitExceeded`. Like
    every :class:`Interrupted` it can be caught, to clean up. A process that goes on after a grace
    of 2 s is killed, whose result is :class:`WorkerDied` then; a thread is interrupted again.
    """

    __module__ = "tarefa"

    def __init__(self, message: str | None = None) -> None:
        if message is None:
            # Raised by its class alone, in the thread whose time is up.
            message = say_over_time() if say_over_time is not None else _OVER_TIME
        super().__init__(message)


class TaskInterrupted(TarefaError):
    """The task was interrupted and did not handle that.

    What ``result()``, ``exception()`` and ``await`` give; inside the task it was
    :class:`Interrupted`, or another ``KeyboardInterrupt``, which is the ``__cause__``.
    """

    __module__ = "tarefa"


class TimeLimitExceeded(TarefaError, TimeoutError):
    """The task ran longer than its ``time_limit``, and was interrupted for that.

    What ``result()``, ``exception()`` and ``await`` give; inside the task it was
    :class:`TimeLimitInterrupt`, which is the ``__cause__``.
    """

    __module__ = "tarefa"


class TaskExited(TarefaError):
    """The target called ``sys.exit()`` with a code other than 0, or raised ``SystemExit``.

    The ``SystemExit`` is the ``__cause__``.

    Attributes:
        code: what it was called with, as ``SystemExit.code``: a number, a text.
    """

    __module__ = "tarefa"

    def __init__(self, message: str, code: object = None) -> None:
        super().__init__(message)
        self.code = code


class TaskFailed(TarefaError):
    """The target raised what no asker may be ended by: a ``GeneratorExit``, for example.

    So it stands for every exception that is not an ``Exception``, as asyncio's ``CancelledError``,
    and is neither an interrupt nor ``SystemExit``. That exception is the ``__cause__``.
    """

    __module__ = "tarefa"


class WorkerDied(TarefaError):
    """The task's process ended without an outcome.

    Attributes:
        pid: the process.
        exitcode: its exit code, or minus the number of the signal that ended it.
        peak_memory: the most memory it had, in bytes.
        last_line: the line of Python in which it was broken, ``file:line in function``; None where
            that was not to be had, as of a process that was killed.
        last_seen: of such a process the line where it was seen last: where it last waited for
            something of tarefa's, or was interrupted.
        attempts: in a pool, how often the task was tried.
        argument: in a pool, the call that it ran, for people.
    """

    __module__ = "tarefa"

    attempts: int = 1
    argument: str | None = None

    def __init__(
        self,
        message: str,
        pid: int | None = None,
        exitcode: int | None = None,
        peak_memory: int = 0,
        last_line: str | None = None,
        last_seen: str | None = None,
    ) -> None:
        super().__init__(message)
        self.pid = pid
        self.exitcode = exitcode
        self.peak_memory = peak_memory
        self.last_line = last_line
        self.last_seen = last_seen

    @property
    def signal(self) -> int | None:
        """The number of the signal that ended the process; None where none did."""
        code = self.exitcode
        return -code if code is not None and code < 0 else None


class OwnerDied(TarefaError):
    """The process that held the lock died. The lock is free now; it is not yours."""

    __module__ = "tarefa"


class BrokenBarrierError(TarefaError, threading.BrokenBarrierError):
    """The barrier is broken, or was reset, so not all have come."""

    __module__ = "tarefa"


class StartError(TarefaError, OSError, RuntimeError):
    """A task could not be started, or a runtime not be made. Nothing was lost.

    It is what ``multiprocessing`` raises then, and what ``threading`` does.
    """

    __module__ = "tarefa"

    def __str__(self) -> str:
        return str(self.args[-1]) if self.args else ""


class StateError(TarefaError, RuntimeError, ValueError):
    """The task is in a state in which that cannot be done.

    It is what ``threading`` raises then, and what ``multiprocessing`` does.
    """

    __module__ = "tarefa"


class TaskTimeout(TarefaError, TimeoutError):
    """The task had not ended in time. It goes on."""

    __module__ = "tarefa"


class HandleGone(TarefaError, ReferenceError):
    """The object, or the runtime it was in, does not exist any more, or is another user's."""

    __module__ = "tarefa"


class NotPicklable(TarefaError, TypeError, pickle.PicklingError):
    """Something that should go to another process cannot be pickled."""

    __module__ = "tarefa"


class NotAKey(TarefaError, TypeError):
    """Something that cannot be a key: unhashable, or equal to nothing in another process."""

    __module__ = "tarefa"


class NotReadable(TarefaError, TypeError):
    """Another language wrote it in a form that Python does not read."""

    __module__ = "tarefa"


class ArenaFull(TarefaError, MemoryError):
    """The shared memory has no room. Nothing was changed."""

    __module__ = "tarefa"


class TooManyThreads(TarefaError, RuntimeError):
    """As many threads as can use shared objects at once do so already, over all processes.

    What must not fail goes on in such a thread: a handle that is dropped, a flag that is read.
    """

    __module__ = "tarefa"


class MemoryLimitExceeded(TarefaError, MemoryError):
    """The target ran out of memory, in a process with a ``memory_limit``.

    Its ``__cause__`` is the ``MemoryError`` that left the target.
    """

    __module__ = "tarefa"


class ListChanged(TarefaError, ValueError):
    """The list was changed by what was called to rearrange it, a ``key`` function, say."""

    __module__ = "tarefa"


class NestedUpdate(TarefaError, RuntimeError):
    """What was called for an element's new value changed the element itself.

    ``update`` of an element inside its own ``update`` has no end: return the new value, and change
    nothing of the same element inside.
    """

    __module__ = "tarefa"


class BadItemType(TarefaError, TypeError, ValueError):
    """No type of items that can be shared: an unknown typecode, a pointer, a Python object."""

    __module__ = "tarefa"


class RemoteError(TarefaError):
    """An exception of a task that could not travel: its type's name, its text, its traceback.

    Attributes:
        type_name: the name of its type.
        remote_traceback: the traceback as text.
        reason: what of it could not travel, and why.
    """

    __module__ = "tarefa"

    def __init__(
        self, message: str, type_name: str = "", remote_traceback: str = "", reason: str = ""
    ) -> None:
        super().__init__(message)
        self.type_name = type_name
        self.remote_traceback = remote_traceback
        self.reason = reason


class RemoteTraceback(Exception):
    """The traceback of the process where an exception was raised, as its ``__cause__``."""

    __module__ = "tarefa"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'
