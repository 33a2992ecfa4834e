"""How objects travel: by name where they can be imported or are the script's, else by value.

Plain pickle first, for it is fast. What it refuses (lambdas, closures), and what it would send as
"look it up in ``__main__``", where the reader's may be another, goes through picklers of our own.
"""

from __future__ import annotations

import _pickle as pickle
import io
from collections.abc import Callable
from types import FunctionType

from tarefa import _engine
from tarefa._convert import _instead, _own_ways
from tarefa._convert._plain_pickle import MAIN_NAMES, NOT_AS_IT_IS
from tarefa._runtime._errors import NotPicklable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    _Call = tuple[Any, tuple[Any, ...], dict[str, Any]]

loads = pickle.loads

_keep_out_of_band = _engine.keep_out_of_band


def dumps(obj: Any) -> bytes:
    """Pickle ``obj``; raises :class:`NotPicklable` that names the part which does not pickle."""
    return _dumps(obj, None)[0]


def dumps_out_of_band(obj: Any) -> bytes:
    """The same for the engine's encoding, which is given the large buffers beside the pickle."""
    return _dumps(obj, _keep_out_of_band)[0]


def _dumps(
    obj: Any, keep: Callable[[Any], bool] | None, is_of_main: bool | None = None, **how: Any
) -> tuple[bytes, list[Any]]:
    """The pickle, and the script's functions and classes that are in it."""
    if is_of_main is None:
        is_of_main = _is_of_main(obj)
    if not is_of_main:
        before = _engine.collected()
        try:
            own = _own_ways.table()
            if own is None:
                data = pickle.dumps(obj, 5, buffer_callback=keep)
            else:
                file = io.BytesIO()
                pickler = pickle.Pickler(file, 5, buffer_callback=keep)
                pickler.dispatch_table = own
                pickler.dump(obj)
                data = file.getvalue()
            if b"_main__" not in data:
                return data, []
        except NOT_AS_IT_IS:
            pass
        _engine.discard_collected(before)
    # The engine has tried the former, where it asks for the latter.
    if not how and not (is_of_main and keep is _keep_out_of_band):
        made = _engine.pickle_of_script(obj, keep)
        if made is not None:
            return made, []
    # Not before it is needed: it is slow to import.
    from tarefa._convert._dump import dump

    data, whole = dump(obj, keep, **how)
    return data, whole.met


def _is_of_main(obj: Any) -> bool:
    """Whether plain ``pickle`` would name ``__main__`` for it; not where it is deep inside."""
    kind = type(obj)
    named = obj if kind is FunctionType or isinstance(obj, type) else kind
    return getattr(named, "__module__", None) in MAIN_NAMES


# Types of which one object cannot mention another.
_SEPARATE = (int, float, str, bytes, bool, type(None), bytearray)


def dumps_call(call: _Call) -> tuple[bytes, list[Any]]:
    """Pickle (target, args, kwargs) out of band; the error names the argument.

    Returns:
        The bytes, and the functions and classes of the script that are in it.
    """
    of_main = _is_of_main(call[0])
    try:
        return _dumps(_with_buffers(call), _keep_out_of_band, of_main, is_call=True)
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
                why += _instead.hint(value) or _instead.hint(part) or _instead.hint_of(why)
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
