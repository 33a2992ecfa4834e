"""`test._test_multiprocessing` of the interpreter, for pools: those of `tarefa.get_context()`."""

import builtins
import unittest

import standing_in

import tarefa

module = standing_in.load(
    "test._test_multiprocessing", "multiprocessing", standing_in.MULTIPROCESSING
)
context = tarefa.get_context()
module.multiprocessing._ours["Pool"] = context.Pool
module.multiprocessing._ours["TimeoutError"] = builtins.TimeoutError


class Processes:
    TYPE = "processes"
    Pool = staticmethod(context.Pool)


class Threads:
    TYPE = "threads"
    Pool = staticmethod(tarefa.ThreadPool)


class PoolTests(Processes, module._TestPool, unittest.TestCase):
    pass


class ThreadPoolTests(Threads, module._TestPool, unittest.TestCase):
    pass


class PoolWorkerErrorsTests(Processes, module._TestPoolWorkerErrors, unittest.TestCase):
    pass


class PoolWorkerLifetimeTests(Processes, module._TestPoolWorkerLifetime, unittest.TestCase):
    pass


CLASSES = (PoolTests, ThreadPoolTests, PoolWorkerErrorsTests, PoolWorkerLifetimeTests)
