"""Pipe ends, sockets and memory files of ``multiprocessing`` on their way to another process.

What a task is handed, and what its target reaches, goes with it: the starter gives the descriptors
to the task's process as part of its start, so it may close its own right afterwards. What is put
into a shared object is fetched by its reader, as in a queue of ``multiprocessing``, from a thread
of that module's in the process that put it there. A result cannot be fetched from a process that
has ended, and what the image of the script has would be open in every process: both are refused.

For all of that ``multiprocessing`` has hooks, which it uses itself when it spawns a process; here
they are told that one is being spawned. What is only pickled to see whether it can be is told the
same, with a process that is never made: the thread mentioned above would keep a copy of each
descriptor open until somebody fetched it.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable

from tarefa import _engine
from tarefa._runtime._errors import NotPicklable, StartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What tells one token from another, so that no two messages with any are the same bytes.
_numbers = itertools.count()


def may_travel() -> bool:
    """Whether the program has loaded a module whose objects have any."""
    modules = sys.modules
    return "socket" in modules or "multiprocessing.context" in modules


class _Spawning:
    """What ``multiprocessing`` takes for the process that it spawns."""

    def __init__(self) -> None:
        self.found: list[int] = []

    def duplicate_for_child(self, fd: int) -> int:
        """Have the descriptor go with the task; its place among those that do."""
        if fd not in self.found:
            self.found.append(fd)
        return self.found.index(fd)

    @staticmethod
    def DupFd(place: int) -> Token:  # noqa: N802 - as multiprocessing calls it
        return Token(place, next(_numbers))


class Token:
    """A descriptor that goes with a task."""

    def __init__(self, place: int, number: int) -> None:
        self._place = place
        self._number = number

    def __reduce__(self) -> Any:
        return Token, (self._place, self._number)

    def detach(self) -> int:
        """In the task's process: the descriptor, the caller's from now on."""
        return _take(self._place)


class _Here(threading.local):
    # The process that this thread pickles a message for.
    spawning: _Spawning | None = None
    # What this thread pickles, where descriptors are refused: a result, for example.
    refused_in: str | None = None
    # Whether it only looks whether something can be pickled.
    tries: bool = False


_here = _Here()


def collect(dumps: Callable[[], bytes]) -> tuple[bytes, list[int]]:
    """The message of a task that ``dumps`` makes, and the descriptors that are to go with it."""
    with _WhileSpawning() as popen:
        made = dumps()
    if len(popen.found) > _engine.most_descriptors():
        raise StartError(
            24,
            f"{len(popen.found)} descriptors are to go with the task, and at most "
            f"{_engine.most_descriptors()} do: hand it fewer pipe ends and sockets",
        )
    return made, popen.found


class _Within:
    """A context in which an attribute of ``_here`` has another value."""

    def __init__(self, name: str, value: Any) -> None:
        self._name = name
        self._value = value

    def __enter__(self) -> Any:
        self._before = getattr(_here, self._name)
        setattr(_here, self._name, self._value)
        return self._value

    def __exit__(self, *_error: object) -> None:
        setattr(_here, self._name, self._before)


class _WhileSpawning(_Within):
    """Within it descriptors in what this thread pickles are to go with a task."""

    def __init__(self) -> None:
        super().__init__("spawning", _Spawning())

    def __enter__(self) -> _Spawning:
        self._context: Any = sys.modules.get("multiprocessing.context")
        popen: _Spawning = super().__enter__()
        if self._context is not None:
            self._others = self._context.get_spawning_popen()
            self._context.set_spawning_popen(popen)
        return popen

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        if self._context is not None:
            self._context.set_spawning_popen(self._others)


def tried() -> _Within:
    """Within it what this thread pickles goes nowhere, and no descriptor is made or sent for it."""
    return _Within("tries", True)


def refused(where: str) -> _Within:
    """Within it this thread pickles what cannot have descriptors."""
    return _Within("refused_in", where)


# In a task's process: what came with it, and which of that has an owner.
_arrived: list[int] | None = None
_owned: set[int] = set()


def _take(place: int) -> int:
    global _arrived
    if _arrived is None:
        _arrived = _engine.take_descriptors()
    if place >= len(_arrived):
        raise OSError(9, "a descriptor that was to come with the task has not arrived")
    if place in _owned:
        return os.dup(_arrived[place])
    _owned.add(place)
    return _arrived[place]


def close_rest() -> None:
    """In a task's process, when its message is read: nobody else's is left open."""
    for place, fd in enumerate(_engine.take_descriptors() if _arrived is None else _arrived):
        if place not in _owned:
            os.close(fd)


def reducers() -> dict[type, Callable[[Any], Any]]:
    """How the types that have descriptors are pickled, of the modules that are loaded."""
    found: dict[type, Callable[[Any], Any]] = {}
    reduction: Any = sys.modules.get("multiprocessing.reduction")
    if reduction is not None:
        for kind, reduce in list(reduction.ForkingPickler._extra_reducers.items()):
            if getattr(reduce, "__module__", "") in _REDUCE:
                found[kind] = _guarded(kind, reduce)
    synchronize: Any = sys.modules.get("multiprocessing.synchronize")
    if synchronize is not None:
        for name in ("Lock", "RLock", "Semaphore", "BoundedSemaphore"):
            found[getattr(synchronize, name)] = _reduce_lock
    socket: Any = sys.modules.get("socket")
    kind = getattr(socket, "socket", None)  # while it is being imported there is none
    if kind is not None:
        found[kind] = _guarded(kind, _reduce_socket)
    return found


# Where the functions are that pickle what has a descriptor, or lies in memory with one.
_REDUCE = (
    "multiprocessing.connection",
    "multiprocessing.heap",
    "multiprocessing.sharedctypes",
)


def _guarded(kind: type, reduce: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def guarded(obj: Any) -> Any:
        if _here.refused_in is not None:
            name = f"{kind.__module__}.{kind.__qualname__}"
            raise NotPicklable(
                f"a {name} cannot be part of {_here.refused_in}: hand it to the task as an argument"
            )
        if _here.tries and has_descriptor:
            with _WhileSpawning():
                return reduce(obj)
        return reduce(obj)

    # What only lies in memory that has one refuses to go anywhere but to a process.
    has_descriptor = getattr(reduce, "__module__", "") != "multiprocessing.sharedctypes"
    return guarded


def _reduce_socket(found: Any) -> Any:
    popen = _here.spawning
    if popen is None:
        from multiprocessing import reduction

        made: Any = reduction._reduce_socket(found)  # type: ignore[attr-defined]
        return _with_timeout, (found.gettimeout(), *made)
    number = found.fileno()
    if number < 0:
        raise ValueError(f"{found!r} is closed, and cannot go to another process")
    token = popen.DupFd(popen.duplicate_for_child(number))
    parts = (token, found.family, found.type, found.proto)
    return _with_timeout, (found.gettimeout(), _rebuild_socket, parts)


def _rebuild_socket(token: Token, family: int, kind: int, proto: int) -> Any:
    import socket

    return socket.socket(family, kind, proto, token.detach())


def _with_timeout(timeout: float | None, make: Callable[..., Any], parts: tuple[Any, ...]) -> Any:
    """The socket that is made of these parts, with the timeout that it had.

    Its descriptor does not block if it has one, so without it the socket would not wait at all.
    """
    made = make(*parts)
    made.settimeout(timeout)
    return made


def _reduce_lock(lock: Any) -> Any:
    name = getattr(lock._semlock, "name", None) or ""
    if not os.path.exists(f"/dev/shm/sem.{name.lstrip('/')}"):  # noqa: S108 - where the C library has them
        raise RuntimeError("it was made for processes that are forked, and has no name any more")
    return lock.__reduce_ex__(5)
