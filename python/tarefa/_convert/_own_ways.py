"""Types that our encoding pickles in its own way, and ``pickle`` and ``copy`` as ever.

They are of modules that the program may or may not load, so they are looked up anew when it has
loaded more.
"""

from __future__ import annotations

import copyreg
import sys
from collections.abc import Callable

from tarefa import _engine
from tarefa._convert import _descriptors, _memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    _Reducers = dict[type, Callable[[Any], Any]]


_own: _Reducers = {}
_whole: _Reducers | None = None
_seen = (0, 0, 0)


def reducers() -> _Reducers:
    """How these types are pickled."""
    global _own, _whole, _seen
    now = _engine.reducers_known(sys.modules, copyreg.dispatch_table)
    if _seen != now:
        _own = _descriptors.reducers()
        if "numpy" in sys.modules:
            from tarefa._convert import _views

            _own.update(_views.reducers())
        _whole = {**copyreg.dispatch_table, **_own} if _own else None
        # Plain pickle refuses it, and is not to be slower for all else: what follows knows it.
        _own.setdefault(memoryview, _memory.reduce)
        _seen = now
    return _own


def table() -> _Reducers | None:
    """The same as the dispatch table of a pickler; None where the usual one will do."""
    reducers()
    return _whole
