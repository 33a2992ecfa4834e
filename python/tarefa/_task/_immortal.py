"""In the zygote: what is there for good is never counted again.

A forked process shares its parent's pages until one of the two writes to them, and CPython writes
to every object that it merely looks at: it counts references. From version 3.12 on it leaves those
alone whose count says that they are immortal (PEP 683). What the zygote has made before it forks,
modules, functions, constants, lives as long as its children do anyway.

Not what is imported there later, on behalf of tasks: a task may mean to free it.
"""

from __future__ import annotations

import gc
import sys
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType

from tarefa import _engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Where an object's count is its first word, and all ones in the lower half mean immortal.
_KNOWN = ((3, 12), (3, 13))
_PASSING: tuple[type, ...] = (FrameType, GeneratorType, CoroutineType, AsyncGeneratorType)


def make_all_immortal() -> None:
    """Make all objects of this process immortal, where the interpreter knows that."""
    is_debug_build = hasattr(sys, "gettotalrefcount")
    if sys.version_info[:2] not in _KNOWN or is_debug_build:
        return
    gc.collect()
    # Made after the list of all objects, so not in it.
    todo = gc.get_objects()
    found: dict[int, Any] = {}
    while todo:
        one = todo.pop()
        # Not isinstance, which asks objects that stand for others.
        if id(one) not in found and type(one) not in _PASSING:
            found[id(one)] = one
            todo.extend(gc.get_referents(one))
    _engine.make_immortal(list(found.values()))
