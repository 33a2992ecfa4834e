"""`test.test_concurrent_futures` of the interpreter, on our two executors.

Their base class reaps all children of the process, which are not its own, so it is left out.
"""

import unittest

import standing_in

import tarefa

PACKAGE = "test.test_concurrent_futures"

util = standing_in.find(f"{PACKAGE}.util")
executor = standing_in.find(f"{PACKAGE}.executor")
waiting = standing_in.find(f"{PACKAGE}.test_wait")
completing = standing_in.find(f"{PACKAGE}.test_as_completed")
ending = standing_in.find(f"{PACKAGE}.test_shutdown")


class Threads(util.ExecutorMixin):
    executor_type = tarefa.ThreadPoolExecutor


class Processes(util.ExecutorMixin):
    executor_type = tarefa.ProcessPoolExecutor


class ThreadExecutorTests(Threads, executor.ExecutorTest, unittest.TestCase):
    pass


class ProcessExecutorTests(Processes, executor.ExecutorTest, unittest.TestCase):
    pass


class ThreadWaitTests(Threads, waiting.WaitTests, unittest.TestCase):
    pass


class ProcessWaitTests(Processes, waiting.WaitTests, unittest.TestCase):
    pass


class ThreadAsCompletedTests(Threads, completing.AsCompletedTests, unittest.TestCase):
    pass


class ProcessAsCompletedTests(Processes, completing.AsCompletedTests, unittest.TestCase):
    pass


class ThreadShutdownTests(Threads, ending.ExecutorShutdownTest, unittest.TestCase):
    pass


class ProcessShutdownTests(Processes, ending.ExecutorShutdownTest, unittest.TestCase):
    pass


CLASSES = (
    ThreadExecutorTests,
    ProcessExecutorTests,
    ThreadWaitTests,
    ProcessWaitTests,
    ThreadAsCompletedTests,
    ProcessAsCompletedTests,
    ThreadShutdownTests,
    ProcessShutdownTests,
)
