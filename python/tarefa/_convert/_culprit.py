"""Which part of an object cannot be pickled, for the message that says so."""

from __future__ import annotations

import reprlib
from typing import Any

from tarefa._convert import _descriptors
from tarefa._convert._cloudpickler import dumps_by_value


def first_line(error: BaseException) -> str:
    """The type of an error and the first line of its text."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def describe(obj: Any) -> str:
    """An object in a message: its type, and its ``repr`` shortened."""
    return f"{type(obj).__qualname__} {reprlib.repr(obj)}"


def pickles(obj: Any) -> bool:
    """Whether it can be pickled, by value if need be."""
    try:
        with _descriptors.tried():
            dumps_by_value(obj)
    except Exception:
        return False
    return True


def find(obj: Any, path: str = "", depth: int = 0) -> tuple[str, Any] | None:
    """The innermost part of ``obj`` that does not pickle: (where, part)."""
    parts: list[tuple[str, Any]]
    if isinstance(obj, dict):
        parts = [(f"{path}[{k!r}]", v) for k, v in obj.items()]
        parts += [(f"{path} key {k!r}", k) for k in obj]
    elif isinstance(obj, (list, tuple, set, frozenset)):
        parts = [(f"{path}[{i}]", v) for i, v in enumerate(obj)]
    elif hasattr(obj, "__dict__") and not isinstance(obj, type) and not callable(obj):
        parts = [(f"{path}.{k}", v) for k, v in vars(obj).items()]
    elif getattr(obj, "__closure__", None):
        names = obj.__code__.co_freevars
        cells = zip(names, obj.__closure__, strict=False)
        parts = [(f"{path} (its variable {n!r})", c.cell_contents) for n, c in cells]
    else:
        parts = []
    if depth < 20:
        for where, part in parts:
            if not pickles(part):
                return find(part, where, depth + 1) or (where, part)
    return (path, obj) if path else None
