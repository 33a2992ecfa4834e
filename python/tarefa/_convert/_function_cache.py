"""Functions pickled by value before: a target that is started again is not pickled again."""

from __future__ import annotations

import operator
import types
import weakref
from typing import Any

from tarefa._convert._pickling import dumps

# Functions: what they were made of when they were pickled, and their bytes.
_known: weakref.WeakKeyDictionary[Any, tuple[tuple[Any, ...], bytes]] = weakref.WeakKeyDictionary()
_PLAIN: tuple[type, ...] = (
    int,
    float,
    str,
    bytes,
    bool,
    type(None),
    types.ModuleType,
    types.BuiltinFunctionType,
)


def _made_of(function: Any) -> tuple[Any, ...] | None:
    """What a function's pickled form depends on, if all of it is code and constants."""
    if (
        type(function) is not types.FunctionType
        or function.__closure__
        or function.__defaults__
        or function.__kwdefaults__
        or function.__dict__
    ):
        return None
    code, variables = function.__code__, function.__globals__
    parts: list[Any] = [code, function.__name__, function.__doc__]
    names = list(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names.extend(constant.co_names)
            if any(isinstance(inner, types.CodeType) for inner in constant.co_consts):
                return None
    for name in names:
        if name in variables:
            value = variables[name]
            if not isinstance(value, _PLAIN):
                return None
            parts.append(value)
        else:
            parts.append(name)
    return tuple(parts)


def dumps_function(function: Any) -> bytes | None:
    """The pickled form of a function of code and constants only; None for anything else.

    It is kept for the next time.
    """
    parts = _made_of(function)
    if parts is None:
        return None
    known = _known.get(function)
    if (
        known is not None
        and len(known[0]) == len(parts)
        and all(map(operator.is_, known[0], parts))
    ):
        return known[1]
    data = dumps(function)
    _known[function] = parts, data
    return data
