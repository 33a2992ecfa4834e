"""In the zygote: modules that it imports for its children, but for those that start threads."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.machinery import PathFinder

from tarefa import _engine
from tarefa._task import _at_exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Libraries whose pools of threads must not be there when a process forks.
_SINGLE = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
}


# What cannot be kept in the zygote: it is not tried again.
_refused: set[str] = set()


def import_asked(lines: list[Any]) -> bool:
    """Import what was asked for, but for what starts threads.

    Returns:
        Whether anything was imported.
    """
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
    freeze()
    return True


# What modules of tarefa import when they need it.
_LATER = (
    "cloudpickle",
    "copy",
    "ctypes",
    "dataclasses",
    "hashlib",
    "inspect",
    "json",
    "linecache",
    "locale",
    "logging",
    "multiprocessing.process",
    "pickle",
    "reprlib",
    "selectors",
    "traceback",
)


# What all children have, those first that the others import: the largest takes some milliseconds.
_IN_STEPS = (
    "enum",
    "signal",
    "re",
    "selectors",
    "socket",
    "pickle",
    # What logging asks for the process's name.
    "multiprocessing.process",
    "tokenize",
    "traceback",
    "random",
)


class OfLibrary:
    """While it is entered, no module of the program's is taken for one of the standard library.

    The folder of a script may have a ``random.py`` or ``socket.py`` that the script has nothing to
    do with, a program of its own perhaps. Children would find what is meant by that name elsewhere.
    """

    def __init__(self) -> None:
        library = os.path.dirname(os.__file__)
        self._before = sys.path[: sys.path.index(library)] if library in sys.path else []

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:  # noqa: ARG002
        """Find nothing, and refuse what is not the library's."""
        if path is None and self._before and name in sys.stdlib_module_names:
            spec = PathFinder.find_spec(name, self._before)
            if spec is not None and spec.loader is not None:
                raise ImportError(f"{spec.origin} is not that of the library", name=name)

    def __enter__(self) -> None:
        sys.meta_path.insert(0, self)

    def __exit__(self, *_exception: object) -> None:
        sys.meta_path.remove(self)


def steps_of_imports() -> Iterator[Callable[[], object]]:
    """Import what children need for most tasks, a bit at a time: somebody may wait for a fork."""
    for name in _IN_STEPS:
        if name not in sys.modules:
            yield partial(_import_if_there, name)
    yield _import_rest


def _import_if_there(name: str) -> None:
    with contextlib.suppress(Exception):  # who needs it says so
        importlib.import_module(name)


def _import_rest() -> None:
    # What a handle of a thread becomes. What few tasks need is not there before one has needed it:
    # each fork copies the tables of all that is.
    from tarefa._convert import _exception_pickling
    from tarefa._task import _remote_thread  # noqa: F401

    # What each child would make for itself.
    _exception_pickling.prepare()


def import_own() -> None:
    """Import what tasks may need of tarefa itself, and what that needs."""
    # Seldom called, and slow to import.
    from pathlib import Path

    package = Path(__file__).parent.parent
    parts = [path.relative_to(package).with_suffix("").parts for path in package.rglob("*.py")]
    left = ("__init__", "_asyncio")  # the latter is for who has imported asyncio
    own = [".".join(("tarefa", *part)) for part in parts if part[-1] not in left]
    with OfLibrary():
        for name in (*_LATER, *own):
            if name not in sys.modules:
                _import_if_there(name)


def freeze() -> None:
    """What is there now is not looked at by children's collections."""
    _at_exit.watch()
    gc.collect()
    gc.freeze()


def import_quietly(name: str) -> bool:
    """Import a module, unless that does harm; whether it is there."""
    if name in _refused:
        return False
    problem = _import_alone(name)
    if problem is not None:
        _refused.add(name)
    return problem is None


def _import_alone(name: str) -> str | None:
    """Import the module without threads of its own; None if that went well, else why not."""
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
