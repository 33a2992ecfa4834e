"""The zygote's interpreter: how it is started, and what it does before it serves."""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

from tarefa import _engine, _environment

_BOOT = (
    "import sys,json;c=json.loads(sys.argv[1]);sys.path[:]=c['path'];"
    "from tarefa._zygote import main;main(c,int(sys.argv[2]))"
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


def _hash_seed(env: dict[bytes, bytes]) -> bool:
    """Give all processes of the program one seed, also those of a later zygote."""
    flags = sys.flags
    if flags.ignore_environment or not flags.hash_randomization:
        return False
    if env.get(b"PYTHONHASHSEED", b"random") not in (b"", b"random"):
        return False
    env[b"PYTHONHASHSEED"] = b"%d" % int.from_bytes(os.urandom(4), "little")
    return True


def _set_command() -> None:
    from subprocess import _args_from_interpreter_flags  # type: ignore[attr-defined]

    env, cwd, path = _environment.take_baseline()
    env = dict(env)
    # What was there before, to be put back once the interpreter has read it.
    before = env.get(b"PYTHONHASHSEED", b"").decode()
    seed_before = before if _hash_seed(env) else None
    _engine.prepare_runtime()
    root, fd, runtime = _engine.address()
    config = {
        "hashseed": seed_before,
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
    from tarefa._process import first_spares

    _engine.set_spares(first_spares())


def main(config: dict[str, Any], slot: int) -> None:
    """In the zygote: get everything ready that children need, then serve."""
    _engine.set_thread_name("tarefa-zygote")
    sys.argv[:] = config["argv"]
    if config["hashseed"]:
        os.environ["PYTHONHASHSEED"] = config["hashseed"]
    elif config["hashseed"] is not None:
        del os.environ["PYTHONHASHSEED"]
    _environment.set_baseline((dict(os.environ._data), config["cwd"], config["path"]))  # type: ignore[attr-defined]
    _redirect_input()
    # Line by line, also with -u, so that what children write stays in whole lines.
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(line_buffering=True, write_through=False)  # type: ignore[union-attr]
    import multiprocessing.process  # noqa: F401 - logging asks it for the process's name

    import cloudpickle  # noqa: F401 - children need it for what travels by value

    import tarefa  # noqa: F401
    from tarefa import _child, _outcome, _stacks, _tick, _view, _wrap  # noqa: F401

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

    from tarefa._immortal import make_all_immortal

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
