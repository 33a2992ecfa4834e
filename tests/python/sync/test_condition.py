"""`Condition` has the habits of threading's: who waits longest is notified first, and nobody who
goes takes a notification along."""

import os
import pickle
import signal
import threading
import time

import pytest
from support import eventually

import tarefa


@pytest.fixture(params=["default", "Lock", "RLock"])
def condition(request):
    if request.param == "default":
        return tarefa.Condition()
    return tarefa.Condition(getattr(tarefa, request.param)())


def wait(condition, order=None, number=0, timeout=None):
    with condition:
        notified = condition.wait(timeout)
        if order is not None:
            order.append(number)
        return notified


def waiters(Task, condition, order, count):
    """Tasks that wait in the order of their numbers."""
    tasks = []
    for number in range(count):
        tasks.append(Task(target=wait, args=(condition, order, number)).start())
        eventually(lambda upto=number + 1: condition.n_waiting == upto)
    return tasks


def notify(condition, *n):
    with condition:
        condition.notify(*n)


def notify_all(condition):
    with condition:
        condition.notify_all()


def test_its_lock(condition):
    assert not condition.locked()
    assert condition.acquire() is True
    assert condition.locked()
    assert condition.owner().pid == os.getpid()
    condition.release()
    with condition as value:
        assert value is True
        assert tarefa.Thread(target=condition.acquire, args=(False,)).start().result() is False
    assert not condition.locked()
    assert condition.acquire(timeout=1) is True
    condition.release()


def test_the_lock_may_be_shared():
    lock = tarefa.Lock()
    one, other = tarefa.Condition(lock), tarefa.Condition(lock)
    with one:
        assert lock.locked()
        assert other.locked()
        assert other.acquire(False) is False
    with lock:
        one.notify()
        other.notify_all()


@pytest.mark.parametrize("wrong", [threading.Lock(), threading.RLock(), 3])
def test_other_locks_are_refused(wrong):
    with pytest.raises(TypeError, match=r"Lock or RLock of tarefa"):
        tarefa.Condition(wrong)


def test_without_the_lock(condition):
    for call in (condition.wait, condition.notify, condition.notify_all, condition.notifyAll):
        with pytest.raises(RuntimeError, match="un-acquired"):
            call()
    with pytest.raises(RuntimeError, match=r"un-acquired|unlocked"):
        condition.release()
    with condition:
        for call in (condition.wait, condition.notify, condition.notify_all):
            with pytest.raises(RuntimeError, match="un-acquired"):
                tarefa.Thread(target=call).start().result()


def test_timeouts(condition):
    with condition:
        assert condition.wait(0) is False
        assert condition.wait(timeout=0.02) is False
        for timeout in (-1, -0.5, float("-inf"), float("nan")):
            # As in threading.
            assert condition.wait(timeout) is False
        assert condition.wait_for(lambda: 0, timeout=-1) == 0
        assert condition.wait_for(lambda: 7, timeout=-1) == 7
        for timeout, error in ((float("inf"), OverflowError), ("1", TypeError)):
            with pytest.raises(error):
                condition.wait(timeout)
            with pytest.raises(error):
                condition.wait_for(lambda: 0, timeout)
        assert condition.locked()
    assert condition.n_waiting == 0


def test_notify_wakes_one(condition, Task):
    order = tarefa.List()
    tasks = waiters(Task, condition, order, 3)
    time.sleep(0.03)
    assert order == []
    notify(condition)
    eventually(lambda: len(order) == 1)
    time.sleep(0.03)
    assert order == [0]
    notify(condition, 2)
    assert [task.result() for task in tasks] == [True] * 3


def test_first_come_first_notified(condition, Task):
    order = tarefa.List()
    tasks = waiters(Task, condition, order, 4)
    for number in range(4):
        notify(condition)
        eventually(lambda upto=number + 1: len(order) == upto)
    assert order == [0, 1, 2, 3]
    for task in tasks:
        task.result()


def test_notify_all(condition, Task):
    order = tarefa.List()
    tasks = waiters(Task, condition, order, 5)
    notify_all(condition)
    assert [task.result() for task in tasks] == [True] * 5
    assert condition.n_waiting == 0


def test_a_notification_is_for_those_who_wait(condition):
    with condition:
        condition.notify()
        condition.notify(0)
        condition.notify_all()
        assert condition.wait(0.02) is False


def test_the_notified_go_on_when_the_lock_is_released(condition, Task):
    order = tarefa.List()
    (task,) = waiters(Task, condition, order, 1)
    with condition:
        condition.notify()
        time.sleep(0.05)
        assert order == []
    assert task.result() is True


def test_wait_for(condition, Task):
    def consume(condition, items):
        with condition:
            assert condition.wait_for(lambda: len(items)) == 1
            return items.pop()

    items = tarefa.List()
    task = Task(target=consume, args=(condition, items)).start()
    eventually(lambda: condition.n_waiting == 1)
    notify_all(condition)
    time.sleep(0.03)
    with condition:
        items.append("one")
        condition.notify_all()
    assert task.result() == "one"
    with condition:
        assert condition.wait_for(lambda: 7) == 7
        assert condition.wait_for(lambda: 0, timeout=0.03) == 0
        assert condition.wait_for(lambda: None, timeout=0) is None


def test_producers_and_consumers(Task):
    def produce(condition, items, start):
        for number in range(start, start + 100):
            with condition:
                while len(items) >= 5:
                    condition.wait()
                items.append(number)
                condition.notify_all()

    def consume(condition, items, out):
        for _ in range(100):
            with condition:
                condition.wait_for(lambda: len(items))
                out.append(items.pop(0))
                condition.notify_all()

    condition, items, out = tarefa.Condition(), tarefa.List(), tarefa.List()
    tasks = [Task(target=produce, args=(condition, items, n)).start() for n in (0, 1000)]
    tasks += [Task(target=consume, args=(condition, items, out)).start() for _ in range(2)]
    for task in tasks:
        task.result()
    assert sorted(out) == [*range(100), *range(1000, 1100)]
    assert items == []


def test_a_recursive_lock_is_let_go_of_wholly():
    condition = tarefa.Condition()
    order = tarefa.List()

    def deep(condition, order):
        with condition, condition, condition:
            condition.wait()
            order.append(tarefa.Thread(target=condition.acquire, args=(False,)).start().result())
        order.append("released")

    task = tarefa.Process(target=deep, args=(condition, order)).start()
    eventually(lambda: condition.n_waiting == 1)
    notify(condition)
    task.result()
    assert order == [False, "released"]
    assert not condition.locked()


def test_who_gives_up_takes_no_notification_along(Task):
    condition, order = tarefa.Condition(), tarefa.List()
    hasty = Task(target=wait, args=(condition, None, 0, 0.1)).start()
    eventually(lambda: condition.n_waiting == 1)
    patient = Task(target=wait, args=(condition, order, 1)).start()
    assert hasty.result() is False
    eventually(lambda: condition.n_waiting == 1)
    notify(condition)
    assert patient.result() is True


def test_an_interrupted_waiter_has_the_lock_and_takes_no_notification_along(condition, Task):
    def work(condition, order):
        with condition:
            try:
                condition.wait()
            except tarefa.Interrupted:
                order.append(condition.owner().pid == os.getpid())
                raise

    order = tarefa.List()
    task = Task(target=work, args=(condition, order)).start()
    eventually(lambda: condition.n_waiting == 1)
    (other,) = [Task(target=wait, args=(condition, order, "other")).start()]
    eventually(lambda: condition.n_waiting == 2)
    with condition:
        task.interrupt()
        time.sleep(0.05)
        condition.notify()
    task.join()
    assert task.state is tarefa.State.INTERRUPTED
    assert other.result() is True
    assert sorted(order, key=str) == [True, "other"]
    assert not condition.locked()


def test_interrupted_and_notified_at_once(Task):
    """Whoever of the two is first, the notification is for one of the two waiters."""
    condition = tarefa.Condition()
    for _ in range(10):
        order = tarefa.List()
        tasks = waiters(Task, condition, order, 2)
        tasks[0].interrupt()
        notify(condition)
        tasks[0].join()
        if tasks[0].state is tarefa.State.INTERRUPTED:
            tasks[1].result()
        else:
            notify(condition)
            tasks[1].result()
        assert condition.n_waiting == 0


def test_a_second_interrupt_gives_the_lock_up(Task):
    def work(condition, order):
        condition.acquire()
        try:
            condition.wait()
        except tarefa.Interrupted:
            return condition.owner().pid == os.getpid()

    condition = tarefa.Condition(tarefa.Lock())
    task = Task(target=work, args=(condition, None)).start()
    eventually(lambda: condition.n_waiting == 1)
    with condition:
        task.interrupt()
        eventually(lambda: condition.n_waiting == 0)
        assert task.is_alive()
        while task.is_alive():
            task.interrupt()
            time.sleep(0.02)
    task.join()
    assert not condition.locked()


def test_a_handler_of_a_signal_runs_while_one_waits():
    condition, seen = tarefa.Condition(), []
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append(condition.n_waiting))
    try:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        with condition:
            assert condition.wait(0.3) is False
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [1]


def test_a_killed_waiter_takes_no_notification_along():
    condition, order = tarefa.Condition(), tarefa.List()
    for _ in range(5):
        tasks = waiters(tarefa.Process, condition, order, 2)
        with condition:
            tasks[0].kill()
            condition.notify()
        tasks[0].join()
        if len(order) == 0:
            assert tasks[1].result() is True
        else:
            notify(condition)
            tasks[1].result()
        del order[:]


def test_one_killed_while_it_takes_the_lock_passes_the_notification_on():
    condition, order = tarefa.Condition(), tarefa.List()
    tasks = waiters(tarefa.Process, condition, order, 2)
    with condition:
        condition.notify()
        time.sleep(0.1)
        tasks[0].kill()
        tasks[0].join()
        time.sleep(0.05)
    assert tasks[1].result() is True
    assert order == [1]


def test_all_who_wait_are_told_when_the_owner_of_the_lock_dies(condition, Task):
    def work(condition):
        with condition:
            try:
                return condition.wait()
            except tarefa.OwnerDied as error:
                return str(error), condition.owner().pid == os.getpid()

    def own(condition, ready):
        with condition:
            ready.set()
            threading.Event().wait()

    tasks = [Task(target=work, args=(condition,)).start() for _ in range(3)]
    eventually(lambda: condition.n_waiting == 3)
    ready = tarefa.Event()
    doomed = tarefa.Process(target=own, args=(condition, ready)).start()
    ready.wait()
    doomed.kill()
    for task in tasks:
        message, mine = task.result()
        assert str(doomed.pid) in message
        assert mine
    with condition:
        assert condition.wait(0.02) is False
    assert not condition.locked()


def test_who_waits_after_the_death_is_not_told_of_it(condition):
    doomed = tarefa.Process(target=condition.acquire).start()
    doomed.join()
    with pytest.raises(tarefa.OwnerDied):
        condition.acquire(timeout=20)
    with condition:
        assert condition.wait(0.02) is False


def test_notifiers_and_waiters_killed_at_any_moment():
    def churn(condition, number):
        while True:
            try:
                with condition:
                    if number % 2:
                        condition.notify_all()
                    else:
                        condition.wait(0.01)
            except tarefa.OwnerDied:
                pass

    condition = tarefa.Condition()
    for _ in range(8):
        tasks = [tarefa.Process(target=churn, args=(condition, n)).start() for n in range(3)]
        time.sleep(0.04)
        for task in tasks:
            task.kill()
        for task in tasks:
            task.join()
        try:
            condition.acquire(timeout=30)
        except tarefa.OwnerDied:
            condition.acquire(timeout=30)
        condition.release()
        eventually(lambda: condition.n_waiting == 0)
    (task,) = waiters(tarefa.Process, condition, None, 1)
    notify(condition)
    assert task.result() is True


def test_it_is_one_condition_for_all(condition):
    again = pickle.loads(pickle.dumps(condition))
    assert again == condition
    assert hash(again) == hash(condition)
    assert condition != tarefa.Condition()
    (task,) = waiters(tarefa.Thread, again, None, 1)
    assert condition.n_waiting == 1
    assert "waiters=1" in repr(condition)
    notify(condition)
    task.result()
    box = tarefa.List([condition])
    assert box[0] == condition


def test_it_keeps_its_lock(condition):
    (task,) = waiters(tarefa.Process, tarefa.List([condition])[0], None, 1)
    notify(condition)
    task.result()


def test_a_subclass():
    class Named(tarefa.Condition):
        def __init__(self, name):
            super().__init__()
            self.name = name

    with Named("mine") as value:
        assert value is True


def test_a_timeout_that_is_no_number_is_over(condition):
    with condition:
        assert condition.wait(float("nan")) is False
        assert condition.wait_for(lambda: False, float("nan")) is False
        assert condition.wait_for(lambda: 5, float("nan")) == 5
