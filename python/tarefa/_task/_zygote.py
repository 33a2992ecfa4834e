"""The zygote's interpreter: how it is started, and what it does before it serves."""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

from tarefa import _engine
from tarefa._task import _environment

_BOOT = (
    "import sys,json;c=json.loads(sys.argv[1]);sys.path[:]=c['path'];"
    "from tarefa._task._zygote import main;main(c,int(sys.argv[2]))"
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
    from subprocess import _args_from_interpreter_flags  # type: ignore[attr-defined]

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
    from tarefa._task._process import first_spares

    _engine.set_spares(first_spares())


def main(config: dict[str, Any], slot: int) -> None:
    """In the zygote: get everything ready that children need, then serve."""
    _engine.set_thread_name("tarefa-zygote")
    sys.argv[:] = config["argv"]
    for name, value in config["before"].items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    _environment.set_baseline((dict(os.environ._data), config["cwd"], config["path"]))  # type: ignore[attr-defined]
    _redirect_input()
    # Line by line, also with -u, so that what children write stays in whole lines.
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(line_buffering=True, write_through=False)  # type: ignore[union-attr]
    import multiprocessing.process  # noqa: F401 - logging asks it for the process's name

    import cloudpickle  # noqa: F401 - children need it for what travels by value

    import tarefa  # noqa: F401
    from tarefa._convert import _wrap  # noqa: F401
    from tarefa._runtime import _eval_breaker  # noqa: F401
    from tarefa._task import _child, _outcome, _remote_thread  # noqa: F401
    from tarefa._trace import _stacks

    _child.prepare_zygote()
    _stacks.prepare(from_interpreter=True)
    _engine.join_runtime(config["root"], config["fd"], config["runtime"], slot)
    _warm_up(_child)
    _engine.serve(_child)


def _warm_up(child: Any) -> None:
    """Run what every child will run, before any is forked.

    The interpreter rewrites code that runs often (PEP 659) and makes caches as it goes; done
    here, the pages that hold them stay shared.
    """
    import gc
    import random

    from tarefa._task._immortal import make_all_immortal

    for _ in range(40):
        random.seed()
        child.rehearse()
    child.end_rehearsals()
    gc.collect()
    make_all_immortal()
    gc.freeze()


def _redirect_input() -> None:
    """Children have no standard input, as in ``multiprocessing``: it is the root's."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
