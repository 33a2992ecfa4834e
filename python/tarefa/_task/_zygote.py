"""The zygote's interpreter: what it does before it serves, and what ``_engine.serve`` asks of it.

:func:`before_request`, :func:`after_fork`, :func:`get_ready`, :func:`run` and :func:`message` are
called by the engine.
"""

from __future__ import annotations

import _pickle as pickle
import _signal  # type: ignore[import-not-found]  # `signal` is slow to import
import os
import sys
import time
from collections.abc import Callable, Iterator

from tarefa import _engine
from tarefa._convert import _own_ways
from tarefa._runtime import _fork, _unraisable
from tarefa._task import (
    _at_exit,
    _child,
    _current,
    _environment,
    _immortal,
    _interpreter_state,
    _main,
    _of_multiprocessing,
    _standard_input,
)
from tarefa._task._zygote_command import IMAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Bytes that are gathered of a line at most before they are written.
_LONGEST_LINE = 1 << 20


def main(arguments: list[str], prepare_stacks: Callable[[], None]) -> None:
    """In the zygote: get everything ready that children need, then serve."""
    _engine.show_name("tarefa-zygote")
    _at_exit.note_first()
    # Before it is a member: one that has descriptors, perhaps of that number, and that offers its
    # stack in the way of processes with threads.
    _redirect_input()
    prepare_stacks()
    root, fd, runtime, slot = map(int, arguments)
    _engine.join_runtime(root, fd, runtime, slot)
    _engine.prepare_title()
    config = pickle.loads(_engine.program_dict()["zygote"])
    _check_version(config["version"])
    for name, value in config["interpreter"].items():
        setattr(sys, name, value)
    sys.argv, sys.path[:] = config["argv"], config["path"]
    _engine.show_name("tarefa-zygote")
    _of_multiprocessing.watch()
    for name, value in config["before"].items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    env = dict(os.environ._data)  # type: ignore[attr-defined]
    # All processes have the one that is made here, unless the program has.
    config["state"].setdefault("key", os.urandom(32))
    _take_over(config)
    _environment.set_baseline({"env": env, **{n: config[n] for n in _OF_PROGRAM}})
    # Line by line, also with -u, so that what children write stays in whole lines.
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(line_buffering=True, write_through=False)  # type: ignore[union-attr]
            # What is printed is gathered up to the end of its line, and written at once.
            stream._CHUNK_SIZE = _LONGEST_LINE  # type: ignore[union-attr]
    _signal.signal(_engine.interrupt_signal(), _child.on_interrupt)
    # For children, which watch for it: this process ends of it as any other.
    _signal.signal(_signal.SIGTERM, _child.on_terminate)
    _engine.default_termination()
    _unraisable.watch()
    _engine.watch_signals()
    _standard_input.explain()
    _at_exit.note_idle()
    _current.reads_task = True
    # Before anything of the script is there, which a task may mean to free.
    _immortal.note_all()
    # The first child would load it as well, and those after it each.
    _main.load_newest(sys.modules.__contains__)
    _fork.be_zygote(True)
    _engine.serve(sys.modules[__name__])


def _warming_up() -> Iterator[None]:
    """The steps before the first spare; a child for whom somebody waits may come after each."""
    from tarefa._task._warm_up import make_stand_ins
    from tarefa._task._zygote_imports import import_quietly

    yield
    # What needs modules that are not there, or has come since.
    _main.load_newest(import_quietly)
    yield
    make_stand_ins()


def _rehearsing() -> Iterator[None]:
    """The steps that let children find everything there and warm, once there are spares."""
    from tarefa._task._warm_up import rehearse
    from tarefa._task._zygote_imports import steps_of_imports

    for step in steps_of_imports():
        _immortal.note_what_brings(step)
        yield
    _of_multiprocessing.forget_to_watch()
    _immortal.make_noted_immortal()
    yield
    for _ in rehearse():
        _current.reads_task = True
        yield


_first: Iterator[None] | None = _warming_up()
_second: Iterator[None] | None = _rehearsing()
# What the zygote tells itself, to be heard after requests and before spares.
_REHEARSE = b"rehearse"
_patience = 100


def warm_up() -> bool:
    """Take one step of what comes before the first spare; whether there are more."""
    global _first
    if _first is not None:
        _first = _step(_first)
        if _first is None:
            _be_back()
    return _first is not None


def _go_on() -> bool:
    """Take one more step, once the spares are there; whether that was the last."""
    global _second, _patience
    if _second is None:
        return False
    there = _engine.diagnostics()
    if there is not None and _patience > 0 and there["spares"] < there["spares_wanted"]:
        _patience -= 1
    else:
        from tarefa._task._zygote_imports import OfLibrary

        with OfLibrary():
            _second = _step(_second)
    if _second is not None:
        _be_back()
    return _second is None


def _be_back() -> None:
    global _second
    try:
        _engine.send_to_zygote(_REHEARSE + b"\n")
    except MemoryError:  # the arena has no room: what is left would need more
        _second = None


def _step(steps: Iterator[None]) -> Iterator[None] | None:
    try:
        next(steps)
    except StopIteration:
        return None
    except Exception:
        # A module of the program's that has the name of one that is needed, say. A child that
        # needs it too says so; others do without what is left.
        return None
    return steps


_OF_PROGRAM = ("cwd", "path", "argv", "state", "filters")


def _take_over(config: dict[str, Any]) -> None:
    """Be as the program was when it said so, whatever it was when this process was made."""
    try:
        os.chdir(config["cwd"])
    except OSError:
        pass
    _interpreter_state.apply(config["state"])
    if config["filters"] not in (None, _interpreter_state.filters_now()):
        _interpreter_state.set_filters(_interpreter_state.pack_filters(config["filters"]))


def _check_version(version: str) -> None:
    """Code of one version is nothing to another."""
    if version != sys.version:
        print(  # noqa: T201
            f"tarefa: {sys.executable} is Python {sys.version.split()[0]}, and the program runs "
            f"with Python {version.split()[0]}: name that one with "
            "tarefa.configure(executable=...)",
            file=sys.stderr,
            flush=True,
        )
        os._exit(1)


def _redirect_input() -> None:
    """Children have no standard input, as in ``multiprocessing``: it is the root's."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


# Numbers of the images: looked at for a task that waits, and loaded for one since the last message.
_looked_at = 0
_loaded_early = 0
_LONG = 0.03  # seconds


def before_request() -> bool:
    """Load the image for a task that waits: its child would, and so would those after it.

    Returns:
        Whether that took much longer than a fork: all children made before are replaced now.
    """
    global _looked_at, _loaded_early
    found = _engine.program_dict().get("image")
    if found is None or _main.number(found) == _looked_at:
        return False  # also one that needs a module that is not there: it is loaded in its turn
    _looked_at = _main.number(found)
    began = time.monotonic()
    if not _main.load_newest(sys.modules.__contains__):
        return False
    if time.monotonic() - began < _LONG:
        _loaded_early = _looked_at
        return False
    from tarefa._task._zygote_imports import freeze

    freeze()
    return True


def after_fork(spare: bool) -> None:
    """In the child, right after its fork; a spare has time to warm up."""
    _fork.be_zygote(False)
    if not _at_exit.is_nothing():
        _at_exit.forget_inherited()
    _engine.forget_stack()
    _engine.offer_stack()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
    if spare:
        from tarefa._task._warm_up import warm_up_spare

        warm_up_spare()
    _at_exit.be_child()


def get_ready() -> None:
    """Read what a task may need of tarefa: soon this process may not be able to."""
    from tarefa._task._zygote_imports import import_own

    import_own()


run = _child.run


def message(data: bytes) -> bool:
    """In the zygote: what it is told, a line each; whether children differ from now on."""
    global _loaded_early
    lines = data.splitlines()
    asked = [line for line in lines if line not in (IMAGE, _REHEARSE)]
    changed = False
    if asked:
        # Before what is asked for is imported: that is no task's for good.
        while warm_up():
            pass
        import json

        from tarefa._task._zygote_imports import import_asked

        changed = import_asked([json.loads(line) for line in asked])
    # At first it loads the image as it warms up.
    if _first is None and IMAGE in lines:
        from tarefa._task._zygote_imports import freeze, import_quietly

        if _main.load_newest(import_quietly) or _loaded_early:
            _loaded_early = 0
            freeze()
            changed = True
    if _REHEARSE in lines and _go_on():
        changed = True
    if changed:
        # What modules bring that came just now, no child needs to look for.
        _own_ways.reducers()
    return changed
