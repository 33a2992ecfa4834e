"""How a ``Value`` or an ``Array`` is made: new, by a copy, for a handle."""

from __future__ import annotations

from tarefa._collections._items import core_of, exclusive
from tarefa._convert._pickling import loads
from tarefa._engine import (
    ArrayCore,
    ArrayMemory,
    LockCore,
    ValueCore,
    make_array,
)
from tarefa._runtime._errors import ArenaFull
from tarefa._runtime._shared import Content, own_class, set_state, state_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tarefa._collections._typecodes import ItemType


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


class Copied(Content):
    """Copying an array or a value makes a new one, with a lock of its own if there was one."""

    __module__ = "tarefa"

    __slots__ = ()

    def __copy__(self) -> Any:
        core: Any = core_of(self)  # type: ignore[arg-type]
        memory = core._memory.__get__(self)
        of = getattr(type(self), "_tarefa_of", None)
        locked = core._is_locked.__get__(self)
        note = None if of is None else (of, None)
        new = make_array(memory.format, memory.itemsize, list(memory.shape), locked, note)
        with exclusive(self), memoryview(new) as to, memoryview(memory) as source:
            to[:] = source
        cls = own_class(self)
        if cls.__module__ == "tarefa":
            return make_object(_base(new, locked), new, of, None)
        made = make_object(cls, new, of, None)
        set_state(made, state_of(self))
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        import copy

        memo[id(self)] = made = self.__copy__()
        set_state(made, copy.deepcopy(state_of(self), memo))
        return made

    @classmethod
    def _tarefa_as(cls, kind: type, found: Any) -> Any:
        """The same object as ``found``, of the subclass ``kind``."""
        core = core_of(found)
        of = getattr(type(found), "_tarefa_of", None)
        return make_object(kind, core._memory.__get__(found), of, core._lock_given.__get__(found))


def from_handle(memory: ArrayMemory) -> Any:
    """The public object for a handle."""
    of, lock = _noted(memory)
    return make_object(_base(memory, memory.locked or lock is not None), memory, of, lock)


def as_class(base: Any, found: Any) -> Any:
    """The same object, of class ``base`` where that is a class of the user's."""
    if base.__module__ == "tarefa":
        return found
    memory = core_of(found)._memory.__get__(found)
    return make_object(base, memory, *_noted(memory))


def _noted(memory: ArrayMemory) -> tuple[Any, Any]:
    """The items' ctypes type or dtype, and the lock, where it is not in the memory."""
    note = memory.note()
    if note is not None:
        of, lock = loads(note)
        return of, lock
    if memory.scalar:
        return None, None
    from tarefa._convert._ctypes_pickling import of_format

    return of_format(memory.format, memory.itemsize), None


# (whether there are several items, whether there is a lock) -> the class.
_classes: dict[tuple[bool, bool], Any] = {}


def note_classes(locked: Any, raw: Any, *, several: bool) -> None:
    """Say which classes memory of items, or of one, is for."""
    _classes[several, True] = locked
    _classes[several, False] = raw


def _base(memory: ArrayMemory, locked: bool) -> Any:
    return _classes[bool(memory.shape), locked]


def attach_with_lock(attach: Any, arguments: tuple[int, ...], lock: Any) -> Any:
    """The object for a handle, with a lock that is no object of tarefa."""
    found = attach(*arguments)
    memory = core_of(found)._memory.__get__(found)
    return make_object(_base(memory, True), memory, _noted(memory)[0], lock)
