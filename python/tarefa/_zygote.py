"""The zygote's interpreter: how it is started, and what it does before it serves."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from tarefa import _engine, _environment

_BOOT = (
    "import sys,json;c=json.loads(sys.argv[1]);sys.path[:]=c['path'];"
    "from tarefa._zygote import main;main(c,int(sys.argv[2]))"
)


def set_command() -> None:
    """In the root: say how a zygote is started, with what the program has now."""
    from subprocess import _args_from_interpreter_flags  # type: ignore[attr-defined]

    env, cwd, path = _environment.take_baseline()
    _engine.prepare_runtime()
    root, fd, runtime = _engine.address()
    config = {
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


def main(config: dict[str, Any], slot: int) -> None:
    """In the zygote: get everything ready that children need, then serve."""
    _engine.set_thread_name("tarefa-zygote")
    sys.argv[:] = config["argv"]
    _environment.set_baseline((dict(os.environ._data), config["cwd"], config["path"]))  # type: ignore[attr-defined]
    _redirect_input()
    # Line by line, so that what children write stays in whole lines.
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    import multiprocessing.process  # noqa: F401 - logging asks it for the process's name

    import cloudpickle  # noqa: F401 - children need it for what travels by value

    import tarefa  # noqa: F401
    from tarefa import _child, _outcome  # noqa: F401

    _child.prepare_zygote()
    _offer_stacks(_child)
    _warm_up(_child)
    _engine.serve(config["root"], config["fd"], config["runtime"], slot, _child)


def _warm_up(child: Any) -> None:
    """Run what every child will run, before any is forked.

    The interpreter rewrites code that runs often (PEP 659) and makes caches as it goes; done
    here, the pages that hold them stay shared.
    """
    import gc
    import random

    for _ in range(40):
        random.seed()
        child.rehearse()
    gc.collect()
    gc.freeze()


def _redirect_input() -> None:
    """Children have no standard input, as in ``multiprocessing``: it is the root's."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def _offer_stacks(child: Any) -> None:
    """Let ``faulthandler`` write the stacks of children, one at a time, to a file in memory."""
    import faulthandler

    try:
        memory = os.memfd_create("tarefa-stacks", os.MFD_CLOEXEC)
        fd = os.open(f"/proc/self/fd/{memory}", os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        os.close(memory)
        _engine.prepare_stacks()
        faulthandler.register(_engine.stack_signal(), file=fd, all_threads=True, chain=True)
    except OSError:
        return
    child.stack_fd = fd
