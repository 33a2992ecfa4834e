"""The interpreter's own test modules, with tarefa's classes where they name the library's.

A module is run anew under its own name, while `threading` or `multiprocessing` is a stand-in: what
tarefa has it takes from there, and all else from the library itself. Nothing is copied or changed.
"""

import importlib
import importlib.util
import sys
import types

import tarefa

THREADING = (
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "Lock",
    "RLock",
    "Semaphore",
    "Thread",
    "Timer",
)
MULTIPROCESSING = (
    "Array",
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "JoinableQueue",
    "Lock",
    "Pipe",
    "Process",
    "Queue",
    "RLock",
    "RawArray",
    "RawValue",
    "Semaphore",
    "SimpleQueue",
    "Value",
    "active_children",
    "cpu_count",
    "current_process",
    "freeze_support",
    "parent_process",
)


class Missing(Exception):
    """This interpreter was installed without its tests."""


class StandIn(types.ModuleType):
    """A module with some names of tarefa's; what is set in it is set in the library's."""

    def __init__(self, real, names):
        super().__init__(real.__name__)
        self.__dict__["_real"] = real
        self.__dict__["_ours"] = {name: getattr(tarefa, name) for name in names}

    def __getattribute__(self, name):
        if name in ("_real", "_ours", "__dict__", "__class__"):
            return super().__getattribute__(name)
        ours = super().__getattribute__("_ours")
        if name in ours:
            return ours[name]
        return getattr(super().__getattribute__("_real"), name)

    def __setattr__(self, name, value):
        setattr(self._real, name, value)

    def __delattr__(self, name):
        delattr(self._real, name)


def find(name):
    """Import one of the interpreter's test modules; `Missing` if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as e:
        raise Missing(f"{name} is not installed: {e}") from None


def load(name, library, names):
    """The test module `name`, run anew with tarefa's names in place of the library's."""
    find(name)
    real = sys.modules[library]
    spec = importlib.util.find_spec(name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.modules[library] = StandIn(real, names)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.modules[library] = real
    return module
