"""How objects travel: by reference where they can be imported, else by value.

Plain pickle first, for it is fast. What it refuses (lambdas, closures), and what it would send
as "look it up in ``__main__``", which no other process has, goes through cloudpickle.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from tarefa import _engine
from tarefa._runtime._errors import NotPicklable

loads = pickle.loads

_keep_out_of_band = _engine.keep_out_of_band


def dumps(obj: Any) -> bytes:
    """Pickle ``obj``; raises :class:`NotPicklable` that names the part which does not pickle."""
    try:
        data = pickle.dumps(obj, 5)
        if b"__main__" not in data:
            return data
    except _NOT_AS_IT_IS:
        pass
    return _dumps_otherwise(obj, None)


def dumps_out_of_band(obj: Any) -> bytes:
    """The same for the engine's encoding, which is given the large buffers beside the pickle."""
    try:
        data = pickle.dumps(obj, 5, buffer_callback=_keep_out_of_band)
        if b"__main__" not in data:
            return data
    except _NOT_AS_IT_IS:
        pass
    return _dumps_otherwise(obj, _keep_out_of_band)


_NOT_AS_IT_IS = (
    pickle.PicklingError,
    TypeError,
    AttributeError,
    ValueError,
    RecursionError,
)


def _dumps_otherwise(obj: Any, keep: Callable[[Any], bool] | None) -> bytes:
    from tarefa._convert._cloudpickler import dumps_by_value

    _engine.discard_collected()
    try:
        return dumps_by_value(obj, keep)
    except NotPicklable:
        raise
    except Exception as e:
        from tarefa._convert import _culprit

        where = _culprit.find(obj)
        what = f"{where[0]} ({_culprit.describe(where[1])})" if where else _culprit.describe(obj)
        why = _culprit.first_line(e)
        raise NotPicklable(f"{what} cannot be pickled, so it cannot be shared: {why}") from e


# Types of which one object cannot mention another.
_SEPARATE = (int, float, str, bytes, bool, type(None), bytearray)

_Call = tuple[Any, tuple[Any, ...], dict[str, Any]]


def dumps_call(call: _Call) -> bytes:
    """Pickle (target, args, kwargs) out of band; the error names the argument."""
    try:
        return dumps_out_of_band(_with_buffers(call))
    except NotPicklable as e:
        from tarefa._convert import _culprit

        target, args, kwargs = call
        named = [("target", target)]
        named += [(f"args[{i}]", a) for i, a in enumerate(args)]
        named += [(f"kwargs[{k!r}]", a) for k, a in kwargs.items()]
        for name, value in named:
            if not _culprit.pickles(value):
                where, part = _culprit.find(value, name) or (name, value)
                why = _culprit.first_line(e.__cause__) if e.__cause__ else str(e)
                raise NotPicklable(
                    f"{where} ({_culprit.describe(part)}) cannot be pickled, so it cannot be sent "
                    f"to another process: {why}"
                ) from e.__cause__
        raise


def _with_buffers(call: _Call) -> _Call:
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
