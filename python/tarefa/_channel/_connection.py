"""``Pipe`` and ``Connection``: messages between two ends."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Self, SupportsIndex

from tarefa._engine import ConnectionCore, register_class
from tarefa._runtime._module_objects import warn_of_own
from tarefa._runtime._shared import shown_names
from tarefa._runtime._showing import full_title
from tarefa._sync._descriptor import Descriptor

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Buffer


class Connection(ConnectionCore):
    """An end of a pipe, with all that ``multiprocessing.connection.Connection`` has.

    Threads and processes have it by reference, as they have any shared object: it can be an
    argument of a task, or travel in a message of another pipe or queue. Several may use one end at
    once; each message comes to one of them, whole. When all who had the other end have closed it,
    dropped it or ended, ``recv()`` gives what was sent before and then raises ``EOFError``, and
    ``send()`` raises ``BrokenPipeError``. So who hands an end to a process closes its own handle.

    :func:`Pipe` makes them.
    """

    __module__ = "tarefa"

    _descriptor: Descriptor | None = None

    def send_bytes(
        self, buf: Buffer, offset: SupportsIndex = 0, size: SupportsIndex | None = None
    ) -> None:
        """Send the bytes of a buffer, or ``size`` of them from ``offset`` on, as one message.

        Raises:
            ValueError: an offset or size that the buffer does not have.
            BrokenPipeError: nobody has the other end any more.
            OSError: the connection is closed, or only reads.
        """
        view = memoryview(buf)
        if view.itemsize > 1 or view.ndim > 1:
            view = view.cast("B")
        start = operator.index(offset)
        if start < 0:
            raise ValueError("offset is negative")
        if start > view.nbytes:
            raise ValueError("buffer length < offset")
        if size is None:
            length = view.nbytes - start
        else:
            length = operator.index(size)
            if length < 0:
                raise ValueError("size is negative")
            if start + length > view.nbytes:
                raise ValueError("buffer length < offset + size")
        self._put_bytes(view[start : start + length])

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        """Receive the bytes of a message; of an object that was sent, its pickle.

        Raises:
            EOFError: nothing is left, and nobody has the other end any more.
            OSError: the connection is closed, or only writes; or the message is longer than
                ``maxlength``: it is gone, and the connection reads no more.
            ValueError: ``maxlength`` is below 0.
        """
        if maxlength is not None and maxlength < 0:
            raise ValueError("negative maxlength")
        data = self._take_bytes()
        if maxlength is not None and len(data) > maxlength:
            if self.writable:
                self._stop_reading()
            else:
                self.close()
            raise OSError("bad message length")
        return data

    def recv_bytes_into(self, buf: Buffer, offset: SupportsIndex = 0) -> int:
        """Receive the bytes of a message into a writable buffer, from ``offset`` on.

        Returns:
            How many bytes there were.

        Raises:
            multiprocessing.BufferTooShort: the buffer has no room for them; they are its argument.
            ValueError: an offset that the buffer does not have.
            EOFError, OSError: as ``recv_bytes()``.
        """
        with memoryview(buf) as whole, whole.cast("B") as view:
            start = operator.index(offset)
            if start < 0:
                raise ValueError("negative offset")
            if start > view.nbytes:
                raise ValueError("offset too large")
            if view.readonly:
                raise TypeError("recv_bytes_into() needs a writable buffer")
            data = self._take_bytes()
            if len(data) > view.nbytes - start:
                from multiprocessing import BufferTooShort

                raise BufferTooShort(data)
            view[start : start + len(data)] = data
            return len(data)

    def fileno(self) -> int:
        """A descriptor that is readable while there is something to receive, or its end.

        For ``select``, ``asyncio`` and ``multiprocessing.connection.wait``: nothing is to be read
        from it. It is made at the first call, with a thread that waits for what others send, and
        is gone after ``close()``.

        Raises:
            OSError: the connection is closed, or only writes.
        """
        if self.closed:
            raise OSError("handle is closed")
        return Descriptor.of(self).fileno()

    def close(self) -> None:
        """Let go of this handle. What waits in it in this process ends with ``OSError``."""
        descriptor, self._descriptor = self._descriptor, None
        super().close()
        if descriptor is not None:
            descriptor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __dir__(self) -> list[str]:
        return shown_names(self, super().__dir__())

    def __repr__(self) -> str:
        ways = [w for w, can in (("reads", self.readable), ("writes", self.writable)) if can]
        state = "closed" if self.closed else " and ".join(ways)
        return f"<{full_title(self)} {self.object_id[1]}: {state}>"


def Pipe(duplex: bool = True) -> tuple[Connection, Connection]:  # noqa: N802 - as multiprocessing
    """Make a pipe, between threads and processes, as ``multiprocessing.Pipe`` does.

    Args:
        duplex: whether both ends read and write; else the first only reads, the second only writes.

    Returns:
        Its two ends. A direction holds 256 MiB before ``send()`` waits; a message that is larger
        waits until it is alone.

    Raises:
        ArenaFull: there is no memory for it.
    """
    warn_of_own("pipe")
    first, second = ConnectionCore._pair(bool(duplex))
    return _from_handle(first), _from_handle(second)


def _from_handle(core: ConnectionCore) -> Any:
    return Connection(core)


register_class("Connection", _from_handle)
