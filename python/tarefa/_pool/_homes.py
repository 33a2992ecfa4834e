"""The homes of a pool's batches: crews of processes and of threads, waited for at once."""

from __future__ import annotations

import contextlib
import operator
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tarefa._pool._helping import aside, may_help

if TYPE_CHECKING:
    from tarefa._pool._processes import ProcessCrew
    from tarefa._pool._stats import Look
    from tarefa._pool._threads import ThreadCrew
    from tarefa._pool._work import Batch


class Homes:
    """Several crews as one, and batches that are at none of them yet."""

    # Batches that are at no home, by their numbers.
    _held: dict[int, Batch]
    _processes: ProcessCrew | None
    # Several at once, and one alone.
    _threads: ThreadCrew
    _single: ThreadCrew
    unfed: set[Any]
    _on_limited: Callable[[Batch], None] | None
    # The schedule of its pool, if there is one.
    schedule: Any = None
    _lock: Any

    @property
    def _homes(self) -> list[Any]:
        processes = self._processes
        return [*([] if processes is None else [processes]), self._threads, self._single]

    def _home_of(self, number: int) -> Any:
        for crew in self._homes:
            if number in crew.batches:
                return crew
        return None

    # -- waiting -------------------------------------------------------------------------

    @property
    def unfinished(self) -> bool:
        """Whether a task has no result yet."""
        return bool(self._held) or any(crew.unfinished for crew in self._homes)

    def _uncount(self, batch: Batch) -> None:
        """A batch is at no home any more."""
        raise NotImplementedError

    def _release(self, subject: Any = None) -> None:
        """Send what waited and may go now."""
        raise NotImplementedError

    def wait(self, done: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until ``done()``, wherever what it waits for is."""
        until = None if timeout is None else time.monotonic() + timeout
        while not done():
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                self.look()
                return done()
            processes = self._processes
            if processes is None:
                self._wait_for_threads(lambda: done() or self._processes is not None, left)
                continue
            # What a thread has done rings, for who takes the results of processes.
            with self._following(done, _Bell(processes)):
                processes.wait(done, left)
                if processes.turns.is_closed:
                    return done()
        return True

    def wait_for(
        self,
        batches: Callable[[], Iterable[Batch]],
        done: Callable[[], bool],
        timeout: float | None = None,
    ) -> bool:
        """The same for who waits for those batches; a worker among the threads runs them."""
        for crew in (self._threads, self._single):
            member = crew.worker
            if member is not None and may_help() and not done():
                with aside(self, self.schedule, member), self._stand_aside(crew):
                    return self._threads.wait_helping(self, member, batches, done, timeout)
        return self.wait(done, timeout)

    @contextlib.contextmanager
    def _stand_aside(self, crew: ThreadCrew) -> Iterator[None]:
        """A task of that crew waits, and is not at work."""
        with self._lock:
            crew.asides += 1
        self._release()
        try:
            yield
        finally:
            with self._lock:
                crew.asides -= 1

    def _wait_for_threads(self, done: Callable[[], bool], left: float | None) -> None:
        lock = threading.Lock()
        lock.acquire()
        with self._following(done, lock):
            if not done():
                lock.acquire(timeout=-1 if left is None else left)

    @contextlib.contextmanager
    def _following(self, done: Callable[[], bool], lock: Any) -> Iterator[None]:
        """Have threads release a lock once ``done()``."""
        follower, crews = (done, lock), (self._threads, self._single)
        for crew in crews:
            crew._followers.append(follower)
        try:
            yield
        finally:
            for crew in crews:
                crew._followers.remove(follower)

    def look(self) -> None:
        """Take what has come."""
        for crew in self._homes:
            crew.look()

    def wake(self) -> None:
        """Have those who wait look whether their wait is over."""
        for crew in self._homes:
            crew.wake()

    def watch_over(self, number: int | None = None, run: Any = None) -> None:
        """Take results in the background while nobody else does."""
        if run is not None:
            self.unfed.add(run)
        held = None if number is None else self._held.get(number)
        if held is not None:
            held.routed.watched = True
        processes = self._processes
        if processes is not None and (held is None or number in processes.batches):
            processes.watch_over(number, run)

    # -- a batch, wherever it is ---------------------------------------------------------

    def take_rest(self, batch: Batch) -> tuple[int, int] | None:
        """Take back what nobody has begun of a batch: first and end."""
        home = self._home_of(batch.number)
        found: tuple[int, int] | None = None if home is None else home.take_rest(batch)
        if found is None and home is self._processes and self._waits_in_vain(batch):
            # Nobody has begun it, and nobody is there who will soon.
            self._uncount(batch)
            return 0, batch.count
        return found

    def _waits_in_vain(self, batch: Batch) -> bool:
        """Take back a batch that waits for one process, where others could run it."""
        raise NotImplementedError

    def fetch_kept(self, batch: Batch) -> None:
        """Have what is finished of a batch, and is not told."""
        home = self._home_of(batch.number)
        if home is self._single:
            self._hold_up(batch)
        if home is not None:
            home.fetch_kept(batch)

    def _hold_up(self, batch: Batch) -> None:
        """A task takes long that others wait behind, for one thread runs all."""
        raise NotImplementedError

    def forget(self, batch: Batch) -> None:
        """Wait for no results of a batch any more."""
        home = self._home_of(batch.number)
        if home is not None:
            home.forget(batch)
        self._uncount(batch)
        self._release()

    def where(self, number: int, index: int) -> tuple[Any, int] | None:
        """The worker that runs a task, and since when."""
        home = self._home_of(number)
        found: tuple[Any, int] | None = None if home is None else home.where(number, index)
        return found

    def stop(self, number: int, index: int, *, kill: bool) -> bool:
        """Interrupt or kill a task that runs, and none but that; false if it has ended."""
        home = self._home_of(number)
        return home is not None and bool(home.stop(number, index, kill=kill))

    def make_sure(self, number: int, index: int) -> None:
        """Interrupt again, for a moment, what goes on."""
        home = self._home_of(number)
        if home is not None:
            home.make_sure(number, index)

    def kill_held(self, number: int, index: int) -> bool:
        """Kill a task that was interrupted and still runs."""
        home = self._home_of(number)
        return home is not None and bool(home.kill_held(number, index))

    def note_overdue(self, number: int, index: int, limit: float) -> None:
        """A task is stopped for its time limit: its failure says so."""
        home = self._home_of(number)
        if home is not None:
            home.note_overdue(number, index, limit)

    def look_at_workers(self) -> Iterator[Look]:
        """What each worker is at."""
        for crew in self._homes:
            yield from crew.look_at_workers()

    # -- as a whole ----------------------------------------------------------------------

    @property
    def broken(self) -> Any:
        """Why it cannot go on, if it cannot."""
        return next((crew.broken for crew in self._homes if crew.broken is not None), None)

    @property
    def starting(self) -> str:
        """Why none has begun that waits, if no initializer has returned; for people."""
        found = [crew.starting for crew in self._homes if crew.unfinished]
        return found[0] if found and all(found) else ""

    @property
    def restarts(self) -> int:
        """Workers that took another's place."""
        return sum(crew.restarts for crew in self._homes)

    @property
    def on_limited(self) -> Callable[[Batch], None] | None:
        """Called with batches that have a time limit."""
        return self._on_limited

    @on_limited.setter
    def on_limited(self, call: Callable[[Batch], None] | None) -> None:
        self._on_limited = call
        for crew in self._homes:
            crew.on_limited = call


class Batches:
    """The batches of all homes, and those that are held."""

    def __init__(self, crew: Homes) -> None:
        self._crew = crew

    def get(self, number: int) -> Batch | None:
        """That with this number, if it is not done."""
        found = self._crew._held.get(number)
        for home in self._crew._homes:
            found = found or home.batches.get(number)
        return found

    def __contains__(self, number: int) -> bool:
        return self.get(number) is not None

    def values(self) -> list[Batch]:
        """All of them, in the order in which they came."""
        crew = self._crew
        found = list(crew._held.values())
        for home in crew._homes:
            found.extend(list(home.batches.values()))
        return sorted(found, key=operator.attrgetter("number"))


class _Bell:
    """Stands for the lock of who waits: it wakes who takes the results of processes, once."""

    __slots__ = ("_crew", "_rung")

    def __init__(self, crew: ProcessCrew) -> None:
        self._crew = crew
        self._rung = False

    def release(self) -> None:
        """Ring."""
        if not self._rung:
            self._rung = True
            self._crew.wake()
