"""Part of the native module's stub: what ``Value`` and ``Array`` are made of."""

from collections.abc import Callable
from typing import Any, NoReturn, Self, SupportsIndex, final

from typing_extensions import disjoint_base

from tarefa._sync._lock import Owner

@final
class ArrayMemory:
    """The memory of an array: a handle of it, and writable bytes for whoever asks for a buffer."""

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
    def guarded(self) -> bool:
        """Whether operations take the lock that is part of it."""

def make_array(
    format: str,  # noqa: A002 - what it is
    itemsize: int,
    shape: list[int],
    guarded: bool,
    note: object,
) -> ArrayMemory:
    """Make an array of zeroes.

    Args:
        format: how an item looks, as PEP 3118 writes it.
        itemsize: its bytes.
        shape: items along each dimension; empty for a single value.
        guarded: whether operations are to take the lock that is part of it.
        note: what others have to know of it; None for nothing.
    """

def has_arrays() -> bool:
    """Whether this process has arrays, whose memory views may be of."""

def keep_after_fork() -> None:
    """In the child of a fork: hold what it inherited, the memory of arrays above all."""

@disjoint_base
class ArrayCore:
    """An array in shared memory; :class:`tarefa.Array` adds what is written in Python."""

    def __new__(cls, memory: ArrayMemory, lock: Any = None) -> Self: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __release_buffer__(self, buffer: memoryview, /) -> None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, key: SupportsIndex | slice | tuple[Any, ...], /) -> Any: ...
    def __setitem__(self, key: SupportsIndex | slice | tuple[Any, ...], value: Any, /) -> None: ...
    def __delitem__(self, key: Any, /) -> NoReturn: ...
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]: ...
    def read_all(self, locked: bool) -> Any:
        """Copy all items: nested lists, bytes or str.

        Args:
            locked: whether to wait for the lock, if there is one.
        """

    def fill(self, values: Any) -> None:
        """Store the first items, before anybody else has a handle.

        Args:
            values: as many items, one after the other, or a buffer of the same type and shape.
        """

    def add(self, index: SupportsIndex | tuple[SupportsIndex, ...], n: Any) -> Any:
        """Add to an item at one instant, whoever holds the lock.

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

    def exchange(self, index: SupportsIndex | tuple[SupportsIndex, ...], new: Any) -> Any:
        """Store into an item at one instant, whoever holds the lock.

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
        self, index: SupportsIndex | tuple[SupportsIndex, ...], expected: Any, new: Any
    ) -> bool:
        """Store into an item, at one instant, if it equals ``expected``; whoever holds the lock.

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

    def guard_acquire(self, blocking: bool | None = None, timeout: float | None = None) -> bool:
        """Take the lock that is part of it."""

    def guard_release(self) -> None:
        """Let that lock go."""

    def guard_owner(self) -> Owner | None:
        """Who holds that lock."""

    @property
    def memory(self) -> ArrayMemory:
        """Its memory."""

    @property
    def type_code(self) -> str:
        """The typecode of its items, or their format."""

    @property
    def lock_given(self) -> Any:
        """The lock that was given when it was made."""

    @property
    def is_locked(self) -> bool:
        """Whether operations wait for a lock."""

    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one object."""

@disjoint_base
class ValueCore:
    """A value in shared memory; :class:`tarefa.Value` adds what is written in Python."""

    def __new__(cls, memory: ArrayMemory, lock: Any = None) -> Self: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __release_buffer__(self, buffer: memoryview, /) -> None: ...
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]: ...
    def put(self, value: Any) -> None:
        """Store the first value, before anybody else has a handle."""

    def peek(self) -> Any:
        """The value, whoever holds the lock."""

    def add(self, n: Any) -> Any:
        """Add at one instant, whoever holds the lock.

        Args:
            n: how much.

        Returns:
            The value afterwards.

        Raises:
            OverflowError: the sum does not fit; nothing was changed.
            TypeError: a type that is no number of 1, 2, 4 or 8 bytes.
        """

    def exchange(self, new: Any) -> Any:
        """Store at one instant, whoever holds the lock.

        Args:
            new: what to store.

        Returns:
            The value before.

        Raises:
            OverflowError: ``new`` does not fit; nothing was changed.
            TypeError: a type that is no number of 1, 2, 4 or 8 bytes.
        """

    def compare_exchange(self, expected: Any, new: Any) -> bool:
        """Store, at one instant, if the value equals ``expected``; whoever holds the lock.

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
    def value(self) -> Any:
        """The value; reading and writing wait for the lock, if there is one."""

    @value.setter
    def value(self, value: Any) -> None: ...
    def close(self) -> None:
        """Give the handle back.

        Raises:
            BufferError: views exist.
        """

    def guard_acquire(self, blocking: bool | None = None, timeout: float | None = None) -> bool:
        """Take the lock that is part of it."""

    def guard_release(self) -> None:
        """Let that lock go."""

    def guard_owner(self) -> Owner | None:
        """Who holds that lock."""

    @property
    def memory(self) -> ArrayMemory:
        """Its memory."""

    @property
    def type_code(self) -> str:
        """The typecode of its items, or their format."""

    @property
    def lock_given(self) -> Any:
        """The lock that was given when it was made."""

    @property
    def is_locked(self) -> bool:
        """Whether operations wait for a lock."""

    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one object."""
