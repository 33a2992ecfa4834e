"""``tarefa.map``: a map whose pool is made at its first use and stays."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Iterable
from contextvars import Context
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from tarefa import _engine
from tarefa._pool._pool import Pool
from tarefa._runtime import _fork

if TYPE_CHECKING:
    from tarefa._pool._results import Results
    from tarefa._runtime._coroutines import C

R = TypeVar("R")

_lock = threading.Lock()
_pools: dict[tuple[int | None, str], Pool] = {}


@overload
def map(  # noqa: A001 - as a pool has it
    fn: Callable[..., Coroutine[Any, Any, C]],
    *iterables: Iterable[Any],
    workers: int | None = None,
    kind: str | None = None,
    timeout: float | None = None,
    chunksize: int | str = "auto",
    buffersize: int | None = None,
    ordered: bool = True,
    progress: bool = False,
    return_exceptions: Literal[False] = False,
) -> Results[C]: ...
@overload
def map(  # noqa: A001 - as a pool has it
    fn: Callable[..., R],
    *iterables: Iterable[Any],
    workers: int | None = None,
    kind: str | None = None,
    timeout: float | None = None,
    chunksize: int | str = "auto",
    buffersize: int | None = None,
    ordered: bool = True,
    progress: bool = False,
    return_exceptions: Literal[False] = False,
) -> Results[R]: ...
@overload
def map(  # noqa: A001 - as a pool has it
    fn: Callable[..., Any],
    *iterables: Iterable[Any],
    workers: int | None = None,
    kind: str | None = None,
    timeout: float | None = None,
    chunksize: int | str = "auto",
    buffersize: int | None = None,
    ordered: bool = True,
    progress: bool = False,
    return_exceptions: bool,
) -> Results[Any]: ...
def map(  # noqa: A001 - as a pool has it
    fn: Callable[..., Any],
    *iterables: Iterable[Any],
    workers: int | None = None,
    kind: str | None = None,
    timeout: float | None = None,
    chunksize: int | str = "auto",
    buffersize: int | None = None,
    ordered: bool = True,
    progress: bool = False,
    return_exceptions: bool = False,
) -> Results[Any]:
    """Call a function with each item of an iterable, or with items of several, on all processors.

    As :meth:`Pool.map`, with a pool that is made at the first call, and kept for the next ones
    until the program ends. It has one for each number of workers and kind that are asked for.

    Args:
        fn: the function.
        iterables: its arguments; the shortest ends it.
        workers: how many workers; as many as there are processors if it is not given.
        kind: ``"process"``, ``"thread"`` or ``"auto"``; ``"process"`` if it is not given, or what
            ``TAREFA_KIND`` in the environment says.
        timeout: seconds from now on in which all results are taken.
        chunksize: inputs that stay together; ``"auto"`` leaves that to the pool.
        buffersize: the most inputs that are given out and whose result is not taken yet.
        ordered: whether results come in the order of their inputs, or as they are there.
        progress: whether to show a bar, where ``tqdm`` is installed.
        return_exceptions: whether what a call raises comes as a result.

    Raises:
        NotPicklable, TypeError, ValueError: as :meth:`Pool.map`.
    """
    return warm_pool(workers, kind).map(
        fn,
        *iterables,
        timeout=timeout,
        chunksize=chunksize,
        buffersize=buffersize,
        ordered=ordered,
        progress=progress,
        return_exceptions=return_exceptions,
    )


def warm_pool(workers: int | None, kind: str | None) -> Pool:
    """The pool that is kept for so many workers of that kind."""
    kind = _engine.usual_kind() if kind is None else kind
    key = workers, kind
    with _lock:
        pool = _pools.get(key)
        if pool is None or pool._crew.closed or pool._crew.broken is not None:
            # In no context: it outlives what its first caller has there.
            pool = Context().run(Pool, workers, kind, name=f"tarefa.map ({kind})")
            _pools[key] = pool
        return pool


def _forked() -> None:
    """In a forked child: its parent's pools are not its own."""
    global _lock
    _lock = threading.Lock()
    # Their ends are the parent's to see to.
    _kept.extend(_pools.values())
    _pools.clear()


_kept: list[Pool] = []

_fork.in_child(_forked)
