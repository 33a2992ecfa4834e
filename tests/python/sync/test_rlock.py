"""`RLock`: a lock that its thread may take again, with the habits of `threading.RLock`."""

import os
import pickle
import threading

import pytest
from locking import hold, killed_owner, sleeping, take
from support import eventually

import tarefa


def test_it_is_taken_again_and_released_as_often():
    lock = tarefa.RLock()
    for _ in range(5):
        assert lock.acquire() is True
    for _ in range(5):
        assert lock.locked()
        lock.release()
    assert not lock.locked()
    with pytest.raises(RuntimeError, match="un-acquired"):
        lock.release()


def test_with_inside_with():
    lock = tarefa.RLock()
    with lock as value, lock, lock:
        assert value is True
        assert lock.locked()
    assert not lock.locked()
    with pytest.raises(LookupError), lock, lock:
        raise LookupError
    assert not lock.locked()


def test_the_constructor_takes_nothing():
    for arguments in [(1,), ("recursive",), (None,)]:
        with pytest.raises(TypeError):
            tarefa.RLock(*arguments)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((False,), {}),
        ((True, 0.02), {}),
        ((), {"blocking": False}),
        ((), {"timeout": 0.02}),
        ((), {"timeout": 0}),
        ((), {"block": False}),
        ((), {"block": False, "timeout": 5}),
    ],
)
def test_another_does_not_get_it(Task, args, kwargs):
    def try_it(lock, args, kwargs):
        return lock.acquire(*args, **kwargs)

    lock = tarefa.RLock()
    with lock:
        task = Task(target=try_it, args=(lock, args, kwargs)).start()
        assert task.result() is False
        assert lock.acquire(*args, **kwargs) is True
        lock.release()


@pytest.mark.parametrize(
    ("args", "error"),
    [((False, 1), ValueError), ((True, -2), ValueError), ((True, "1"), TypeError)],
)
def test_arguments_that_make_no_sense(args, error):
    lock = tarefa.RLock()
    with pytest.raises(error):
        lock.acquire(*args)
    with lock, pytest.raises(error):
        lock.acquire(*args)
    assert not lock.locked()


def test_another_may_not_release_it(Task):
    lock = tarefa.RLock()
    with lock:
        task = Task(target=lock.release).start()
        assert isinstance(task.exception(), RuntimeError)
        assert lock.locked()
    task = Task(target=lock.release).start()
    assert isinstance(task.exception(), RuntimeError)


def test_it_is_one_lock_for_all(Task):
    def count(counter, lock):
        for _ in range(300):
            with lock, lock:
                counter[0] += 1

    counter, lock = tarefa.List([0]), tarefa.RLock()
    tasks = [Task(target=count, args=(counter, lock)).start() for _ in range(3)]
    for task in tasks:
        task.result()
    assert counter == [900]


def test_a_pickled_one_in_the_same_thread_is_the_same():
    lock = tarefa.RLock()
    copy = pickle.loads(pickle.dumps(lock))
    assert copy == lock
    assert isinstance(copy, tarefa.RLock)
    with lock, copy:
        lock.release()
        assert copy.locked()
        lock.acquire()
    assert not lock.locked()


def test_repr_says_whether_it_is_locked():
    lock = tarefa.RLock()
    assert "unlocked tarefa.RLock" in repr(lock)
    with lock:
        assert "unlocked" not in repr(lock)


def test_owner_from_another_process():
    def look(lock):
        return lock.owner()[1:3]

    lock = tarefa.RLock()
    with lock, lock:
        seen = tarefa.Process(target=look, args=(lock,)).start().result()
    assert seen == (os.getpid(), threading.get_native_id())


# Owners that are no more.


def test_a_killed_owner_is_told_once():
    lock = tarefa.RLock()
    owner = killed_owner(lock)
    assert lock.owner() is None
    with pytest.raises(tarefa.OwnerDied, match=str(owner.pid)):
        lock.acquire()
    with lock, lock:
        assert lock.locked()
    assert not lock.locked()


def test_a_thread_that_ends_with_it_is_a_dead_owner():
    lock = tarefa.RLock()
    thread = threading.Thread(target=lambda: lock.acquire() and lock.acquire())
    thread.start()
    thread.join()
    # The thread of the system ends a little later than that of Python.
    eventually(lambda: not lock.locked())
    with pytest.raises(tarefa.OwnerDied, match="thread"):
        lock.acquire()
    with lock:
        lock.release()
        assert not lock.locked()
        lock.acquire()


def test_a_task_that_ends_with_it_is_a_dead_owner(Task):
    lock = tarefa.RLock()
    Task(target=lock.acquire).start().result()
    eventually(lambda: not lock.locked())
    assert take(lock) == "owner died"
    assert take(lock) == "got"


def test_waiters_are_told_when_the_thread_ends(Task):
    lock, ready, go = tarefa.RLock(), tarefa.Event(), tarefa.Event()

    def leave_it(lock, ready, go):
        lock.acquire()
        ready.set()
        go.wait()

    holder = tarefa.Thread(target=leave_it, args=(lock, ready, go)).start()
    ready.wait()
    waiters = [Task(target=take, args=(lock,)).start() for _ in range(3)]
    sleeping(*waiters)
    go.set()
    holder.join()
    assert sorted(waiter.result() for waiter in waiters) == ["got", "got", "owner died"]


def test_waiters_are_told_when_the_process_is_killed(Task):
    lock, ready = tarefa.RLock(), tarefa.Event()
    holder = tarefa.Process(target=hold, args=(lock, ready)).start()
    ready.wait()
    waiters = [Task(target=take, args=(lock,)).start() for _ in range(3)]
    sleeping(*waiters)
    holder.kill()
    assert sorted(waiter.result() for waiter in waiters) == ["got", "got", "owner died"]
    assert not lock.locked()


def test_threads_that_leave_it_behind_again_and_again():
    lock = tarefa.RLock()
    for _ in range(40):
        thread = threading.Thread(target=lock.acquire)
        thread.start()
        thread.join()
        assert take(lock, timeout=20) == "owner died"
        assert take(lock, timeout=20) == "got"


def test_in_a_child_of_fork_the_parents_lock_is_the_parents():
    lock = tarefa.RLock()
    with lock:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                if not lock.acquire(False):
                    lock.release()
            except RuntimeError:
                code = 0
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert lock.acquire(False)
        lock.release()
    assert not lock.locked()


def test_a_wait_is_interrupted(Task):
    lock = tarefa.RLock()

    def want(lock):
        try:
            lock.acquire()
        except tarefa.Interrupted:
            return "interrupted"

    with lock:
        task = Task(target=want, args=(lock,)).start()
        sleeping(task)
        task.interrupt()
        assert task.result() == "interrupted"
    assert take(lock) == "got"


# `threading.Condition` on it.


def test_a_condition_of_threading_on_it():
    condition = threading.Condition(tarefa.RLock())
    items, taken = [], []

    def consume():
        for _ in range(50):
            with condition, condition:
                condition.wait_for(lambda: items)
                taken.append(items.pop(0))
                condition.notify_all()

    thread = threading.Thread(target=consume)
    thread.start()
    for number in range(50):
        with condition:
            assert condition.wait_for(lambda: not items, timeout=20)
            items.append(number)
            condition.notify_all()
    thread.join()
    assert taken == list(range(50))


def test_a_condition_has_its_depth_again_after_a_wait():
    lock = tarefa.RLock()
    condition = threading.Condition(lock)
    with lock, lock, lock:
        assert condition.wait(0.05) is False
        for _ in range(2):
            lock.release()
        assert lock.locked()
        lock.acquire()
        lock.acquire()
    assert not lock.locked()


@pytest.mark.parametrize("make", [tarefa.RLock, tarefa.Condition])
def test_how_often_it_is_taken(make):
    made = make()
    made.acquire()
    made.acquire()
    assert made._recursion_count() == 2
    assert made._is_owned()
    seen = []
    other = threading.Thread(
        target=lambda: seen.extend((made._recursion_count(), made._is_owned()))
    )
    other.start()
    other.join()
    assert seen == [0, False]
    depth = made._release_save()
    assert (made.locked(), made._recursion_count()) == (False, 0)
    made._acquire_restore(depth)
    assert made._recursion_count() == 2
    made.release()
    made.release()
    assert not made._is_owned()
    with pytest.raises(RuntimeError, match="un-acquired"):
        made._release_save()


def test_a_condition_without_its_lock():
    condition = threading.Condition(tarefa.RLock())
    with pytest.raises(RuntimeError):
        condition.wait(0)
    with pytest.raises(RuntimeError):
        condition.notify()


def test_a_condition_whose_lock_died_meanwhile():
    """The wait ends with `OwnerDied`, the lock in hand, so that `with` lets it go."""
    lock, waiting = tarefa.RLock(), threading.Event()
    condition = threading.Condition(lock)

    def kill_one():
        waiting.wait()
        killed_owner(lock)

    def wait_again_and_again():
        with condition, condition:
            waiting.set()
            while True:
                condition.wait(0.05)

    killer = threading.Thread(target=kill_one)
    killer.start()
    with pytest.raises(tarefa.OwnerDied):
        wait_again_and_again()
    killer.join()
    assert not lock.locked()
    assert take(lock) == "got"
