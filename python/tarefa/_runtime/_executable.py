"""The program that becomes the zygote: a Python interpreter, or a frozen program that serves."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from tarefa import _engine
from tarefa._runtime._errors import StartError, StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The first argument of a frozen program that is to be a zygote.
MARK = "--tarefa-zygote"
# What an interpreter that is to be one runs. Its arguments: the folder in which this package is,
# the address of the runtime, and a slot. A working folder that is gone is left: without one CPython
# 3.13.0 has no error for an attribute that a module lacks, and imports fail.
BOOT = """import os,sys
try: os.getcwd()
except OSError: os.chdir("/")
sys.path.insert(0,sys.argv[1])
from tarefa._hooks import run_zygote
run_zygote()"""

# What `configure` was given.
_chosen: bytes | None = None
# What a zygote does; set by `_hooks`.
serve: Callable[[], None] = repr  # type: ignore[assignment]
# Whether the program has said that it serves where it is asked to.
_serves = False


def choose(path: Any) -> None:
    """Have that program execute as the zygote.

    Raises:
        TypeError: no path.
        ValueError: nothing there can be executed.
        StateError: it is too late.
    """
    global _chosen
    chosen = os.fsencode(os.path.abspath(os.fspath(path)))
    if not os.path.isfile(chosen) or not os.access(chosen, os.X_OK, effective_ids=True):
        raise ValueError(f"executable: {os.fsdecode(chosen)!r} is no program that can be executed")
    if _engine.has_zygote() and chosen != _in_use():
        raise StateError(
            "the process that forks tasks has been asked for: call configure(executable=...) "
            "before the first Process"
        )
    _chosen = chosen


def _in_use() -> bytes | None:
    """What a process that forks tasks is made of, as things are."""
    try:
        return os.path.abspath(command()[0])
    except StartError:
        return None


def freeze_support() -> None:
    """Let a program that was made into an executable (by PyInstaller, say) start processes.

    tarefa executes the program once more, as the process that forks its tasks, and this call is
    where it gets to serve: it does not return there. To be called first, as in
    ``if __name__ == "__main__": tarefa.freeze_support()``. Anywhere else it does nothing.
    """
    global _serves
    _serves = True
    if len(sys.argv) > 1 and sys.argv[1] == MARK:
        serve()


def command() -> list[bytes]:
    """The command line of a zygote, without its arguments.

    Raises:
        StartError: none is known; the text says what to do.
    """
    if _chosen is not None:
        return _interpreter(_chosen)
    given: Any = sys.executable
    executable: str = given if isinstance(given, str) else ""
    if getattr(sys, "frozen", False):
        if _serves:
            return [os.fsencode(executable), MARK.encode()]
        raise StartError(
            0,
            f"cannot start processes: this program is frozen, and {executable or 'it'!r} would "
            "run itself once more: call tarefa.freeze_support() first in it, or name a Python "
            "interpreter with tarefa.configure(executable=...)",
        )
    running = _running()
    for path in (executable, running):
        if path and _is_interpreter(path):
            return _interpreter(os.fsencode(path))
    raise StartError(
        0,
        f"cannot start processes: sys.executable is {sys.executable!r}, and this program is "
        f"{running or 'unknown'}, neither of which is a Python interpreter: name one with "
        "tarefa.configure(executable=...)",
    )


def _running() -> str:
    try:
        return os.readlink("/proc/self/exe")
    except OSError:
        return ""


def _is_interpreter(path: str) -> bool:
    name = os.path.basename(path)
    return _has_name(name) and os.access(path, os.X_OK, effective_ids=True)


def _has_name(name: str) -> bool:
    """Whether it is one of an interpreter: ``python3.13t``, ``pypy3``, ``python3.11-dbg``."""
    for implementation in ("python", "pypy", "graalpy"):
        if name.startswith(implementation):
            name, dash, after = name.removeprefix(implementation).partition("-")
            letters = name.lstrip("0123456789.")
            return (
                not letters or (letters.isascii() and letters.islower() and letters.isalpha())
            ) and (after.replace("_", "a").isalnum() if dash else True)
    return False


def _interpreter(path: bytes) -> list[bytes]:
    return [path, *map(os.fsencode, _flags()), b"-c", BOOT.encode()]


_LETTERS = (
    ("debug", "d"),
    ("dont_write_bytecode", "B"),
    ("no_site", "S"),
    ("verbose", "v"),
    ("bytes_warning", "b"),
    ("quiet", "q"),
    ("optimize", "O"),
)
# What only the main program is to do.
_NOT_PASSED = ("importtime",)


def _flags() -> list[str]:
    """What this interpreter was started with, as far as it can still be told."""
    flags = sys.flags
    found = [f"-{letter * n}" for name, letter in _LETTERS if (n := int(getattr(flags, name)))]
    if flags.isolated:
        found.append("-I")
    else:
        found += ["-E"] * flags.ignore_environment
        found += ["-s"] * flags.no_user_site
        found += ["-P"] * getattr(flags, "safe_path", False)
    options = [o for o in sys.warnoptions if isinstance(o, str)]
    # These come from flags above.
    for implied, by in (
        ("error::BytesWarning", flags.bytes_warning > 1),
        ("default::BytesWarning", flags.bytes_warning == 1),
        ("default", flags.dev_mode),
    ):
        if by and implied in options:
            options.remove(implied)
    found += [f"-W{option}" for option in options]
    for name, value in sys._xoptions.items():
        if name not in _NOT_PASSED:
            found += ["-X", name if value is True else f"{name}={value}"]
    return found
