"""The ways into the package from outside: what the extension asks for, and where a zygote begins.

The extension imports no other module. It looks these names up when it first needs them; public
classes it does not: they register themselves (``_engine.register_class``).
"""

from __future__ import annotations

from tarefa._collections._list import delete_slice, set_slice
from tarefa._convert._pickling import dumps, dumps_out_of_band, loads
from tarefa._engine import attach, attach_block
from tarefa._runtime import _executable, _fork
from tarefa._runtime._coroutines import refuse_async
from tarefa._runtime._errors import (
    ArenaFull,
    BrokenBarrierError,
    HandleGone,
    ListChanged,
    NestedUpdate,
    NotPicklable,
    NotReadable,
    OwnerDied,
    StartError,
    TooManyThreads,
)
from tarefa._runtime._eval_breaker import tick
from tarefa._runtime._module_objects import find_or_make as module_object
from tarefa._task._unretrieved import on_reminder
from tarefa._task._zygote_command import ensure_command as ensure_zygote_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "FOLDER",
    "ArenaFull",
    "BrokenBarrierError",
    "HandleGone",
    "ListChanged",
    "NestedUpdate",
    "NotPicklable",
    "NotReadable",
    "OwnerDied",
    "StartError",
    "TooManyThreads",
    "attach",
    "attach_block",
    "delete_slice",
    "dumps",
    "dumps_out_of_band",
    "ensure_zygote_command",
    "load_class",
    "loads",
    "module_object",
    "on_reminder",
    "refuse_async",
    "set_slice",
    "tick",
]

# With a slash. A stack of another process is text, in which only this tells whose a frame is.
FOLDER = __file__.rpartition("/")[0] + "/"


_OF_QUEUES = frozenset(["Empty", "Full", "ShutDown", "bad_message"])


def load_class(kind: str) -> None:
    """Import the class of a kind of object that has not registered itself yet."""
    if kind == "Queue":
        from tarefa._channel import _queue  # noqa: F401
    elif kind == "Array":
        from tarefa._collections import _handles_of_arrays  # noqa: F401
    elif kind == "Counter":
        from tarefa._collections import _counter  # noqa: F401
    elif kind == "Namespace":
        from tarefa._collections import _namespace  # noqa: F401
    elif kind == "Set":
        from tarefa._collections import _set  # noqa: F401
    elif kind == "Barrier":
        from tarefa._sync import _barrier  # noqa: F401
    elif kind == "Condition":
        from tarefa._sync import _condition  # noqa: F401
    elif kind == "Event":
        from tarefa._sync import _event  # noqa: F401
    elif kind == "RWLock":
        from tarefa._sync import _rwlock  # noqa: F401
    elif kind == "Semaphore":
        from tarefa._sync import _semaphore  # noqa: F401
    elif kind == "Connection":
        from tarefa._channel import _connection  # noqa: F401
    elif kind == "Board":
        from tarefa._pool import _board  # noqa: F401


def __getattr__(name: str) -> Any:
    """What is in modules that most programs do without; imported at its first use."""
    found: Any
    if name == "reduce_key":
        from tarefa._convert._keys import reduce_key as found
    elif name == "refusal":
        from tarefa._convert._keys import refusal as found
    elif name == "Owner":
        from tarefa._sync import _owner

        found = _owner.Owner
    elif name == "attach_with_lock":
        from tarefa._collections._making import attach_with_lock as found
    elif name == "offer_stack":
        from tarefa._trace._stacks import offer as found
    elif name in _OF_QUEUES:
        from tarefa._channel import _errors

        found = getattr(_errors, name)
    elif name == "keep_deliveries":
        from tarefa._channel._deliveries import keep as found
    elif name == "refresh_descriptors":
        from tarefa._sync._descriptor import refresh as found
    elif name == "on_interrupt":
        from tarefa._task._child import on_interrupt as found
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found


def run_zygote() -> None:
    """The life of a zygote: its command line calls this. It does not return."""
    import sys

    from tarefa._task import _zygote
    from tarefa._trace import _stacks

    _zygote.main(sys.argv[-4:], lambda: _stacks.prepare(from_interpreter=True))


_fork.watch()
_executable.serve = run_zygote
