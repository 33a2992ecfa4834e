"""How an exception travels: with its class, arguments and attributes, and what is linked to it.

A class that says itself how it is pickled is taken at its word. Any other exception goes as what
:mod:`tarefa._convert._exceptions` takes it apart into. What of it cannot travel stays behind: an
attribute, with a note that says so; where it is the class or an argument, a :class:`RemoteError`
stands for the exception, and says what and why.

The text of the traceback goes beside the pickle, and can be read where that cannot.
"""

from __future__ import annotations

import _pickle as pickle

from tarefa import _engine
from tarefa._convert import _exceptions
from tarefa._convert._pickling import loads
from tarefa._runtime._errors import RemoteError, RemoteTraceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    # An exception, and what no pickle of it has: its notes, the numbers of its cause and of its
    # context, and whether that is suppressed.
    _Linked = tuple[BaseException, Any, int | None, int | None, bool]

# The pickle of an exception and of all that it is linked to; its traceback, with those of its
# causes; the exception in a line; the name of its class.
Packed = tuple[bytes, str, str, str]


def prepare() -> None:
    """Import what :func:`pack` needs of most exceptions."""
    import traceback  # noqa: F401

    from tarefa._convert import _exception_pickler  # noqa: F401


def pack(error: BaseException) -> bytes:
    """The exception as bytes; :func:`unpack` takes what was unpickled from them."""
    text, line, name = traceback_text(error), shown(error), type(error).__qualname__
    try:
        linked = _pack_linked(error)
    except BaseException as e:
        linked = _dumps([(_remote(error, _cannot_pickle(e)), None, None, None, False)], {})
    return pickle.dumps((linked, text, line, name), 5)


def unpack(packed: Packed) -> BaseException:
    """The exception; the last of its causes is its traceback."""
    linked, text, line, name = packed
    error: BaseException
    try:
        error = _unpack_linked(linked)
    except (MemoryError, KeyboardInterrupt):
        raise
    except BaseException as e:
        reason = f"it arrived and cannot be built here: {_line(e)}"
        error = RemoteError(f"{line} [{reason}]", name, text, reason)
        error.__cause__ = e
    last = _last_shown(error)
    suppresses = last.__suppress_context__
    last.__cause__ = RemoteTraceback(text)
    last.__suppress_context__ = suppresses
    return error


def traceback_text(error: BaseException) -> str:
    """Its traceback, with those of its causes."""
    import traceback

    try:
        return "".join(traceback.format_exception(error)).rstrip()
    except Exception:
        return shown(error)


def remote_text(error: BaseException) -> str | None:
    """The text of the traceback that it came with; None if it has not travelled."""
    last = _last_shown(error)
    return last.text if isinstance(last, RemoteTraceback) else None


def shown(error: BaseException) -> str:
    """Its class and its text."""
    cls = type(error)
    name = cls.__qualname__
    if cls.__module__ not in ("builtins", "__main__"):
        name = f"{cls.__module__}.{name}"
    try:
        text = str(error)
    except Exception:
        text = "<its text cannot be made>"
    return f"{name}: {text}" if text else name


def _line(error: BaseException) -> str:
    return shown(error).partition("\n")[0]


# -- where it was raised -----------------------------------------------------------------


def _pack_linked(error: BaseException) -> bytes:
    errors = _all_linked(error)
    numbers = {id(e): n for n, e in enumerate(errors)}
    linked: list[_Linked] = [
        (
            e,
            e.__dict__.get("__notes__"),
            None if e.__cause__ is None else numbers[id(e.__cause__)],
            None if e.__context__ is None else numbers[id(e.__context__)],
            e.__suppress_context__,
        )
        for e in errors
    ]
    before = _engine.collected()
    try:
        data = _dumps(linked, {})
        _unpack_linked(data)
    except Exception:
        _engine.discard_collected(before)
        instead: dict[int, Any] = {}
        for n, e in enumerate(errors):
            _, notes, *links = linked[n]
            instead[id(e)], notes = _that_travels(e, notes)
            linked[n] = (e, notes, *links)
        data = _dumps(linked, instead)
        _unpack_linked(data)
    return data


def _all_linked(error: BaseException) -> list[BaseException]:
    """The exception, and all that it is linked to: causes, contexts, members of groups."""
    found: dict[int, BaseException] = {}
    left = [error]
    while left:
        e = left.pop()
        if id(e) in found:
            continue
        found[id(e)] = e
        left += [other for other in (e.__context__, e.__cause__) if other is not None]
        if isinstance(e, BaseExceptionGroup):
            left += _exceptions.arguments(e)[1][1]
    return list(found.values())


def _reduced(error: BaseException) -> Any:
    """How ``pickle`` is to take it apart."""
    attributes = _exceptions.attributes(error)
    args = (type(error), *_exceptions.arguments(error))
    return _exceptions.bare, args, attributes, None, None, _exceptions.set_attributes


def _that_travels(error: BaseException, notes: Any) -> tuple[Any, Any]:
    """The same without what cannot travel, and its notes."""
    if _why_not(notes) is not None:
        notes = None
    if _exceptions.reduces_itself(error):
        why = _why_not(error)
        return (None if why is None else _instead(error, why)), notes
    function, args, (fields, state), *rest = _reduced(error)
    made_of = [(f"its class {type(error).__qualname__}", type(error))]
    made_of += [(f"args[{n}]", arg) for n, arg in enumerate(args[1])]
    if len(args) > 2:
        made_of.append(("its message", args[2][0]))
    for what, value in made_of:
        why = _why_not(value)
        if why is not None:
            return _instead(error, f"{what}: {why}"), notes
    said: list[str] = []
    fields = _those_that_travel(fields, said)
    if isinstance(state, dict):
        state = _those_that_travel(state, said)
    else:
        state = _those_that_travel({"__getstate__": state}, said).get("__getstate__")
    if said:
        notes = [*(notes if isinstance(notes, (list, tuple)) else ()), *said]
    return (function, args, (fields, state), *rest), notes


def _those_that_travel(attributes: dict[str, Any], said: list[str]) -> dict[str, Any]:
    found = {}
    for name, value in attributes.items():
        why = _why_not(value)
        if why is None:
            found[name] = value
        else:
            kind = type(value)
            said.append(
                f"tarefa: its attribute {name!r}, of type {kind.__module__}.{kind.__qualname__}, "
                f"has stayed in the task: {why}"
            )
    return found


def _why_not(value: Any) -> str | None:
    """Why that cannot travel; None if it can."""
    try:
        data = _dumps(value, {})
    except Exception as e:
        return _cannot_pickle(e)
    try:
        loads(data)
    except Exception as e:
        return f"it cannot be built again: {_line(e)}"
    return None


def _cannot_pickle(e: BaseException) -> str:
    return f"it cannot be pickled: {_line(e)}"


def _remote(error: BaseException, reason: str) -> RemoteError:
    message = f"{shown(error)} [it cannot travel as itself: {reason}]"
    return RemoteError(message, type(error).__qualname__, traceback_text(error), reason)


def _instead(error: BaseException, reason: str) -> Any:
    return _reduced(_remote(error, reason))


def _dumps(value: Any, instead: dict[int, Any]) -> bytes:
    from tarefa._convert._exception_pickler import dumps

    def reduce_exception(error: BaseException) -> Any:
        found = instead.get(id(error))
        if found is not None:
            return found
        return None if _exceptions.reduces_itself(error) else _reduced(error)

    return dumps(value, reduce_exception)


# -- where it is asked for ---------------------------------------------------------------


def _unpack_linked(data: bytes) -> BaseException:
    linked: list[_Linked] = loads(data)
    for error, notes, cause, context, suppress_context in linked:
        if notes is not None:
            error.__dict__["__notes__"] = notes
        error.__cause__ = None if cause is None else linked[cause][0]
        error.__context__ = None if context is None else linked[context][0]
        error.__suppress_context__ = suppress_context
    return linked[0][0]


def _last_shown(error: BaseException) -> BaseException:
    """The last of those that its traceback shows: its cause, the cause of that, and so on."""
    seen = {id(error)}
    while True:
        following = error.__cause__
        if following is None and not error.__suppress_context__:
            following = error.__context__
        if following is None or id(following) in seen:
            return error
        seen.add(id(following))
        error = following
