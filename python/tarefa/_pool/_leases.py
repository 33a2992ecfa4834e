"""``leased``: what the running task has of its pool's resources."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tarefa._runtime._errors import OwnerDied, StateError

if TYPE_CHECKING:
    from tarefa._pool._schedule import Resource, Units


class _Held(threading.local):
    units: dict[str, tuple[Any, ...]] | None = None


_held = _Held()


def leased(name: str) -> tuple[Any, ...]:
    """Which units of a resource the running task has: as many as it has asked for.

    They are numbers from 0 on; or items, where the pool was made with a list of them.

    Raises:
        StateError: the running task has none of it.
    """
    units = _held.units
    if units is None:
        raise StateError(
            f"nothing of {name!r} is leased here: submit the task by "
            "pool.options(resources={...}).submit()"
        )
    if name not in units:
        has = ", ".join(map(repr, units))
        raise StateError(f"the task has asked for {has}, and not for {name!r}")
    return units[name]


@contextmanager
def held(resources: dict[str, Resource], units: Units) -> Iterator[None]:
    """Hold the locks of some units, and say so to ``leased()``."""
    locks: list[Any] = []
    found: dict[str, tuple[Any, ...]] = {}
    try:
        for name, unit in units:
            lock = resources[name].locks[unit]
            _take(lock)
            locks.append(lock)
            found[name] = (*found.get(name, ()), resources[name].units[unit])
        before, _held.units = _held.units, found
        try:
            yield
        finally:
            _held.units = before
    finally:
        for lock in reversed(locks):
            lock.release()


@contextmanager
def nothing_held() -> Iterator[None]:
    """Have ``leased()`` know nothing of what the thread has: another task runs on it."""
    before, _held.units = _held.units, None
    try:
        yield
    finally:
        _held.units = before


def _take(lock: Any) -> None:
    while True:
        try:
            lock.acquire()
        except OwnerDied:
            continue  # told once; what it guards is not ours to repair
        return
