"""How objects travel: by reference where they can be imported, else by value.

Plain pickle first, for it is fast. What it refuses (lambdas, closures), and what it would send
as "look it up in ``__main__``", which no other process has, goes through cloudpickle.
"""

from __future__ import annotations

import io
import operator
import os
import pickle
import sys
import types
import weakref
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any

from tarefa import _engine
from tarefa._runtime._errors import NotPicklable

loads = pickle.loads

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


def reduce_context_var(var: ContextVar[Any]) -> tuple[Any, ...]:
    """How a context variable is pickled."""
    key = _context_keys.get(id(var))
    if key is None:
        key = _context_keys[id(var)] = _find_context_var(var)
        _context_vars[key] = var  # kept, so that its id stays its own
    if isinstance(key[0], str):
        return restore_context_var, (key, var.name)
    default: tuple[Any, ...] = ()
    try:
        # In a context without a value: its default.
        default = (Context().run(var.get),)
        dumps(default)
    except Exception:
        default = ()
    return restore_context_var, (key, var.name, *default)


def _find_context_var(var: ContextVar[Any]) -> _Key:
    """Where a module that can be imported has it; else a key of this process's."""
    for module, content in list(sys.modules.items()):
        if module != "__main__":
            for name, value in list(getattr(content, "__dict__", {}).items()):
                if value is var:
                    return module, name
    return os.getpid(), id(var)


def by_value_pickler() -> type[Any]:
    """The pickler for what cannot be imported; made at first need."""
    from tarefa._convert._cloudpickler import ByValue

    return ByValue


_keep_apart = _engine.keep_out_of_band


def dumps(obj: Any) -> bytes:
    """Pickle ``obj``; raises :class:`NotPicklable` that names the part which does not pickle."""
    try:
        data = pickle.dumps(obj, 5)
        if b"__main__" not in data:
            return data
    except _NOT_AS_IT_IS:
        pass
    return _dumps_otherwise(obj, None)


def dumps_apart(obj: Any) -> bytes:
    """The same for the engine's encoding, which is given the large buffers beside the pickle."""
    try:
        data = pickle.dumps(obj, 5, buffer_callback=_keep_apart)
        if b"__main__" not in data:
            return data
    except _NOT_AS_IT_IS:
        pass
    return _dumps_otherwise(obj, _keep_apart)


_NOT_AS_IT_IS = (
    pickle.PicklingError,
    TypeError,
    AttributeError,
    ValueError,
    RecursionError,
)


def _dumps_by_value(obj: Any, keep: Callable[[Any], bool] | None = None) -> bytes:
    buffer = io.BytesIO()
    by_value_pickler()(buffer, protocol=5, buffer_callback=keep).dump(obj)
    return buffer.getvalue()


def _dumps_otherwise(obj: Any, keep: Callable[[Any], bool] | None) -> bytes:
    _engine.collect()
    try:
        return _dumps_by_value(obj, keep)
    except NotPicklable:
        raise
    except Exception as e:
        where = culprit(obj)
        what = f"{where[0]} ({_describe(where[1])})" if where else _describe(obj)
        raise NotPicklable(f"{what} cannot be pickled, so it cannot be shared: {_line(e)}") from e


def _line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def _describe(obj: Any) -> str:
    import reprlib

    return f"{type(obj).__qualname__} {reprlib.repr(obj)}"


def _pickles(obj: Any) -> bool:
    try:
        _dumps_by_value(obj)
    except Exception:
        return False
    return True


def culprit(obj: Any, path: str = "", depth: int = 0) -> tuple[str, Any] | None:
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
            if not _pickles(part):
                return culprit(part, where, depth + 1) or (where, part)
    return (path, obj) if path else None


_Call = tuple[Any, tuple[Any, ...], dict[str, Any]]


def dumps_call(call: _Call) -> bytes:
    """Pickle (target, args, kwargs) as :func:`dumps_apart` does; the error names the argument."""
    try:
        return dumps_apart(_lay_apart(call))
    except NotPicklable as e:
        target, args, kwargs = call
        named = [("target", target)]
        named += [(f"args[{i}]", a) for i, a in enumerate(args)]
        named += [(f"kwargs[{k!r}]", a) for k, a in kwargs.items()]
        for name, value in named:
            if not _pickles(value):
                where, part = culprit(value, name) or (name, value)
                why = _line(e.__cause__) if e.__cause__ else str(e)
                raise NotPicklable(
                    f"{where} ({_describe(part)}) cannot be pickled, so it cannot be sent "
                    f"to another process: {why}"
                ) from e.__cause__
        raise


def _lay_apart(call: _Call) -> _Call:
    """The call with ``bytearray`` arguments as buffers.

    Only where nothing else mentions the same one: it must arrive as one object, and pickle does
    not know a buffer again.
    """
    target, args, kwargs = call
    values = (*args, *kwargs.values())
    found = [v for v in values if type(v) is bytearray]
    buffers = {id(v): pickle.PickleBuffer(v) for v in found}
    if not found or len(buffers) < len(found) or not all(type(v) in _SEPARATE for v in values):
        return call
    args = tuple(buffers.get(id(v), v) for v in args)
    return target, args, {k: buffers.get(id(v), v) for k, v in kwargs.items()}


# Functions pickled by value before: what they were made of then, and their bytes.
_known: weakref.WeakKeyDictionary[Any, tuple[tuple[Any, ...], bytes]] = weakref.WeakKeyDictionary()
_PLAIN: tuple[type, ...] = (int, float, str, bytes, bool, type(None))
_SEPARATE = (*_PLAIN, bytearray)
_PLAIN += (types.ModuleType, types.BuiltinFunctionType)


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
