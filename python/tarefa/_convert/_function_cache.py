"""Functions of the script pickled before: a target that is started again is not pickled again."""

from __future__ import annotations

import weakref
from types import CodeType, FunctionType
from typing import Any

from tarefa._convert._definitions import is_of_script
from tarefa._convert._dump import dump

# Their code when they were pickled, and their bytes.
_known: weakref.WeakKeyDictionary[Any, tuple[CodeType, bytes]] = weakref.WeakKeyDictionary()


def dumps_function(function: Any) -> bytes | None:
    """The pickled form of a function of the script that is nothing but code; else None.

    It is kept for the next time.
    """
    if (
        type(function) is not FunctionType
        or function.__closure__
        or function.__defaults__
        or function.__kwdefaults__
        or function.__dict__
        or not is_of_script(function)
    ):
        return None
    code = function.__code__
    known = _known.get(function)
    if known is not None and known[0] is code:
        return known[1]
    data = dump(function, is_call=True)[0]
    _known[function] = code, data
    return data
