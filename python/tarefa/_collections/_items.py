"""What ``Value`` and ``Array`` have in common once they are made: the lock, views."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from tarefa._collections._object_lock import ObjectLock
from tarefa._collections._typecodes import NUMPY_NAMES, ctype_of, is_dtype
from tarefa._engine import ArrayCore, ValueCore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Core = ArrayCore[Any] | ValueCore[Any]


def core_of(item: Core) -> Any:
    """The native class of an object: a structure's fields may hide its methods."""
    return ArrayCore if isinstance(item, ArrayCore) else ValueCore


class Locked:
    """The lock of an array or a value, as ``multiprocessing``'s wrappers have it."""

    __module__ = "tarefa"

    __slots__ = ()

    def get_lock(self) -> Any:
        """The lock that operations wait for: its own, or the one that was given."""
        return lock_of(self)

    def lock(self) -> Any:
        """The same: ``with a.lock():`` others' operations on it wait."""
        return lock_of(self)

    def acquire(self, *args: Any, **kwargs: Any) -> bool:
        """Take the lock: the arguments are those of the lock's ``acquire``."""
        taken: bool = lock_of(self).acquire(*args, **kwargs)
        return taken

    def release(self) -> None:
        """Let the lock go."""
        lock_of(self).release()

    def __enter__(self) -> Any:
        return lock_of(self).__enter__()

    def __exit__(self, *exc: object) -> Any:
        return lock_of(self).__exit__(*exc)


def lock_of(item: Any) -> Any:
    """The lock of an array or a value that has one."""
    given = core_of(item)._lock_given.__get__(item)
    return ObjectLock(_LockedItem(item)) if given is None else given


class _LockedItem:
    """An object as :class:`ObjectLock` wants it, whatever the fields of its structure hide."""

    __slots__ = ("_item",)

    def __init__(self, item: Any) -> None:
        self._item = item

    def _object_lock_acquire(self, blocking: bool, timeout: float | None) -> bool:
        taken: bool = core_of(self._item)._object_lock_acquire(self._item, blocking, timeout)
        return taken

    def _object_lock_release(self) -> None:
        core_of(self._item)._object_lock_release(self._item)

    def _object_lock_owner(self) -> Any:
        return core_of(self._item)._object_lock_owner(self._item)

    @property
    def object_id(self) -> Any:
        return core_of(self._item).object_id.__get__(self._item)

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return _LockedItem, (self._item,)


def exclusive(item: Any) -> AbstractContextManager[Any]:
    """What keeps others off while a view of ``item`` is read or written."""
    if core_of(item)._is_locked.__get__(item):
        lock: AbstractContextManager[Any] = lock_of(item)
        return lock
    core_of(item)._memory.__get__(item).check_open()
    return nullcontext()


def view(item: Any) -> Any:
    """The memory of an array or a value as a ctypes or NumPy object; the same each time."""
    try:
        return item._tarefa_view
    except AttributeError:
        pass
    memory = core_of(item)._memory.__get__(item)
    memory.check_open()
    of = getattr(type(item), "_tarefa_of", None)
    ctype = ctype_of(memory.format) if of is None else None if is_dtype(of) else of
    if ctype is None:
        import numpy as np

        dtype = NUMPY_NAMES.get(memory.format, memory.format) if of is None else of
        found = np.ndarray(memory.shape, dtype, buffer=memory)
    else:
        for n in reversed(memory.shape):
            ctype = ctype * n
        found = ctype.from_buffer(memory)
    item._tarefa_view = found
    return found


def dtype_of(item: Any) -> Any:
    """The NumPy dtype of its items."""
    import numpy as np

    of = getattr(type(item), "_tarefa_of", None)
    memory = core_of(item)._memory.__get__(item)
    return np.dtype(NUMPY_NAMES.get(memory.format, memory.format) if of is None else of)


def put(array: Any, key: Any, value: Any, where: str) -> None:
    """Store into an array of ctypes'; ``TypeError`` for a part of another type."""
    try:
        view(array)[key] = value
    except RuntimeError as e:
        # How ctypes tells of a part: "(Point) TypeError: ..."
        raise TypeError(f"{where}{e}") from None


def close(item: Any) -> None:
    """Give the handle back now; ``BufferError`` while views exist."""
    if hasattr(item, "_tarefa_view"):
        del item._tarefa_view
    core_of(item).close(item)
