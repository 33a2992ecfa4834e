"""Functions and classes of the script, which all processes of the program know by name.

A function or class of ``__main__`` is *mentioned*: by its name and a digest of its definition. A
reader has one of the same name and definition, or finds the definition in the program's dict, where
the process that mentions it has put it. Reading never changes or replaces what a reader has.

The digest is made when the object is first seen, so attributes that are set later (a counter in a
class, say) make no other class of it; processes get it with the definition.
"""

from __future__ import annotations

import marshal
import sys
import weakref
from collections import deque
from collections.abc import Callable
from operator import is_
from types import CodeType, FunctionType

from tarefa import _engine
from tarefa._convert._plain_pickle import MAIN_NAMES
from tarefa._runtime._digest import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    _Body = tuple[Any, ...]

_Digest = bytes
_digests: weakref.WeakKeyDictionary[Any, _Digest] = weakref.WeakKeyDictionary()
_known: weakref.WeakValueDictionary[_Digest, Any] = weakref.WeakValueDictionary()
_mentions: weakref.WeakKeyDictionary[Any, tuple[Any, ...]] = weakref.WeakKeyDictionary()
# What every process of the program finds by its digest: in the image, or in the program's dict.
_found_by_all: set[_Digest] = set()
# Those of them that are in the program's dict only, as they were when they were put there.
_in_dict_only: set[_Digest] = set()
# Functions that have got a new digest for their new code, which nobody has asked about yet.
_rewritten: weakref.WeakSet[FunctionType] = weakref.WeakSet()
# Names of the script that every process of the program has.
known_names: set[str] = set()
# In a process that has the script from others: names that it does not have, and why not.
not_here: dict[str, str] = {}
# Classes that later definitions have replaced, the last of them; objects of theirs may still come.
_replaced: deque[type] = deque(maxlen=64)


def main_dict() -> dict[str, Any]:
    """The names of the script's module."""
    return sys.modules["__main__"].__dict__


def find(qualname: str) -> Any:
    """What ``__main__`` has under that name; None for nothing."""
    first, _, rest = qualname.partition(".")
    found = main_dict().get(first)
    if not rest or found is None:
        return found
    for name in rest.split("."):
        found = getattr(found, name, None)
    return found


def is_of_script(function: FunctionType) -> bool:
    """Whether the names in its code are the script's."""
    names, main = function.__globals__, main_dict()
    if names is main:
        return True
    # In a child that multiprocessing has spawned the module is a copy of what its functions know.
    return (
        names.get("__name__") == "__mp_main__"
        and "__mp_main__" in sys.modules
        and names.get("__file__") == main.get("__file__")
    )


def is_definition(obj: Any) -> bool:
    """Whether it is a function or class of the script that is found there by its name."""
    if type(obj) is FunctionType:
        # One that a decorator of another module has made has that module's names.
        if not is_of_script(obj) and obj.__module__ not in MAIN_NAMES:
            return False
    elif obj.__module__ not in MAIN_NAMES:
        return False
    return find(obj.__qualname__) is obj


def mention(obj: Any) -> tuple[Any, ...] | None:
    """How a function or class of the script is pickled, by name; None for what has none."""
    known = _mentions.get(obj)
    if known is not None:
        if type(obj) is not FunctionType or not is_rewritten(obj):
            return known
        forget(obj)
        _rewritten.add(obj)
    if obj not in _digests and not is_definition(obj):
        return None
    known = _mentions[obj] = (restore, (obj.__qualname__, digest_of(obj)))
    return known


def tables() -> tuple[dict[Any, tuple[Any, ...]], set[_Digest]]:
    """What :func:`mention` knows, by weak reference, and what every process finds.

    The same objects for the whole life of the process.
    """
    by_reference: Any = _mentions
    return by_reference.data, _found_by_all


def can_be_found(digest: _Digest) -> bool:
    """Whether every process of the program can make it."""
    return digest in _found_by_all


def is_in_image(digest: _Digest) -> bool:
    """Whether every process of the program has it in its image of the script."""
    return digest in _found_by_all and digest not in _in_dict_only


def note_found(digests: Any) -> None:
    """From now on every process of the program finds these in the image."""
    new = set(digests)
    _found_by_all.update(new)
    _in_dict_only.difference_update(new)


def forget_image() -> None:
    """The image begins anew, and has none of the definitions that were in it."""
    _found_by_all.intersection_update(_in_dict_only)


def publish(obj: Any, dumps: Callable[[Any], bytes]) -> None:
    """Put a definition where every process of the program finds it; ``dumps`` pickles it."""
    digest = digest_of(obj)
    _found_by_all.add(digest)
    _in_dict_only.add(digest)
    try:
        _engine.program_dict().setdefault(_key(digest), dumps(obj))
    except BaseException:
        _found_by_all.discard(digest)
        raise


def _key(digest: _Digest) -> str:
    return "definition " + digest.hex()


def restore(qualname: str, digest: _Digest) -> Any:
    """The function or class that was mentioned."""
    found = _known.get(digest)
    if found is not None:
        return found
    found = find(qualname)
    if found is not None and is_kind(found) and digest_of(found) == digest:
        return found
    data = _engine.program_dict().get(_key(digest))
    if data is None:
        from tarefa._runtime._errors import NotReadable

        why = not_here.get(qualname.partition(".")[0])
        if why is not None:
            raise NotReadable(f"{qualname!r} of the script is not in this process: {why}")
        raise NotReadable(
            f"{qualname!r} of __main__ is not the same here, and its definition is not to be had: "
            "define it in a module that both sides can import"
        )
    from _pickle import loads

    try:
        made = loads(data)
    except Exception as e:
        e.add_note(f"raised as {qualname!r} of __main__ was built from what was sent")
        raise
    learn(made, digest)
    _found_by_all.add(digest)
    _in_dict_only.add(digest)
    return made


def learn(obj: Any, digest: _Digest) -> None:
    """In a process that has got a definition from another: this is its digest."""
    old = _known.get(digest)
    if isinstance(old, type) and old is not obj:
        _replaced.append(old)
    _digests[obj] = digest
    _known[digest] = obj


def keep_replaced(old: Any) -> None:
    """A class that the script has replaced: what is of it may still be read."""
    if isinstance(old, type) and old in _digests:
        _replaced.append(old)


def is_kind(obj: Any) -> bool:
    """Whether it is a function or a class."""
    return isinstance(obj, (FunctionType, type))


def digest_of(obj: Any) -> _Digest:
    """The digest of a function or class, which it keeps from now on."""
    digest = _digests.get(obj)
    if digest is None:
        parts = _of_class(obj) if isinstance(obj, type) else _of_function(obj)
        digest = blake2b(marshal.dumps(parts, 2), digest_size=16).digest()
        _digests[obj] = digest
        _known[digest] = obj
        if type(obj) is FunctionType:
            _bodies[obj] = _body_of(obj)
    return digest


def forget(obj: Any) -> None:
    """A function or class that is not what it was: it gets a digest of what it is now."""
    if not is_kind(obj):
        return
    _digests.pop(obj, None)
    _mentions.pop(obj, None)
    _bodies.pop(obj, None)


# What functions were when their digests were made.
_bodies: weakref.WeakKeyDictionary[FunctionType, _Body] = weakref.WeakKeyDictionary()


def _body_of(function: FunctionType) -> _Body:
    by_name = function.__kwdefaults__
    parts = (*by_name, *by_name.values()) if by_name else ()
    return function.__code__, function.__defaults__, *parts


def is_rewritten(function: FunctionType) -> bool:
    """Whether its code or its defaults have been set since its digest was made."""
    body = _bodies.get(function)
    if body is None:
        return False
    now = _body_of(function)
    return len(now) != len(body) or not all(map(is_, now, body))


def are_as_told(functions: list[FunctionType]) -> bool:
    """Whether none of them has got other code or defaults since :func:`take_rewritten` of it."""
    if _rewritten and any(function in _rewritten for function in functions):
        return False
    for function in functions:
        body = _bodies.get(function)
        if body is None or is_rewritten(function):
            return False
    return True


def take_rewritten(function: FunctionType) -> bool:
    """The same, or whether that was found out since it was last asked."""
    if is_rewritten(function):
        forget(function)
    elif function not in _rewritten:
        return False
    _rewritten.discard(function)
    return True


# Functions and classes that are being looked at: one may have itself in a closure.
_busy: set[int] = set()


def _of_function(function: FunctionType) -> tuple[Any, ...]:
    if id(function) in _busy:
        return ("function", function.__qualname__)
    _busy.add(id(function))
    try:
        return _of_idle_function(function)
    finally:
        _busy.discard(id(function))


def _of_idle_function(function: FunctionType) -> tuple[Any, ...]:
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(_of_value(cell.cell_contents))
        except ValueError:  # still empty
            cells.append(None)
    return (
        "function",
        function.__qualname__,
        _of_code(function.__code__),
        _of_value(function.__defaults__),
        _of_value(tuple((function.__kwdefaults__ or {}).items())),
        tuple(cells),
    )


def _of_code(code: CodeType) -> tuple[Any, ...]:
    """What the code does: not where it was written."""
    return (
        "code",
        code.co_name,
        code.co_code,
        tuple(_of_value(c) for c in code.co_consts),
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags,
        code.co_exceptiontable,
    )


# Made by the interpreter, or for one process.
_NOT_DEFINED = {
    "__dict__",
    "__weakref__",
    "__module__",
    "__qualname__",
    "__firstlineno__",
    "__static_attributes__",
    "__annotate__",
    "__annotate_func__",
    "__annotations_cache__",
    "__slotnames__",
    "_abc_impl",
    "__abstractmethods__",
}


def _of_class(cls: type) -> tuple[Any, ...]:
    enum: Any = sys.modules.get("enum")
    members: tuple[Any, ...] = ()
    if enum is not None and issubclass(cls, enum.Enum):
        kind: Any = cls
        members = tuple((m, _of_value(v.value)) for m, v in kind.__members__.items())
    items = tuple(
        (name, _of_value(value))
        for name, value in cls.__dict__.items()
        if name not in _NOT_DEFINED and cls not in type(value).__mro__
    )
    bases = tuple(
        digest_of(base) if base.__module__ in MAIN_NAMES else _of_value(base)
        for base in cls.__bases__
    )
    return "class", cls.__qualname__, _of_value(type(cls)), bases, members, items


_ATOMS = (int, float, complex, str, bytes, bool, type(None), type(...))


def _of_value(value: Any) -> Any:
    """What of a value belongs to the definition that has it."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is tuple:
        return tuple(_of_value(v) for v in value)
    if kind is frozenset:
        return "frozenset", tuple(sorted(repr(_of_value(v)) for v in value))
    if kind is CodeType:
        return _of_code(value)
    if kind is FunctionType:
        return _of_function(value)
    if kind in (staticmethod, classmethod):
        return kind.__name__, _of_value(value.__func__)
    if kind is property:
        return "property", _of_value(value.fget), _of_value(value.fset), _of_value(value.fdel)
    if isinstance(value, type):
        module = "__main__" if value.__module__ in MAIN_NAMES else value.__module__
        return "class", module, value.__qualname__
    return "object", kind.__module__, kind.__qualname__
