"""The interpreter's tests of queues: those of `multiprocessing`, and of the module `queue`."""

import types
import unittest

import standing_in
from of_multiprocessing import Managers, Threads, cases

import tarefa

queue_tests = standing_in.load("test.test_queue", "threading", standing_in.THREADING)

# What these tests take for the module `queue`.
ours = types.SimpleNamespace(
    **{
        name: getattr(tarefa, name)
        for name in (
            "Empty",
            "Full",
            "LifoQueue",
            "PriorityQueue",
            "Queue",
            "ShutDown",
            "SimpleQueue",
        )
    }
)


class QueueTests(queue_tests.QueueTest, unittest.TestCase):
    queue = ours


class LifoQueueTests(queue_tests.LifoQueueTest, unittest.TestCase):
    queue = ours


class PriorityQueueTests(queue_tests.PriorityQueueTest, unittest.TestCase):
    queue = ours


class SimpleQueueTests(queue_tests.BaseSimpleQueueTest, unittest.TestCase):
    queue = ours
    type2test = tarefa.SimpleQueue


CLASSES = (
    QueueTests,
    LifoQueueTests,
    PriorityQueueTests,
    SimpleQueueTests,
    *cases(globals(), "_TestQueue", "TestSimpleQueue"),
    *cases(globals(), "_TestQueue", base=Threads),
    *cases(globals(), "_TestQueue", base=Managers),
)
