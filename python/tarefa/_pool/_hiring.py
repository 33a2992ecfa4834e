"""The workers of a pool of processes: who is hired, and what follows from their ends."""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tarefa._engine import GRACE, WorkerPinning, WorkerStarts
from tarefa._pool import _cargo, _worker
from tarefa._pool._errors import warn_of_fewer
from tarefa._pool._initializer import First, starting
from tarefa._runtime._errors import WorkerDied
from tarefa._task._process import Process
from tarefa._task._wait import FIRST_COMPLETED, wait

if TYPE_CHECKING:
    from tarefa._channel._queue import Queue
    from tarefa._pool._board import Board
    from tarefa._pool._errors import BrokenPool
    from tarefa._pool._memory import MemoryLimits
    from tarefa._pool._turns import Turns
    from tarefa._pool._variables import Origin

# Seconds after which who waits for an initializer is told so.
_LONG = 30.0


class Member:
    """A worker, as its pool knows it."""

    __slots__ = ("hired", "over_time", "place", "restarts", "seat", "seats", "task")

    def __init__(
        self, seats: tuple[int, ...], task: Process[Any], place: int, restarts: int
    ) -> None:
        # That of its main thread, and all.
        self.seat = seats[0]
        self.seats = seats
        self.task = task
        # Which of the pool's places it has.
        self.place = place
        self.hired = time.monotonic()
        # Whether it was killed because its initializer went on and on.
        self.over_time = False
        # Workers whose place it took, one after the other.
        self.restarts = restarts


class Hiring:
    """The part of a crew of processes that hires them."""

    name: str
    workers: int
    board: Board
    tasks: Queue[Any]
    results: Queue[Any]
    turns: Turns
    broken: BrokenPool | None
    restarts: int
    closed: bool
    terminated = False
    _first: First
    _origin: Origin
    _limit: int | None
    _memory: MemoryLimits | None
    _resources: Any
    _share: int
    _orders: Queue[Any] | None
    _serials: Iterator[int]
    _members: dict[int, Member]
    # Workers that have ended, and how: for those whom a later worker blames.
    _ended: dict[int, tuple[int | None, Exception | None]]
    _lock: threading.Lock
    _starts: WorkerStarts
    _monitors: list[threading.Thread]
    _shut: bool
    # Whether it was said that an initializer takes long.
    _said_long = False

    @property
    def unfinished(self) -> bool:
        """Whether a task has no result yet."""
        raise NotImplementedError

    def grow(self, workers: int) -> None:
        """Have so many workers, if there are fewer."""
        with self._lock:
            if self._shut or self.terminated or self.broken is not None:
                return
            serials: set[int] = set()
            try:
                for _ in range(workers - len(self._members)):
                    serials.add(self._hire())
            finally:
                if serials:
                    self._watch_over(serials)

    def _watch_over(self, serials: set[int]) -> None:
        """Start what waits for the ends of workers; where that cannot be, they are none."""
        monitor = threading.Thread(
            target=self._watch,
            args=(serials,),
            name=f"{self.name} (watches workers)",
            daemon=True,
        )
        try:
            monitor.start()
        except BaseException:
            for serial in serials:
                task = self._members.pop(serial).task
                task.kill()
                task.join(5.0)
            raise
        self._monitors.append(monitor)

    def _hire(self, restarts: int = 0) -> int:
        serial = next(self._serials)
        seats = [self._free_seat()]
        aside = None
        if self._orders is not None and not any(len(it.seats) > 1 for it in self._members.values()):
            # This one has a second thread.
            seats.append(self._free_seat(seats[0]))
            aside = seats[1], self._orders
        for seat in seats:
            self.board.assign(seat, serial)
        place = WorkerPinning.free_place([it.place for it in self._members.values()])
        task: Process[Any] = Process(
            target=_worker.main,
            name=f"{self.name}-{serial}",
            args=(
                seats[0],
                self.board,
                self.tasks,
                self.results,
                self._limit,
                self._first.at(place),
                self._resources,
                self._share,
                None if self._memory is None else self._memory.soft,
                *(() if aside is None else (aside,)),
            ),
            daemon=True,
            memory_limit=None if self._memory is None else self._memory.hard,
        )
        self._origin.run(task.start)
        self._members[serial] = Member(tuple(seats), task, place, restarts)
        return serial

    def _free_seat(self, *but: int) -> int:
        taken = {seat for member in self._members.values() for seat in member.seats}
        taken.update(but)
        # What a dead worker left is read there until another has taken it over, also where all of
        # its results have come.
        nothing_left = self.tasks._is_spent()
        for seat in range(self.board.seats):
            if seat not in taken and (nothing_left or not self.board.batch_of(seat)):
                return seat
        raise RuntimeError(f"{self.name}: more workers have died at once than it has seats")

    def _watch(self, serials: set[int]) -> None:
        """Wait for the ends of workers and of who takes their places, in a thread of its own."""
        while True:
            with self._lock:
                members = {n: self._members[n] for n in serials if n in self._members}
            if not members:
                return
            left = self._until_ready(list(members.values()))
            wait([member.task for member in members.values()], left, FIRST_COMPLETED)
            for serial, member in members.items():
                if not member.task.is_alive():
                    hired = self._has_ended(serial, member)
                    if hired is not None:
                        serials.add(hired)

    def _has_ended(self, serial: int, member: Member) -> int | None:
        """What follows from the end of a worker: who takes its place, if anybody does."""
        error = member.task.exception(5.0)
        # As it was at its end: its seat may be another's soon.
        ready = self.board.is_ready(member.seat)
        if error is None and not ready:
            error = self._left_early(member)
        self._ended[serial] = member.task.pid, error
        if len(self._ended) > 1024:
            self._ended.pop(next(iter(self._ended)))
        with self._lock:
            self._members.pop(serial, None)
            others = list(self._members.values())
        if self._shut and not self.unfinished:
            return None
        if self.broken is None and not self.terminated:
            if error is not None and member.over_time:
                over = self._first.over_time(f", and was killed {GRACE:g} s later, for it went on")
                over.__cause__, error = error, over
            killed = isinstance(error, WorkerDied) and error.signal is not None
            another = any(self.board.is_ready(it.seat) for it in others)
            if self._starts.ended(ready, killed, another) and error is not None:
                self._break(error)
                return None
        if self.terminated or self.broken is not None:
            return None
        if not self.closed or self.unfinished:
            self.restarts += 1
            try:
                with self._lock:
                    return self._hire(member.restarts + 1)
            except Exception as e:
                there = len(self._members)
                if there:
                    warn_of_fewer(self.name, there, self.workers, e)
                else:
                    self._break(e)
        return None

    def _left_early(self, member: Member) -> Exception:
        """The error of a worker that ended of itself before it took work."""
        pid, code = member.task.pid, member.task.exitcode
        return WorkerDied(
            f"worker {member.task.name} exited with {code} before it took work", pid, code
        )

    def _until_ready(self, members: list[Member]) -> float | None:
        """End those whose initializer goes on after its interrupt; seconds until the next can be.

        Each interrupts itself: see ``First``.
        """
        first = self._first
        if first.initializer is None:
            return None
        late = [it for it in members if not it.over_time and not self.board.is_ready(it.seat)]
        limit = first.time_limit
        if not late or (limit is None and self._said_long):
            return None
        since = (_LONG if limit is None else limit + GRACE) - time.monotonic()
        left = since + min(it.hired for it in late)
        if left > 0:
            return left
        if limit is None:
            self._said_long = True
            with contextlib.suppress(Warning):
                warnings.warn(
                    f"initializer {_cargo.name_of(first.initializer)} of {self.name} has run for "
                    f"{_LONG:g} s in {len(late)} of its workers, the first as pid "
                    f"{late[0].task.pid}; what waits for them begins after that. "
                    "initializer_time_limit= bounds it",
                    RuntimeWarning,
                    stacklevel=2,
                )
            return None
        for member in late:
            if since + member.hired <= 0 and self.board.give_up(member.seat):
                member.over_time = True
                member.task.kill()
        return self._until_ready(members)

    @property
    def starting(self) -> str:
        """Why none has begun that waits, if no initializer has returned; for people."""
        members = list(self._members.values())
        return starting(self.name, self._first, [self.board.is_ready(it.seat) for it in members])

    def _break(self, error: Exception) -> None:
        """The pool cannot go on."""
        self.broken = self._first.broken(self.name, error)
        for member in list(self._members.values()):
            member.task.kill()
        self.turns.wake()
        self.turns.look()

    def _end_of(self, serial: int) -> tuple[int | None, Exception | None]:
        member = self._members.get(serial)
        if member is None:
            return self._ended.get(serial, (None, None))
        member.task.join(5.0)
        if member.task.is_alive():
            return member.task.pid, None
        return member.task.pid, member.task.exception(5.0)

    def _join_monitors(self) -> None:
        for monitor in list(self._monitors):
            monitor.join()
