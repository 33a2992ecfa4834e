"""In a process of a task: ``input()``, ``breakpoint()`` and ``getpass`` say that there is no input.

Standard input is the program's, so in its processes it is the null device, as in
``multiprocessing``.
"""

from __future__ import annotations

import builtins
import os
import sys

from tarefa._runtime._errors import StateError
from tarefa._task import _current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_builtin_input = input
_builtin_hook = sys.breakpointhook


def explain() -> None:
    """Put the functions that do so in the place of the interpreter's."""
    builtins.input = _input
    sys.breakpointhook = _breakpoint


def _has_none() -> bool:
    """Whether standard input is what it is at a process's start."""
    return sys.stdin is sys.__stdin__ and _is_null(0)


def _is_null(fd: int) -> bool:
    try:
        return os.fstat(fd).st_rdev == os.stat(os.devnull).st_rdev
    except OSError:
        return True


def _label() -> str:
    task = _current.process_task
    return f"process {task.name!r} (pid {os.getpid()})" if task is not None else "this process"


# The modules whose functions are consoles: of ``pdb`` and of ``code.interact()``.
_CONSOLES = ("cmd", "code")


def _no_console(what: str) -> str:
    return (
        f"{what} in {_label()}, which has no standard input: that is the program's. Run the "
        "target as a tarefa.Thread to look at it, or name a debugger that works from afar with "
        "PYTHONBREAKPOINT (remote_pdb.set_trace, for example)"
    )


def _input(prompt: object = "", /) -> str:
    if _has_none():
        # Consoles take the end of input for a wish to leave, and say nothing of why.
        if sys._getframe(1).f_globals.get("__name__") in _CONSOLES:
            raise StateError(_no_console("a console or debugger"))
        raise EOFError(_no_input())
    return _builtin_input(prompt)


def _no_input() -> str:
    return (
        f"{_label()} has no standard input, which is the program's: ask in the program, or in "
        "a tarefa.Thread, and hand the answer to the process"
    )


# The modules that ask for a line themselves, and raise an error without words at the end of input.
_ASKING = ("getpass",)


def explain_end(error: EOFError) -> None:
    """An error without words that comes of there being no input gets those of ``input()``."""
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    if where is not None and where.tb_frame.f_globals.get("__name__") in _ASKING and _has_none():
        error.args = (_no_input(),)


def _breakpoint(*args: Any, **kwargs: Any) -> Any:
    chosen = os.environ.get("PYTHONBREAKPOINT", "")
    if chosen in ("", "pdb.set_trace") and _has_none():
        raise StateError(_no_console("breakpoint()"))
    return _builtin_hook(*args, **kwargs)
