"""Libraries that ctypes has loaded, and their functions: opened again by name where they arrive."""

from __future__ import annotations

import ctypes
import gc
from _ctypes import FUNCFLAG_USE_ERRNO
from typing import Any

# What a function of a library may be told of itself, and how it begins.
_SETTINGS = {"restype": ctypes.c_int, "argtypes": None, "errcheck": None}


def reduce(obj: Any) -> Any:
    """How a library or a function of one is pickled; NotImplemented for what is neither."""
    if isinstance(obj, ctypes.CDLL):
        return _library(obj)
    found = _home(obj)
    if found is None:
        return NotImplemented
    library, name = found
    return getattr, (library, name), _settings(obj), None, None, _set


def _library(library: ctypes.CDLL) -> Any:
    kind: Any = library._FuncPtr
    args = (type(library), library._name, bool(kind._flags_ & FUNCFLAG_USE_ERRNO))
    functions = {n: value for n, value in vars(library).items() if isinstance(value, kind)}
    told = {name: found for name, value in functions.items() if (found := _settings(value))}
    return _open, args, told, None, None, _tell


def _settings(function: Any) -> dict[str, Any]:
    """What differs from how a function begins."""
    found = {name: getattr(function, name) for name in _SETTINGS}
    return {name: value for name, value in found.items() if value is not _SETTINGS[name]}


def _home(function: Any) -> tuple[ctypes.CDLL, str] | None:
    """The library that the function was taken from, and its name there."""
    name = getattr(function, "__name__", None)
    for referrer in gc.get_referrers(function):
        holders = gc.get_referrers(referrer) if isinstance(referrer, dict) else [referrer]
        for library in holders:
            if isinstance(library, ctypes.CDLL) and vars(library).get(str(name)) is function:
                return library, str(name)
    return None


def _open(cls: Any, name: str | None, use_errno: bool) -> Any:
    return cls(name, use_errno=use_errno)


def _tell(library: Any, told: dict[str, dict[str, Any]]) -> None:
    for name, settings in told.items():
        _set(getattr(library, name), settings)


def _set(function: Any, settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        setattr(function, name, value)
