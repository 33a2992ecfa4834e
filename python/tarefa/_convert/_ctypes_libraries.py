"""Libraries that ctypes has loaded, and their functions: opened again by name where they arrive."""

from __future__ import annotations

import ctypes
import gc
from _ctypes import FUNCFLAG_USE_ERRNO
from typing import Any

# What a function of a library may have been told of itself.
_SETTINGS = ("restype", "argtypes", "errcheck")
_OWN = ("_name", "_handle", "_FuncPtr")


def reduce(obj: Any) -> Any:
    """How a library or a function of one is pickled; NotImplemented for what is neither."""
    if isinstance(obj, ctypes.CDLL):
        return _library(obj)
    found = _home(obj)
    if found is None:
        return NotImplemented
    library, name = found
    return _function, (library, name), _settings(obj), None, None, _set


def _library(library: ctypes.CDLL) -> Any:
    cls = type(library)
    named: dict[str, Any] = vars(library)
    flags = named["_FuncPtr"]._flags_
    args = (cls, named["_name"], bool(flags & FUNCFLAG_USE_ERRNO))
    told = {
        name: _settings(value)
        for name, value in named.items()
        if name not in _OWN and isinstance(value, named["_FuncPtr"])
    }
    return _open, args, {name: found for name, found in told.items() if found}, None, None, _tell


def _settings(function: Any) -> dict[str, Any]:
    """What differs from how a function begins."""
    found = {}
    for name in _SETTINGS:
        try:
            value = getattr(function, name)
        except AttributeError:
            continue
        if value is not None and not (name == "restype" and value is ctypes.c_int):
            found[name] = value
        elif name == "restype" and value is None:
            found[name] = None
    return found


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


def _function(library: Any, name: str) -> Any:
    return getattr(library, name)


def _set(function: Any, settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        setattr(function, name, value)
