"""``Queue`` and its siblings: items from threads and processes to threads and processes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, NoReturn, SupportsIndex, TypeVar

from tarefa._channel._deliveries import earliest, keep_first
from tarefa._channel._errors import BadMessage, Empty, Full, ItemsLost, ShutDown
from tarefa._collections._room import as_list
from tarefa._engine import Deliveries, QueueCore, parse_size, register_class
from tarefa._runtime._module_objects import is_attached
from tarefa._runtime._shared import Shared
from tarefa._runtime._showing import full_title
from tarefa._sync._descriptor import Descriptor

T = TypeVar("T")


class Queue(Shared, QueueCore, Generic[T]):
    """A queue that threads and processes share, first in, first out.

    It has all that ``queue.Queue`` and ``multiprocessing``'s ``Queue`` and ``JoinableQueue`` have.
    An item is there for every ``get()`` that starts after its ``put()`` has returned: there is no
    thread behind that feeds a pipe. Items are copies, between threads too, but for other objects
    of tarefa, which are held by reference. A process that is killed in the middle of ``put()`` or
    ``get()`` leaves the queue whole; one that had taken items takes those with it. It can be
    pickled into any other process and is the same queue there.

    Args:
        maxsize: the most items; 0 or less for any number.
        max_bytes: the most bytes, as a number or a text as ``"64M"``; 256 MiB if it is not given. A
            ``put()`` that has no room waits, so a producer that is too fast does not fill memory.

    Raises:
        ValueError: ``max_bytes`` is no size.
    """

    __module__ = "tarefa"
    _descriptor: Descriptor | None = None
    # Whether a coroutine has waited by this handle.
    _is_awaited = False
    # What its own reads in others, who have only the queue.
    _label = 0

    def __init__(self, maxsize: SupportsIndex = 0, *, max_bytes: int | str | None = None) -> None:
        super().__init__()
        bytes_ = None if max_bytes is None else _size(max_bytes)
        if not is_attached(self):
            self._set_up(_bound(maxsize), bytes_, self._label)

    if TYPE_CHECKING:

        def put(self, item: T, block: bool = True, timeout: float | None = None) -> None: ...
        def put_nowait(self, item: T) -> None: ...
        def get(
            self, block: bool = True, timeout: float | None = None, *, ack: bool = False
        ) -> T: ...
        def get_nowait(self, *, ack: bool = False) -> T: ...

    def put_many(
        self, items: Iterable[T], block: bool = True, timeout: float | None = None
    ) -> None:
        """Put items in, in their order, as room comes: cheaper than one by one.

        All are made before the first is put.

        Raises:
            ArenaFull: they are more than the shared memory has room for; none is in. A list, whose
                items are there already, is put as others take what is in.
            Full, ShutDown: not all are in; ``put`` of the error says how many.
            NotPicklable: one cannot travel; none is in.
            ValueError: one is larger than ``max_bytes``; none is in.
        """
        if type(items) is not list:
            items = as_list(items)
        put, error = self._put_all(items, block, timeout)
        if error is not None:
            if isinstance(error, (Full, ShutDown)):
                error.put = put
            raise error

    def get_many(
        self,
        max: int | None = None,  # noqa: A002 - what a user would call it
        timeout: float | None = None,
        *,
        block: bool = True,
        ack: bool = False,
    ) -> list[T]:
        """Take as many items as there are, at most ``max``, waiting for the first.

        With ``ack`` they are to be acknowledged, all by one ``ack()``: see there.

        Raises:
            Empty: there was none in time.
            ShutDown: there is none, and none will come.
            BadMessage: one cannot be decoded; the others are its ``items``.
            ValueError: ``max`` is below 1.
        """
        most = _ANY if max is None else min(operator.index(max), _ANY)
        if most < 1:
            raise ValueError(f"max must be 1 or more, not {most}")
        items, bad = self._take_many(most, ack, block, timeout)
        if bad is not None:
            if isinstance(bad, BadMessage):
                bad.items = items
            raise bad
        return items

    def __iter__(self) -> Iterator[T]:
        """Take items, waiting for each, until the queue is shut down and empty."""
        while True:
            try:
                item = self.get()
            except ShutDown:
                return
            yield item

    def __contains__(self, _item: object) -> NoReturn:
        """Never: without this ``in`` would take items until it has found one that is equal."""
        raise TypeError(
            f"what is in a {type(self).__name__} cannot be asked: it would have to be taken. Use "
            "empty() or qsize(); a tarefa.Set or Dict is for what is looked up"
        )

    def ack(self) -> None:
        """Say that an item that was taken with ``ack=True`` is done with.

        Until then it is the queue's: if its consumer ends before that, killed or not, it goes back
        to the head and is the next that comes out, with ``redelivered`` true. So each item is done
        at least once, and one whose consumer died between its work and ``ack()`` a second time.

        It says so of what the calling consumer took first and has not acknowledged: of one
        ``get()``, or of all items of one ``get_many()``. A consumer is a thread, or a task of an
        event loop; what that leaves goes back, too. ``task_done()`` is another matter: who uses
        ``join()`` calls both.

        Raises:
            ValueError: this consumer holds no item of the queue.
        """
        self._settle("ack", Deliveries.ack)

    def nack(self) -> None:
        """Give back what ``ack()`` would acknowledge: it goes to the head, for any consumer.

        Raises:
            ValueError: this consumer holds no item of the queue.
        """
        self._settle("nack", Deliveries.give_back)

    def _settle(self, what: str, way: Callable[[Deliveries], None]) -> None:
        found = earliest(self.object_id)
        if found is None:
            raise ValueError(
                f"{what}() called too many times: this thread, or task of an event loop, holds no "
                "item of the queue that it has taken with ack=True"
            )
        try:
            way(found)
        finally:
            if len(found):
                # An interrupt came while a process that is stopped kept it from this.
                keep_first(self.object_id, found)

    def join(self, timeout: float | None = None) -> bool:
        """Wait until ``task_done()`` was called for each item that was put.

        Args:
            timeout: seconds to wait at most; None waits for ever.

        Returns:
            Whether all is done: False when the time passed first.

        Raises:
            ItemsLost: nothing is left to wait for, but processes that had taken items ended before
                they called ``task_done()`` for them.
        """
        done, lost, pid = self._wait_done(timeout)
        if lost:
            items, were = ("item", "was") if lost == 1 else ("items", "were")
            who = f"; the last such process was {pid}" if pid else ""
            raise ItemsLost(
                f"{lost} {items} {were} taken from the queue by processes that ended before they "
                f"called task_done(){who}: put again what must be done",
                lost,
                pid or None,
            )
        return done

    async def aget(self, *, ack: bool = False) -> T:
        """Take an item as ``get()`` does, from asyncio: only the coroutine waits.

        Cancelled, it has taken nothing. What is taken with ``ack`` the same task acknowledges.

        Raises:
            ShutDown, BadMessage: as ``get()``.
        """
        try:
            return self.get_nowait(ack=ack)
        except Empty:
            from tarefa._channel._asyncio import Ask

        ask = Ask(self, for_room=False)
        self._is_awaited = True
        try:
            while True:
                await ask.turn()
                try:
                    return self.get_nowait(ack=ack)
                except Empty:
                    pass
        finally:
            ask.leave()

    async def aput(self, item: T) -> None:
        """Put an item in as ``put()`` does, from asyncio: only the coroutine waits.

        Cancelled, it has put nothing.

        Raises:
            ShutDown, NotPicklable, ValueError: as ``put()``.
        """
        needed = self._offer(item)
        if needed is None:
            return
        from tarefa._channel._asyncio import Ask

        ask = Ask(self, for_room=True)
        self._is_awaited = True
        try:
            while needed is not None:
                await ask.turn(needed)
                needed = self._offer(item)
        finally:
            ask.leave()

    def fileno(self) -> int:
        """A descriptor that is readable while there is an item, or once the queue is shut down.

        For ``select`` and ``asyncio``: nothing is to be read from it. It is made at the first call,
        with a thread that waits for what others put, and is gone with this handle or ``close()``.

        Raises:
            ValueError: this process has called ``close()``.
        """
        return Descriptor.of(self).fileno()

    def close(self) -> None:
        """Say that this process uses this handle of the queue no more."""
        descriptor, self._descriptor = self._descriptor, None
        super().close()
        if descriptor is not None:
            descriptor.close()
        if self._is_awaited:
            from tarefa._channel._asyncio import closed

            closed(self)

    def join_thread(self) -> None:
        """Nothing, for there is no thread behind the queue; for programs of ``multiprocessing``."""

    def cancel_join_thread(self) -> None:
        """Nothing, as ``join_thread()``: an exit never waits for items that nobody reads."""

    def __repr__(self) -> str:
        most = f" of {self.maxsize}" if self.maxsize else ""
        end = ", shut down" if self.is_shutdown else ""
        return f"<{full_title(self)} {self.object_id[1]}: {self.qsize()}{most} items{end}>"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, QueueCore):
            return self.object_id == other.object_id
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.object_id)


class JoinableQueue(Queue[T]):
    """The name that ``multiprocessing`` has for one with ``task_done()``; see :class:`Queue`."""

    __module__ = "tarefa"
    _label = 1


class SimpleQueue(Queue[T]):
    """A queue without a bound on its items, as ``queue.SimpleQueue``; see :class:`Queue`."""

    __module__ = "tarefa"
    _label = 2

    def __init__(self, *, max_bytes: int | str | None = None) -> None:
        super().__init__(0, max_bytes=max_bytes)


class LifoQueue(Queue[T]):
    """A queue whose last item in is the first out, as ``queue.LifoQueue``; see :class:`Queue`."""

    __module__ = "tarefa"
    _label = 3
    _order = 1


class PriorityQueue(Queue[T]):
    """A queue whose least item is the first out, as ``queue.PriorityQueue``; see :class:`Queue`.

    Items are numbers, texts, bytes, and tuples that begin with one of them, as in
    ``(priority, item)``. They are compared where the queue lies, without a line of Python, and as
    Python compares them; what Python does not compare has an order: ``None``, numbers, NaNs, texts,
    bytes, tuples. Of a tuple count the items up to the first that is something else, an object of a
    class or a list for example: no ``<`` of a class runs. Items that are equal so far come out in
    the order in which they were put.

    Raises:
        TypeError: by ``put()``, of an item that is none of these.
    """

    __module__ = "tarefa"
    _label = 4
    _order = 2


_ANY = 2**31
_CLASSES: dict[int, type[Queue[Any]]] = {
    c._label: c for c in (Queue, JoinableQueue, SimpleQueue, LifoQueue, PriorityQueue)
}


def _bound(maxsize: SupportsIndex) -> int:
    """The most items as the engine has it."""
    return max(0, min(operator.index(maxsize), 2**63 - 1))


def _size(max_bytes: int | str) -> int:
    size = parse_size(max_bytes) if isinstance(max_bytes, str) else operator.index(max_bytes)
    if size is None or not 0 < size < 2**63:
        raise ValueError(
            f"max_bytes is a number of bytes, 1 or more, or a text as '64M', not {max_bytes!r}"
        )
    return size


def _from_handle(core: QueueCore) -> Queue[Any]:
    cls = _CLASSES.get(core._label_of, Queue)
    return cls.__new__(cls, core)


register_class("Queue", _from_handle)
