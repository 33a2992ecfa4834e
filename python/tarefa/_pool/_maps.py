"""The calls of a pool over many inputs: ``map``, ``map_slices`` and ``amap``."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from tarefa._pool._ways import count_of

if TYPE_CHECKING:
    from tarefa._pool._async_map import AsyncResults
    from tarefa._pool._results import Results
    from tarefa._runtime._coroutines import C

R = TypeVar("R")


class Maps:
    """A pool that calls a function with many inputs."""

    __module__ = "tarefa"

    _map: Callable[..., Results[Any]]
    _workers: int
    _crew: Any

    @overload
    def map(
        self,
        fn: Callable[..., Coroutine[Any, Any, C]],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | str = "auto",
        buffersize: int | None = None,
        ordered: bool = True,
        progress: bool = False,
        return_exceptions: Literal[False] = False,
    ) -> Results[C]: ...
    @overload
    def map(
        self,
        fn: Callable[..., R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | str = "auto",
        buffersize: int | None = None,
        ordered: bool = True,
        progress: bool = False,
        return_exceptions: Literal[False] = False,
    ) -> Results[R]: ...
    @overload
    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | str = "auto",
        buffersize: int | None = None,
        ordered: bool = True,
        progress: bool = False,
        return_exceptions: bool,
    ) -> Results[Any]: ...
    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | str = "auto",
        buffersize: int | None = None,
        ordered: bool = True,
        progress: bool = False,
        return_exceptions: bool = False,
    ) -> Results[Any]:
        """Call a function with each item of an iterable, or with items of several.

        Inputs with a length are all run, whether their results are taken or not. Without one, or
        with ``buffersize``, inputs are taken as results are: endless ones take bounded memory, and
        an iterator that is dropped unfinished stops, with a warning.

        Args:
            fn: the function.
            iterables: its arguments; the shortest ends it.
            timeout: seconds from now on in which all results are taken.
            chunksize: inputs that stay together; ``"auto"`` leaves that to the pool, which measures
                how long they take.
            buffersize: the most inputs that are given out and whose result is not taken yet.
            ordered: whether results come in the order of their inputs, or as they are there.
            progress: whether to show a bar, where ``tqdm`` is installed.
            return_exceptions: whether what a call raises comes as a result.

        Returns:
            An iterator over the results. It raises what a call raised, in that one's place, and
            ends.

        Raises:
            PoolClosed, BrokenPool, NotPicklable, TypeError: as ``submit()``.
            ValueError: ``chunksize`` or ``buffersize`` below 1.
        """
        unit = None if chunksize == "auto" else count_of(chunksize, "chunksize")
        if not iterables:
            raise TypeError("map() needs at least one iterable")
        return self._map(
            fn,
            iterables,
            timeout,
            unit=unit,
            buffersize=count_of(buffersize, "buffersize"),
            ordered=ordered,
            progress=progress,
            return_exceptions=return_exceptions,
        )

    @overload
    def map_slices(
        self,
        fn: Callable[..., Coroutine[Any, Any, C]],
        data: Any,
        *,
        rows: int | None = None,
        timeout: float | None = None,
        ordered: bool = True,
        progress: bool = False,
        return_exceptions: Literal[False] = False,
    ) -> Results[C]: ...
    @overload
    def map_slices(
        self,
        fn: Callable[..., R],
        data: Any,
        *,
        rows: int | None = None,
        timeout: float | None = None,
        ordered: bool = True,
        progress: bool = False,
        return_exceptions: Literal[False] = False,
    ) -> Results[R]: ...
    @overload
    def map_slices(
        self,
        fn: Callable[..., Any],
        data: Any,
        *,
        rows: int | None = None,
        timeout: float | None = None,
        ordered: bool = True,
        progress: bool = False,
        return_exceptions: bool,
    ) -> Results[Any]: ...
    def map_slices(
        self,
        fn: Callable[..., Any],
        data: Any,
        *,
        rows: int | None = None,
        timeout: float | None = None,
        ordered: bool = True,
        progress: bool = False,
        return_exceptions: bool = False,
    ) -> Results[Any]:
        """Call a function with one part of an array, a frame or a sequence after the other.

        The data is copied into shared memory once, and a call in a process gets some rows of it
        as a view, which may be read only: what is to be changed is copied first. Threads get views
        of the data itself.

        Args:
            fn: the function: of a NumPy array, a pandas series or frame, or a sequence.
            data: what is cut along its rows, or first dimension.
            rows: of each slice; without it there are four slices for each worker.
            timeout: as for :meth:`map`, and so are the others.
            ordered: whether results come in the order of the rows.
            progress: whether to show a bar.
            return_exceptions: whether what a call raises comes as a result.

        Returns:
            An iterator over the results, one for each slice.

        Raises:
            TypeError: what cannot be cut: it has no length, or no slices.
            ValueError: ``rows`` below 1.
            PoolClosed, BrokenPool, NotPicklable: as :meth:`submit`.
        """
        from tarefa._pool._slices import rows_of, slices_of

        count = count_of(rows, "rows") or max(1, -(-rows_of(data) // (4 * self._workers)))
        return self._map(
            fn,
            (slices_of(data, count, travels=self._crew.encodes is True),),
            timeout,
            unit=1,
            ordered=ordered,
            progress=progress,
            return_exceptions=return_exceptions,
        )

    @overload
    def amap(
        self,
        fn: Callable[..., Coroutine[Any, Any, C]],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | str = "auto",
        buffersize: int | None = None,
        ordered: bool = True,
        return_exceptions: Literal[False] = False,
    ) -> AsyncResults[C]: ...
    @overload
    def amap(
        self,
        fn: Callable[..., R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | str = "auto",
        buffersize: int | None = None,
        ordered: bool = True,
        return_exceptions: Literal[False] = False,
    ) -> AsyncResults[R]: ...
    @overload
    def amap(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | str = "auto",
        buffersize: int | None = None,
        ordered: bool = True,
        return_exceptions: bool,
    ) -> AsyncResults[Any]: ...
    def amap(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | str = "auto",
        buffersize: int | None = None,
        ordered: bool = True,
        return_exceptions: bool = False,
    ) -> AsyncResults[Any]:
        """The same for ``async for``: the loop goes on while results are waited for.

        Args, Raises: as :meth:`map`. A generator that is an input is taken from by a thread.
        """
        from tarefa._pool._async_map import AsyncResults

        return AsyncResults(
            self.map(
                fn,
                *iterables,
                timeout=timeout,
                chunksize=chunksize,
                buffersize=buffersize,
                ordered=ordered,
                return_exceptions=return_exceptions,
            )
        )
