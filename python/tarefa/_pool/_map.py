"""``map``: inputs go out in batches as they are wanted, results come back in their order."""

from __future__ import annotations

import itertools
import operator
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from tarefa._engine import BatchSizes
from tarefa._pool import _wire
from tarefa._pool._slices import sequence_of
from tarefa._pool._work import Batch
from tarefa._runtime._errors import TaskTimeout

# Results that lie ready for who iterates over a lazy map, for each worker, at most; and at least.
_READY = 1 << 14
# Seconds in which a batch's tasks are not taken from a worker, however long they take.
_STALE = 0.05
# Seconds until who waits while there are inputs to give out looks at what is under way.
_LATER = 0.2


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
        self._how = _wire.STAR if star or len(inputs) > 1 else _wire.ONE
        # What can be cut into batches as it is, and travels as slices.
        self._whole: Any = sequence_of(inputs, travels=crew.encodes is not False)
        self._inputs: Any = None
        if self._whole is None:
            self._inputs = iter(inputs[0]) if len(inputs) == 1 else zip(*inputs, strict=False)
        self.sizes = BatchSizes(1 if unit is None else unit)
        self._most = buffersize
        self.is_bounded = buffersize is not None
        # Inputs given out, and results handed out.
        self.given = 0
        self.handed = 0
        # What calls returned, or what stands for one that raised.
        self.results: dict[int, Any] = {}
        # Those that come together, by the place of the first; how many came so, and were taken.
        self.runs: dict[int, list[Any]] = {}
        self._in_runs = self._of_runs = 0
        self._counting = threading.Lock()
        self.ready: deque[Any] = deque()
        self.exhausted = False
        self.input_error: BaseException | None = None
        self.stopped = False
        self.batches: dict[int, Batch] = {}
        # What was taken from them, for others to run.
        self.parts: dict[int, Batch] = {}
        self._feeding = threading.Lock()

    # -- as the sink of its batches ------------------------------------------------------

    def put(self, index: int, ok: bool, value: Any) -> None:
        """Take a result."""
        if self.stopped:
            return
        if not ok:
            value = Raised(value)
        if self.ordered:
            self.results[index] = value
        else:
            self.ready.append(value)

    def put_many(self, index: int, values: list[Any]) -> None:
        """Take results of calls that returned and follow each other."""
        if self.stopped:
            return
        if not self.ordered:
            self.ready.extend(values)
        elif self.is_bounded:
            # They are taken one by one.
            self.results.update(enumerate(values, index))
        else:
            with self._counting:
                self.runs[index] = values
                self._in_runs += len(values)

    def recount(self) -> None:
        """Count again: an interrupt may have come between two lines."""
        with self._counting:
            self._in_runs = self._of_runs + sum(map(len, self.runs.values()))

    def take(self, most: int) -> tuple[list[Any], bool]:
        """Hand out what is there, about so many at most; whether it is more than plain numbers."""
        if not self.ordered:
            run: list[Any] = []
            ready = self.ready
            while most and ready:
                run.append(ready.popleft())
                self.handed += 1
                most -= 1
            return run, True
        results, n = self.results, self.handed
        run = []
        if n in self.runs:
            with self._counting:
                run = self.runs.pop(n)
                self._of_runs += len(run)
            self.handed = n + len(run)
            return run, False
        while len(run) < most and n in results:
            run.append(results.pop(n))
            n += 1
        self.handed = n
        return run, True

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
        while self._feeding.acquire(blocking=False):
            epoch = self.crew.epoch
            try:
                self._feed()
            finally:
                self._feeding.release()
                self._settle()
            if self.crew.epoch == epoch:
                return
        # Another thread is at it.

    def _feed(self) -> None:
        crew = self.crew
        while not self.exhausted and not self.stopped:
            if len(self.batches) > crew.ahead_of(self.function):
                return
            left = None if self.total is None else max(0, self.total - self.given)
            size = self.sizes.next(crew.workers, left)
            if self.lazy:
                # So that what is under way takes no more memory than what lies ready.
                size = min(size, _READY // 4)
                most = self._most
                if most is None:
                    most = max(_READY, 4 * size) if self.sizes.mean is not None else _READY
                room = most - (self.given - self.handed)
                if room < 1:
                    return
                size = min(size, room)
            calls: Any = []
            error: BaseException | None = None
            if self._whole is not None:
                calls = self._whole[self.given : self.given + size]
            else:
                try:
                    # An error leaves what came before it in there.
                    calls.extend(itertools.islice(self._inputs, size))
                except BaseException as e:
                    error = e
            # In this order: who sees that there are no more inputs sees how many were given out.
            first = self.given
            self.given += len(calls)
            if error is not None:
                self.input_error = error
            if len(calls) < size:
                self.exhausted = True
            if error is not None and not isinstance(error, Exception):
                self.given = first
                raise error
            if calls:
                self._give_out(calls, first)

    def _give_out(self, calls: Any, first: int) -> None:
        batch = Batch(self.function, calls, self._how | _wire.TIMED, self)
        batch.flags |= 1 << _wire.ATTEMPT_SHIFT
        batch.first = first
        batch.context = self.context
        batch.sizes = self.sizes
        batch.time_limit, batch.retries = self.time_limit, self.retries
        try:
            self.crew.put(batch)
        except BaseException as e:
            self.input_error = e
            self.exhausted = True
            self.given = first
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
        in_runs = self._in_runs - self._of_runs
        return self.handed + len(self.results) + in_runs + len(self.ready)

    def has_next(self) -> bool:
        """Whether something can be handed out, or nothing will come."""
        if self.ready or self.handed in self.results or self.handed in self.runs:
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
                raise TaskTimeout(
                    f"map() has no next result in time; its tasks go on{crew.starting}"
                )
            before = self.finished
            # With all given out and few batches left, some wait behind others perhaps.
            under_way = self._all()
            crowded = any(batch.left >= _least(batch) for batch in under_way)
            # Others give out inputs, too: a trial that ends, who has done a batch.
            more = not self.exhausted or not under_way
            step = _STALE if crowded else _LATER if more else None
            if left is not None and (step is None or left < step):
                step = left
            epoch = crew.epoch
            progress = done
            if self.lazy:
                # What is to be given out may have changed, too.
                def progress(b: int = before, e: int = epoch) -> bool:
                    return self.finished != b or crew.epoch != e or done()

            if not crew.wait_for(self._all, progress, step) and crowded and self.finished == before:
                self._share_out()

    def wait_all(self, timeout: float | None) -> bool:
        """Wait until all results are there; whether they are."""
        try:
            self.wait(self.all_there, None if timeout is None else time.monotonic() + timeout)
        except TaskTimeout:
            return False
        return True

    def _all(self) -> list[Batch]:
        return [*list(self.batches.values()), *list(self.parts.values())]

    def _share_out(self) -> None:
        """What waits behind a task that takes long goes to others."""
        for batch in self._all():
            if batch.left < _least(batch):
                continue
            batch.shared = True
            self.crew.fetch_kept(batch)
            found = self.crew.take_rest(batch)
            if found is not None:
                self._give_rest(batch, *found)

    def _give_rest(self, batch: Batch, first: int, end: int) -> None:
        """Give out what was taken from a batch."""
        # Nobody knows how long they are: where one takes long, what is behind it is taken again.
        size = max(1, (end - first) // (4 * self.crew.workers))
        for begin in range(first, end, size):
            calls = batch.calls[begin : min(end, begin + size)]
            part = Batch(batch.function, calls, self._how, Part(self, batch))
            part.flags |= 1 << _wire.ATTEMPT_SHIFT
            part.first = begin
            part.context = batch.context
            part.time_limit, part.retries = batch.time_limit, batch.retries
            self.crew.put(part)
            self.parts[part.number] = part
            if part.left == 0:
                self.parts.pop(part.number, None)
            if part.time_limit is not None and self.crew.on_limited is not None:
                self.crew.on_limited(part)

    def stop(self) -> int:
        """Have no more begun; how many inputs that were given out have no result handed out."""
        self.stopped = True
        self.exhausted = True
        self.crew.unfed.discard(self)
        dropped = self.given - self.handed
        # What was taken from others first: those are over when these are.
        for batch in reversed(self._all()):
            if self.crew.call_off(batch):
                batch.over = True
                if type(batch.sink) is Part:
                    for index in range(batch.first, batch.first + batch.count):
                        batch.sink.put(index, False, None)
                continue
            batch.shared = True
            found = self.crew.take_rest(batch)
            if found is not None:
                for index in range(*found):
                    batch.give(index, False, None)
                if not batch.left and not batch.over:
                    self.crew.finished(batch)
        self.results.clear()
        self.runs.clear()
        self.ready.clear()
        return dropped


def _least(batch: Batch) -> int:
    """How many tasks a batch has left at least that wait behind another."""
    # Where one thread runs all, a task waits behind those of other batches, too.
    return 1 if batch.flags & _wire.LEAN else 2


class Raised:
    """Stands for the result of a call that raised."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Part:
    """Gets the results of tasks that another batch had."""

    __slots__ = ("batch", "mapping")

    def __init__(self, mapping: Mapping, batch: Batch) -> None:
        self.mapping = mapping
        self.batch = batch

    def put(self, index: int, ok: bool, value: Any) -> None:
        batch = self.batch
        batch.give(index, ok, value)
        if not batch.left and not batch.over:
            self.mapping.crew.finished(batch)

    def put_many(self, index: int, values: list[Any]) -> None:
        batch = self.batch
        batch.give_many(index, values)
        if not batch.left and not batch.over:
            self.mapping.crew.finished(batch)

    def recount(self) -> None:
        self.batch.recount()


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
