"""`test._test_multiprocessing` of the interpreter, for pools: those of `tarefa.get_context()`."""

from of_multiprocessing import Threads, cases

CLASSES = (
    *cases(
        globals(),
        "_TestPool",
        "_TestPoolWorkerErrors",
        "_TestPoolWorkerLifetime",
        "TestInitializers",
    ),
    *cases(globals(), "_TestPool", base=Threads),
)
