"""Running tasks that are none, so that the first real ones find everything warm."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from types import FunctionType

from tarefa import _engine
from tarefa._collections._list import List
from tarefa._convert import _own_ways
from tarefa._convert._definitions import main_dict
from tarefa._convert._dump import dump
from tarefa._engine import TaskCore
from tarefa._sync._event import Event
from tarefa._sync._lock import Lock
from tarefa._task import _at_exit, _child
from tarefa._task._payload import dumps_for_warm_up
from tarefa._task._state_numbers import RUNNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def warm_up_spare() -> None:
    """In a spare: write to the pages that its task will write to, but for its target's.

    They are this process's own then already, when somebody waits for it.
    """
    if not _stand_ins:
        return  # the zygote could not rehearse
    stand_in = _stand_ins[-1]
    stand_in.name = "tarefa-spare"
    _child._tarefa_run(stand_in)
    _child.forget_task()
    # Each is counted as it is looked at, in its own page.
    for _ in _OF_CORES:
        pass


# What no stand-in has.
_OF_CORES = (TaskCore, *vars(TaskCore).values())


class _StandIn:
    """A task's record, as far as running one needs it."""

    name = "Process-0"
    daemon = False
    state = RUNNING
    time_limit = memory_limit = None
    kept: Any = None

    def __init__(self, payload: Any) -> None:
        self._payload = payload

    def payload(self) -> tuple[bytes, None]:
        return self._payload, None

    def run_here(self) -> bool:
        return True

    def interrupt_due(self) -> bool:
        return False

    # One that came meanwhile is the task's that waits.
    take_interrupt = interrupt_due

    def finish(self, *_outcome: Any) -> None:
        pass


def make_stand_ins() -> None:
    """Make what spares and rehearsals run."""
    of_main = FunctionType(_nothing.__code__, main_dict())
    shared: tuple[List[Any], Lock, Event] = (List(), Lock(), Event())
    for target, args in ((_nothing, ()), (_use, shared), (of_main, ())):
        _stand_ins.append(_StandIn(dumps_for_warm_up(target, args)))
    _stand_ins[1].kept = shared


def rehearse() -> Iterator[None]:
    """Run what every child will run, in steps.

    The interpreter rewrites code that runs often (PEP 659) and makes caches as it goes; done
    here, the pages that hold them stay shared.
    """
    random: Any = sys.modules.get("random")  # unless the script's folder has another
    after_fork: Any = getattr(threading, "_after_fork", None)
    for _ in range(40):
        # What the interpreter does in each child. Here it leaves one thread what it is.
        if after_fork is not None and threading.active_count() == 1:
            after_fork()
        if random is not None:
            random.seed()
        for stand_in in _stand_ins:
            _child._tarefa_run(stand_in)
        # Of a class, as many results are.
        dump(_made)
        _engine.pickle_of_script(_made, _engine.keep_out_of_band)
        _child.forget_task()
        _child.name_process("tarefa-zygote")
        yield
    # Not to be in every child.
    _stand_ins[1].kept = None
    # As all modules are there now, no child needs to look what they bring.
    _own_ways.reducers()
    _at_exit.watch()
    gc.collect()
    gc.freeze()


_stand_ins: list[_StandIn] = []


class _Made:
    """What has attributes."""


_made = _Made()
_made.__dict__["a"] = 1


def _use(shared: List[Any], lock: Lock, event: Event) -> None:
    """The target that goes through what most targets do with shared objects."""
    shared.append(len(shared))
    with lock:
        shared[0]
    event.set()
    event.wait()


def _nothing() -> None:
    """The target that warms a spare up."""
