"""What ``Value`` and ``Array`` have in common: making, attaching, views, the lock."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from tarefa._collections._object_lock import ObjectLock
from tarefa._collections._typecodes import NUMPY_NAMES, ItemType, ctype_of, is_dtype
from tarefa._engine import (
    ArrayCore,
    ArrayMemory,
    LockCore,
    ValueCore,
    make_array,
)
from tarefa._runtime import _fork
from tarefa._runtime._errors import ArenaFull

_fork.watch()

Core = ArrayCore | ValueCore


def core_of(item: Core) -> Any:
    """The native class of an object: a structure's fields may hide its methods."""
    return ArrayCore if isinstance(item, ArrayCore) else ValueCore


class Locked:
    """The lock of an array or a value, as ``multiprocessing``'s wrappers have it."""

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
    given = core_of(item).lock_given.__get__(item)
    return ObjectLock(_Guarded(item)) if given is None else given


class _Guarded:
    """An object as :class:`ObjectLock` wants it, whatever the fields of its structure hide."""

    __slots__ = ("_item",)

    def __init__(self, item: Any) -> None:
        self._item = item

    def guard_acquire(self, blocking: bool, timeout: float | None) -> bool:
        taken: bool = core_of(self._item).guard_acquire(self._item, blocking, timeout)
        return taken

    def guard_release(self) -> None:
        core_of(self._item).guard_release(self._item)

    def guard_owner(self) -> Any:
        return core_of(self._item).guard_owner(self._item)

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return _Guarded, (self._item,)


def held(item: Any) -> AbstractContextManager[Any]:
    """What keeps others off while a view of ``item`` is read or written."""
    if core_of(item).is_locked.__get__(item):
        lock: AbstractContextManager[Any] = lock_of(item)
        return lock
    core_of(item).memory.__get__(item).check_open()
    return nullcontext()


def build(base: Any, item: ItemType, shape: list[int], lock: Any) -> Any:
    """Make the memory, and the object of class ``base`` or of one made for the item's type.

    ``lock`` is None for a raw one.
    """
    own, given = lock is True, None if lock is True else lock
    if given is not None and not hasattr(given, "acquire"):
        raise AttributeError(f"lock is True, False or a lock: {given!r} has no method 'acquire'")
    if any(n >= 1 << 63 for n in shape):
        raise ArenaFull(f"{max(shape)} items of {item.size} bytes are more than any memory holds")
    # What others have to know besides the format. A lock that is not tarefa's travels by itself.
    travels = given if isinstance(given, LockCore) else None
    note = None if item.of is None and travels is None else (item.of, travels)
    memory = make_array(item.format, item.size, shape, own, note)
    return make_object(base, memory, item.of, given)


def make_object(base: Any, memory: ArrayMemory, of: Any, lock: Any) -> Any:
    """The object of class ``base`` for a handle, items of the type ``of``."""
    if of is not None:
        from tarefa._collections._structured_items import class_of

        base = class_of(base, of)
    core = ArrayCore if issubclass(base, ArrayCore) else ValueCore
    return core.__new__(base, memory, lock)


class Copied:
    """Copying an array or a value makes a new one, with a lock of its own if there was one."""

    __slots__ = ()

    def __copy__(self) -> Any:
        core: Any = core_of(self)  # type: ignore[arg-type]
        memory = core.memory.__get__(self)
        of = getattr(type(self), "_tarefa_of", None)
        locked = core.is_locked.__get__(self)
        note = None if of is None else (of, None)
        new = make_array(memory.format, memory.itemsize, list(memory.shape), locked, note)
        with held(self), memoryview(new) as to, memoryview(memory) as source:
            to[:] = source
        return make_object(_base(new, locked), new, of, None)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        memo[id(self)] = made = self.__copy__()
        return made


def wrap(memory: ArrayMemory) -> Any:
    """The public object for a handle."""
    of, lock = _noted(memory)
    return make_object(_base(memory, memory.guarded or lock is not None), memory, of, lock)


def _noted(memory: ArrayMemory) -> tuple[Any, Any]:
    """The items' ctypes type or dtype, and the lock, where it is not in the memory."""
    note = memory.note()
    if note is not None:
        from tarefa._convert._pickling import loads

        of, lock = loads(note)
        return of, lock
    if memory.scalar:
        return None, None
    from tarefa._convert._ctypes_pickling import of_format

    return of_format(memory.format, memory.itemsize), None


def _base(memory: ArrayMemory, locked: bool) -> Any:
    if memory.shape:
        from tarefa._collections._array import Array, RawArray

        return Array if locked else RawArray
    from tarefa._collections._value import RawValue, Value

    return Value if locked else RawValue


def attach_with_lock(attach: Any, arguments: tuple[int, ...], lock: Any) -> Any:
    """The object for a handle, with a lock that is no object of tarefa."""
    found = attach(*arguments)
    memory = core_of(found).memory.__get__(found)
    return make_object(_base(memory, True), memory, _noted(memory)[0], lock)


def view(item: Any) -> Any:
    """The memory of an array or a value as a ctypes or NumPy object; the same each time."""
    try:
        return item._tarefa_view
    except AttributeError:
        pass
    memory = core_of(item).memory.__get__(item)
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
