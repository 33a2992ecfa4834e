"""`test.test_concurrent_futures` of the interpreter, on our two executors.

What its modules have in common for all executors, that is. Beside that they have tests of the
library's own threads and queues, which are private, and of how a death breaks its pool of
processes: it does not break ours. Their base class reaps all children of the process, which are not
its own, so it is left out.
"""

import types
import unittest

import standing_in

import tarefa

PACKAGE = "test.test_concurrent_futures"

util = standing_in.find(f"{PACKAGE}.util")
executor = standing_in.find(f"{PACKAGE}.executor")
waiting = standing_in.find(f"{PACKAGE}.test_wait")
completing = standing_in.find(f"{PACKAGE}.test_as_completed")
ending = standing_in.find(f"{PACKAGE}.test_shutdown")
beginning = standing_in.find(f"{PACKAGE}.test_init")


class Threads(util.ExecutorMixin):
    executor_type = tarefa.ThreadPoolExecutor


class Processes(util.ExecutorMixin):
    executor_type = tarefa.ProcessPoolExecutor
    executor_kwargs = types.MappingProxyType({"mp_context": tarefa.get_context()})


def cases(name, tests):
    """The tests of both executors."""
    made = []
    for of, kind in (("Thread", Threads), ("Process", Processes)):
        within = {"__module__": __name__}
        made.append(type(f"{of}{name}Tests", (kind, tests, unittest.TestCase), within))
        globals()[made[-1].__name__] = made[-1]
    return made


CLASSES = (
    *cases("Executor", executor.ExecutorTest),
    *cases("Wait", waiting.WaitTests),
    *cases("AsCompleted", completing.AsCompletedTests),
    *cases("Shutdown", ending.ExecutorShutdownTest),
    *cases("Initializer", beginning.InitializerMixin),
    *cases("FailingInitializer", beginning.FailingInitializerMixin),
)
