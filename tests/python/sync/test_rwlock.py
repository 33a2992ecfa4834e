"""`RWLock`: many readers or one writer, by turns; what a killed task held comes back."""

import os
import pickle
import signal
import threading
import time

import pytest
from support import eventually, waited_for

import tarefa


def acquire(lock, mode, *args, **kwargs):
    return getattr(lock, f"acquire_{mode}")(*args, **kwargs)


def release(lock, mode):
    getattr(lock, f"release_{mode}")()


def in_thread(function, *args):
    return tarefa.Thread(target=function, args=args).start().result()


@pytest.fixture(params=["read", "write"])
def mode(request):
    return request.param


def test_readers_share_it(Task):
    lock = tarefa.RWLock()
    with lock.read():
        assert Task(target=lock.acquire_read, args=(False,)).start().result() is True
        assert lock.readers >= 1
        assert Task(target=lock.acquire_write, args=(False,)).start().result() is False
    eventually(lambda: lock.readers == 0)


def test_a_writer_is_alone(Task, mode):
    def attempt(lock, mode):
        return getattr(lock, f"acquire_{mode}")(blocking=False)

    lock = tarefa.RWLock()
    with lock.write() as value:
        assert value is True
        assert lock.locked()
        assert lock.readers == 0
        assert Task(target=attempt, args=(lock, mode)).start().result() is False
    assert not lock.locked()


def test_who_writes_is_known():
    lock = tarefa.RWLock()
    assert lock.owner() is None
    with lock.write():
        owner = lock.owner()
        assert (owner.pid, owner.thread) == (os.getpid(), threading.get_native_id())
        assert abs(owner.since - time.time()) < 60
    assert lock.owner() is None
    with lock.read():
        assert lock.owner() is None
        assert lock.locked()


def test_the_owner_is_a_task():
    def write(lock, ready, go):
        with lock.write():
            ready.set()
            go.wait()

    lock, ready, go = tarefa.RWLock(), tarefa.Event(), tarefa.Event()
    task = tarefa.Process(target=write, args=(lock, ready, go), name="writer").start()
    ready.wait()
    owner = lock.owner()
    assert owner.pid == task.pid
    assert owner.task.name == "writer"
    go.set()
    task.result()


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
    ],
)
def test_it_is_not_acquired_while_another_writes(mode, arguments):
    args, kwargs = arguments
    lock = tarefa.RWLock()
    with lock.write():
        assert in_thread(lambda: acquire(lock, mode, *args, **kwargs)) is False
    assert acquire(lock, mode, *args, **kwargs) is True
    release(lock, mode)


@pytest.mark.parametrize("timeout", [-1, None])
def test_minus_one_and_none_wait_for_ever(mode, timeout):
    lock = tarefa.RWLock()
    with lock.write():
        task = tarefa.Thread(target=acquire, args=(lock, mode), kwargs={"timeout": timeout})
        task.start()
        waited_for(lock)
    assert task.result() is True


def test_bad_timeouts(mode):
    lock = tarefa.RWLock()
    with pytest.raises(ValueError, match="non-blocking"):
        acquire(lock, mode, False, 1)
    with pytest.raises(ValueError, match="non-negative"):
        acquire(lock, mode, timeout=-2)
    assert not lock.locked()


def test_releasing_what_is_not_held(mode):
    lock = tarefa.RWLock()
    with pytest.raises(RuntimeError, match="un-acquired"):
        release(lock, mode)
    with lock.read(), pytest.raises(RuntimeError):
        lock.release_write()
    with lock.write(), pytest.raises(RuntimeError):
        lock.release_read()
    acquire(lock, mode)
    with pytest.raises(RuntimeError):
        in_thread(release, lock, mode)
    release(lock, mode)
    assert not lock.locked()


def test_a_reader_may_read_again_while_a_writer_waits(Task):
    lock = tarefa.RWLock()
    with lock.read():
        task = Task(target=lock.acquire_write, args=(True, 20)).start()
        waited_for(lock)
        assert in_thread(lock.acquire_read, False) is False
        with lock.read():
            assert lock.readers == 2
        assert lock.readers == 1
    assert task.result() is True


def test_a_writer_may_write_and_read_again():
    lock = tarefa.RWLock()
    with lock.write(), lock.write(), lock.read():
        assert lock.readers == 1
        assert in_thread(lock.acquire_read, False) is False
    assert not lock.locked()


def test_a_writer_goes_on_reading():
    """Released to write, it still reads, and others may read; nobody wrote in between."""
    lock = tarefa.RWLock()
    lock.acquire_write()
    writer = tarefa.Thread(target=lock.acquire_write).start()
    waited_for(lock)
    lock.acquire_read()
    lock.release_write()
    time.sleep(0.05)
    assert writer.is_alive()
    assert lock.readers == 1
    lock.release_read()
    assert writer.result() is True


def test_a_reader_that_asks_to_write_is_refused():
    lock = tarefa.RWLock()
    with lock.read():
        for arguments in [(), (False,), (True, 1)]:
            with pytest.raises(RuntimeError, match="release_read"):
                lock.acquire_write(*arguments)
        with pytest.raises(RuntimeError), lock.write():
            pass
    with lock.write():
        pass


def test_no_writer_sees_another(Task):
    def work(lock, pair):
        for _ in range(150):
            with lock.write():
                pair[0] += 1
                pair[1] += 1
            with lock.read():
                assert pair[0] == pair[1]

    lock, pair = tarefa.RWLock(), tarefa.List([0, 0])
    tasks = [Task(target=work, args=(lock, pair)).start() for _ in range(3)]
    for task in tasks:
        task.result()
    assert pair == [450, 450]
    assert not lock.locked()


def queued(lock, modes, order, before=0):
    """Tasks that ask for the lock one after the other, behind `before` others."""

    def work(lock, mode, order, name):
        with getattr(lock, mode)():
            order.append(name)
            time.sleep(0.03)

    tasks = []
    for number, mode in enumerate(modes):
        name = f"{mode[0]}{number}"
        tasks.append(tarefa.Thread(target=work, args=(lock, mode, order, name)).start())
        waited_for(lock, before + number + 1)
    return tasks


def test_readers_and_writers_take_turns():
    lock, order = tarefa.RWLock(), tarefa.List()
    with lock.write():
        tasks = queued(lock, ["write", "write", "read", "read"], order)
    for task in tasks:
        task.result()
    assert set(order[:2]) == {"r2", "r3"}
    assert order[2:] == ["w0", "w1"]


def test_a_writer_comes_before_readers_that_come_later():
    lock, order = tarefa.RWLock(), tarefa.List()
    with lock.read():
        tasks = queued(lock, ["write", "read"], order)
        assert order == []
    for task in tasks:
        task.result()
    assert order == ["w0", "r1"]


def test_readers_go_on_when_the_writer_they_waited_for_gives_up():
    lock, order = tarefa.RWLock(), tarefa.List()
    with lock.read():
        writer = tarefa.Thread(target=lock.acquire_write, args=(True, 2)).start()
        waited_for(lock)
        tasks = queued(lock, ["read", "read"], order, before=1)
        assert order == []
        assert writer.result() is False
        eventually(lambda: len(order) == 2)
    for task in tasks:
        task.result()


def test_an_interrupted_waiter_takes_nothing_along(Task, mode):
    def work(lock, mode):
        with getattr(lock, mode)():
            pass

    lock = tarefa.RWLock()
    for _ in range(5):
        with lock.write():
            task = Task(target=work, args=(lock, mode)).start()
            time.sleep(0.03)
            task.interrupt()
        task.join()
        assert task.state in {tarefa.State.INTERRUPTED, tarefa.State.FINISHED}
        with lock.write():
            pass
    assert not lock.locked()


def hold(lock, mode, ready):
    getattr(lock, f"acquire_{mode}")()
    ready.set()
    threading.Event().wait()


def holding(lock, mode):
    ready = tarefa.Event()
    task = tarefa.Process(target=hold, args=(lock, mode, ready)).start()
    ready.wait()
    return task


def kill(task):
    task.kill()
    task.join()


def test_a_killed_reader_blocks_nobody(Task):
    lock = tarefa.RWLock()
    doomed = holding(lock, "read")
    task = Task(target=lock.acquire_write, args=(True, 30)).start()
    waited_for(lock)
    assert task.is_alive()
    kill(doomed)
    assert task.result() is True


def test_a_killed_writer_is_told_once(mode):
    lock = tarefa.RWLock()
    doomed = holding(lock, "write")
    kill(doomed)
    eventually(lambda: lock.owner() is None)
    with pytest.raises(tarefa.OwnerDied, match=str(doomed.pid)):
        acquire(lock, mode, timeout=20)
    assert not lock.locked()
    assert acquire(lock, mode) is True
    release(lock, mode)


def test_waiters_wake_when_the_writer_is_killed(Task, mode):
    def want(lock, mode, waiting):
        waiting.append(1)
        try:
            with getattr(lock, mode)():
                return "got"
        except tarefa.OwnerDied:
            return "owner died"

    lock, waiting = tarefa.RWLock(), tarefa.List()
    doomed = holding(lock, "write")
    tasks = [Task(target=want, args=(lock, mode, waiting)).start() for _ in range(3)]
    eventually(lambda: len(waiting) == 3)
    time.sleep(0.1)
    doomed.kill()
    assert sorted(task.result() for task in tasks) == ["got", "got", "owner died"]
    assert not lock.locked()


def test_a_killed_waiter_disturbs_nobody(mode):
    lock = tarefa.RWLock()
    with lock.write():
        doomed = tarefa.Process(target=acquire, args=(lock, mode)).start()
        waited_for(lock)
        task = tarefa.Thread(target=acquire, args=(lock, "read")).start()
        kill(doomed)
    assert task.result() is True
    with lock.write():
        pass


def test_a_waiter_killed_as_its_turn_comes_was_no_owner(mode):
    lock = tarefa.RWLock()
    for _ in range(20):
        with lock.write():
            doomed = tarefa.Process(target=acquire, args=(lock, mode)).start()
            waited_for(lock)
            os.kill(doomed.pid, signal.SIGKILL)
        # The lock was given to one that is dead, and comes back without a word.
        assert lock.acquire_write(timeout=30)
        lock.release_write()
        doomed.join()


def test_a_thread_that_ends_gives_back_what_it_held(mode):
    lock = tarefa.RWLock()
    thread = threading.Thread(target=acquire, args=(lock, mode))
    thread.start()
    thread.join()
    if mode == "write":
        with pytest.raises(tarefa.OwnerDied, match="thread"):
            lock.acquire_write(timeout=20)
    assert lock.acquire_write(timeout=20) is True
    lock.release_write()


def test_tasks_killed_at_any_moment():
    def churn(lock, number):
        while True:
            try:
                with lock.write() if number % 2 else lock.read():
                    pass
            except tarefa.OwnerDied:
                pass

    lock = tarefa.RWLock()
    for _ in range(8):
        tasks = [tarefa.Process(target=churn, args=(lock, n)).start() for n in range(3)]
        time.sleep(0.03)
        for task in tasks:
            task.kill()
        for task in tasks:
            task.join()
        try:
            lock.acquire_write(timeout=30)
        except tarefa.OwnerDied:
            assert lock.acquire_write(timeout=30)
        lock.release_write()
        eventually(lambda: not lock.locked())


def test_it_is_one_lock_for_all(Task):
    lock = tarefa.RWLock()
    again = pickle.loads(pickle.dumps(lock))
    assert again == lock
    assert hash(again) == hash(lock)
    assert lock != tarefa.RWLock()
    with lock.write():
        assert again.locked()
        assert Task(target=lambda lock: lock.locked(), args=(lock,)).start().result()
    box = tarefa.List([lock])
    assert box[0] == lock


def test_repr():
    lock = tarefa.RWLock()
    assert "unlocked" in repr(lock)
    with lock.read():
        assert "readers=1" in repr(lock)
    with lock.write():
        assert "unlocked" not in repr(lock)
    with pytest.raises(TypeError):
        tarefa.RWLock(1)
