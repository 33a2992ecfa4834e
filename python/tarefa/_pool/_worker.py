"""What a worker process of a pool does, from its start to its end."""

from __future__ import annotations

import contextlib
import time
from itertools import starmap
from typing import TYPE_CHECKING, Any

from tarefa._channel._errors import Empty, ShutDown
from tarefa._engine import WorkerGrowth, is_traced, sleep
from tarefa._pool import _attempt, _budget, _cargo, _wire
from tarefa._pool._cargo import SAFE, Arrived, Cargo
from tarefa._pool._clock import Clock
from tarefa._pool._variables import Own
from tarefa._runtime._errors import (
    Interrupted,
    MemoryLimitExceeded,
    NotPicklable,
    TarefaError,
)
from tarefa._task import _current, _limits, _outcome

if TYPE_CHECKING:
    from tarefa._pool._initializer import First

# Items of a tuple that travels as it is.
_FLAT = 16
# Functions that a worker keeps.
_MOST_KEPT = 64
# Seconds in which an interrupt that is on its way arrives.
_ON_ITS_WAY = 5.0


class Worker:
    """A worker, in its process."""

    def __init__(
        self,
        seat: int,
        board: Any,
        tasks: Any,
        results: Any,
        limit: int | None,
        resources: Any,
        own: Own,
        *,
        beside: bool = False,
    ) -> None:
        self.resources = resources
        self.own = own
        self.seat = seat
        self.board = board
        self.tasks = tasks
        # Of queues whose messages another worker of this process counts: none.
        self.counted = () if beside else (tasks, results)
        self.put = results.put
        self.limit = limit
        self.functions: dict[int, Any] = {}
        self.done = 0
        self.growth: WorkerGrowth | None = None

    def run(self, until: float | None = None) -> str:
        """Take batches until there are no more, until it is another's turn, or until that time."""
        if not self.board.note_ready(self.seat):
            return _wire.LEFT
        while True:
            try:
                left = None if until is None else max(0.0, until - time.monotonic())
                message = self.tasks.get(True, left, ack=True)
            except (ShutDown, Empty):
                return _wire.LEFT
            except Interrupted:
                continue  # meant for a task that has ended
            if self._serve(message):
                self.tasks.ack()
                carried = 0
                for queue in self.counted:
                    carried += queue._traffic
                self.board.leave(self.seat, carried)
                if self.limit is not None and self.done >= self.limit:
                    return _wire.RECYCLED
                if self.growth is not None and self.growth.is_past():
                    return _wire.RECYCLED
            else:
                # The rest goes to others, by way of the queue.
                self.board.disown(self.seat)
                self.tasks.nack()
                return _wire.RECYCLED

    def _serve(self, message: Any) -> bool:
        """Run a batch; false if it is to go to another worker before its end."""
        if len(message) > _wire.FIELDS:
            from tarefa._pool._leases import held

            with held(self.resources, message[-1]):
                return self._serve(message[:-1])
        number, count, flags, key, data, context, packed = message
        board, seat = self.board, self.seat
        first = number << _wire.INDEX_BITS
        again = self.tasks.redelivered
        if again:
            blamed = board.take_over(seat, number, count)
            if blamed is None:
                return True
            for index, results in board.kept_of(number):
                self.put((first + index, _wire.KEPT, results))
            for index, worker in blamed:
                self.put((first + index, _wire.DIED, worker))
            board.taken_over(seat, number)
        elif not board.begin(seat, number, count):
            return True
        timed = flags & _wire.TIMED
        claimed = board.claimed(seat) if timed else 0
        _attempt.running.attempt = flags >> _wire.ATTEMPT_SHIFT
        calls, function, error = self._unpack(key, data, packed)
        began = time.perf_counter_ns()
        if is_traced() and error is None:
            from tarefa._pool._timeline import pool_number, traced

            name = _cargo.name_of(function)
            function = traced(function, name, pool_number(self), number, board, seat)
        how = flags & _wire.HOW
        clock = Clock(self, first) if flags & _wire.CLOCKED else None
        if error is not None:
            whole = self._refuse(first, error)
        elif count > 1 and how != _wire.CALL and self.limit is None and not again:
            together = map(function, calls) if how == _wire.ONE else starmap(function, calls)
            whole = self.own.unpacked(context).run(self._run_together, first, function, together)
        else:
            # Of its own, so that nothing which a task sets there meets the next.
            whole = self.own.unpacked(context).run(self._run, first, how, function, calls)
        if timed and whole:
            took = time.perf_counter_ns() - began
            count = board.claimed(seat) - claimed
            if clock is None:
                self.put((first, _wire.TOOK, took, count))
            else:
                taken = clock.stop()
                self.put((first, _wire.TOOK, taken.wall, count, *taken))
        elif clock is not None:
            clock.stop()
        return whole

    def _unpack(self, key: int, data: Any, packed: Any) -> tuple[Any, Any, Exception | None]:
        function = self.functions.get(key)
        if function is None:
            try:
                function = _cargo.decode(data)
            except Exception as e:
                return None, None, e
            if len(self.functions) >= _MOST_KEPT:
                self.functions.clear()
            self.functions[key] = function
        if type(packed) is not Arrived:
            # A call alone, which always arrives.
            return (packed,), function, None
        return packed.value, function, packed.error

    def _refuse(self, first: int, error: Exception) -> bool:
        """Say of all tasks of a batch that they cannot be built here."""
        from tarefa._convert._exception_pickling import pack

        packed = pack(error)
        while (index := self.board.claim(self.seat)) >= 0:
            self.put((first + index, _wire.UNBUILT, packed))
        return True

    def _run(self, first: int, how: int, function: Any, calls: Any) -> bool:
        board, seat = self.board, self.seat
        claim = board.claim
        index = -1
        while True:
            try:
                # The inner loop has nothing in it that is not needed for each task.
                while (index := claim(seat)) >= 0:
                    try:
                        if how == _wire.ONE:
                            value = function(calls[index])
                        elif how == _wire.STAR:
                            value = function(*calls[index])
                        else:
                            args, kwargs = calls[index]
                            value = function(*args, **kwargs)
                        if type(value) not in SAFE:
                            value = _finished(value)
                    except BaseException as e:
                        self._failed(first + index, e, function)
                    else:
                        try:
                            self.put((first + index, value))
                        except Exception as e:
                            self._unsent(first + index, e, function)
                    value = None
                    if self.limit is not None:
                        self.done += 1
                        if self.done >= self.limit and not self._is_last():
                            return False
                if index == -1:
                    return True
                self._let_interrupt_come()
            except Interrupted as e:
                # It came beside the call. Whatever was claimed last has a result after this: where
                # it has one already, this one is ignored.
                running = board.running(seat)
                if running is not None:
                    self._failed(first + running[1], e, function)
                if board.is_held(seat):
                    board.resume(seat)

    def _run_together(self, first: int, function: Any, calls: Any) -> bool:
        """Run a batch from its first task on; results that are words are told several at once."""
        board, seat = self.board, self.seat
        run = board.run
        while True:
            try:
                found = run(seat, calls)
                self._tell(first)
                if type(found) is tuple:
                    index, value = found
                    if type(value) not in SAFE:
                        value = _finished(value)
                    try:
                        self.put((first + index, value))
                    except Exception as e:
                        self._unsent(first + index, e, function)
                    found = value = None
                elif found == -1:
                    return True
                elif found == -2:
                    self._let_interrupt_come()
            except BaseException as e:
                # Where an interrupt came beside the call, the task has its result before this.
                self._tell(first)
                running = board.running(seat)
                if running is not None:
                    self._failed(first + running[1], e, function)
                if board.is_held(seat):
                    board.resume(seat)
                if self.limit is not None and not self._is_last():
                    # There was no memory: another worker takes over.
                    return False

    def _tell(self, first: int) -> None:
        """Tell the results that are kept at the seat."""
        kept = self.board.kept(self.seat, first >> _wire.INDEX_BITS)
        if kept is not None:
            self.put((first + kept[0], _wire.KEPT, kept[1]))
            self.board.told(self.seat)

    def _is_last(self) -> bool:
        running = self.board.running(self.seat)
        return running is None or running[3] == 0

    def _let_interrupt_come(self) -> None:
        """The pool has sent an interrupt to the task that has just ended."""
        with contextlib.suppress(Interrupted):
            sleep(_ON_ITS_WAY)
        self.board.resume(self.seat)

    def _failed(self, number: int, error: BaseException, function: Any) -> None:
        from tarefa._convert._exception_pickling import pack

        if isinstance(error, Interrupted) and self.board.is_held(self.seat):
            self.board.resume(self.seat)
        if isinstance(error, MemoryError):
            error = self._out_of_memory(error)
        tb = error.__traceback__
        while tb is not None and tb.tb_frame.f_globals is globals():
            tb = tb.tb_next
        error.__traceback__ = tb
        _outcome.explain(error)
        try:
            self.put((number, _wire.ERROR, pack(error)))
        except Exception as e:
            self._unsent(number, e, function)

    def _out_of_memory(self, error: MemoryError) -> MemoryError:
        """The error with the limit in it, if there is one; another worker is to take over then."""
        if isinstance(error, MemoryLimitExceeded):
            # What it has left behind may be in the way of the next.
            self.limit = 1
        task = _current.process_task
        core = None if task is None else task._tarefa_core
        if core is None or core.memory_limit is None or isinstance(error, TarefaError):
            return error
        self.limit = 1
        return _limits.over_memory(core, task._label(), error)

    def _unsent(self, number: int, error: Exception, function: Any) -> None:
        """Say that a result cannot travel."""
        from tarefa._convert._exception_pickling import pack

        why = str(error).partition("; a message is a copy")[0]
        what = f"the result of {_cargo.name_of(function)} cannot be sent back: {why}"
        if isinstance(error, MemoryError):
            self.put((number, _wire.ERROR, pack(error)))
            return
        made = NotPicklable(what)
        made.__cause__ = error
        self.put((number, _wire.UNSENT, pack(made)))


def _finished(value: Any) -> Any:
    """What travels of a value: of a coroutine, what it returns."""
    from types import CoroutineType

    if type(value) is CoroutineType:
        import asyncio

        value = asyncio.run(value)
        if type(value) in SAFE:
            return value
    if type(value) is tuple and len(value) <= _FLAT and SAFE.issuperset(map(type, value)):
        # The engine has a way of its own for these.
        return value
    return Cargo(value)


def main(
    seat: int,
    board: Any,
    tasks: Any,
    results: Any,
    limit: int | None,
    first: First,
    resources: Any,
    share: int,
    soft_memory_limit: int | None = None,
    aside: Any = None,
) -> str:
    """Be a worker: the target of its process."""
    _budget.take(share)
    own = Own(lambda: first.begin(_current.process_task))
    worker = Worker(seat, board, tasks, results, limit, resources, own)
    if soft_memory_limit is not None:
        worker.growth = WorkerGrowth(soft_memory_limit)
    if aside is not None:
        from tarefa._pool._aside import attend

        def make(seat: int) -> Worker:
            return Worker(seat, board, tasks, results, None, resources, own, beside=True)

        second, orders = aside
        attend(second, orders, make)
    try:
        return worker.run()
    finally:
        first.end()
