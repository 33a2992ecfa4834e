"""`test._test_multiprocessing` of the interpreter, for ends of pipes, and for what else travels.

Listeners and clients are the library's own, in processes of tarefa's.
"""

from of_multiprocessing import Threads, cases

# They are there for threads, too.
BOTH = ("_TestConnection", "_TestListenerClient", "_TestPoll")
CLASSES = cases(
    globals(),
    *BOTH,
    "_TestPollEintr",
    "_TestPicklingConnections",
    "TestWait",
) + cases(globals(), *BOTH, base=Threads)
