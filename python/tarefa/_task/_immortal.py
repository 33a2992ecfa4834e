"""In the zygote: what is there for good is never counted again.

A forked process shares its parent's pages until one of the two writes to them, and CPython writes
to every object that it merely looks at: it counts references. From version 3.12 on it leaves those
alone whose count says that they are immortal (PEP 683). What the zygote has made before it forks,
modules, functions, constants, lives as long as its children do anyway.

Not what is there on behalf of tasks, the script's names and what is imported for them: a task may
mean to free it. So the zygote notes what is there before any of that, and what its own imports
bring later, and makes it immortal when nobody waits for a process.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType

from tarefa import _engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Where an object's count is its first word, and all ones in the lower half mean immortal.
_IS_KNOWN = sys.version_info[:2] in ((3, 12), (3, 13)) and not hasattr(sys, "gettotalrefcount")
_PASSING: tuple[type, ...] = (FrameType, GeneratorType, CoroutineType, AsyncGeneratorType)

_noted: list[Any] = []


def note_all() -> None:
    """All that is there now is the zygote's own."""
    if _IS_KNOWN:
        _noted.extend(gc.get_objects())


def note_what_brings(act: Callable[[], object]) -> None:
    """So is what that makes."""
    if _IS_KNOWN:
        # What is frozen is not among the objects that can be asked for.
        gc.freeze()
    act()
    note_all()


def make_noted_immortal() -> None:
    """Make what was noted immortal, where the interpreter knows that."""
    # The script's names are in it by now.
    names = sys.modules["__main__"].__dict__
    noted = [one for one in _noted if one is not names and one is not _noted]
    _noted.clear()
    _engine.make_immortal(noted, _PASSING)
