"""The picklers of exceptions: the smaller one, and the larger one for what that does not know."""

from __future__ import annotations

import io
from collections.abc import Callable

from tarefa import _engine
from tarefa._convert._by_name import ByName, NeedsMore
from tarefa._convert._plain_pickle import NOT_AS_IT_IS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    # How an exception is to be taken apart; None for as it says itself.
    Reduce = Callable[[BaseException], Any]


def _of_exceptions(base: Any) -> Any:
    """A pickler by which exceptions go as what they consist of, also among arguments."""

    def reducer_override(self: Any, obj: Any) -> Any:
        if isinstance(obj, BaseException):
            reduced = self.reduce_exception(obj)
            if reduced is not None:
                return reduced
        return base.reducer_override(self, obj)

    return type("OfExceptions", (base,), {"reducer_override": reducer_override})


_Smaller = _of_exceptions(ByName)
_made: Any = None


def dumps(value: Any, reduce_exception: Reduce) -> bytes:
    """Pickle ``value``, in which there are exceptions."""
    before = _engine.collected()
    try:
        return _dumps_with(_Smaller, value, reduce_exception)
    except (*NOT_AS_IT_IS, NeedsMore):
        _engine.discard_collected(before)
    return _dumps_with(_larger(), value, reduce_exception)


def _dumps_with(kind: Any, value: Any, reduce_exception: Reduce) -> bytes:
    buffer = io.BytesIO()
    pickler = kind(buffer)
    pickler.reduce_exception = reduce_exception
    pickler.dump(value)
    return buffer.getvalue()


def _larger() -> Any:
    """The one whose base is slow to import, and rarely needed."""
    global _made
    if _made is None:
        from tarefa._convert._cloudpickler import ByValue

        _made = _of_exceptions(ByValue)
    return _made
