"""Functions pickled before: a target that is started again is not pickled again."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from types import CodeType, FunctionType

from tarefa._convert._definitions import is_of_script
from tarefa._convert._dump import dump
from tarefa._convert._plain_pickle import MAIN_NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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


# Their names when they were pickled, and their bytes.
_known_calls: weakref.WeakKeyDictionary[Any, tuple[str, str, bytes]] = weakref.WeakKeyDictionary()


def dumps_bare_call(function: Any, dumps: Callable[[Any], tuple[bytes, list[Any]]]) -> bytes | None:
    """The pickled call, without arguments, of a function that is found in its module; else None.

    Args:
        function: the target.
        dumps: what pickles a call.
    """
    if type(function) is not FunctionType:
        return None
    module, qualname = function.__module__, function.__qualname__
    found = sys.modules.get(module)
    if found is None or module in MAIN_NAMES or found.__dict__.get(qualname) is not function:
        return None
    known = _known_calls.get(function)
    if known is not None and known[0] == module and known[1] == qualname:
        return known[2]
    data, met = dumps((function, (), {}))
    if met:
        return None
    _known_calls[function] = module, qualname, data
    return data
