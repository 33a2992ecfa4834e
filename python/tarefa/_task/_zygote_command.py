"""How a zygote is started: its command line and its environment, noted by the root."""

from __future__ import annotations

import _pickle as pickle
import os
import sys
import threading

from tarefa import _engine
from tarefa._runtime import (
    _executable,
    _fork_warning,  # noqa: F401 - it registers itself
)
from tarefa._runtime._errors import StartError
from tarefa._task import _environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_lock = threading.Lock()

# A line that tells the zygote of a newer image of the script.
IMAGE = b"image"


def ensure_command(*, needed: bool = False) -> None:
    """In the root, before anybody can ask for a zygote: say how one is started.

    Anybody: this process, one that it is about to fork, or one that gets a pickled handle. Said
    once, with what the program has then; later changes travel with each task.

    Args:
        needed: whether one is to be started now; else it is no mistake that none can be.
    """
    with _lock:
        if _engine.is_root() is not False and not _engine.has_zygote():
            try:
                _set_command()
            except StartError:
                if needed:
                    raise


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
        ensure_command(needed=True)
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
    spares, depth = _engine.usual_spares(), _engine.usual_depth()
    command = _executable.command()
    baseline = _environment.take_baseline()
    env = dict(baseline["env"])
    settings = _settings(env)
    # What was there before, to be put back once the interpreter has read them.
    before = {os.fsdecode(k): os.fsdecode(env[k]) if k in env else None for k in settings}
    env |= settings
    _engine.prepare_runtime()
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    config = {
        "before": before,
        "version": sys.version,
        "interpreter": {n: getattr(sys, n, None) for n in ("executable", "prefix", "exec_prefix")},
        **{name: _that_pickles(baseline[name]) for name in ("cwd", "path", "argv")},
        "state": baseline["state"],
        "filters": baseline["filters"],
    }
    _engine.program_dict()["zygote"] = pickle.dumps(config)
    _engine.set_zygote([*command, os.fsencode(folder)], [k + b"=" + v for k, v in env.items()])
    _engine.set_spares(spares)
    _engine.set_usual_depth(depth)


def _that_pickles(value: Any) -> Any:
    """The value, or of a list the parts that pickle."""
    try:
        pickle.dumps(value)
    except Exception:
        return (
            [v for v in value if isinstance(v, (str, bytes))] if isinstance(value, list) else None
        )
    return value
