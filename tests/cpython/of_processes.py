"""`test._test_multiprocessing` of the interpreter, for processes and what they share."""

import unittest

import standing_in

import tarefa

module = standing_in.load(
    "test._test_multiprocessing", "multiprocessing", standing_in.MULTIPROCESSING
)
# Taken from the submodule by name.
module.Value = tarefa.Value


def set_executable(path):
    tarefa.configure(executable=path)


class Ours:
    """What the tests of `multiprocessing` take from their class."""

    TYPE = "processes"
    Process = tarefa.Process
    current_process = staticmethod(tarefa.current_process)
    parent_process = staticmethod(tarefa.parent_process)
    active_children = staticmethod(tarefa.active_children)
    Queue = staticmethod(tarefa.Queue)
    JoinableQueue = staticmethod(tarefa.JoinableQueue)
    Pipe = staticmethod(tarefa.Pipe)
    set_executable = staticmethod(set_executable)
    Lock = staticmethod(tarefa.Lock)
    RLock = staticmethod(tarefa.RLock)
    Semaphore = staticmethod(tarefa.Semaphore)
    BoundedSemaphore = staticmethod(tarefa.BoundedSemaphore)
    Condition = staticmethod(tarefa.Condition)
    Event = staticmethod(tarefa.Event)
    Barrier = staticmethod(tarefa.Barrier)
    Value = staticmethod(tarefa.Value)
    Array = staticmethod(tarefa.Array)
    RawValue = staticmethod(tarefa.RawValue)
    RawArray = staticmethod(tarefa.RawArray)

    def DummyList(self):
        return tarefa.List()

    def check_invariant(self, cond):
        assert cond.n_waiting == 0


class ProcessTests(Ours, module._TestProcess, unittest.TestCase):
    pass


class SubclassTests(Ours, module._TestSubclassingProcess, unittest.TestCase):
    pass


class LockTests(Ours, module._TestLock, unittest.TestCase):
    pass


class SemaphoreTests(Ours, module._TestSemaphore, unittest.TestCase):
    pass


class ConditionTests(Ours, module._TestCondition, unittest.TestCase):
    pass


class EventTests(Ours, module._TestEvent, unittest.TestCase):
    pass


class BarrierTests(Ours, module._TestBarrier, unittest.TestCase):
    pass


class ValueTests(Ours, module._TestValue, unittest.TestCase):
    pass


class ArrayTests(Ours, module._TestArray, unittest.TestCase):
    pass


class SharedCTypesTests(Ours, module._TestSharedCTypes, unittest.TestCase):
    pass


CLASSES = (
    ProcessTests,
    SubclassTests,
    LockTests,
    SemaphoreTests,
    ConditionTests,
    EventTests,
    BarrierTests,
    ValueTests,
    ArrayTests,
    SharedCTypesTests,
)
