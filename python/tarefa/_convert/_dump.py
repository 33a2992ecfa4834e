"""Pickling with the smaller of our picklers, or where that will not do with the larger one."""

from __future__ import annotations

import io
from collections.abc import Callable

from tarefa import _engine
from tarefa._convert import _by_name, _descriptors, _instead
from tarefa._convert._by_name import ByName, NeedsMore
from tarefa._convert._plain_pickle import NOT_AS_IT_IS
from tarefa._runtime._errors import NotPicklable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def dump(obj: Any, keep: Callable[[Any], bool] | None = None, **how: Any) -> tuple[bytes, Any]:
    """Pickle by name what the script has, and by value what cannot be imported.

    Args:
        obj: what to pickle.
        keep: what is asked of large buffers.
        how: see :class:`tarefa._convert._by_name.Reducing`.

    Returns:
        The bytes, and the pickler, which knows what it has met.

    Raises:
        NotPicklable: it cannot be; the text names the part.
    """
    before = _engine.collected()
    try:
        return _dump_with(ByName, obj, keep, how)
    except (*NOT_AS_IT_IS, NeedsMore):
        pass
    _engine.discard_collected(before)
    from tarefa._convert._cloudpickler import ByValue

    try:
        return _dump_with(ByValue, obj, keep, how)
    except NotPicklable:
        raise
    except Exception as e:
        from tarefa._convert import _culprit

        where = _culprit.find(obj)
        what = f"{where[0]} ({_culprit.describe(where[1])})" if where else _culprit.describe(obj)
        why = _culprit.first_line(e) + (
            _instead.hint(obj)
            or (_instead.hint(where[1]) if where else "")
            or _instead.hint_of(_culprit.first_line(e))
        )
        raise NotPicklable(f"{what} cannot be pickled, so it cannot be shared: {why}") from e


def _dump_with(
    pickler: Any, obj: Any, keep: Callable[[Any], bool] | None, how: dict[str, Any]
) -> tuple[bytes, Any]:
    buffer = io.BytesIO()
    made = pickler(buffer, keep, **how)
    if how.get("in_image") or how.get("whole") is not None:
        # That is for all processes, and stays.
        with _descriptors.refused("what the script has for all its processes"):
            made.dump(obj)
    else:
        made.dump(obj)
    return buffer.getvalue(), made


def pickles(obj: Any) -> bool:
    """Whether ``obj`` can be pickled."""
    before = _engine.collected()
    try:
        with _descriptors.tried():
            ByName(io.BytesIO(), is_call=True).dump(obj)
    except Exception:
        _engine.discard_collected(before)
    else:
        return True
    from tarefa._convert import _culprit

    return _culprit.pickles(obj)


def dumps_whole(definition: Any) -> bytes:
    """Pickle a function or class as what it consists of."""
    return dump(definition, whole=definition)[0]


_by_name.dumps_whole = dumps_whole
_by_name.pickles = pickles
