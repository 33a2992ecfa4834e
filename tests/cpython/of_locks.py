"""`test.lock_tests` of the interpreter, for tarefa's locks."""

import standing_in

import tarefa

lock_tests = standing_in.load("test.lock_tests", "threading", standing_in.THREADING)


class LockTests(lock_tests.LockTests):
    locktype = staticmethod(tarefa.Lock)


class RLockTests(lock_tests.RLockTests):
    locktype = staticmethod(tarefa.RLock)


class ConditionAsRLockTests(lock_tests.RLockTests):
    locktype = staticmethod(tarefa.Condition)


class EventTests(lock_tests.EventTests):
    eventtype = staticmethod(tarefa.Event)


class ConditionTests(lock_tests.ConditionTests):
    condtype = staticmethod(tarefa.Condition)


class SemaphoreTests(lock_tests.SemaphoreTests):
    semtype = staticmethod(tarefa.Semaphore)


class BoundedSemaphoreTests(lock_tests.BoundedSemaphoreTests):
    semtype = staticmethod(tarefa.BoundedSemaphore)


class BarrierTests(lock_tests.BarrierTests):
    barriertype = staticmethod(tarefa.Barrier)


CLASSES = (
    LockTests,
    RLockTests,
    ConditionAsRLockTests,
    EventTests,
    ConditionTests,
    SemaphoreTests,
    BoundedSemaphoreTests,
    BarrierTests,
)
