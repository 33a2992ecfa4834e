"""Which part of an object cannot be pickled, for the message that says so."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any

from tarefa._convert import _descriptors, _instead
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
    if _instead.hint(obj):
        parts = []  # the whole of it is what a user knows, and has another for
    elif hasattr(type(obj), "tarefa_parts"):
        parts = obj.tarefa_parts()
    elif isinstance(obj, dict):
        parts = [(f"{path}[{k!r}]", v) for k, v in obj.items()]
        parts += [(f"{path} key {k!r}", k) for k in obj]
    elif isinstance(obj, (list, tuple, set, frozenset)):
        parts = [(f"{path}[{i}]", v) for i, v in enumerate(obj)]
    elif hasattr(obj, "__dict__") and not isinstance(obj, type) and not callable(obj):
        parts = [(f"{path}.{k}", v) for k, v in vars(obj).items()]
    elif isinstance(obj, type):
        path = path or f"class {obj.__qualname__!r}"
        parts = [
            (f"{path} (its attribute {k!r})", v)
            for k, v in vars(obj).items()
            if not isinstance(v, (GetSetDescriptorType, MemberDescriptorType))
        ]
        parts += [(f"{path} (its base {b.__qualname__!r})", b) for b in obj.__bases__]
    elif isinstance(obj, FunctionType):
        parts = list(_parts_of_function(obj, path))
    else:
        parts = []
    if depth < 20:
        for where, part in parts:
            if not pickles(part):
                return find(part, where, depth + 1) or (where, part)
    return (path, obj) if path else None


def _parts_of_function(function: FunctionType, path: str) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield f"{path} (its variable {name!r})", cell.cell_contents
        except ValueError:  # still empty
            continue
    code, defaults = function.__code__, function.__defaults__ or ()
    last = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
    by_name = function.__kwdefaults__ or {}
    for name, value in (*zip(last, defaults, strict=False), *by_name.items()):
        yield f"{path} (its default {name!r})", value
