"""Type variables, aliases and new types of the script, for who does not have its names yet."""

from __future__ import annotations

import typing
from typing import Any

from tarefa._convert._definitions import main_dict

_FLAGS = ("covariant", "contravariant", "infer_variance")


def reduce(obj: Any) -> Any:
    """How one is pickled as what it consists of; None for what is none."""
    kind = type(obj)
    options: dict[str, Any] = {}
    values: tuple[Any, ...] = ()
    if kind is typing.TypeVar or kind is typing.ParamSpec:
        values = getattr(obj, "__constraints__", ())
        if obj.__bound__ is not None:
            options["bound"] = obj.__bound__
        options |= {name: True for name in _FLAGS if getattr(obj, f"__{name}__", False)}
    elif kind is typing.NewType:
        values = (obj.__supertype__,)
    elif kind is getattr(typing, "TypeAliasType", None):
        values = (obj.__value__,)
        if obj.__type_params__:
            options["type_params"] = obj.__type_params__
    elif kind is not typing.TypeVarTuple:
        return None
    if getattr(obj, "has_default", bool)():
        options["default"] = obj.__default__
    return _make, (kind, obj.__module__, obj.__name__, values, options)


def _make(
    kind: Any, module: str, name: str, values: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    # Classes and functions that come later mean the one that is there.
    known = main_dict().get(name)
    if type(known) is kind:
        there = reduce(known)
        if there[1] == (kind, module, name, values, options):
            return known
    made = kind(name, *values, **options)
    try:
        made.__module__ = module
    except AttributeError:
        pass  # it is the caller's, which is this module
    return made
