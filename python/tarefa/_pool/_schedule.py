"""Who runs next where that is not simply who came first: priorities, and resources of a pool.

What waits lies with the owner, in the order of priorities, and is given to the workers as they get
free, with the units of the resources that it asks for. A unit is a lock in shared memory besides:
its worker holds it while the task runs, so a unit of a dead worker is nobody's again only once that
process is gone, whatever the owner knows of it by then.

    waits here ── a worker is free, units are there ──> queue of tasks ──> worker takes the locks
    units are free again <── the task has its result, or was called off ── worker lets them go
"""

from __future__ import annotations

import heapq
import itertools
import operator
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from tarefa._sync._lock import Lock

Amounts = dict[str, int]
Units = tuple[tuple[str, int], ...]


class Resource:
    """What a pool has of one kind: its units, and a lock for each."""

    def __init__(self, units: tuple[Any, ...]) -> None:
        self.units = units
        self.locks = [Lock() for _ in units]


def check_resources(given: Any) -> dict[str, Resource]:
    """The resources of a pool, checked.

    Raises:
        TypeError, ValueError: it is no mapping of names to numbers or sequences.
    """
    if not isinstance(given, Mapping):
        what = type(given).__name__
        raise TypeError(f"resources must be a dict of names and numbers, not {what} {given!r}")
    found = {}
    for name, amount in given.items():
        if not isinstance(name, str):
            raise TypeError(f"the name of a resource is a str, not {type(name).__name__} {name!r}")
        if isinstance(amount, Sequence) and not isinstance(amount, (str, bytes)):
            units = tuple(amount)
        else:
            units = tuple(range(_amount(name, amount)))
        if not units:
            raise ValueError(f"there must be 1 or more of resource {name!r}")
        found[name] = Resource(units)
    return found


def check_amounts(given: Any, there: dict[str, Resource], pool: str) -> Amounts:
    """What a task asks for, checked.

    Raises:
        TypeError: it is no mapping of names to numbers.
        ValueError: the pool has no such resource, or less of it.
    """
    if not isinstance(given, Mapping):
        what = type(given).__name__
        raise TypeError(f"resources must be a dict of names and amounts, not {what} {given!r}")
    found = {}
    for name, amount in given.items():
        if name not in there:
            known = ", ".join(map(repr, there)) or "none"
            raise ValueError(
                f"{pool} has no resource {name!r}; it has {known}: name what there is in "
                "Pool(resources=...)"
            )
        count, most = _amount(name, amount), len(there[name].units)
        if count > most:
            raise ValueError(f"a task asks for {count} of {name!r}, and {pool} has {most}")
        found[name] = count
    return found


def _amount(name: str, amount: Any) -> int:
    if isinstance(amount, bool) or not hasattr(amount, "__index__"):
        what = type(amount).__name__
        raise TypeError(f"how much there is of {name!r} is a whole number, not {what} {amount!r}")
    count = operator.index(amount)
    if count < 1:
        raise ValueError(f"the amount of {name!r} must be 1 or more, not {count}")
    return count


class Turn:
    """A task's place in the schedule, from its submission to its end."""

    __slots__ = ("amounts", "packed", "schedule", "started", "units")

    def __init__(self, schedule: Schedule, amounts: Amounts, packed: Any) -> None:
        self.schedule = schedule
        self.amounts = amounts
        self.packed = packed
        # The units that it has, once it was given to the workers.
        self.units: Units = ()
        self.started = False

    def end(self) -> None:
        """The task has its result, or was called off."""
        self.packed = None
        self.schedule.ended(self)


class Schedule:
    """What waits for a worker or for resources, in its order."""

    def __init__(self, crew: Any, resources: dict[str, Resource]) -> None:
        self._crew = crew
        crew.schedule = self
        self._free = {name: deque(range(len(it.units))) for name, it in resources.items()}
        # What waits, by the names of what it asks for: only the first of each can be next.
        self._waiting: dict[frozenset[str], list[tuple[int, int, Any]]] = {}
        self._order = itertools.count()
        self._given = 0
        # Whether it has to do with all that is submitted, for some came with a priority.
        self.ordered = False
        self._lock = threading.RLock()

    def add(self, batch: Any, priority: int, amounts: Amounts) -> None:
        """Let a task wait for its turn, which may be at once."""
        with self._lock:
            batch.turn = Turn(self, amounts, self._crew.enroll(batch))
            heap = self._waiting.setdefault(frozenset(amounts), [])
            heapq.heappush(heap, (-priority, next(self._order), batch))
        self.give_out()
        self._crew.fail_if_broken()

    def note_begun(self, batch: Any) -> None:
        """A worker is at a task that was submitted before all went this way."""
        with self._lock:
            batch.turn = turn = Turn(self, {}, None)
            turn.started = True
            self._given += 1
        if not batch.left:
            # It has ended in the meantime, and nobody has told of it.
            turn.end()

    def give_out(self) -> None:
        """Give workers what is next, as far as they are free and units are there."""
        crew = self._crew
        with self._lock:
            blocked: set[str] = set()
            while self._given < crew.workers and not crew.terminated and crew.broken is None:
                first = [
                    heap[0] for names, heap in self._waiting.items() if heap and not names & blocked
                ]
                if not first:
                    break
                entry = min(first)
                batch = entry[2]
                turn = batch.turn
                if batch.number not in crew.batches:
                    # It was called off.
                    self._drop(turn)
                elif all(len(self._free[name]) >= n for name, n in turn.amounts.items()):
                    self._drop(turn)
                    self._start(batch, turn)
                else:
                    # What came later does not overtake it.
                    blocked |= turn.amounts.keys()
            if any(self._waiting.values()) and not crew.terminated and crew.broken is None:
                # So that ends of tasks are seen where nobody asks for results.
                crew.watch_over(run=self)
            else:
                crew.unfed.discard(self)

    def _drop(self, turn: Turn) -> None:
        heap = self._waiting[frozenset(turn.amounts)]
        heapq.heappop(heap)
        if not heap:
            del self._waiting[frozenset(turn.amounts)]

    def _start(self, batch: Any, turn: Turn) -> None:
        turn.units = tuple(
            (name, self._free[name].popleft()) for name, n in turn.amounts.items() for _ in range(n)
        )
        turn.started = True
        self._given += 1
        packed, turn.packed = turn.packed, None
        try:
            self._crew.send(batch, packed)
        except Exception as e:
            batch.give(0, False, e)
            self._crew.finished(batch)

    def stand_aside(self) -> None:
        """A task waits for others: another may be at work."""
        with self._lock:
            self._given -= 1
        self.give_out()

    def come_back(self) -> None:
        """It goes on."""
        with self._lock:
            self._given += 1

    def ended(self, turn: Turn) -> None:
        """A task has its result, or was called off: its units are free, and others are next."""
        with self._lock:
            if turn.started:
                turn.started = False
                self._given -= 1
                for name, unit in turn.units:
                    self._free[name].append(unit)
        self.give_out()
