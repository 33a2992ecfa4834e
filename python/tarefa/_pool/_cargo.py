"""How calls and results travel between a pool and its processes.

What is wrapped in a :class:`Cargo` is pickled by itself, inside the message: so a message always
arrives, and says whose call or result it is, even where what it carries cannot be built there.
"""

from __future__ import annotations

import itertools
import weakref
from types import FunctionType
from typing import Any

from tarefa._convert import _pickling
from tarefa._runtime import _fork

# What always arrives, and needs no wrapping; by exact type.
SAFE = frozenset([int, float, bool, type(None), str, bytes])

# Buffers below this are cheaper inside the pickle.
_LARGE = 4096


class Cargo:
    """A value in a message."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> Any:
        buffers: list[Any] = []

        def keep(buffer: Any) -> bool:
            if buffer.raw().nbytes < _LARGE:
                return True
            buffers.append(buffer)
            return False

        data, _ = _pickling._dumps(self.value, keep)
        return (_arrive, (data, buffers)) if buffers else (_arrive, (data,))


class Packed:
    """A :class:`Cargo` that was pickled already."""

    __slots__ = ("made",)

    def __init__(self, cargo: Cargo) -> None:
        self.made = cargo.__reduce__()

    def __reduce__(self) -> Any:
        return self.made


class Arrived:
    """What came of a :class:`Cargo`: a value, or the error of building it."""

    __slots__ = ("error", "value")

    def __init__(self, value: Any, error: Exception | None) -> None:
        self.value = value
        self.error = error


def _arrive(data: bytes, buffers: Any = ()) -> Arrived:
    try:
        return Arrived(_pickling.loads(data, buffers=buffers), None)
    except Exception as e:
        return Arrived(None, e)


class Named:
    """A function as a batch has it, with what messages call it."""

    __slots__ = ("name",)

    name: str


class Function(Named):
    """A function as it travels: under a key, by which a worker keeps it."""

    __slots__ = ("__weakref__", "data", "kept", "key")

    def __init__(self, function: Any, data: Any) -> None:
        self.key = next(_keys)
        self.data = data
        self.name = name_of(function)
        # What keeps the shared objects that it mentions.
        self.kept: Any = None


_keys = itertools.count(1)
_known: weakref.WeakKeyDictionary[Any, tuple[Any, Function]] = weakref.WeakKeyDictionary()
# A larger one is kept in a list that the workers have, too, rather than in each message.
_BULKY = 16384


def name_of(function: Any) -> str:
    """What a message calls a function."""
    if type(function).__module__ == "_sitebuiltins":
        # The built-in `exit`, say: its repr is a sentence for who types it.
        return str(getattr(function, "name", type(function).__name__))
    return str(getattr(function, "__qualname__", None) or repr(function))


def called(function: Any) -> str:
    """The same of a function as a batch has it."""
    return function.name if isinstance(function, Named) else name_of(function)


def encode(function: Any) -> Function:
    """The function as it travels.

    Raises:
        NotPicklable: it cannot.
    """
    bare = (
        type(function) is FunctionType
        and not function.__closure__
        and not function.__defaults__
        and not function.__kwdefaults__
        and not function.__dict__
    )
    if bare:
        known = _known.get(function)
        if known is not None and known[0] is function.__code__:
            return known[1]
    data: Any = _pickling.dumps(function)
    if len(data) > _BULKY:
        from tarefa._collections._list import List

        kept: List[bytes] = List([data])
        data = kept
    found = Function(function, data)
    if bare:
        _known[function] = function.__code__, found
    else:
        found.kept = function
    return found


def _forked() -> None:
    """In a forked child: what travelled before did so from another process."""
    _known.clear()


_fork.in_child(_forked)


def decode(data: Any) -> Any:
    """The function that travelled."""
    return _pickling.loads(data if type(data) is bytes else data[0])
