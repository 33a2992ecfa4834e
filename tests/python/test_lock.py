"""`Lock` has the habits of the standard library's, and says once that its owner died."""

import pickle
import threading
import time

import pytest
import targets
from support import eventually

import tarefa


def test_acquire_release_locked():
    lock = tarefa.Lock()
    assert not lock.locked()
    assert lock.acquire() is True
    assert lock.locked()
    assert lock.release() is None
    assert not lock.locked()


def test_with():
    lock = tarefa.Lock()
    with lock as value:
        assert lock.locked()
    assert value is True
    assert not lock.locked()
    with pytest.raises(LookupError), lock:
        raise LookupError
    assert not lock.locked()


@pytest.mark.parametrize(
    "arguments",
    [
        ((False,), {}),
        ((True, 0.02), {}),
        ((), {"blocking": False}),
        ((), {"block": False}),
        ((), {"timeout": 0.02}),
        ((), {"timeout": 0}),
        ((), {"block": True, "timeout": 0.02}),
        ((), {"blocking": True, "timeout": 0}),
    ],
)
def test_a_held_lock_is_not_acquired(arguments):
    args, kwargs = arguments
    lock = tarefa.Lock()
    assert lock.acquire(*args, **kwargs) is True
    assert lock.acquire(*args, **kwargs) is False
    lock.release()
    assert not lock.locked()


@pytest.mark.parametrize("timeout", [-1, None])
def test_minus_one_and_none_wait_for_ever(timeout):
    lock = tarefa.Lock()
    lock.acquire()
    timer = threading.Timer(0.05, lock.release)
    timer.start()
    assert lock.acquire(timeout=timeout) is True
    timer.join()
    lock.release()


def test_it_is_one_lock_for_all(Task):
    def try_it(lock):
        return lock.locked(), lock.acquire(False)

    lock = tarefa.Lock()
    with lock:
        assert Task(target=try_it, args=(lock,)).start().result() == (True, False)
        assert pickle.loads(pickle.dumps(lock)).locked()


def test_another_may_release_it(Task):
    lock = tarefa.Lock()
    lock.acquire()
    Task(target=lock.release).start().result()
    assert not lock.locked()


@pytest.mark.parametrize(
    "kinds", [("Thread",) * 3, ("Process",) * 3, ("Thread", "Process", "Process")], ids="-".join
)
def test_only_one_at_a_time(kinds):
    counter, lock = tarefa.List([0]), tarefa.Lock()

    def count(counter, lock):
        for _ in range(1000):
            with lock:
                counter[0] += 1

    tasks = [getattr(tarefa, kind)(target=count, args=(counter, lock)).start() for kind in kinds]
    for task in tasks:
        task.result()
    assert counter == [1000 * len(kinds)]
    assert not lock.locked()


def test_a_waiter_gets_it_when_it_is_released(Task):
    lock, waiting = tarefa.Lock(), tarefa.Event()

    def want(lock, waiting):
        waiting.set()
        with lock:
            return "mine"

    with lock:
        task = Task(target=want, args=(lock, waiting)).start()
        waiting.wait()
        time.sleep(0.05)
        assert task.is_alive()
    assert task.result() == "mine"


def test_repr_says_whether_it_is_locked():
    lock = tarefa.Lock()
    assert "Lock" in repr(lock)
    assert "unlocked" in repr(lock)
    with lock:
        assert "unlocked" not in repr(lock)
        assert "locked" in repr(lock)


def killed_owner(lock):
    ready = tarefa.Event()
    task = tarefa.Process(target=targets.hold_lock, args=(lock, ready)).start()
    ready.wait()
    task.kill()
    task.join()
    return task


def test_a_dead_owner_is_told_once_and_the_lock_is_free_again():
    lock = tarefa.Lock()
    killed_owner(lock)
    with pytest.raises(tarefa.OwnerDied):
        lock.acquire()
    assert not lock.locked()
    with lock:
        assert lock.locked()
    assert lock.acquire(False)
    lock.release()


def test_it_is_told_again_when_the_next_owner_dies():
    lock = tarefa.Lock()
    for _ in range(3):
        killed_owner(lock)
        with pytest.raises(tarefa.OwnerDied):
            lock.acquire()
    assert lock.acquire(timeout=5)
    lock.release()


@pytest.mark.parametrize("how", [{"blocking": False}, {"timeout": 5}])
def test_it_is_told_to_one_who_does_not_wait_long(how):
    lock = tarefa.Lock()
    killed_owner(lock)
    with pytest.raises(tarefa.OwnerDied):
        lock.acquire(**how)
    assert lock.acquire(**how) is True
    lock.release()


def test_it_is_told_in_a_task(Task):
    def take(lock):
        try:
            lock.acquire()
        except tarefa.OwnerDied as error:
            return str(error)

    lock = tarefa.Lock()
    owner = killed_owner(lock)
    assert str(owner.pid) in Task(target=take, args=(lock,)).start().result()


def test_an_owner_that_ends_with_the_lock_is_a_dead_owner():
    lock = tarefa.Lock()
    tarefa.Process(target=lock.acquire).start().result()
    with pytest.raises(tarefa.OwnerDied):
        lock.acquire(timeout=20)
    assert lock.acquire(timeout=20)
    lock.release()


def test_waiters_wake_when_the_owner_is_killed(Task):
    lock, ready, waiting = tarefa.Lock(), tarefa.Event(), tarefa.List()

    def want(lock, waiting):
        waiting.append(1)
        try:
            with lock:
                return "got"
        except tarefa.OwnerDied:
            return "owner died"

    owner = tarefa.Process(target=targets.hold_lock, args=(lock, ready)).start()
    ready.wait()
    waiters = [Task(target=want, args=(lock, waiting)).start() for _ in range(3)]
    eventually(lambda: len(waiting) == 3)
    time.sleep(0.1)
    owner.kill()
    assert sorted(waiter.result() for waiter in waiters) == ["got", "got", "owner died"]
    assert not lock.locked()


def test_a_killed_waiter_disturbs_nobody():
    lock, waiting = tarefa.Lock(), tarefa.List()

    def want(lock, waiting):
        waiting.append(1)
        with lock:
            return "got"

    with lock:
        waiters = [tarefa.Process(target=want, args=(lock, waiting)).start() for _ in range(3)]
        eventually(lambda: len(waiting) == 3)
        time.sleep(0.05)
        waiters[0].kill()
        waiters[0].join()
    assert [waiter.result() for waiter in waiters[1:]] == ["got", "got"]
    assert not lock.locked()


def test_killed_in_the_middle_of_taking_and_releasing():
    lock = tarefa.Lock()

    def churn(lock):
        while True:
            try:
                with lock:
                    pass
            except tarefa.OwnerDied:
                pass

    for _ in range(8):
        tasks = [tarefa.Process(target=churn, args=(lock,)).start() for _ in range(2)]
        time.sleep(0.03)
        for task in tasks:
            task.kill()
        for task in tasks:
            task.join()
        try:
            lock.acquire()
        except tarefa.OwnerDied:
            lock.acquire()
        lock.release()
    assert not lock.locked()
