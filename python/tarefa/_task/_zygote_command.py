"""How a zygote is started: its command line and its environment, noted by the root."""

from __future__ import annotations

import os
import sys
import threading

from tarefa import _engine
from tarefa._task import _environment

_BOOT = (
    "import sys,json;c=json.loads(sys.argv[1]);sys.path[:]=c['path'];"
    "from tarefa._hooks import run_zygote;run_zygote(c,int(sys.argv[2]))"
)


_lock = threading.Lock()


def ensure_command() -> None:
    """In the root, before anybody can ask for a zygote: say how one is started.

    Anybody: this process, one that it is about to fork, or one that gets a pickled handle. Said
    once, with what the program has then; later changes travel with each task.
    """
    with _lock:
        if _engine.is_root() is not False and not _engine.has_zygote():
            _set_command()


def before_fork() -> None:
    """Before this process forks by itself: the child may start tasks."""
    if _engine.is_root() and not _engine.has_zygote():
        ensure_command()


os.register_at_fork(before=before_fork)

_prepared = False


def prepare() -> None:
    """Have a zygote made, before it is needed."""
    global _prepared
    if not _prepared:
        _engine.prepare_zygote()
        _prepared = True


def _settings(env: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """What the zygote's interpreter is to find in its environment, and the program's tasks not."""
    settings = {}
    flags = sys.flags
    reads_environment = not flags.ignore_environment and flags.hash_randomization
    if reads_environment and env.get(b"PYTHONHASHSEED", b"random") in (b"", b"random"):
        # All processes of the program have one seed, also those of a later zygote.
        settings[b"PYTHONHASHSEED"] = b"%d" % int.from_bytes(os.urandom(4), "little")
    if sys.version_info >= (3, 13) and _RESERVE not in env:
        # CPython's second allocator, the only one of free-threaded builds, takes a gibibyte at
        # once and hands it out later, past any limit of a task's memory.
        settings[_RESERVE] = b"0"
    return settings


_RESERVE = b"MIMALLOC_ARENA_RESERVE"


def _set_command() -> None:
    import json
    from subprocess import _args_from_interpreter_flags  # type: ignore[attr-defined]

    spares = _engine.usual_spares()
    env, cwd, path = _environment.take_baseline()
    env = dict(env)
    settings = _settings(env)
    # What was there before, to be put back once the interpreter has read them.
    before = {os.fsdecode(k): os.fsdecode(env[k]) if k in env else None for k in settings}
    env |= settings
    _engine.prepare_runtime()
    root, fd, runtime = _engine.address()
    config = {
        "before": before,
        "path": path,
        "cwd": cwd,
        "root": root,
        "fd": fd,
        "runtime": runtime,
        "argv": list(map(str, sys.argv)) if hasattr(sys, "argv") else [""],
    }
    argv = [
        os.fsencode(sys.executable),
        *map(os.fsencode, _args_from_interpreter_flags()),
        b"-c",
        _BOOT.encode(),
        json.dumps(config).encode(),
    ]
    _engine.set_zygote(argv, [k + b"=" + v for k, v in env.items()])
    _engine.set_spares(spares)
