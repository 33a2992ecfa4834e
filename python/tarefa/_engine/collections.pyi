"""Containers in shared memory: cores of List, Dict and its kin, Array and Value."""

from collections.abc import Callable, Iterable
from typing import Any, Generic, NoReturn, Self, SupportsIndex, TypeVar, final, overload

from typing_extensions import disjoint_base

from tarefa._sync._owner import Owner

_T = TypeVar("_T")
_K = TypeVar("_K")
_V = TypeVar("_V")
_D = TypeVar("_D")

@disjoint_base
class ListCore(Generic[_T]):
    """A list in shared memory; :class:`tarefa.List` adds what is written in Python."""

    def __new__(cls, *args: object) -> Self: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, key: SupportsIndex, /) -> _T: ...
    @overload
    def __getitem__(self, key: slice, /) -> list[_T]: ...
    @overload
    def __setitem__(self, key: SupportsIndex, item: _T, /) -> None: ...
    @overload
    def __setitem__(self, key: slice, item: Iterable[_T], /) -> None: ...
    def __delitem__(self, key: SupportsIndex | slice, /) -> None: ...
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, ...]]: ...
    def append(self, item: _T) -> None:
        """Add an element at the end.

        Args:
            item: anything that pickles.

        Raises:
            NotPicklable: it does not; the list is as it was.
            ArenaFull: there is no room for it; the list is as it was.
        """

    def _extend_from(self, items: list[_T]) -> None:
        """Add the elements of a plain list at the end, all at one instant or none."""

    def insert(self, index: SupportsIndex, item: _T) -> None:
        """Put an element before the one at ``index``, or at the end.

        Args:
            index: a place, counted from the end where it is below 0.
            item: anything that pickles.

        Raises:
            NotPicklable: it does not; the list is as it was.
            ArenaFull: there is no room for it; the list is as it was.
        """

    def pop(self, index: SupportsIndex = -1, /) -> _T:
        """Take out an element.

        Args:
            index: which; the last, if not given.

        Returns:
            The element.

        Raises:
            IndexError: there is none.
        """

    def clear(self) -> None:
        """Take all elements out."""

    def update(self, index: SupportsIndex, change: Callable[[_T], _T], /) -> _T:
        """Make the element at ``index`` what ``change`` returns for it: one operation.

        ``change`` may be called more than once, if others change the element meanwhile.

        Args:
            index: which; counted from the end where it is below 0.
            change: is given a copy of the element.

        Returns:
            The element now.

        Raises:
            IndexError: there is none.
        """

    def _set_slice(self, key: slice, values: list[Any]) -> bool:
        """Assign to a slice in place, at one instant, if it does not grow."""
    def _delete_slice(self, key: slice) -> None:
        """Take out what a slice names, at one instant and without needing memory."""

    def _remove_if(self, version: int, length: int, index: int) -> bool:
        """Take out the element at ``index``, if nobody has changed the list meanwhile.

        Args:
            version: what :meth:`_read` said.
            length: how many elements it had.
            index: which.

        Returns:
            False if the list has changed: nothing was done.
        """

    def _repeat(self, version: int, items: list[Any], times: int) -> bool:
        """Have the elements there ``times`` times, if nobody has changed them meanwhile.

        Args:
            version: what :meth:`_read` said.
            items: all elements it had.
            times: how often; at least 1.

        Returns:
            False if the list has changed: nothing was done.

        Raises:
            ArenaFull: there is no room for them; the list is as it was.
        """

    def _read(self, start: int = 0, stop: int | None = None) -> tuple[int, list[_T]]:
        """Copy elements at one instant.

        Args:
            start: the first place.
            stop: the place after the last; None is the list's end.

        Returns:
            The list's version, for :meth:`_rebuild`, and the elements.
        """

    def _rebuild(self, version: int, length: int, sources: list[tuple[bool, Any]]) -> bool:
        """Make the list anew at one instant, if nobody has changed it meanwhile.

        Args:
            version: what :meth:`_read` said.
            length: how many elements it had.
            sources: for each new element ``(True, old place)`` or ``(False, value)``.

        Returns:
            False if the list has changed: nothing was done.
        """

    def _retry_optimistic(self, attempt: Callable[[], object], error: type[Exception]) -> None:
        """Call ``attempt``, which computes the list anew, until it says that it was done.

        If others come in between, again and again, they have to wait.

        Args:
            attempt: whether it could store what it had computed.
            error: what to raise where what ``attempt`` calls changes the list.
        """

    def _object_lock_acquire(
        self, blocking: bool | None = None, timeout: float | None = None
    ) -> bool:
        """Take the lock that makes others' operations on the list wait."""

    def _object_lock_release(self) -> None:
        """Let that lock go."""

    def _object_lock_repair(self, function: Callable[[], object]) -> None:
        """Keep what repairs the object after the death of who held that lock."""

    def _object_lock_owner(self) -> Owner | None:
        """Who holds that lock."""

    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one object."""

@disjoint_base
class MapCore:
    """Keys, and perhaps values, in shared memory: what dicts and sets have in common."""

    def __len__(self) -> int: ...
    def __contains__(self, key: Any, /) -> bool: ...
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, ...]]: ...
    def clear(self) -> None:
        """Take everything out."""

    def _walk(self, of: str, backwards: bool) -> MapIterator:
        """Go over what is there now, whatever happens meanwhile.

        Args:
            of: "keys", "values" or "items".
            backwards: from the key that came last to the first.
        """

    def _read(self, of: str) -> tuple[int, list[Any]]:
        """Copy what is there at one instant.

        Args:
            of: "keys", "values" or "items".

        Returns:
            The version, for :meth:`_apply`, and the keys, values or pairs.
        """

    def _read_dict(self) -> tuple[int, dict[Any, Any]]:
        """The same for the pairs, as a plain dict."""

    def _apply(
        self,
        changes: list[tuple[str, Any, Any]],
        version: int | None = None,
        only: bool = False,
    ) -> bool | None:
        """Make changes at one instant.

        Args:
            changes: ``("put", key, value)``, ``("add", key, number)``, ``("remove", key, None)``
                or ``("toggle", key, None)``, each key once.
            version: what :meth:`_read` said, if nothing may have changed since.
            only: take out all other keys.

        Returns:
            Whether it was done; None if Python has to compute a sum: nothing was done.

        Raises:
            NotAKey: something cannot be a key.
            NotPicklable: a value does not pickle.
            ValueError: the container would hold itself.
            ArenaFull: there is no room. In each case nothing was done.
        """

    def _retry_optimistic(self, attempt: Callable[[], object], error: type[Exception]) -> None:
        """Call ``attempt``, which computes the object anew, until it says that it was done.

        If others come in between, again and again, they have to wait.

        Args:
            attempt: whether it could store what it had computed.
            error: what to raise where what ``attempt`` calls changes the object.
        """

    def _object_lock_acquire(
        self, blocking: bool | None = None, timeout: float | None = None
    ) -> bool:
        """Take the lock that makes others' operations on the object wait."""

    def _object_lock_release(self) -> None:
        """Let that lock go."""

    def _object_lock_repair(self, function: Callable[[], object]) -> None:
        """Keep what repairs the object after the death of who held that lock."""

    def _object_lock_owner(self) -> Owner | None:
        """Who holds that lock."""

    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one object."""

@final
class MapIterator:
    """An iteration over the keys, values or pairs that were there when it began."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> Any: ...

class DictCore(MapCore, Generic[_K, _V]):
    """A dict in shared memory; :class:`tarefa.Dict` adds what is written in Python."""

    def __new__(cls, *args: Any, **_kwargs: Any) -> Self: ...
    def __getitem__(self, key: _K, /) -> _V: ...
    def __setitem__(self, key: _K, value: _V, /) -> None: ...
    def __delitem__(self, key: _K, /) -> None: ...
    @overload
    def get(self, key: _K, default: None = None, /) -> _V | None:
        """The key's value, or ``default`` if it has none."""

    @overload
    def get(self, key: _K, default: _V | _D, /) -> _V | _D:
        """The key's value, or ``default`` if it has none."""

    @overload
    def setdefault(self: DictCore[_K, _D | None], key: _K, default: None = None, /) -> _D | None:
        """The key's value, which is ``default`` now if it had none: one operation."""

    @overload
    def setdefault(self, key: _K, default: _V, /) -> _V:
        """The key's value, which is ``default`` now if it had none: one operation."""

    @overload
    def pop(self, key: _K, /) -> _V:
        """Take a key out; ``KeyError`` if it is not there."""

    @overload
    def pop(self, key: _K, default: _V | _D, /) -> _V | _D:
        """Take a key out.

        Returns:
            Its value, or ``default``.

        Raises:
            KeyError: it is not there, and no default was given.
        """

    def popitem(self) -> tuple[_K, _V]:
        """Take out the key that came last, and return it with its value.

        Raises:
            KeyError: there is none.
        """

    def add(self, key: _K, n: Any = 1, /) -> _V:
        """Add ``n`` to the key's value, where a key that is not there counts as 0: one operation.

        Returns:
            The value now.

        Raises:
            TypeError: value and ``n`` cannot be added.
        """

    def update_value(self, key: _K, change: Callable[[_V], _V], default: _V = ..., /) -> _V:
        """Make the key's value what ``change`` returns for it: one operation.

        ``change`` may be called more than once, if others change the value meanwhile.

        Args:
            key: the key.
            change: is given a copy of the value, or ``default`` if the key is not there.
            default: what stands for a value that is not there.

        Returns:
            The value now.

        Raises:
            KeyError: the key is not there, and no default was given.
        """

    def _put_all(self, pairs: dict[_K, _V]) -> None:
        """Set keys to values, all at one instant."""

class SetCore(MapCore, Generic[_T]):
    """A set in shared memory; :class:`tarefa.Set` adds what is written in Python."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self: ...
    def add(self, member: _T) -> None:
        """Put a member in.

        Raises:
            NotAKey: what cannot be a key cannot be a member.
        """

    def discard(self, member: _T) -> None:
        """Take a member out, if it is there."""

    def remove(self, member: _T) -> None:
        """Take a member out; ``KeyError`` if it is not there."""

    def pop(self) -> _T:
        """Take out some member and return it; ``KeyError`` if there is none."""

class NamespaceCore(MapCore):
    """Attributes in shared memory; :class:`tarefa.Namespace` adds what is written in Python."""

    def __new__(cls, *args: Any, **_kwargs: Any) -> Self: ...
    def __getattribute__(self, name: str, /) -> Any: ...
    def __setattr__(self, name: str, value: Any, /) -> None: ...
    def __delattr__(self, name: str, /) -> None: ...
    def _put_all(self, pairs: dict[str, Any]) -> None:
        """Set names to values, all at one instant."""

@final
class ArrayMemory:
    """The memory of an array: a handle of it, and a buffer of writable bytes."""

    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __release_buffer__(self, buffer: memoryview, /) -> None: ...
    def close(self) -> None:
        """Give the handle back before this object ends.

        Raises:
            BufferError: buffers are out.
        """

    def check_open(self) -> None:
        """``ValueError`` if :meth:`close` was called."""

    def note(self) -> bytes | None:
        """What the one who made it left for others to know of it, pickled."""

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""

    @property
    def format(self) -> str:
        """How an item looks, as PEP 3118 writes it."""

    @property
    def itemsize(self) -> int:
        """Bytes of an item."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Items along each dimension; empty for a single value."""

    @property
    def scalar(self) -> bool:
        """Whether its items are read and written without a view."""

    @property
    def locked(self) -> bool:
        """Whether operations take the lock that is part of it."""

def check_room(words: int) -> None:
    """Raise ``ArenaFull`` if there is no room for ``words`` more elements, each at least a word."""

def make_array(
    format: str,  # noqa: A002 - what it is
    itemsize: int,
    shape: list[int],
    locked: bool,
    note: object,
) -> ArrayMemory:
    """Make an array of zeroes.

    Args:
        format: how an item looks, as PEP 3118 writes it.
        itemsize: its bytes.
        shape: items along each dimension; empty for a single value.
        locked: whether operations are to take the lock that is part of it.
        note: what others have to know of it; None for nothing.
    """

def has_arrays() -> bool:
    """Whether this process has arrays, whose memory views may be of."""

@disjoint_base
class ArrayCore(Generic[_T]):
    """An array in shared memory; :class:`tarefa.Array` adds what is written in Python."""

    def __new__(cls, memory: ArrayMemory, lock: Any = None) -> Self: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __release_buffer__(self, buffer: memoryview, /) -> None: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, key: SupportsIndex, /) -> _T: ...
    @overload
    def __getitem__(self, key: slice | tuple[Any, ...], /) -> Any: ...
    @overload
    def __setitem__(self, key: SupportsIndex, value: _T, /) -> None: ...
    @overload
    def __setitem__(self, key: slice | tuple[Any, ...], value: Any, /) -> None: ...
    def __delitem__(self, key: Any, /) -> NoReturn: ...
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]: ...
    def _read_all(self, locked: bool) -> Any:
        """Copy all items: nested lists, bytes or str.

        Args:
            locked: whether to wait for the lock, if there is one.
        """

    def _inspect(self, key: SupportsIndex | tuple[SupportsIndex, ...], /) -> Any:
        """Read an item without waiting for the lock."""

    def _fill(self, values: Any) -> None:
        """Store the first items, before anybody else has a handle.

        Args:
            values: as many items, one after the other, or a buffer of the same type and shape.
        """

    def add(self, index: SupportsIndex | tuple[SupportsIndex, ...], n: _T) -> _T:
        """Add to an item at one instant, without the lock.

        Args:
            index: which; a tuple where there are several dimensions.
            n: how much.

        Returns:
            The item afterwards.

        Raises:
            OverflowError: the sum does not fit; nothing was changed.
            TypeError: items that are no numbers of 1, 2, 4 or 8 bytes.
            IndexError: there is no such item.
        """

    def exchange(self, index: SupportsIndex | tuple[SupportsIndex, ...], new: _T) -> _T:
        """Store into an item at one instant, without the lock.

        Args:
            index: which; a tuple where there are several dimensions.
            new: what to store.

        Returns:
            The item before.

        Raises:
            OverflowError: ``new`` does not fit; nothing was changed.
            TypeError: items that are no numbers of 1, 2, 4 or 8 bytes.
            IndexError: there is no such item.
        """

    def compare_exchange(
        self, index: SupportsIndex | tuple[SupportsIndex, ...], expected: _T, new: _T
    ) -> bool:
        """Store into an item, at one instant, if it equals ``expected``; without the lock.

        Args:
            index: which; a tuple where there are several dimensions.
            expected: what the item must be.
            new: what to store.

        Returns:
            Whether the item was ``expected`` and is ``new``.

        Raises:
            OverflowError: ``expected`` or ``new`` does not fit; nothing was changed.
            TypeError: items that are no numbers of 1, 2, 4 or 8 bytes.
            IndexError: there is no such item.
        """

    @property
    def value(self) -> Any:
        """An array of text, up to the first zero: bytes or str."""

    @value.setter
    def value(self, value: Any) -> None: ...
    @property
    def raw(self) -> bytes:
        """An array of ``c``, all of it."""

    @raw.setter
    def raw(self, value: bytes | bytearray) -> None: ...
    def close(self) -> None:
        """Give the handle back.

        Raises:
            BufferError: views exist.
        """

    def _object_lock_acquire(
        self, blocking: bool | None = None, timeout: float | None = None
    ) -> bool:
        """Take the lock that is part of it."""

    def _object_lock_release(self) -> None:
        """Let that lock go."""

    def _object_lock_owner(self) -> Owner | None:
        """Who holds that lock."""

    @property
    def _memory(self) -> ArrayMemory:
        """Its memory."""

    @property
    def type_code(self) -> str:
        """The typecode of its items, or their format."""

    @property
    def _lock_given(self) -> Any:
        """The lock that was given when it was made."""

    @property
    def _is_locked(self) -> bool:
        """Whether operations wait for a lock."""

    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one object."""

@disjoint_base
class ValueCore(Generic[_T]):
    """A value in shared memory; :class:`tarefa.Value` adds what is written in Python."""

    def __new__(cls, memory: ArrayMemory, lock: Any = None) -> Self: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __release_buffer__(self, buffer: memoryview, /) -> None: ...
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]: ...
    def _put(self, value: _T) -> None:
        """Store the first value, before anybody else has a handle."""

    def _inspect(self) -> _T:
        """The value, read without the lock."""

    def add(self, n: _T) -> _T:
        """Add at one instant, without the lock.

        Args:
            n: how much.

        Returns:
            The value afterwards.

        Raises:
            OverflowError: the sum does not fit; nothing was changed.
            TypeError: a type that is no number of 1, 2, 4 or 8 bytes.
        """

    def exchange(self, new: _T) -> _T:
        """Store at one instant, without the lock.

        Args:
            new: what to store.

        Returns:
            The value before.

        Raises:
            OverflowError: ``new`` does not fit; nothing was changed.
            TypeError: a type that is no number of 1, 2, 4 or 8 bytes.
        """

    def compare_exchange(self, expected: _T, new: _T) -> bool:
        """Store, at one instant, if the value equals ``expected``; without the lock.

        Args:
            expected: what the value must be.
            new: what to store.

        Returns:
            Whether the value was ``expected`` and is ``new``.

        Raises:
            OverflowError: ``expected`` or ``new`` does not fit; nothing was changed.
            TypeError: a type that is no number of 1, 2, 4 or 8 bytes.
        """

    @property
    def value(self) -> _T:
        """The value; reading and writing wait for the lock, if there is one."""

    @value.setter
    def value(self, value: _T) -> None: ...
    def close(self) -> None:
        """Give the handle back.

        Raises:
            BufferError: views exist.
        """

    def _object_lock_acquire(
        self, blocking: bool | None = None, timeout: float | None = None
    ) -> bool:
        """Take the lock that is part of it."""

    def _object_lock_release(self) -> None:
        """Let that lock go."""

    def _object_lock_owner(self) -> Owner | None:
        """Who holds that lock."""

    @property
    def _memory(self) -> ArrayMemory:
        """Its memory."""

    @property
    def type_code(self) -> str:
        """The typecode of its items, or their format."""

    @property
    def _lock_given(self) -> Any:
        """The lock that was given when it was made."""

    @property
    def _is_locked(self) -> bool:
        """Whether operations wait for a lock."""

    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one object."""
