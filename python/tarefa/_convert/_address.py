"""Objects of another program, by address."""

from __future__ import annotations

from tarefa import _engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def address(obj: Any) -> str:
    """Where a shared object is, as text.

    For a program of the same user that is no task of this one and cannot read a pickle: one in
    Rust, whose ``tarefa::attach`` reads it, or one that is started with arguments of text. It keeps
    nothing alive: keep ``obj`` until the other program has it.

    Raises:
        TypeError: it is no shared object, is of a class derived from one, or is a value or array
            with a lock that has no address.
    """
    text = _engine.address_of(obj)
    if text is None:
        raise TypeError(
            f"{type(obj).__name__} object has no address: List, Dict, Set, Counter, Namespace, "
            "Value, Array and what they are locked with have, as long as their class is tarefa's "
            "own and their lock a shared one"
        )
    return text


def attach(address: str) -> Any:
    """The object at an :func:`address`, which may be another program's.

    This process is a member of that program's runtime from then on: what it holds when it dies is
    seen to be without an owner.

    Raises:
        ValueError: that is no address.
        HandleGone: the object or its program is gone.
    """
    return _engine.attach(*_engine.parse_address(address))
