"""`test._test_multiprocessing` of the interpreter, loaded once, with tarefa's names in it.

What its tests of processes, pools, queues and connections share: `Processes` is what they take from
their class.
"""

import multiprocessing.connection
import multiprocessing.reduction  # so that it is there for who asks for the submodule
import unittest

import standing_in

import tarefa

context = tarefa.get_context()
module = standing_in.load(
    "test._test_multiprocessing", "multiprocessing", standing_in.MULTIPROCESSING
)
ours = module.multiprocessing._ours
# As multiprocessing has them, not as the package has them.
for name in ("Pool", "TimeoutError"):
    ours[name] = getattr(context, name)
ours["get_start_method"] = context.get_start_method
# Taken from a submodule by name.
module.Value = tarefa.Value


class Processes:
    """What the tests of `multiprocessing` take from their class."""

    TYPE = "processes"
    connection = multiprocessing.connection
    list = staticmethod(tarefa.List)
    dict = staticmethod(tarefa.Dict)

    def DummyList(self):
        return tarefa.List()

    def check_invariant(self, cond):
        assert cond.n_waiting == 0

    @staticmethod
    def set_executable(path):
        tarefa.configure(executable=path)


for name in (
    "Array",
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "JoinableQueue",
    "Lock",
    "Namespace",
    "Pipe",
    "Process",
    "Queue",
    "RLock",
    "RawArray",
    "RawValue",
    "Semaphore",
    "Value",
    "active_children",
    "current_process",
    "parent_process",
):
    setattr(Processes, name, staticmethod(getattr(tarefa, name)))
Processes.Process = tarefa.Process
Processes.Pool = staticmethod(context.Pool)


class Threads(Processes):
    """The same with threads, for which `multiprocessing` has classes of its own, in `dummy`."""

    TYPE = "threads"
    Process = tarefa.Thread
    Pool = staticmethod(tarefa.ThreadPool)
    current_process = staticmethod(tarefa.current_thread)
    active_children = staticmethod(tarefa.active_tasks)


class Managers(module.ManagerMixin):
    """Proxies of the library's managers, in our processes."""

    Process = tarefa.Process
    DummyList = Processes.DummyList


def cases(into, *names, base=Processes):
    """Classes of those tests that this interpreter has, each with ours, as names of a module.

    There its methods, which are targets, are looked for.
    """
    found = []
    for name in names:
        tests = getattr(module, name, None)
        if tests is None:
            continue
        if issubclass(tests, unittest.TestCase):
            # It says `multiprocessing.Process` and so on itself.
            found.append(tests)
            continue
        ending = name.removeprefix("_Test")
        prefix = "" if base is Processes else base.__name__
        within = {"__module__": into["__name__"]}
        made = type(f"{prefix}{ending}Tests", (base, tests, unittest.TestCase), within)
        into[made.__name__] = made
        found.append(made)
    return tuple(found)
