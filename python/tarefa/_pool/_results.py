"""What ``map()`` returns: an iterator over results, which come to it in runs."""

from __future__ import annotations

import itertools
import time
import warnings
from collections import deque
from collections.abc import Iterator
from typing import Any, TypeVar

from tarefa._pool._errors import also_of_multiprocessing
from tarefa._pool._map import Mapping, Raised
from tarefa._runtime._errors import TaskTimeout
from tarefa._runtime._showing import full_title
from tarefa._task._base import check_timeout

R = TypeVar("R")

# Results that are taken at once.
_RUN = 1 << 12


class Results(itertools.chain[R]):
    """What ``map()`` returns: an iterator over the results."""

    __module__ = "tarefa"

    _runs: _Runs

    def next(self, timeout: float | None = None) -> R:
        """The next result, as ``next()`` gives it; the results go on after a timeout.

        Raises:
            TimeoutError: it is not there within ``timeout`` seconds. It is a
                ``multiprocessing.TimeoutError`` as well.
            StopIteration: there is none any more.
        """
        timeout = check_timeout(timeout)
        if timeout is not None:
            try:
                self._runs.wait(timeout)
            except TaskTimeout as e:
                raise also_of_multiprocessing(e) from None
        return next(self)

    def close(self) -> None:
        """Stop: what has not begun is not begun any more."""
        self._runs.end()

    @property
    def _mapping(self) -> Mapping:
        return self._runs.mapping

    def __repr__(self) -> str:
        runs, mapping = self._runs, self._runs.mapping
        taken = mapping.handed - runs.left() - runs.dropped
        of = "" if mapping.total is None else f" of {mapping.total}"
        end = ", over" if runs.over else ""
        return (
            f"<{full_title(self)}: {taken}{of} taken, {mapping.finished - taken} more there{end}>"
        )


def results_of(
    mapping: Mapping,
    timeout: float | None,
    *,
    return_exceptions: bool,
    goes_on: bool = False,
    bar: Any = None,
) -> Results[Any]:
    """The results of a mapping, for who iterates over them."""
    runs = _Runs(mapping, timeout, return_exceptions=return_exceptions, goes_on=goes_on, bar=bar)
    made: Any = Results.from_iterable(runs)
    made._runs = runs
    return made  # type: ignore[no-any-return]


class _Runs(Iterator[Iterator[Any]]):
    """The runs of results, each as an iterator: of C where it is numbers and the like."""

    def __init__(
        self,
        mapping: Mapping,
        timeout: float | None,
        *,
        return_exceptions: bool,
        goes_on: bool,
        bar: Any,
    ) -> None:
        self.over = False
        # Results that were there at the end, and that nobody has taken.
        self.dropped = 0
        self._until = None if timeout is None else time.monotonic() + float(timeout)
        self.mapping = mapping
        self.return_exceptions = return_exceptions
        self.goes_on = goes_on
        self.bar = bar
        # What was taken from the mapping: numbers and the like, and who hands them out; or what is
        # not kept once it was handed out.
        self._plain: list[Any] = []
        self._items: Any = iter(self._plain)
        self.run: deque[Any] = deque()

    def __next__(self) -> Iterator[Any]:
        if self.over:
            raise StopIteration
        mapping = self.mapping
        try:
            if not mapping.has_next():
                mapping.wait(mapping.has_next, self._until)
            # With a bound each counts when it is handed out.
            run, mixed = mapping.take(1 if mapping.is_bounded else _RUN)
        except BaseException:
            self.end()
            raise
        if not run:
            self.end()
            error, mapping.input_error = mapping.input_error, None
            if error is not None:
                raise error
            raise StopIteration
        if mixed or self.bar is not None:
            self.run.extend(run)
            return _OneByOne(self)
        self._plain = run
        items = self._items = iter(run)
        return items

    def left(self) -> int:
        """How many were taken from the mapping, and are not handed out yet."""
        found: int = self._items.__length_hint__() + len(self.run)
        return found

    def wait(self, timeout: float) -> None:
        """Wait until there is a result to be handed out, or the end.

        Raises:
            TaskTimeout: there is none in time; they go on.
        """
        mapping, until = self.mapping, time.monotonic() + timeout
        if self.over or self.left() or (self._until is not None and self._until <= until):
            return
        mapping.wait(mapping.has_next, until)

    def rest(self) -> list[Any]:
        """What has come and is not handed out, as far as nothing of it is to be raised."""
        found, run = list(self._items), self.run
        while run and type(run[0]) is not Raised and self.bar is None:
            found.append(run.popleft())
        return found

    def end(self) -> None:
        """Stop: what has not begun is not begun any more."""
        if not self.over:
            self.over = True
            self.dropped = self.left()
            self._plain.clear()
            self.run.clear()
            if not self.mapping.all_there():
                self.mapping.stop()
        if self.bar is not None:
            self.bar.close()

    def __del__(self) -> None:
        mapping = getattr(self, "mapping", None)
        if mapping is None or self.over or mapping.stopped:
            return
        left = self.left()
        taken = mapping.handed - left
        if mapping.lazy and not (mapping.exhausted and taken >= mapping.given):
            self.over = True
            dropped = mapping.stop() + left
            warnings.warn(
                f"the iterator of a map() was dropped unfinished: {taken} results were "
                f"taken, {dropped} inputs more had been given out, and are not run any more where "
                "no worker has begun them; take all results, or close() it",
                RuntimeWarning,
                stacklevel=2,
                source=self,
            )


class _OneByOne(Iterator[Any]):
    """Hands out a run of anything, of which something may be to be raised, and counts for a bar."""

    def __init__(self, runs: _Runs) -> None:
        self._runs = runs

    def __next__(self) -> Any:
        runs = self._runs
        if not runs.run:
            raise StopIteration
        value = runs.run.popleft()
        if runs.bar is not None:
            runs.bar.update()
        if type(value) is not Raised:
            return value
        if runs.return_exceptions:
            return value.error
        if not runs.goes_on:
            runs.end()
        try:
            raise value.error
        finally:
            del value
