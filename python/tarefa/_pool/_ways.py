"""The ways of ``multiprocessing.Pool`` to have functions called, which every pool has."""

from __future__ import annotations

import operator
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from tarefa._pool._async_result import AsyncResult, Callback, Collected

if TYPE_CHECKING:
    from tarefa._pool._future import Future
    from tarefa._pool._results import Results
    from tarefa._runtime._coroutines import C

R = TypeVar("R")


class Ways:
    """A pool that is asked as ``multiprocessing.Pool`` is."""

    __module__ = "tarefa"

    _map: Callable[..., Results[Any]]
    submit: Callable[..., Future[Any]]

    @overload
    def starmap(
        self,
        fn: Callable[..., Coroutine[Any, Any, C]],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
    ) -> list[C]: ...
    @overload
    def starmap(
        self,
        fn: Callable[..., R],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
    ) -> list[R]: ...
    def starmap(
        self,
        fn: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
    ) -> list[Any]:
        """Call a function with the items of each item; a list of the results."""
        unit = count_of(chunksize, "chunksize")
        return list(self._map(fn, (iterable,), unit=unit, star=True))

    @overload
    def imap(
        self,
        fn: Callable[[Any], Coroutine[Any, Any, C]],
        iterable: Iterable[Any],
        chunksize: int | None = 1,
    ) -> Results[C]: ...
    @overload
    def imap(
        self, fn: Callable[[Any], R], iterable: Iterable[Any], chunksize: int | None = 1
    ) -> Results[R]: ...
    def imap(
        self, fn: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int | None = 1
    ) -> Results[Any]:
        """Call a function with each item; an iterator, which goes on after an exception."""
        unit = count_of(chunksize, "chunksize")
        return self._map(fn, (iterable,), unit=unit, goes_on=True)

    @overload
    def imap_unordered(
        self,
        fn: Callable[[Any], Coroutine[Any, Any, C]],
        iterable: Iterable[Any],
        chunksize: int | None = 1,
    ) -> Results[C]: ...
    @overload
    def imap_unordered(
        self, fn: Callable[[Any], R], iterable: Iterable[Any], chunksize: int | None = 1
    ) -> Results[R]: ...
    def imap_unordered(
        self, fn: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int | None = 1
    ) -> Results[Any]:
        """The same with the results as they are there."""
        unit = count_of(chunksize, "chunksize")
        return self._map(fn, (iterable,), unit=unit, ordered=False, goes_on=True)

    @overload
    def apply(
        self,
        fn: Callable[..., Coroutine[Any, Any, C]],
        args: Iterable[Any] = (),
        kwds: dict[str, Any] | None = None,
    ) -> C: ...
    @overload
    def apply(
        self, fn: Callable[..., R], args: Iterable[Any] = (), kwds: dict[str, Any] | None = None
    ) -> R: ...
    def apply(
        self, fn: Callable[..., Any], args: Iterable[Any] = (), kwds: dict[str, Any] | None = None
    ) -> Any:
        """Call a function in a worker, and wait for what it returns."""
        return self.submit(fn, *args, **(kwds or {})).result()

    @overload
    def apply_async(
        self,
        fn: Callable[..., Coroutine[Any, Any, C]],
        args: Iterable[Any] = (),
        kwds: dict[str, Any] | None = None,
        callback: Callback = None,
        error_callback: Callback = None,
    ) -> AsyncResult[C]: ...
    @overload
    def apply_async(
        self,
        fn: Callable[..., R],
        args: Iterable[Any] = (),
        kwds: dict[str, Any] | None = None,
        callback: Callback = None,
        error_callback: Callback = None,
    ) -> AsyncResult[R]: ...
    def apply_async(
        self,
        fn: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: dict[str, Any] | None = None,
        callback: Callback = None,
        error_callback: Callback = None,
    ) -> AsyncResult[Any]:
        """Have a worker call a function, as ``multiprocessing.Pool`` does.

        Args:
            fn: the function.
            args: its arguments.
            kwds: its arguments by name.
            callback: called with what it returns.
            error_callback: called with what it raises.
        """
        return AsyncResult(self.submit(fn, *args, **(kwds or {})), callback, error_callback)

    @overload
    def map_async(
        self,
        fn: Callable[[Any], Coroutine[Any, Any, C]],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callback = None,
        error_callback: Callback = None,
    ) -> AsyncResult[list[C]]: ...
    @overload
    def map_async(
        self,
        fn: Callable[[Any], R],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callback = None,
        error_callback: Callback = None,
    ) -> AsyncResult[list[R]]: ...
    def map_async(
        self,
        fn: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callback = None,
        error_callback: Callback = None,
    ) -> AsyncResult[Any]:
        """Call a function with each item; the result is a list."""
        return self._map_async(fn, iterable, chunksize, callback, error_callback, star=False)

    @overload
    def starmap_async(
        self,
        fn: Callable[..., Coroutine[Any, Any, C]],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callback = None,
        error_callback: Callback = None,
    ) -> AsyncResult[list[C]]: ...
    @overload
    def starmap_async(
        self,
        fn: Callable[..., R],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callback = None,
        error_callback: Callback = None,
    ) -> AsyncResult[list[R]]: ...
    def starmap_async(
        self,
        fn: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callback = None,
        error_callback: Callback = None,
    ) -> AsyncResult[Any]:
        """Call a function with the items of each item; the result is a list."""
        return self._map_async(fn, iterable, chunksize, callback, error_callback, star=True)

    def _map_async(
        self,
        fn: Any,
        iterable: Iterable[Any],
        chunksize: int | None,
        callback: Callback,
        error_callback: Callback,
        *,
        star: bool,
    ) -> AsyncResult[list[Any]]:
        unit = count_of(chunksize, "chunksize")
        items = iterable if hasattr(iterable, "__len__") else list(iterable)
        results = self._map(fn, (items,), unit=unit, star=star, goes_on=True)
        return AsyncResult(Collected(results), callback, error_callback)


def count_of(value: Any, what: str) -> int | None:
    """A number of 1 or more, checked; None stays."""
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{what} must be a whole number, not {type(value).__name__} {value!r}")
    count = operator.index(value)
    if count < 1:
        raise ValueError(f"{what} must be 1 or more, not {count}")
    return count
