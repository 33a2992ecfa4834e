"""Handles of shared objects on their way to other processes and programs."""

from collections.abc import Callable
from pickle import PickleBuffer
from typing import Any

def attach(root: int, memory_fd: int, runtime: int, off: int, id: int, kind: int) -> Any:  # noqa: A002
    """Make the object of a pickled handle.

    Raises:
        HandleGone: the object or its runtime is gone, or another user's.
    """

def address_of(object: object) -> str | None:  # noqa: A002
    """Where a shared object is, as text; None if it, or a part of it, is not shared."""

def parse_address(text: str) -> tuple[int, int, int, int, int, int]:
    """The arguments of :func:`attach` that a text stands for.

    Raises:
        ValueError: it is none.
    """

def collected() -> tuple[int, int]:
    """How much the encoding that goes on has met: for :func:`discard_collected`."""

def discard_collected(since: tuple[int, int]) -> None:
    """Forget what the encoding that goes on has met since then: that part begins anew."""

def mention(object: object) -> None:  # noqa: A002
    """Have the encoding that goes on keep a shared object that is not in its bytes."""

def register_class(kind: str, class_: type[Any] | Callable[[Any], Any], /) -> None:
    """Have objects of that kind be of ``class_``, whose ``__new__`` takes a core.

    Or what that function makes of one.
    """

def keep_out_of_band(buffer: PickleBuffer, /) -> bool:
    """Whether a buffer is to be in the pickle; else the encoding that goes on has noted it."""
