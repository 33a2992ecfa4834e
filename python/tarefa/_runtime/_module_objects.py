"""Shared objects that a module makes as it is imported: one object in all processes.

Every process that imports the module runs its top level, and would make objects of its own. So
each such creation has an identity: the module, the place of the call, and how many times that
place was passed in this import. The first who comes there makes the object and puts it into the
program's dict under that identity; later ones find it there.

What is made at the top level itself, in the body of a class or as a default argument stays in the
dict as long as the program. What a function makes that is called from there (the constructor of
something that a module makes, say) stays as long as the process that made it holds it: it may have
been for a moment only. ``importlib.reload`` makes new ones, which take the places of those before.
"""

from __future__ import annotations

import _frozen_importlib
import sys
import threading
from types import FrameType

from tarefa import _engine
from tarefa._runtime import _shared
from tarefa._runtime._shared import base_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# How far from the call a module's top level is looked for: while something is imported, and else.
_FAR, _NEAR = 64, 8
_importing: dict[str, Any] = getattr(_frozen_importlib, "_module_locks", {})
_OPTIMIZED = 1  # of a code's flags: a function's
_COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")


class _Import:
    """One run of a module's top level in this process."""

    def __init__(self, names: dict[str, Any], spec: Any, again: bool) -> None:
        self.names = names
        self.spec = spec
        # Whether the module was there, and is made anew.
        self.again = again
        self.passed: dict[Any, int] = {}


_imports: dict[str, _Import] = {}
# Objects whose content is there already, so that their constructors leave it alone.
attached: set[tuple[int, int]] = set()
# Made by functions: (identity, token of the object).
_passing: list[tuple[str, tuple[int, int]]] = []
_most_passing = 64
_warned: set[tuple[str, int]] = set()
_here = threading.local()


def is_attached(shared: Any) -> bool:
    """Whether a constructor is to leave the object's content alone: another process made it."""
    return bool(attached) and id_of(shared) in attached


def id_of(shared: Any) -> tuple[int, int]:
    """The runtime and the number of a shared object, whatever attributes its class has."""
    core = _engine.NamespaceCore if isinstance(shared, _engine.NamespaceCore) else type(shared)
    found: tuple[int, int] = core.object_id.__get__(shared)
    return found


def find_or_make(cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> Any:
    """For a constructor: the object that it stands for, or None if it makes one of its own."""
    frame = sys._getframe(1)
    if getattr(_here, "makes", False):
        return None
    found = _identity(cls.__name__, frame)
    if found is None:
        return None
    key, again, passes = found
    base = base_of(cls)
    if cls is not base:
        return _of_own_class(cls, base, key, again, passes)
    shared = _engine.program_dict()
    there = None if again else _of_class(shared.get(key), base)
    if there is None:
        _here.makes = True
        try:
            whole = "recursive" not in args
            there = made = base(*args, **(kwargs or {})) if whole else base()
        finally:
            _here.makes = False
        if again:
            shared[key] = made
        else:
            there = _of_class(shared.setdefault(key, made), base)
        if there is made:
            if passes:
                _note_passing(key, made)
            if not whole:
                return made
    if there is not None:
        attached.add(id_of(there))
    return there


def _of_own_class(cls: Any, base: Any, key: str, again: bool, passes: bool) -> Any:
    """The same for a class of the program's own, whose constructor is called once."""
    # Where there is none to call, the object is whole as it is; and a copy is filled by who copies.
    at_once = _shared.copying.on or cls.__init__ is object.__init__
    there, instead, mine = _take_turn(key, again, lambda: base.__new__(base), at_once)
    if mine:
        if passes:
            _note_passing(key, there)
    else:
        attached.add(id_of(there))
    _stand_in(cls, there, instead)
    return there


def _stand_in(cls: Any, there: Any, instead: Any) -> None:
    if instead is not None:
        from tarefa._runtime import _constructors

        _constructors.stand_in(cls, id_of(there), instead, id_of)


def _take_turn(key: str, again: bool, make: Any, at_once: bool) -> tuple[Any, Any, bool]:
    from tarefa._runtime import _constructors  # few programs need it

    _here.makes = True
    try:
        return _constructors.take_turn(key, again, make, id_of, at_once)
    finally:
        _here.makes = False


def shared_value(cls: Any, make: Any, take: Any) -> Any:
    """The same for a value or an array: ``make`` makes one, ``take`` gives it the class."""
    frame = sys._getframe(3)
    if getattr(_here, "makes", False) or not (_importing or not frame.f_code.co_flags & _OPTIMIZED):
        return make()
    found = _identity(cls.__name__, frame)
    if found is None:
        return make()
    key, again, passes = found
    if cls.__module__ != "tarefa" and cls.__init__ is not object.__init__:
        there, instead, mine = _take_turn(key, again, make, at_once=False)
        if not mine:
            there = take(there)
        elif passes:
            _note_passing(key, there)
        _stand_in(cls, there, instead)
        return there
    shared = _engine.program_dict()
    there = None if again else shared.get(key)
    if there is None:
        made = make()
        if again:
            shared[key] = made
            return made
        there = shared.setdefault(key, made)
        if there is made:
            if passes:
                _note_passing(key, made)
            return made
    return take(there)


def _of_class(found: Any, base: type) -> Any:
    return found if isinstance(found, base) else None


def _identity(kind: str, frame: FrameType) -> tuple[str, bool, bool] | None:
    """(the identity, whether it is to be made anew, whether a function made it).

    None for what no import makes.
    """
    steps: list[tuple[str, int]] = []
    passes = False
    at: FrameType | None = frame
    for _ in range(_FAR if _importing else _NEAR):
        if at is None:
            return None
        code, names = at.f_code, at.f_globals
        name = names.get("__name__")
        if isinstance(name, str) and name.startswith("tarefa."):
            # A constructor of ours, or what stands in for one of the program's.
            at = at.f_back
            if not steps and at is not None:
                frame = at
            continue
        steps.append((code.co_qualname, at.f_lasti))
        if code.co_name == "<module>":
            if name == "__main__" or not isinstance(name, str):
                return None
            module = sys.modules.get(name)
            if module is None or module.__dict__ is not names:
                _warn(kind, frame, names)
                return None
            spec = names.get("__spec__")
            running = getattr(spec, "_initializing", False)
            if not running and code.co_filename != names.get("__file__"):
                return None
            return _number(kind, name, names, spec, tuple(steps), passes)
        if code.co_flags & _OPTIMIZED and code.co_name not in _COMPREHENSIONS:
            passes = True
        at = at.f_back
    return None


def _number(
    kind: str, name: str, names: dict[str, Any], spec: Any, place: tuple[Any, ...], passes: bool
) -> tuple[str, bool, bool]:
    now = _imports.get(name)
    if now is None or now.spec is not spec or now.names is not names:
        again = now is not None and now.names is names
        now = _imports[name] = _Import(names, spec, again)
    passed = now.passed[place] = now.passed.get(place, 0) + 1
    from tarefa._runtime._digest import blake2b

    identity = repr((name, kind, place, passed)).encode()
    return "module's " + blake2b(identity, digest_size=16).hexdigest(), now.again, passes


def _note_passing(key: str, made: Any) -> None:
    global _most_passing
    _passing.append((key, id_of(made)))
    if len(_passing) < _most_passing:
        return
    shared, held = _engine.program_dict(), set(_engine.held_objects())
    kept = []
    for one in _passing:
        if one[1][1] in held:
            kept.append(one)
        else:
            shared.pop(one[0], None)
    _passing[:] = kept
    _most_passing = max(64, 2 * len(kept))


def warn_of_own(what: str) -> None:
    """Where a task imports a module that makes what is handed over, not found: say that.

    The program itself may make it so, and hand it to the tasks.
    """
    if not _importing or _engine.is_root() is not False:
        return
    frame = sys._getframe(2)
    place = (frame.f_code.co_filename, frame.f_lineno)
    found = None if place in _warned else _identity(what, frame)
    if found is None or found[2]:
        return
    _warned.add(place)
    import warnings

    warnings.warn_explicit(
        f"module {frame.f_globals.get('__name__')!r} makes this {what} as it is imported, so each "
        "process that imports it has one of its own: make it in the program and hand its ends to "
        "the tasks, or make a tarefa.Queue there, which is one for all",
        UserWarning,
        place[0],
        place[1],
    )


def _warn(kind: str, frame: FrameType, names: dict[str, Any]) -> None:
    """Say that each process gets an object of its own, where a module cannot be told."""
    place = (frame.f_code.co_filename, frame.f_lineno)
    if names.get("__spec__") is None or place in _warned:
        return
    _warned.add(place)
    import warnings

    warnings.warn_explicit(
        f"this tarefa.{kind} is made while a module is run that sys.modules does not have as "
        f"{names.get('__name__')!r}, so each process that runs it has one of its own: put the "
        "module into sys.modules before it is run, or hand the object to the tasks",
        UserWarning,
        place[0],
        place[1],
    )
