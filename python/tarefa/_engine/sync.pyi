"""Locks in shared memory, and what else threads and processes meet at."""

from collections.abc import Callable
from typing import Any, Self, final

from typing_extensions import disjoint_base

from tarefa._sync._owner import Owner

def own_lock_methods(cls: type[LockCore]) -> None:
    """Give a class of locks ``acquire`` and ``release`` as its own: calls of these take less."""

@disjoint_base
class LockCore:
    """A lock in shared memory; :class:`tarefa.Lock` adds what is written in Python."""

    def __new__(
        cls, *args: object, repair: Callable[[], object] | None = None, **kwargs: object
    ) -> Self: ...
    def __enter__(self) -> bool: ...
    def __exit__(self, *_exc: object) -> None: ...
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, ...]]: ...
    def _set_repair(self, function: Callable[[], object]) -> None:
        """Keep what repairs what the lock guards, for who takes it after its owner's death."""

    def acquire(
        self,
        blocking: bool = True,
        timeout: float | None = -1,
        *,
        block: bool | None = None,
    ) -> bool:
        """Take the lock.

        Args:
            blocking: whether to wait.
            timeout: seconds to wait at most; -1 or None waits for ever.
            block: the name that ``multiprocessing`` has for ``blocking``; ``timeout`` then means
                what it means there: below 0 is 0, and without waiting it is ignored.

        Returns:
            Whether the lock was taken.

        Raises:
            OwnerDied: the thread or process that held it died; the lock is free, and not taken.
            ValueError: a timeout below 0 (but -1), or one without waiting.
        """

    def release(self) -> None:
        """Let the lock go.

        Raises:
            RuntimeError: it is not held, or, of an RLock, not by this thread.
        """

    def owner(self) -> Owner | None:
        """Who holds it: task, pid, thread and since when; None if nobody alive does."""

    def _is_owned(self) -> bool:
        """Whether the calling thread holds it (a Lock: whether anybody does)."""

    def _recursion_count(self) -> int:
        """How often the calling thread has taken it and not let it go."""

    def _release_save(self) -> int:
        """Let it go whatever its depth, which is returned."""

    def _acquire_restore(self, depth: int) -> None:
        """Take it and make its depth what ``release_save`` returned."""

    def locked(self) -> bool:
        """Whether somebody alive holds it."""

    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one object."""

@disjoint_base
class EventCore:
    """An event in shared memory; :class:`tarefa.Event` adds what is written in Python."""

    def __new__(cls, *args: object, **kwargs: object) -> Self: ...
    def _selectable(self) -> Selectable:
        """What waits for it beside other things."""

    def _level(self) -> Level:
        """What a descriptor for it shows."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, ...]]: ...
    def is_set(self) -> bool:
        """Whether the flag is up."""

    def set(self) -> None:
        """Raise the flag and wake all who wait."""

    def clear(self) -> None:
        """Lower the flag."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the flag is up.

        Args:
            timeout: seconds to wait at most; None waits for ever.

        Returns:
            Whether it is up: False when the time passed first.

        Raises:
            ValueError: a timeout below 0.
            Interrupted: the calling task was interrupted.
        """

    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one object."""

@disjoint_base
class SemaphoreCore:
    """A semaphore in shared memory; :class:`tarefa.Semaphore` adds what is written in Python."""

    def __new__(cls, *args: object, **_kwargs: object) -> Self: ...
    def __enter__(self) -> bool: ...
    def __exit__(self, *_exc: object) -> None: ...
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, ...]]: ...
    def _set_up(self, value: int, bounded: bool) -> None:
        """Say how many permits are free; ``bounded``: never more than that.

        Raises:
            ValueError: a value below 0.
        """

    def acquire(
        self,
        blocking: bool = True,
        timeout: float | None = None,
        *,
        block: bool | None = None,
    ) -> bool:
        """Take a permit.

        Args:
            blocking: whether to wait.
            timeout: seconds to wait at most; -1 or None waits for ever.
            block: the name that ``multiprocessing`` has for ``blocking``.

        Returns:
            Whether a permit was taken.

        Raises:
            Interrupted: the calling task was interrupted.
            ValueError: a timeout below 0 (but -1), or one without waiting.
        """

    def release(self, n: int = 1) -> None:
        """Give permits back; another thread or process may have taken them.

        Args:
            n: how many, 1 or more.

        Raises:
            ValueError: ``n`` is below 1, or the semaphore is bounded and has too many then.
        """

    def get_value(self) -> int:
        """How many permits are free now."""

    def locked(self) -> bool:
        """Whether ``acquire()`` would have to wait now."""

    @property
    def n_waiting(self) -> int:
        """How many wait for a permit now."""

    @property
    def bound(self) -> int | None:
        """The most permits that may be free; None without a bound."""

    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one object."""

@disjoint_base
class ConditionCore:
    """A condition in shared memory; :class:`tarefa.Condition` adds what is written in Python."""

    def __new__(cls, *args: object, **_kwargs: object) -> Self: ...
    def __enter__(self) -> bool: ...
    def __exit__(self, *_exc: object) -> None: ...
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, ...]]: ...
    def _set_lock(self, lock: LockCore) -> None:
        """Say which lock goes with it, once."""

    def acquire(
        self,
        blocking: bool = True,
        timeout: float | None = -1,
        *,
        block: bool | None = None,
    ) -> bool:
        """Take the condition's lock.

        Args:
            blocking: whether to wait.
            timeout: seconds to wait at most; -1 or None waits for ever.
            block: the name that ``multiprocessing`` has for ``blocking``.

        Returns:
            Whether the lock was taken.

        Raises:
            OwnerDied: the thread or process that held it died; the lock is free, and not taken.
            ValueError: a timeout below 0 (but -1), or one without waiting.
        """

    def release(self) -> None:
        """Let the condition's lock go.

        Raises:
            RuntimeError: it is not held, or, of an ``RLock``, not by this thread.
        """

    def _is_owned(self) -> bool:
        """Whether the calling thread holds the lock (a ``Lock``: whether anybody does)."""

    def _recursion_count(self) -> int:
        """How often the calling thread has taken the lock and not let it go."""

    def _release_save(self) -> int:
        """Let the lock go whatever its depth, which is returned."""

    def _acquire_restore(self, depth: int) -> None:
        """Take the lock and make its depth what ``_release_save`` returned."""

    def wait(self, timeout: float | None = None) -> bool:
        """Let the lock go, wait to be notified, and take the lock again.

        An ``RLock`` is let go of whatever its depth, and taken again at the same. After an
        interrupt, too, the thread has the lock when the exception is raised; only a second
        interrupt ends the taking of the lock as well.

        Args:
            timeout: seconds to wait at most; None waits for ever.

        Returns:
            Whether it was notified: False when the time passed first.

        Raises:
            RuntimeError: this thread does not hold the lock.
            OwnerDied: its owner died meanwhile; this thread has it now.
            ValueError: a timeout below 0.
            Interrupted: the calling task was interrupted.
        """

    def notify(self, n: int = 1) -> None:
        """Notify those who have waited longest.

        Args:
            n: how many at most.

        Raises:
            RuntimeError: this thread does not hold the lock.
        """

    def notify_all(self) -> None:
        """Notify all who wait.

        Raises:
            RuntimeError: this thread does not hold the lock.
        """

    def locked(self) -> bool:
        """Whether somebody alive holds the lock."""

    def owner(self) -> Owner | None:
        """Who holds the lock, if somebody alive does."""

    @property
    def n_waiting(self) -> int:
        """How many wait to be notified now."""

    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one object."""

@disjoint_base
class BarrierCore:
    """A barrier in shared memory; :class:`tarefa.Barrier` adds what is written in Python."""

    def __new__(cls, *args: object, **_kwargs: object) -> Self: ...
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, ...]]: ...
    def _set_up(self, parties: int, timeout: float | None, acts: bool) -> None:
        """Say for how many it is, how long a wait waits, and whether there is an action."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait until all parties have come; the last runs the action, if there is one.

        Args:
            timeout: seconds to wait at most; None is the constructor's.

        Returns:
            A number from 0 to ``parties - 1``, another for each party.

        Raises:
            BrokenBarrierError: it is broken, becomes so, or is reset meanwhile; also when the
                time passes first, which breaks it.
            ValueError: a timeout below 0.
            Interrupted: the calling task was interrupted; it does not count as come.
        """

    def _publish_action(self, action: Callable[[], Any]) -> None:
        """Hang the action's pickled form on the barrier, for other processes."""

    def _published_action(self) -> Any:
        """The action that another process has published."""

    def abort(self) -> None:
        """Break it: those who wait, and those who come, get a ``BrokenBarrierError``."""

    def reset(self) -> None:
        """Make it whole and empty; those who wait get a ``BrokenBarrierError``."""

    @property
    def parties(self) -> int:
        """How many have to come."""

    @property
    def n_waiting(self) -> int:
        """How many wait now."""

    @property
    def broken(self) -> bool:
        """Whether it is broken."""

    @property
    def _acts(self) -> bool:
        """Whether there is an action."""

    @property
    def _published(self) -> bool:
        """Whether the action's pickled form is there."""

    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one object."""

@disjoint_base
class RWLockCore:
    """A read-write lock in shared memory; :class:`tarefa.RWLock` adds what is written in Python."""

    def __new__(cls, *args: object, **_kwargs: object) -> Self: ...
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, ...]]: ...
    def _set_repair(self, function: Callable[[], object]) -> None:
        """Keep what repairs what the lock guards, for who takes it after a writer's death."""

    def acquire_read(
        self,
        blocking: bool = True,
        timeout: float | None = -1,
        *,
        block: bool | None = None,
    ) -> bool:
        """Take the lock together with other readers.

        Args:
            blocking: whether to wait.
            timeout: seconds to wait at most; -1 or None waits for ever.
            block: the name that ``multiprocessing`` has for ``blocking``.

        Returns:
            Whether the lock was taken.

        Raises:
            OwnerDied: its writer died; the lock is free, and not taken.
            ValueError: a timeout below 0 (but -1), or one without waiting.
        """

    def acquire_write(
        self,
        blocking: bool = True,
        timeout: float | None = -1,
        *,
        block: bool | None = None,
    ) -> bool:
        """Take the lock alone.

        Args:
            blocking: whether to wait.
            timeout: seconds to wait at most; -1 or None waits for ever.
            block: the name that ``multiprocessing`` has for ``blocking``.

        Returns:
            Whether the lock was taken.

        Raises:
            OwnerDied: its writer died; the lock is free, and not taken.
            ValueError: a timeout below 0 (but -1), or one without waiting.
            RuntimeError: this thread reads: it would wait for itself.
        """

    def release_read(self) -> None:
        """Let go of what this thread took by :meth:`acquire_read`, once.

        Raises:
            RuntimeError: it does not read.
        """

    def release_write(self) -> None:
        """Let go of what this thread took by :meth:`acquire_write`, once.

        Raises:
            RuntimeError: it does not write.
        """

    def read(self) -> RWLockSide:
        """For ``with lock.read():``."""

    def write(self) -> RWLockSide:
        """For ``with lock.write():``."""

    @property
    def readers(self) -> int:
        """How often it is held for reading now."""

    def locked(self) -> bool:
        """Whether somebody holds it, in either way."""

    def owner(self) -> Owner | None:
        """Who holds it for writing, if somebody alive does."""

    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one object."""

@final
class RWLockSide:
    """One side of a read-write lock, as a context manager."""

    def __enter__(self) -> bool: ...
    def __exit__(self, *_exc: object) -> None: ...

@final
class Selectable:
    """An object to be waited for beside others."""

def select(sources: list[Selectable | int], timeout: float | None) -> list[int]:
    """Wait until one of the sources, objects and descriptors, is ready.

    Returns:
        The numbers of all that are; none when the time has passed.
    """

@final
class Level:
    """Whether an event is set, or a queue has something to take, or its end."""

    @property
    def object(self) -> int:
        """The number of what it is of."""

    def now(self) -> bool:
        """Whether there is something now."""

    def begin(self) -> None:
        """Before :meth:`wait`, and before it is looked at what is shown."""

    def wait(self, was: bool) -> bool:
        """Wait until that is other than it ``was``; False once it was stopped.

        :meth:`look_again` ends it, too.
        """

    def look_again(self) -> None:
        """What is shown has changed: who waits may wait for the wrong thing."""

    def stop(self) -> None:
        """End the waits."""
