"""Part of the native module's stub: dicts, sets, namespaces."""

from collections.abc import Callable
from typing import Any, Self, final

from typing_extensions import disjoint_base

from tarefa._sync._lock import Owner

@disjoint_base
class MapCore:
    """Keys, and perhaps values, in shared memory: what dicts and sets have in common."""

    def __len__(self) -> int: ...
    def __contains__(self, key: Any, /) -> bool: ...
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, ...]]: ...
    def clear(self) -> None:
        """Take everything out."""

    def walk(self, of: str, backwards: bool) -> MapIterator:
        """Go over what is there now, whatever happens meanwhile.

        Args:
            of: "keys", "values" or "items".
            backwards: from the key that came last to the first.
        """

    def read(self, of: str) -> tuple[int, list[Any]]:
        """Copy what is there at one instant.

        Args:
            of: "keys", "values" or "items".

        Returns:
            The version, for :meth:`apply`, and the keys, values or pairs.
        """

    def read_dict(self) -> tuple[int, dict[Any, Any]]:
        """The same for the pairs, as a plain dict."""

    def apply(
        self,
        changes: list[tuple[str, Any, Any]],
        version: int | None = None,
        only: bool = False,
    ) -> bool | None:
        """Make changes at one instant.

        Args:
            changes: ``("put", key, value)``, ``("add", key, number)``, ``("remove", key, None)``
                or ``("toggle", key, None)``, each key once.
            version: what :meth:`read` said, if nothing may have changed since.
            only: take out all other keys.

        Returns:
            Whether it was done; None if Python has to compute a sum: nothing was done.

        Raises:
            NotAKey: something cannot be a key.
            NotPicklable: a value does not pickle.
            ValueError: the container would hold itself.
            ArenaFull: there is no room. In each case nothing was done.
        """

    def guard_acquire(self, blocking: bool | None = None, timeout: float | None = None) -> bool:
        """Take the lock that makes others' operations on the object wait."""

    def guard_release(self) -> None:
        """Let that lock go."""

    def guard_owner(self) -> Owner | None:
        """Who holds that lock."""

    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one object."""

@final
class MapIterator:
    """An iteration over the keys, values or pairs that were there when it began."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> Any: ...

class DictCore(MapCore):
    """A dict in shared memory; :class:`tarefa.Dict` adds what is written in Python."""

    def __new__(cls, *args: Any, **_kwargs: Any) -> Self: ...
    def __getitem__(self, key: Any, /) -> Any: ...
    def __setitem__(self, key: Any, value: Any, /) -> None: ...
    def __delitem__(self, key: Any, /) -> None: ...
    def get(self, key: Any, default: Any = None, /) -> Any:
        """The key's value, or ``default`` if it has none."""

    def setdefault(self, key: Any, default: Any = None, /) -> Any:
        """The key's value, which is ``default`` now if it had none: one operation."""

    def pop(self, key: Any, default: Any = ..., /) -> Any:
        """Take a key out.

        Returns:
            Its value, or ``default``.

        Raises:
            KeyError: it is not there, and no default was given.
        """

    def popitem(self) -> tuple[Any, Any]:
        """Take out the key that came last, and return it with its value.

        Raises:
            KeyError: there is none.
        """

    def add(self, key: Any, n: Any = 1, /) -> Any:
        """Add ``n`` to the key's value, where a key that is not there counts as 0: one operation.

        Returns:
            The value now.

        Raises:
            TypeError: value and ``n`` cannot be added.
        """

    def update_value(self, key: Any, change: Callable[[Any], Any], default: Any = ..., /) -> Any:
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

    def put_all(self, pairs: dict[Any, Any]) -> None:
        """Set keys to values, all at one instant."""

class SetCore(MapCore):
    """A set in shared memory; :class:`tarefa.Set` adds what is written in Python."""

    def __new__(cls, *args: Any) -> Self: ...
    def add(self, member: Any) -> None:
        """Put a member in.

        Raises:
            NotAKey: what cannot be a key cannot be a member.
        """

    def discard(self, member: Any) -> None:
        """Take a member out, if it is there."""

    def remove(self, member: Any) -> None:
        """Take a member out; ``KeyError`` if it is not there."""

    def pop(self) -> Any:
        """Take out some member and return it; ``KeyError`` if there is none."""

class NamespaceCore(MapCore):
    """Attributes in shared memory; :class:`tarefa.Namespace` adds what is written in Python."""

    def __new__(cls, *args: Any, **_kwargs: Any) -> Self: ...
    def __getattribute__(self, name: str, /) -> Any: ...
    def __setattr__(self, name: str, value: Any, /) -> None: ...
    def __delattr__(self, name: str, /) -> None: ...
    def put_all(self, pairs: dict[str, Any]) -> None:
        """Set names to values, all at one instant."""
