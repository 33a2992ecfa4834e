"""What carries data between tasks."""

from collections.abc import Callable
from typing import Any, Self, final

from typing_extensions import disjoint_base

from tarefa._engine.sync import Level, Selectable

@disjoint_base
class QueueCore:
    """A queue in shared memory; :class:`tarefa.Queue` adds what is written in Python."""

    _order: int

    def __new__(cls, *args: object, **kwargs: object) -> Self: ...
    def _selectable(self) -> Selectable:
        """What waits for it beside other things."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, ...]]: ...
    def _set_up(self, maxsize: int, max_bytes: int | None, label: int) -> None:
        """Bound the queue, and say what class it is of."""

    @property
    def _label_of(self) -> int:
        """What class it is of."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put an item in; it is there for every ``get()`` that starts after this has returned.

        Args:
            item: what to put. It is copied; another object of tarefa is held by reference.
            block: whether to wait for room.
            timeout: seconds to wait at most; None waits for ever.

        Raises:
            Full: there was no room, or none in time.
            ShutDown: the queue has been shut down.
            NotPicklable: the item, or the part of it that is named, cannot travel.
            ValueError: it is larger than ``max_bytes``; this process has called ``close()``; a
                timeout below 0.
        """

    def put_nowait(self, item: Any) -> None:
        """Put an item in as ``put()`` does, without waiting."""

    @property
    def _traffic(self) -> int:
        """Bytes of the messages that went in and came out by this handle."""

    def _offer(self, item: Any) -> int | None:
        """Put an item in without waiting; the bytes that it needs room for, if it is not in."""

    def _put_all(
        self, items: list[Any], block: bool | None, timeout: float | None
    ) -> tuple[int, Exception | None]:
        """Put items in; how many are in, and what kept the others out."""

    def get(self, block: bool = True, timeout: float | None = None, *, ack: bool = False) -> Any:
        """Take an item.

        Args:
            block: whether to wait for one.
            timeout: seconds to wait at most; None waits for ever.
            ack: whether it stays the queue's until this consumer calls ``ack()``, and goes back to
                the head if the consumer ends before that.

        Raises:
            Empty: there was none, or none in time.
            ShutDown: the queue has been shut down, and is empty.
            BadMessage: the item cannot be decoded; it is gone, and the next ``get()`` goes on.
            ValueError: this process has called ``close()``; a timeout below 0.
        """

    def get_nowait(self, *, ack: bool = False) -> Any:
        """Take an item as ``get()`` does, without waiting."""

    @property
    def redelivered(self) -> bool:
        """Whether an item that this thread took last had been handed out with ``ack`` before."""

    @property
    def unacknowledged(self) -> int:
        """Items that consumers have taken with ``ack`` and not acknowledged."""

    def _is_spent(self) -> bool:
        """Whether nothing is in it, and nothing is to be acknowledged."""

    def _take_many(
        self, most: int, ack: bool, block: bool | None, timeout: float | None
    ) -> tuple[list[Any], Exception | None]:
        """Take items; those that can be decoded, and the error of the first that cannot."""

    def qsize(self) -> int:
        """How many items are in it now."""

    def empty(self) -> bool:
        """Whether there are none now."""

    def full(self) -> bool:
        """Whether a ``put()`` would have to wait now."""

    @property
    def maxsize(self) -> int:
        """The most items; 0 for any number. Set anew, it holds for all; what is there stays."""

    @maxsize.setter
    def maxsize(self, maxsize: int) -> None: ...
    @property
    def max_bytes(self) -> int:
        """The most bytes."""

    @property
    def used_bytes(self) -> int:
        """Bytes in it now, as they count for ``max_bytes``."""

    @property
    def unfinished_tasks(self) -> int:
        """Items that were put and are not done."""

    @property
    def is_shutdown(self) -> bool:
        """Whether it was shut down."""

    def task_done(self) -> None:
        """Say that an item that was taken is done.

        Raises:
            ValueError: all that was put is done already.
        """

    def _wait_done(self, timeout: float | None) -> tuple[bool, int, int]:
        """Wait until all is done: whether it is, how many items were lost, and by whom."""

    def shutdown(self, immediate: bool = False) -> None:
        """Let nothing more in, and wake all who wait; ``immediate`` throws away what is there."""

    def _level(self) -> Level:
        """What a descriptor for it shows."""

    def close(self) -> None:
        """Say that this process uses this handle of the queue no more."""

    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one object."""

@disjoint_base
class ConnectionCore:
    """An end of a pipe in shared memory; :class:`tarefa.Connection` adds what is Python."""

    def __new__(cls, core: ConnectionCore) -> Self: ...
    def _selectable(self) -> Selectable:
        """What waits for it beside other things."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, ...]]: ...
    @staticmethod
    def _pair(duplex: bool) -> tuple[ConnectionCore, ConnectionCore]:
        """The ends of a new pipe."""

    @property
    def closed(self) -> bool:
        """Whether this handle of the end is closed."""

    @property
    def readable(self) -> bool:
        """Whether it reads."""

    @property
    def writable(self) -> bool:
        """Whether it writes."""

    def _stop_reading(self) -> None:
        """Read no more."""

    def send(self, obj: Any) -> None:
        """Send an object: a copy; another object of tarefa goes by reference.

        Raises:
            BrokenPipeError: nobody has the other end any more.
            NotPicklable: the object, or the part of it that is named, cannot travel.
            ValueError: it mentions an end of this very pipe.
            OSError: the connection is closed, or only reads.
        """

    def _put_bytes(self, buffer: Any) -> None:
        """Send the bytes of a contiguous buffer."""

    def recv(self) -> Any:
        """Receive an object, waiting for it.

        Raises:
            EOFError: nothing is left, and nobody has the other end any more.
            BadMessage: it cannot be decoded here; the next ``recv()`` goes on.
            OSError: the connection is closed, or only writes.
        """

    def _take_bytes(self) -> bytes:
        """Receive the bytes of a message."""

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether there is something to receive, or the end of it; waits ``timeout`` seconds.

        Args:
            timeout: seconds to wait at most; None waits for ever.

        Raises:
            OSError: the connection is closed, or only writes.
        """

    def close(self) -> None:
        """Let go of this handle."""

    def _level(self) -> Level:
        """What a descriptor for it shows."""

    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one end."""

@final
class Deliveries:
    """Items that one ``get`` took to be acknowledged; dropped, they go back to the queue."""

    def ack(self) -> None:
        """Say that they are done with."""

    def give_back(self) -> None:
        """Put them back at the queue's head."""

    def __len__(self) -> int:
        """How many are neither acknowledged nor given back."""

@final
class QueueWatch:
    """A wait for a queue's state that takes nothing, and that another thread can end."""

    def __new__(cls, queue: QueueCore, for_room: int | None) -> Self: ...
    def wait(self) -> bool:
        """Wait until there is a message, or room for one; False once it was stopped."""

    def stop(self) -> None:
        """End the wait."""
