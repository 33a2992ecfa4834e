"""`test._test_multiprocessing` of the interpreter, for processes and what they share.

Its queues and pipes are not tarefa's, so those that its tests of other things need are made here of
what tarefa has.
"""

import unittest

import standing_in

import tarefa

module = standing_in.load(
    "test._test_multiprocessing", "multiprocessing", standing_in.MULTIPROCESSING
)
# Taken from the submodule by name.
module.Value = tarefa.Value


class Queue:
    """Messages in a list, for the tests."""

    def __init__(self, maxsize=0):
        self.items = tarefa.List()
        self.more = tarefa.Condition()

    def put(self, item):
        with self.more:
            self.items.append((item,))
            self.more.notify()

    def get(self, block=True, timeout=None):
        with self.more:
            if not self.more.wait_for(lambda: len(self.items), timeout if block else 0):
                raise TimeoutError
            return self.items.pop(0)[0]

    def empty(self):
        return not self.items

    def close(self):
        pass

    join_thread = close


class End:
    """One end of a pipe."""

    def __init__(self, come, gone):
        self.come, self.gone = come, gone

    def send(self, item):
        self.gone.put(item)

    def recv(self):
        return self.come.get()

    def poll(self, timeout=0.0):
        with self.come.more:
            return bool(self.come.more.wait_for(lambda: len(self.come.items), timeout))

    def close(self):
        pass


def pipe(duplex=True):
    one, other = Queue(), Queue()
    return End(one, other), End(other, one)


class Ours:
    """What the tests of `multiprocessing` take from their class."""

    TYPE = "processes"
    Process = tarefa.Process
    current_process = staticmethod(tarefa.current_process)
    parent_process = staticmethod(tarefa.parent_process)
    active_children = staticmethod(tarefa.active_children)
    Queue = staticmethod(Queue)
    JoinableQueue = staticmethod(Queue)
    Pipe = staticmethod(pipe)
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
    LockTests,
    SemaphoreTests,
    ConditionTests,
    EventTests,
    BarrierTests,
    ValueTests,
    ArrayTests,
    SharedCTypesTests,
)
