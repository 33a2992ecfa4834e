"""Type variables, aliases and new types, where they are pickled as what they consist of.

Those of the script are, for who does not have its names yet; and everywhere those that no module
has under their names: of ``def f[T](x: T)`` and its like, and what a function has made.
"""

from __future__ import annotations

import sys
import typing
from typing import Any

from tarefa._convert._definitions import main_dict

_FLAGS = ("covariant", "contravariant", "infer_variance")
_ALIAS = getattr(typing, "TypeAliasType", None)  # from 3.12 on
_KINDS = (typing.TypeVar, typing.ParamSpec, typing.TypeVarTuple, typing.NewType, _ALIAS)


def is_unnamed(obj: Any) -> bool:
    """Whether it is one that its module does not have under its name."""
    if type(obj) not in _KINDS:
        return False
    module = sys.modules.get(obj.__module__)
    return module is None or module.__dict__.get(obj.__name__) is not obj


def reduce(obj: Any) -> Any:
    """How one is pickled as what it consists of; None for what is none."""
    kind = type(obj)
    if kind is _ALIAS:
        return _reduce_alias(obj)
    if getattr(obj, "__infer_variance__", False) and is_unnamed(obj):
        return _reduce_variable(obj)
    options: dict[str, Any] = {}
    values: tuple[Any, ...] = ()
    if kind is typing.TypeVar or kind is typing.ParamSpec:
        values = getattr(obj, "__constraints__", ())
        if obj.__bound__ is not None:
            options["bound"] = obj.__bound__
        options |= {name: True for name in _FLAGS if getattr(obj, f"__{name}__", False)}
    elif kind is typing.NewType:
        values = (obj.__supertype__,)
    elif kind is not typing.TypeVarTuple:
        return None
    default = _default(obj)
    if default[0] and default[1] is not None:
        options["default"] = default[1]
    return _make, (kind, obj.__module__, obj.__name__, values, options)


def _asked(obj: Any, name: str) -> tuple[bool, Any]:
    """An attribute that is found out when asked for; or that it is not, and why."""
    try:
        return True, getattr(obj, name, None)
    except Exception as e:  # a name in it is missing, here too
        return False, str(e)


def _default(obj: Any) -> tuple[bool, Any]:
    return _asked(obj, "__default__") if getattr(obj, "has_default", bool)() else (True, None)


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


_STARS = {"TypeVarTuple": "*", "ParamSpec": "**"}


def _reduce_variable(variable: Any) -> Any:
    """One of a function or class with ``[T]``: its bound may be the class that has it."""
    is_there, constraints = _asked(variable, "__constraints__")
    if is_there and constraints:
        count, values = len(constraints), [(True, each) for each in constraints]
    else:
        count, values = 0, [_asked(variable, "__bound__")]
    has_default = bool(getattr(variable, "has_default", bool)())
    if has_default:
        values.append(_default(variable))
    is_bound = count == 0 and values[0] != (True, None)
    name = _STARS.get(type(variable).__name__, "") + variable.__name__
    args = (variable.__module__, name, is_bound, count, has_default)
    return _make_variable, args, values, None, None, _fill


def _make_variable(module: str, name: str, is_bound: bool, count: int, has_default: bool) -> Any:
    text = f"{name}: {_VALUE.format(0)}" if is_bound else name
    if count:
        text = f"{name}: ({', '.join(_VALUE.format(each) for each in range(count))})"
    if has_default:
        text += f" = {_VALUE.format(-1)}"
    made, values = _run(module, f"def made[{text}](): pass", "made")
    return _filled_later(made.__type_params__[0], values)


def _reduce_alias(alias: Any) -> Any:
    module, name, parameters = alias.__module__, alias.__name__, alias.__type_params__
    is_there, value = found = _asked(alias, "__value__")
    args = (module, name, parameters, repr(value))
    if is_there and parameters and not _mentions(value, alias, set()):
        return _make_alias, (*args, value)
    return _make_lazy_alias, args, [found], None, None, _fill


def _mentions(value: Any, alias: Any, seen: set[int]) -> bool:
    """Whether an alias is in a value, perhaps by way of others."""
    if value is alias:
        return True
    if id(value) in seen:
        return False
    seen.add(id(value))
    parts = [*typing.get_args(value), typing.get_origin(value)]
    if type(value) is _ALIAS:
        parts.append(_asked(value, "__value__")[1])
    return any(_mentions(part, alias, seen) for part in parts)


def _known_alias(module: str, name: str, shown: str) -> Any:
    known = main_dict().get(name)
    if type(known) is not _ALIAS or known.__module__ != module:
        return None
    return known if repr(_asked(known, "__value__")[1]) == shown else None


def _make_alias(module: str, name: str, parameters: tuple[Any, ...], shown: str, value: Any) -> Any:
    names = {"__name__": module, "args": (name, value), "parameters": parameters, "kind": _ALIAS}
    known = _known_alias(module, name, shown)
    # An alias has its caller's module.
    return known or eval("kind(*args, type_params=parameters)", names)  # noqa: S307


def _make_lazy_alias(module: str, name: str, parameters: tuple[Any, ...], shown: str) -> Any:
    """An alias whose value comes later, for it may mention the alias."""
    known = _known_alias(module, name, shown)
    if known is not None:
        return known
    each = [_STARS.get(type(p).__name__, "") + p.__name__ for p in parameters]
    inside = f"[{', '.join(each)}]" if each else ""
    return _filled_later(*_run(module, f"type {name}{inside} = {_VALUE.format(0)}", name))


_Values = list[tuple[bool, Any]]
_VALUE = "__tarefa_value__({})"


def _run(module: str, source: str, name: str) -> tuple[Any, _Values]:
    """What a statement makes that asks for values when they are needed, and where they are to be.

    No constructor makes these: it wants the values at once.
    """
    values: _Values = []

    def value_of(number: int) -> Any:
        is_there, value = values[number] if values else (False, "it has not come yet")
        if not is_there:
            raise NameError(value)
        return value

    names: dict[str, Any] = {"__name__": module, "__tarefa_value__": value_of}
    exec(source, names)  # noqa: S102
    return names[name], values


# What was made and has no values yet, by where it is.
_empty: dict[int, tuple[Any, _Values]] = {}


def _filled_later(made: Any, values: _Values) -> Any:
    _empty[id(made)] = made, values
    return made


def _fill(made: Any, found: _Values) -> None:
    # One that was there already is as it was.
    _, values = _empty.pop(id(made), (None, []))
    values += found
