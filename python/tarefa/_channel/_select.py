"""``select``: waiting for the first of several things."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from tarefa import _engine
from tarefa._engine import ConnectionCore, EventCore, QueueCore

T = TypeVar("T")


def select(objects: Iterable[T], timeout: float | None = None) -> list[T]:
    """Wait until one of several things is ready, and say which are.

    It takes nothing: a queue that is said to have an item may be empty when somebody else has been
    faster, so where several take from one queue, ``get_nowait()`` goes with this. What is ready is
    told in an order that begins somewhere else each time, so who serves only the first serves all
    of them alike.

    ============================ ===================================================
    a queue                      has an item, or was shut down
    an end of a pipe             has a message, or nobody has the other end any more
    an event                     is set, or was since the call
    a thread or process          has ended
    a descriptor, as a number or is readable, at its end, or in error: sockets, files,
    an object with ``fileno()``  connections of ``multiprocessing``, ``sentinel``
    ============================ ===================================================

    Args:
        objects: what to wait for, mixed at will. The same may be there twice.
        timeout: seconds to wait at most; None waits for ever, 0 only looks.

    Returns:
        Those of them that are ready; none when the time has passed.

    Raises:
        ValueError: there is nothing to wait for, and no timeout; a timeout below 0; a queue that
            this process has closed; a descriptor below 0.
        StateError: a task is not started.
        OSError: a connection that is closed or only writes; a descriptor that is not open; or the
            system has no descriptor, or no thread, for the wait.
        TypeError: something is nothing that can be waited for. A lock is not: that it is free says
            nothing about who takes it next.
    """
    if timeout is not None and not timeout >= 0:
        raise ValueError(f"timeout is a number of seconds, 0 or more, or None, not {timeout!r}")
    if isinstance(objects, QueueCore):
        # It can be iterated, which would take what is in it.
        raise TypeError("select() takes several things: a list with the queue in it")
    these = list(objects)
    if not these and timeout is None:
        raise ValueError("select() of nothing, without a timeout, would wait for ever")
    sources = [_source(one) for one in these]
    return [these[i] for i in _engine.select(sources, timeout)]


def _source(one: Any) -> _engine.Selectable | int:
    if isinstance(one, int):
        fd = int(one)
    else:
        if isinstance(one, (QueueCore, ConnectionCore, EventCore)):
            return one._selectable()
        make = getattr(one, "_tarefa_selectable", None)
        if make is not None:
            of_task: _engine.Selectable = make()
            return of_task
        fd = _descriptor(one)
    if fd < 0:
        raise ValueError(f"file descriptor cannot be a negative integer ({fd})")
    return fd


def _descriptor(one: Any) -> int:
    try:
        find = one.fileno
    except AttributeError:
        pass
    else:
        fd = find()
        if isinstance(fd, int):
            return fd
        raise TypeError(f"fileno() of {one!r} is no integer: {fd!r}")
    name = type(one).__name__
    if hasattr(type(one), "sentinel"):
        raise TypeError(f"select() waits for a {name} by its sentinel: pass that")
    if hasattr(type(one), "acquire"):
        raise TypeError(
            f"select() does not wait for a {name}: that it is free says nothing about who takes it "
            "next; use its acquire(timeout=...)"
        )
    raise TypeError(
        "select() waits for queues, ends of pipes, events, tasks, and descriptors or objects with "
        f"fileno(), not for a {name}"
    )
