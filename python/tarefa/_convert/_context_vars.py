"""How context variables travel: they have names in their modules, which two may share, or none."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextvars import Context, ContextVar

from tarefa._convert._plain_pickle import MAIN_NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Module and name; or pid and number.
_Key = tuple[int | str, int | str]
_context_vars: dict[_Key, ContextVar[Any]] = {}
_context_keys: dict[int, _Key] = {}


def restore_context_var(key: _Key, name: str, *default: Any) -> ContextVar[Any]:
    """The context variable that a module has, or the one that stands for another process's."""
    module, attribute = key
    if isinstance(module, str):
        import importlib

        found: ContextVar[Any] = getattr(importlib.import_module(module), str(attribute))
        return found
    var = _context_vars.get(key)
    if var is None:
        var = ContextVar(name, default=default[0]) if default else ContextVar(name)
        _context_vars[key] = var
        _context_keys[id(var)] = key
    return var


def reduce_context_var(var: ContextVar[Any], pickles: Callable[[Any], bool]) -> tuple[Any, ...]:
    """How a context variable is pickled: with its default, if that ``pickles``."""
    key = _context_keys.get(id(var))
    if key is None:
        key = _context_keys[id(var)] = _find_context_var(var)
        _context_vars[key] = var  # kept, so that its id stays its own
    if not isinstance(key[0], str):
        try:
            # In a context without a value: its default.
            default = Context().run(var.get)
        except LookupError:
            pass
        else:
            if pickles(default):
                return restore_context_var, (key, var.name, default)
    return restore_context_var, (key, var.name)


def _find_context_var(var: ContextVar[Any]) -> _Key:
    """Where a module that can be imported has it; else a key of this process's.

    The script's module is none, by whichever of its names: a process that is given what the script
    has would ask it for what is still on the way.
    """
    main = sys.modules.get("__main__")
    for module, content in list(sys.modules.items()):
        if module not in MAIN_NAMES and content is not main:
            for name, value in list(getattr(content, "__dict__", {}).items()):
                if value is var:
                    return module, name
    return os.getpid(), id(var)
