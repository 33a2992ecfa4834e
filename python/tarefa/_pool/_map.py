"""``map``: inputs go out in batches as they are wanted, results come back in their order."""

from __future__ import annotations

import itertools
import operator
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from tarefa._engine import BatchSizes
from tarefa._pool import _wire
from tarefa._pool._work import Batch
from tarefa._runtime._errors import TaskTimeout

# Batches that wait for each worker, besides the one that it is at.
_AHEAD = 2
# Results that lie ready for who iterates over a lazy map, for each worker, at most; and at least.
_READY = 1 << 14
# Results that an iterator takes at once.
_RUN = 1 << 12
# Seconds in which a batch's tasks are not taken from a worker, however long they take.
_STALE = 0.05


class Mapping:
    """A run of a function over inputs.

    Args:
        crew: who does it.
        function: as the crew takes it.
        inputs: the iterables, one for each argument.
        star: whether there is one iterable whose items are the arguments, as for ``starmap``.
        lazy: whether inputs are taken only as results are.
    """

    def __init__(
        self,
        crew: Any,
        function: Any,
        inputs: tuple[Iterable[Any], ...],
        *,
        star: bool = False,
        unit: int | None,
        buffersize: int | None,
        ordered: bool,
        context: Any,
        time_limit: float | None,
        retries: int,
    ) -> None:
        self.crew = crew
        self.function = function
        self.context = context
        self.ordered = ordered
        self.time_limit = time_limit
        self.retries = retries
        self.total = None if buffersize is not None else _length(inputs)
        self.lazy = self.total is None
        if len(inputs) == 1:
            self._how = _wire.STAR if star else _wire.ONE
            items = inputs[0]
            # As they are now, whatever becomes of the list.
            self._inputs = iter(tuple(items) if type(items) is list else items)
        else:
            self._how = _wire.STAR
            self._inputs = zip(*inputs, strict=False)
        self.sizes = BatchSizes(1 if unit is None else unit)
        self._most = buffersize
        self.is_bounded = buffersize is not None
        # Inputs given out, and results handed out.
        self.given = 0
        self.handed = 0
        # What calls returned, or what stands for one that raised.
        self.results: dict[int, Any] = {}
        self.ready: deque[Any] = deque()
        self.exhausted = False
        self.input_error: BaseException | None = None
        self.stopped = False
        self.batches: dict[int, Batch] = {}
        self._feeding = threading.Lock()

    # -- as the sink of its batches ------------------------------------------------------

    def put(self, index: int, ok: bool, value: Any) -> None:
        """Take a result."""
        if self.stopped:
            return
        if not ok:
            value = _Raised(value)
        if self.ordered:
            self.results[index] = value
        else:
            self.ready.append(value)

    def on_done(self, batch: Batch) -> None:
        """All results of a batch are there."""
        self.batches.pop(batch.number, None)
        if not self.lazy and not self.exhausted and not self.stopped:
            self.feed()

    # -- giving out ----------------------------------------------------------------------

    def start(self) -> None:
        """Give out what the workers take first."""
        self.feed()
        if not self.lazy and not self.exhausted:
            self.crew.watch_over(run=self)
            self._settle()

    def _settle(self) -> None:
        if self.exhausted:
            self.crew.unfed.discard(self)

    def feed(self) -> None:
        """Give out as many inputs as workers will take soon."""
        if not self._feeding.acquire(blocking=False):
            return  # another thread is at it
        try:
            self._feed()
        finally:
            self._feeding.release()
            self._settle()

    def _feed(self) -> None:
        crew = self.crew
        while not self.exhausted and not self.stopped:
            if len(self.batches) > _AHEAD * crew.workers:
                return
            left = None if self.total is None else max(0, self.total - self.given)
            size = self.sizes.next(crew.workers, left)
            if self.lazy:
                most = self._most
                if most is None:
                    most = max(_READY, 4 * size) if self.sizes.mean is not None else _READY
                room = most - (self.given - self.handed)
                if room < 1:
                    return
                size = min(size, room)
            calls: list[Any] = []
            try:
                # An error leaves what came before it in there.
                calls.extend(itertools.islice(self._inputs, size))
            except BaseException as e:
                self.exhausted = True
                self.input_error = e
                if not isinstance(e, Exception):
                    raise
            if len(calls) < size:
                self.exhausted = True
            if calls:
                self._give_out(calls)

    def _give_out(self, calls: list[Any]) -> None:
        batch = Batch(self.function, calls, self._how | _wire.TIMED, self)
        batch.flags |= 1 << _wire.ATTEMPT_SHIFT
        batch.first = self.given
        batch.context = self.context
        batch.sizes = self.sizes
        batch.time_limit, batch.retries = self.time_limit, self.retries
        self.given += len(calls)
        try:
            self.crew.put(batch)
        except BaseException as e:
            self.given -= len(calls)
            self.exhausted = True
            self.input_error = e
            if not isinstance(e, Exception):
                raise
            return
        self.batches[batch.number] = batch
        if batch.left == 0:
            self.batches.pop(batch.number, None)
        if batch.time_limit is not None and self.crew.on_limited is not None:
            self.crew.on_limited(batch)

    # -- taking --------------------------------------------------------------------------

    @property
    def finished(self) -> int:
        """How many results have come."""
        return self.handed + len(self.results) + len(self.ready)

    def has_next(self) -> bool:
        """Whether something can be handed out, or nothing will come."""
        if self.ready or self.handed in self.results:
            return True
        return (self.exhausted and self.finished >= self.given) or self.stopped

    def all_there(self) -> bool:
        """Whether all results are there."""
        return (self.exhausted and self.finished >= self.given) or self.stopped

    def wait(self, done: Any, until: float | None) -> None:
        """Wait, giving out inputs, and sharing out what waits behind a long task.

        Raises:
            TaskTimeout: the time is over.
        """
        crew = self.crew
        while not done():
            if not self.exhausted:
                self.feed()
                if done():
                    return
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                raise TaskTimeout("map() has no next result in time; its tasks go on")
            before = self.finished
            # With all given out and few batches left, some wait behind others perhaps.
            crowded = any(batch.left > 1 for batch in list(self.batches.values()))
            step = _STALE if crowded else None
            if left is not None and (step is None or left < step):
                step = left
            progress = (lambda b=before: self.finished != b or done()) if self.lazy else done
            if not crew.wait(progress, step) and crowded and self.finished == before:
                self._share_out()

    def wait_all(self, timeout: float | None) -> bool:
        """Wait until all results are there; whether they are."""
        try:
            self.wait(self.all_there, None if timeout is None else time.monotonic() + timeout)
        except TaskTimeout:
            return False
        return True

    def _share_out(self) -> None:
        """What waits behind a task that takes long goes to others."""
        for batch in list(self.batches.values()):
            if batch.left < 2 or batch.sizes is None:
                continue
            batch.shared = True
            found = self.crew.take_rest(batch)
            if found is None:
                continue
            first, end = found
            # A single one each, for nobody knows how long they are.
            for index in range(first, end):
                part = Batch(batch.function, [batch.calls[index]], self._how, _Part(self, batch))
                part.flags |= 1 << _wire.ATTEMPT_SHIFT
                part.first = index
                part.context = batch.context
                part.time_limit, part.retries = batch.time_limit, batch.retries
                self.crew.put(part)
                if part.time_limit is not None and self.crew.on_limited is not None:
                    self.crew.on_limited(part)

    def stop(self) -> int:
        """Have no more begun; how many inputs that were given out have no result handed out."""
        self.stopped = True
        self.exhausted = True
        self.crew.unfed.discard(self)
        dropped = self.given - self.handed
        for batch in list(self.batches.values()):
            if self.crew.call_off(batch):
                batch.over = True
                continue
            batch.shared = True
            found = self.crew.take_rest(batch)
            if found is not None:
                for index in range(*found):
                    batch.give(index, False, None)
                if not batch.left and not batch.over:
                    self.crew.finished(batch)
        self.results.clear()
        self.ready.clear()
        return dropped


class _Raised:
    """Stands for the result of a call that raised."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


class _Part:
    """Gets the result of a task that another batch had."""

    __slots__ = ("batch", "mapping")

    def __init__(self, mapping: Mapping, batch: Batch) -> None:
        self.mapping = mapping
        self.batch = batch

    def put(self, index: int, ok: bool, value: Any) -> None:
        batch = self.batch
        batch.give(index, ok, value)
        if not batch.left and not batch.over:
            self.mapping.crew.finished(batch)


class Results(Iterator[Any]):
    """What ``map()`` returns: an iterator over the results."""

    __module__ = "tarefa"

    def __init__(
        self,
        mapping: Mapping,
        timeout: float | None,
        *,
        return_exceptions: bool,
        goes_on: bool = False,
        bar: Any = None,
    ) -> None:
        self._mapping = mapping
        self._until = None if timeout is None else time.monotonic() + timeout
        self._return_exceptions = return_exceptions
        self._goes_on = goes_on
        self._bar = bar
        self._over = False
        # What was taken from the mapping and is not handed out yet.
        self._run: deque[Any] = deque()

    def __iter__(self) -> Results:
        return self

    def __next__(self) -> Any:
        run = self._run
        if not run:
            if self._over:
                raise StopIteration
            self._take_run()
        value = run.popleft()
        if self._bar is not None:
            self._bar.update()
        if type(value) is not _Raised:
            return value
        if self._return_exceptions:
            return value.error
        if not self._goes_on:
            self._end()
        try:
            raise value.error
        finally:
            del value

    def _take_run(self) -> None:
        """Take what is there, waiting for the first."""
        mapping, run = self._mapping, self._run
        try:
            if not mapping.has_next():
                mapping.wait(mapping.has_next, self._until)
            self._take_what_is_there()
        except BaseException:
            self._end()
            raise
        if not run:
            self._end()
            error, mapping.input_error = mapping.input_error, None
            if error is not None:
                raise error
            raise StopIteration

    def _take_what_is_there(self) -> None:
        mapping, run = self._mapping, self._run
        # With a bound each counts when it is handed out.
        most = 1 if mapping.is_bounded else _RUN
        if mapping.ordered:
            results, n = mapping.results, mapping.handed
            while most and n in results:
                run.append(results.pop(n))
                n += 1
                most -= 1
            mapping.handed = n
        else:
            ready = mapping.ready
            while most and ready:
                run.append(ready.popleft())
                mapping.handed += 1
                most -= 1

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._run.clear()
            if not self._mapping.all_there():
                self._mapping.stop()
        if self._bar is not None:
            self._bar.close()

    def close(self) -> None:
        """Stop: what has not begun is not begun any more."""
        self._end()

    def __del__(self) -> None:
        mapping = getattr(self, "_mapping", None)
        if mapping is None or self._over or mapping.stopped:
            return
        taken = mapping.handed - len(self._run)
        if mapping.lazy and not (mapping.exhausted and taken >= mapping.given):
            self._over = True
            dropped = mapping.stop() + len(self._run)
            warnings.warn(
                f"the iterator of a map() was dropped unfinished: {taken} results were "
                f"taken, {dropped} inputs more had been given out, and are not run any more where "
                "no worker has begun them; take all results, or close() it",
                RuntimeWarning,
                stacklevel=2,
                source=self,
            )


def _length(inputs: tuple[Iterable[Any], ...]) -> int | None:
    """How many calls the inputs make; None where that is not known."""
    lengths = []
    for it in inputs:
        try:
            lengths.append(operator.length_hint(it) if hasattr(it, "__len__") else None)
        except TypeError:
            lengths.append(None)
    known = [n for n in lengths if n is not None]
    return min(known) if len(known) == len(lengths) else None
