"""The zygote's interpreter: what it does before it serves."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from tarefa import _engine
from tarefa._task import _child, _environment, _main, _preload


def main(config: dict[str, Any], slot: int, prepare_stacks: Callable[[], None]) -> None:
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

    from tarefa._task import _remote_thread  # noqa: F401 - what a handle of a thread becomes

    _child.prepare_zygote()
    prepare_stacks()
    _engine.join_runtime(config["root"], config["fd"], config["runtime"], slot)
    _warm_up()
    _main.load_newest(_preload.import_quietly)
    _engine.serve(_child)


def _warm_up() -> None:
    """Run what every child will run, before any is forked.

    The interpreter rewrites code that runs often (PEP 659) and makes caches as it goes; done
    here, the pages that hold them stay shared.
    """
    import gc
    import random

    from tarefa._task._immortal import make_all_immortal

    for _ in range(40):
        random.seed()
        _child.rehearse()
    _child.end_rehearsals()
    gc.collect()
    make_all_immortal()
    gc.freeze()


def _redirect_input() -> None:
    """Children have no standard input, as in ``multiprocessing``: it is the root's."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
