"""Names of the script that other processes do not have, and what a task that needs one is told.

A class whose attribute is a lock, or a function with a file in its closure, cannot be sent. Neither
is data that no code names, where it is large or cannot be pickled. Most tasks do without, so that
stops none of them. One whose code names such a function or such data is refused at its start. A
class may be named where it is not used after all, so there it is the error in the task that says
why, as for names that are looked up in another way.
"""

from __future__ import annotations

import sys

from tarefa._convert._definitions import not_here
from tarefa._convert._dump import dump
from tarefa._convert._plain_pickle import MAIN_NAMES
from tarefa._runtime._errors import NotPicklable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REMEDY = (
    ". Make that in the process that uses it, hand it over as an argument, or define it in a "
    "module that processes can import"
)

# In a process that has the script from others: names that it does not have, and why not.
here = not_here


def why_not(value: Any) -> str | None:
    """Why a value cannot be among what all processes have of the script; None where it can.

    It says what to do, too.
    """
    try:
        dump(value, in_image=True)
    except NotPicklable as e:
        if e.__cause__ is None:
            return str(e)  # the value's own words, which know better
        import re

        from tarefa._convert import _culprit

        found = _culprit.find(value)
        if found is None or found[1] is value:
            return f"{e}{REMEDY}"
        where, part = found
        # Of a path that goes through parts of other kinds the first word is enough.

        steps = ", ".join(re.findall(r"its \w+ '[^']*'", where))
        why = f" ({_culprit.first_line(e.__cause__)})"
        return (
            f"it holds {_culprit.describe(part)} ({steps or where}), which cannot be pickled{why}"
            f"{REMEDY}"
        )
    return None


def why_unnamed(value: Any) -> str:
    """Why data that no code names is not sent."""
    kind = type(value).__qualname__
    return (
        f"it stands for data ({kind}) that is sent only to processes started for code that names "
        f"it (those of a pool start before), as it cannot be pickled or is large{REMEDY}"
    )


def why_not_built(error: BaseException) -> str:
    """Why what was sent is not here: building it has failed."""
    text = str(error).strip().splitlines()
    what = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    return f"it was sent, and building it again failed ({what}){REMEDY}"


def refused(name: str, value: Any, user: str, why: str) -> NotPicklable:
    """The error for a task whose code names what cannot be sent."""
    return NotPicklable(
        f"{_kind(value)} {name!r} of __main__, which {user!r} uses, cannot be sent to another "
        f"process: {why}"
    )


def held_refused(value: Any, path: tuple[Any, ...], holder: Any) -> NotPicklable:
    """The error for data that cannot be sent, and is reached as a part of a function or class."""
    from tarefa._convert import _culprit

    name = ".".join(str(step) for step in path[:-1]) or "a function"
    step = path[-1]
    if isinstance(step, int):
        names = getattr(getattr(holder, "__code__", None), "co_freevars", ())
        what = f"variable {names[step]!r}" if step < len(names) else "variable"
    elif step in ("__defaults__", "__kwdefaults__"):
        what = "default argument"
    else:
        what = f"attribute {step!r}"
    where, part = _culprit.find(value) or ("", value)
    return NotPicklable(
        f"{name!r} of __main__ cannot be sent to another process: its {what} is or holds "
        f"{_culprit.describe(part)}{where and ' at ' + where.strip()}, which cannot be pickled: "
        "make that in the process that uses it"
    )


def explain(error: BaseException) -> None:
    """In a process: have an error that comes of a name that is not here say why."""
    if not here:
        return
    if isinstance(error, AttributeError):
        name = error.name
        if error.obj is not sys.modules.get("__main__"):
            _explain_attribute(error)
            return
    elif isinstance(error, NameError):
        name = error.name
    elif isinstance(error, KeyError):
        name = error.args[0] if error.args else None
    elif isinstance(error, ImportError) and error.name == "__main__":
        name = next((n for n in here if f"import name {n!r} from" in str(error)), None)
    else:
        return
    if not isinstance(name, str) or name not in here or name in sys.modules["__main__"].__dict__:
        return
    text = f"{name!r} of the script is not in this process: {here[name]}"
    if text in str(error):  # it has come through another process
        return
    if isinstance(error, KeyError):
        error.add_note(text)
    elif isinstance(error, ImportError):
        error.msg = f"{error.msg}: {text}"
        error.args = (error.msg,)
    else:
        error.args = (f"{error}: {text}",)


def _explain_attribute(error: AttributeError) -> None:
    """The same for an attribute of a class of the script."""
    holder = error.obj if isinstance(error.obj, type) else type(error.obj)
    for cls in holder.__mro__:
        name = f"{cls.__qualname__}.{error.name}"
        if name in here and cls.__module__ in MAIN_NAMES:
            error.args = (f"{error}: {name!r} of the script is not in this process: {here[name]}",)


def _kind(value: Any) -> str:
    if isinstance(value, type):
        return "class"
    return "function" if callable(value) else type(value).__qualname__
