"""What each worker of a pool does before its first task, and how long that may take."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from tarefa._convert import _pickling
from tarefa._engine import GRACE, WorkerPinning
from tarefa._pool import _pin
from tarefa._pool._cargo import name_of
from tarefa._pool._errors import BrokenPool
from tarefa._runtime._coroutines import run_if_coroutine
from tarefa._runtime._errors import Interrupted, TimeLimitExceeded

# Arguments that are larger are encoded once, rather than for each worker.
_LARGE = 1 << 20
# Items of a container, or of one in it, that are looked at.
_ITEMS = 64


class Once:
    """Arguments that were encoded once, for all workers."""

    __slots__ = ("_args", "_data")

    def __init__(self, args: tuple[Any, ...]) -> None:
        from tarefa._collections._list import List

        data: List[bytes] = List([_pickling.dumps(args)])
        self._data = data
        # What keeps the shared objects that they mention.
        self._args: Any = args

    def __reduce__(self) -> Any:
        return _arrived, (self._data,)


def _arrived(data: Any) -> tuple[Any, ...]:
    args: tuple[Any, ...] = _pickling.loads(data[0])
    return args


def once(args: tuple[Any, ...]) -> Any:
    """Arguments as each worker gets them: encoded once, where they are large."""
    if _size(args, 2) < _LARGE:
        return args
    try:
        return Once(args)
    except Exception:
        # What only a start can send; or the start says what is wrong.
        return args


def _size(value: Any, depth: int) -> int:
    """About how many bytes a value has, at least."""
    if isinstance(value, (bytes, bytearray, str)):
        return len(value)
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        found = 8 * len(value)
        if depth:
            items = value.values() if isinstance(value, dict) else value
            some = list(itertools.islice(items, _ITEMS))
            found += sum(_size(it, depth - 1) for it in some) * len(value) // max(1, len(some))
        return found
    size = getattr(value, "nbytes", 0)
    return size if isinstance(size, int) else 0


class First(NamedTuple):
    """What a worker does first and last."""

    initializer: Callable[..., object] | None
    args: Any
    """A tuple; for processes perhaps :class:`Once`, which arrives as one."""
    finalizer: Callable[[], object] | None
    time_limit: float | None
    """Seconds that the initializer may take; None for any number."""
    pinning: WorkerPinning | None = None
    """Which processors workers run on; None for any."""
    processors: list[int] | None = None
    """The same for one of them."""

    def at(self, place: int) -> First:
        """The same for the worker at a place of the pool."""
        if self.pinning is None:
            return self
        return self._replace(pinning=None, processors=self.pinning.at(place))

    def begin(self, worker: Any) -> None:
        """Call the initializer, in a worker that can be interrupted.

        Raises:
            TimeLimitExceeded: it took longer than it may.
            OSError: it cannot run on its processors.
        """
        if self.processors is not None:
            _pin.apply(self.processors)
        if self.initializer is None:
            return
        if self.time_limit is None:
            run_if_coroutine(self.initializer(*self.args))
            return
        watch = _Watch(worker, self.time_limit)
        try:
            try:
                run_if_coroutine(self.initializer(*self.args))
            finally:
                watch.end()
        except Interrupted as error:
            if not watch.interrupts:
                raise
            raise self.over_time() from error
        if watch.interrupts:
            raise self.over_time()

    def end(self) -> None:
        """Call the finalizer."""
        if self.finalizer is not None:
            run_if_coroutine(self.finalizer())

    def broken(self, pool: str, error: BaseException) -> BrokenPool:
        """The error of a pool of that name whose worker could not begin."""
        what = "its workers cannot begin"
        if self.initializer is not None:
            what = f"its initializer {name_of(self.initializer)} failed"
        broken = BrokenPool(f"{pool} is broken: {what}: {type(error).__name__}: {error}")
        broken.__cause__ = error
        return broken

    def over_time(self, what: str = "") -> TimeLimitExceeded:
        """The error of an initializer that takes too long."""
        return TimeLimitExceeded(
            f"initializer {name_of(self.initializer)} ran longer than its time limit of "
            f"{self.time_limit:g} s{what}"
        )


class _Watch:
    """Interrupts a worker whose initializer takes too long."""

    def __init__(self, worker: Any, seconds: float) -> None:
        self._worker = worker
        self._seconds = seconds
        # Held while it interrupts, so that none comes once the end is noted.
        self._lock = threading.Lock()
        self._ended = threading.Event()
        # Whether it has interrupted.
        self.interrupts = False
        threading.Thread(target=self._run, name="time limit of an initializer", daemon=True).start()

    def _run(self) -> None:
        pause = self._seconds
        while not self._ended.wait(pause):
            with self._lock:
                if self._ended.is_set():
                    return
                self.interrupts = True
                self._worker._interrupt_as_far_as_possible()
            # One just before a call that sleeps may be slept over.
            pause = GRACE

    def end(self) -> None:
        """Interrupt no more."""
        while not self._ended.is_set():
            with contextlib.suppress(Interrupted), self._lock:
                self._ended.set()


def starting(pool: str, first: First, ready: list[bool]) -> str:
    """Why no task has begun, if no worker is through with its initializer; else nothing."""
    if first.initializer is None or not ready or any(ready):
        return ""
    what = f"; no worker of {pool} has begun one: initializer {name_of(first.initializer)} runs"
    limit = first.time_limit
    return what + (" (initializer_time_limit= bounds that)" if limit is None else "")
