"""Errors of queues, each also the standard library's."""

from __future__ import annotations

import pickle
import queue
import sys

from tarefa._runtime._errors import TarefaError


class Empty(TarefaError, queue.Empty):
    """The queue had no item, or none in time. Also ``queue.Empty``."""

    __module__ = "tarefa"


class Full(TarefaError, queue.Full):
    """The queue had no room, or none in time; nothing of the item is in it. Also ``queue.Full``.

    Attributes:
        put: of :meth:`tarefa.Queue.put_many`, how many items are in the queue.
    """

    __module__ = "tarefa"

    put: int = 0


if sys.version_info >= (3, 13):

    class _ShutDown(TarefaError, queue.ShutDown):
        """Ours, and the standard library's."""

        __module__ = "tarefa"

else:

    class _ShutDown(TarefaError):
        """The standard library has none yet."""

        __module__ = "tarefa"


class ShutDown(_ShutDown):
    """The queue has been shut down: nothing more comes in, and nothing more is there.

    From CPython 3.13 on also ``queue.ShutDown``.

    Attributes:
        put: of :meth:`tarefa.Queue.put_many`, how many items are in the queue.
    """

    __module__ = "tarefa"

    put: int = 0


class BadMessage(TarefaError, pickle.UnpicklingError):
    """An item was taken that cannot be decoded here; what happened is the ``__cause__``.

    The item is gone; the next ``get()`` goes on with the next.

    Attributes:
        pid: the process that put it; None if that is not known.
        origin: who put it, in words: the task's name and its process.
        items: of :meth:`tarefa.Queue.get_many`, the items that were taken with it.
    """

    __module__ = "tarefa"

    def __init__(self, message: str, pid: int | None = None, origin: str = "a process") -> None:
        super().__init__(message)
        self.pid = pid
        self.origin = origin
        self.items: list[object] = []


class ItemsLost(TarefaError):
    """Processes that had taken items ended before they called ``task_done()`` for them.

    ``join()`` raises it once nothing is left to wait for, and once for each such item.

    Attributes:
        count: how many items.
        pid: the last of those processes; None if that is not known.
    """

    __module__ = "tarefa"

    def __init__(self, message: str, count: int = 0, pid: int | None = None) -> None:
        super().__init__(message)
        self.count = count
        self.pid = pid


def bad_message(origin: str, pid: int, error: BaseException, channel: str = "queue") -> BadMessage:
    """Return the error for a message that raised ``error`` as it was decoded."""
    next_one = "get()" if channel == "queue" else "recv()"
    return BadMessage(
        f"an item that {origin} put into the {channel} cannot be decoded here: "
        f"{type(error).__name__}: {error}; it is taken out, and the next {next_one} goes on",
        pid or None,
        origin,
    )
