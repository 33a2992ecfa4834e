"""`test._test_multiprocessing` of the interpreter, for processes and what they share."""

from of_multiprocessing import Managers, Threads, cases

# They are there for threads, too.
BOTH = (
    "_TestProcess",
    "_TestLock",
    "_TestSemaphore",
    "_TestCondition",
    "_TestEvent",
    "_TestBarrier",
)
CLASSES = cases(
    globals(),
    *BOTH,
    "_TestSubclassingProcess",
    "_TestAtExit",
    "_TestValue",
    "_TestArray",
    "_TestSharedCTypes",
    "TestCloseFds",
    "TestIgnoreEINTR",
    "TestStdinBadfiledescriptor",
    "TestTimeouts",
    "_TestFinalize",
    "_TestLogging",
    "_TestRemoteManager",
    "_TestSharedMemory",
    "TestSyncManagerTypes",
)
CLASSES += cases(globals(), *BOTH, base=Threads)
CLASSES += cases(globals(), "_TestCondition", "_TestEvent", "_TestBarrier", base=Managers)
