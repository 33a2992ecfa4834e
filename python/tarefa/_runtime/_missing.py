"""Names of the standard library that tarefa has not, and what to use instead."""

from __future__ import annotations

_START_METHOD = (
    "there is one way of starting processes, with nothing to choose: use tarefa.Process, "
    "tarefa.Lock and so on of the package itself, or tarefa.get_context() where a context is wanted"
)
_LOG = "tarefa has no logger of its own: use logging, which works in processes as it was set up"
_MODULE = "it is a module that {0} happens to import: write `import {1}`"

# Name -> sentence.
INSTEAD = {
    # threading
    "ThreadError": "it is another name of RuntimeError: use that",
    "activeCount": "use tarefa.active_count()",
    "currentThread": "use tarefa.current_thread()",
    "settrace_all_threads": "threading has it from CPython 3.12 on: use tarefa.settrace()",
    "setprofile_all_threads": "threading has it from CPython 3.12 on: use tarefa.setprofile()",
    "WeakSet": "use weakref.WeakSet; objects of tarefa may be in it",
    "functools": _MODULE.format("threading", "functools"),
    "warnings": _MODULE.format("threading", "warnings"),
    # multiprocessing
    "AuthenticationError": (
        "tarefa has no connections that ask for a key: it is raised by those of "
        "multiprocessing.connection, and imported from multiprocessing"
    ),
    "BufferTooShort": ("tarefa.Connection raises that of multiprocessing: import it from there"),
    "Manager": (
        "no manager is needed: tarefa.List, Dict, Set, Counter, Namespace, Value, Array and all "
        "locks are shared as they are"
    ),
    "ProcessError": "use tarefa.TarefaError, the base of all of tarefa's errors",
    "SUBDEBUG": _LOG,
    "SUBWARNING": _LOG,
    "TimeoutError": (
        "use the built-in TimeoutError: tarefa.TaskTimeout is one, and so is "
        "tarefa.TimeLimitExceeded"
    ),
    "allow_connection_pickling": "it is not needed: leave the call out",
    "context": "use tarefa.get_context(), which is a context of multiprocessing",
    "get_all_start_methods": _START_METHOD,
    "get_start_method": _START_METHOD,
    "set_start_method": _START_METHOD,
    "get_logger": _LOG,
    "log_to_stderr": _LOG,
    "process": "use tarefa.current_process(), parent_process() and active_children()",
    "reducer": "what travels is pickled as always: use copyreg or __reduce__",
    "reduction": "what travels is pickled as always: use copyreg or __reduce__",
    "set_executable": "use tarefa.configure(executable=...)",
    "set_forkserver_preload": "use tarefa.preload()",
    "sys": _MODULE.format("multiprocessing", "sys"),
    # concurrent.futures
    "BrokenExecutor": (
        "tarefa.BrokenPool is what our pools raise, and one of concurrent.futures': use that, or "
        "import it from concurrent.futures"
    ),
    "BrokenProcessPool": "use tarefa.BrokenPool; a worker that dies fails its own task alone",
    "BrokenThreadPool": "use tarefa.BrokenPool",
    "CancelledError": (
        "futures of our pools raise that of concurrent.futures: import it from there; what awaits "
        "a task gets asyncio.CancelledError"
    ),
    "Executor": (
        "tarefa.Pool is a concurrent.futures.Executor: use that, or import it from "
        "concurrent.futures for an annotation"
    ),
    "Future": (
        "what submit() of a pool returns is a concurrent.futures.Future: import it from there for "
        "an annotation; tarefa.Process and tarefa.Thread have result() themselves"
    ),
    "InterpreterPoolExecutor": "use tarefa.ProcessPoolExecutor, or tarefa.Pool",
    "InvalidStateError": (
        "futures of our pools raise that of concurrent.futures: import it from there"
    ),
    # submodules of multiprocessing
    "connection": (
        "use tarefa.Pipe, whose ends multiprocessing.connection.wait takes, and tarefa.wait() for "
        "tasks; there is no Listener and no Client: an address of tarefa.address() is for attach()"
    ),
    "dummy": "use tarefa.Thread, which has all that tarefa.Process has",
    "managers": "no manager is needed: tarefa.List, Dict, Namespace are shared as they are",
    "pool": (
        "use tarefa.Pool, which has what multiprocessing.Pool has; of kind 'thread' it is a "
        "ThreadPool"
    ),
    "queues": "use tarefa.Queue, JoinableQueue and SimpleQueue",
    "resource_tracker": "nothing is to be tracked: shared memory goes with its last user",
    "shared_memory": "use tarefa.Array, whose memory numpy.asarray() and memoryview() show",
    "sharedctypes": "use tarefa.Value, Array, RawValue and RawArray",
    "spawn": "use tarefa.freeze_support() and tarefa.configure(executable=...)",
    "synchronize": "use tarefa.Lock, Semaphore, Event and so on of the package itself",
    "forkserver": _START_METHOD,
    "heap": "use tarefa.Array: all shared memory lies in one arena, which needs no handling",
    "resource_sharer": "what travels is pickled as always: use copyreg or __reduce__",
    "util": "use atexit and weakref.finalize, which processes run at their end",
}


def sentence(name: str) -> str | None:
    """What to say of a name that tarefa has not; None for one that nobody has."""
    instead = _START_METHOD if name.startswith("popen_") else INSTEAD.get(name)
    if instead is None:
        return None
    return f"tarefa has no {name!r}: {instead}"
