"""Pools with the arguments of ``concurrent.futures`` and of ``multiprocessing``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tarefa._engine import cpu_count
from tarefa._pool._errors import PoolClosed
from tarefa._pool._pool import Pool

if TYPE_CHECKING:
    from tarefa._pool._results import Results

R = TypeVar("R")


def _check_workers(max_workers: int | None) -> None:
    if max_workers is not None and max_workers <= 0:
        raise ValueError("max_workers must be greater than 0")


class ThreadPoolExecutor(Pool):
    """A pool of threads with the arguments of ``concurrent.futures.ThreadPoolExecutor``.

    Args:
        max_workers: how many threads; some more than there are processors if it is not given.
        thread_name_prefix: what their names begin with.
        initializer: called in each before its first task.
        initargs: its arguments.
    """

    __module__ = "tarefa"

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
    ) -> None:
        _check_workers(max_workers)
        if max_workers is None:
            max_workers = min(32, cpu_count() + 4)
        super().__init__(
            max_workers,
            "thread",
            name=thread_name_prefix or None,
            initializer=initializer,
            initargs=initargs,
        )


class ProcessPoolExecutor(Pool):
    """A pool of processes with the arguments of ``concurrent.futures.ProcessPoolExecutor``.

    Args:
        max_workers: how many processes; as many as there are processors if it is not given.
        mp_context: nothing: there is one way of starting processes.
        initializer: called in each before its first task.
        initargs: its arguments.
        max_tasks_per_child: so many tasks a worker runs before another takes its place.
    """

    __module__ = "tarefa"

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: Any = None,  # noqa: ARG002 - as concurrent.futures has it
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        *,
        max_tasks_per_child: int | None = None,
    ) -> None:
        _check_workers(max_workers)
        super().__init__(
            max_workers,
            "process",
            initializer=initializer,
            initargs=initargs,
            tasks_per_worker=max_tasks_per_child,
        )


def _whole_chunks(iterable: Iterable[Any], chunksize: int | None) -> Iterable[Any]:
    """The items, each when all of its chunk are there: as ``multiprocessing`` takes them."""
    if hasattr(iterable, "__len__") or not isinstance(chunksize, int) or chunksize < 2:
        return iterable
    return _in_chunks(iter(iterable), chunksize)


def _in_chunks(items: Iterator[Any], size: int) -> Iterator[Any]:
    while chunk := list(islice(items, size)):
        yield from chunk


class StandardPool(Pool):
    """A pool of processes with the signatures of ``multiprocessing.Pool``: ``map`` gives a list.

    Args:
        processes: how many workers.
        initializer: called in each worker before its first task.
        initargs: its arguments.
        maxtasksperchild: so many tasks a worker runs before another takes its place.
        context: nothing: there is one way of starting processes.
    """

    __module__ = "tarefa"
    _kind = "process"
    # In the words of multiprocessing; it is not there yet.
    _state = "INIT"

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,  # noqa: ARG002 - as multiprocessing has it
    ) -> None:
        most: Any = maxtasksperchild
        if most is not None and not (isinstance(most, int) and most > 0):
            raise ValueError("maxtasksperchild must be a positive int or None")
        super().__init__(
            processes,
            self._kind,
            initializer=initializer,
            initargs=initargs,
            tasks_per_worker=maxtasksperchild,
        )
        self._state = "RUN"

    def map(  # type: ignore[override]
        self, func: Callable[[Any], R], iterable: Iterable[Any], chunksize: int | None = None
    ) -> list[R]:
        """Call a function with each item; a list of the results."""
        found: list[R] = self.map_async(func, iterable, chunksize).get()
        return found

    def imap(  # type: ignore[override]
        self, func: Callable[[Any], R], iterable: Iterable[Any], chunksize: int | None = 1
    ) -> Results[R]:
        """Call a function with each item; an iterator, which goes on after an exception.

        Where the input raises, the items that came before it in its chunk are left out.
        """
        return super().imap(func, _whole_chunks(iterable, chunksize), chunksize)

    def imap_unordered(  # type: ignore[override]
        self, func: Callable[[Any], R], iterable: Iterable[Any], chunksize: int | None = 1
    ) -> Results[R]:
        """The same with the results as they are there."""
        return super().imap_unordered(func, _whole_chunks(iterable, chunksize), chunksize)

    def close(self) -> None:
        """Take no more work; ``join()`` waits."""
        self._state = "CLOSE"
        super().close()

    def terminate(self) -> None:
        """End the workers now. What is not done is cancelled; threads are interrupted."""
        self._state = "TERMINATE"
        super().terminate()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """The same as ``close()``, and waits: as of executors."""
        self._state = "CLOSE"
        super().shutdown(wait, cancel_futures=cancel_futures)

    def __del__(self) -> None:
        if self._state == "RUN":
            warnings.warn(
                f"unclosed running multiprocessing pool {self!r}",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
        super().__del__()

    @property
    def _pool(self) -> list[Any]:
        # Programs look at it for the pids of the workers.
        return [task for task, *_ in self._crew.look_at_workers()]

    def __enter__(self) -> Self:
        if self._crew.closed:
            raise PoolClosed(f"{self.name} is not running: it was closed or terminated")
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()


class ThreadPool(StandardPool):
    """A pool of threads with the signatures of ``multiprocessing.pool.ThreadPool``.

    Args:
        processes: how many threads.
        initializer: called in each before its first task.
        initargs: its arguments.
    """

    __module__ = "tarefa"
    _kind = "thread"

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
    ) -> None:
        super().__init__(processes, initializer, initargs)
