"""``preload``: modules that children find imported already."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tarefa import _engine
from tarefa._task._zygote_command import ensure_command, prepare


def preload(modules: Iterable[str]) -> None:
    """Have processes started from now on find these modules imported.

    They are imported once, in the process that forks all others: called before the first
    ``Process`` is made, and before ``configure``, for every process; later, for those started once
    the imports are done. A module that starts threads as it is imported cannot be kept there: a
    message says so, and processes import it themselves. Number libraries are imported with one
    thread of their own.

    Args:
        modules: names of modules, as in ``import``.

    Raises:
        TypeError: not names.
        StartError: the runtime could not be made.
    """
    if isinstance(modules, str):
        raise TypeError(f"preload takes a list of names: preload([{modules!r}])")
    names = list(modules)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"preload takes names of modules, not {type(name).__name__} {name!r}")
    import json

    ensure_command()
    # Before a zygote is asked for: it then imports before it forks its first child.
    _engine.send_to_zygote(json.dumps(names).encode() + b"\n")
    prepare()


# Libraries whose pools of threads must not be there when a process forks.
_SINGLE = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
}


def note_needed(names: list[str]) -> None:
    """In a child: tell the zygote which modules its task needed, so that the next finds them."""
    import json

    try:
        _engine.send_to_zygote(json.dumps({"needed": names}).encode() + b"\n")
    except Exception:  # noqa: S110 - it only makes the next task slower
        pass


# What cannot be kept in the zygote: it is not tried again.
_refused: set[str] = set()


def import_in_zygote(lines: list[Any]) -> bool:
    """In the zygote: import what was asked for, but for what starts threads.

    Returns:
        Whether anything was imported.
    """
    import sys

    before = len(sys.modules)
    for asked in lines:
        loudly = isinstance(asked, list)
        for name in asked if loudly else asked["needed"]:
            if name in sys.modules or (name in _refused and not loudly):
                continue
            problem = _import_alone(name)
            if problem is not None:
                _refused.add(name)
                if loudly:
                    print(  # noqa: T201
                        f"tarefa: preload of {name!r}: {problem}; processes do without it",
                        file=sys.stderr,
                        flush=True,
                    )
    if len(sys.modules) == before:
        return False
    settle()
    return True


def settle() -> None:
    """In the zygote: what is there now is not looked at by children's collections."""
    import gc

    gc.collect()
    gc.freeze()


def import_quietly(name: str) -> bool:
    """In the zygote: import a module, unless that does harm; whether it is there."""
    if name in _refused:
        return False
    problem = _import_alone(name)
    if problem is not None:
        _refused.add(name)
    return problem is None


def _import_alone(name: str) -> str | None:
    """Import the module without threads of its own; None if that went well, else why not."""
    import importlib
    import os

    before = {key: os.environ.get(key) for key in _SINGLE}
    os.environ.update(_SINGLE)
    try:
        problem = _try_in_child(name)
        if problem is None:
            importlib.import_module(name)
    except BaseException as e:
        return f"{type(e).__name__}: {e}"
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
    return problem


def _try_in_child(name: str) -> str | None:
    """Import the module in a child that is thrown away; None if it can be kept, else why not."""
    import importlib
    import os

    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        answer = ""
        try:
            importlib.import_module(name)
            if _engine.own_threads() > 1:
                answer = "it starts threads as it is imported, so it is not kept"
        except BaseException as e:
            answer = f"it cannot be imported ({type(e).__name__}: {e})"
        os.write(write, answer.encode()[:4000])
        os._exit(0)
    os.close(write)
    parts = []
    while part := os.read(read, 4096):
        parts.append(part)
    os.close(read)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        return f"importing it ended the process (status {status})"
    return b"".join(parts).decode() or None
