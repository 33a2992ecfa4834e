"""`Lock` has the habits of the standard library's, and says once that its owner died."""

import inspect
import multiprocessing
import os
import pickle
import signal
import threading
import time

import pytest
import targets
from locking import hold, killed_owner, sleeping, take
from support import eventually, run_script

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


# What the documentation of threading and of multiprocessing says, beyond the above.


def test_the_constructor_takes_nothing():
    for arguments in [(1,), ("x",), (None,)]:
        with pytest.raises(TypeError):
            tarefa.Lock(*arguments)
    with pytest.raises(TypeError):
        tarefa.Lock(name="x")


def test_releasing_what_is_not_held():
    lock = tarefa.Lock()
    with pytest.raises(RuntimeError, match="not held"):
        lock.release()
    with lock:
        pass
    with pytest.raises(RuntimeError, match="not held"):
        lock.release()
    assert lock.acquire(False)
    lock.release()


@pytest.mark.parametrize(
    ("args", "kwargs", "error"),
    [
        ((False, 1), {}, ValueError),
        ((False, 0), {}, ValueError),
        ((True, -2), {}, ValueError),
        ((True, -0.5), {}, ValueError),
        ((True, float("nan")), {}, ValueError),
        ((True, "1"), {}, TypeError),
        ((True, [1]), {}, TypeError),
        ((), {"wait": True}, TypeError),
        ((True, 1, 2), {}, TypeError),
    ],
)
def test_arguments_that_make_no_sense(args, kwargs, error):
    lock = tarefa.Lock()
    with pytest.raises(error):
        lock.acquire(*args, **kwargs)
    assert not lock.locked()
    assert lock.acquire(False, -1)
    lock.release()


@pytest.mark.parametrize("timeout", [1e9, threading.TIMEOUT_MAX])
def test_a_long_timeout(timeout):
    lock = tarefa.Lock()
    assert lock.acquire(timeout=timeout)
    lock.release()


@pytest.mark.parametrize("timeout", [threading.TIMEOUT_MAX + 1, 1e300, float("inf"), 10**400])
@pytest.mark.parametrize("Lock", [tarefa.Lock, tarefa.RLock])
def test_longer_than_timeout_max(Lock, timeout):
    lock = Lock()
    with pytest.raises(OverflowError):
        lock.acquire(timeout=timeout)
    assert not lock.locked()


@pytest.mark.parametrize(
    "kwargs",
    [{"block": False}, {"block": False, "timeout": 9}, {"block": True, "timeout": -3}],
)
def test_block_is_as_in_multiprocessing(kwargs):
    ours, theirs = tarefa.Lock(), multiprocessing.Lock()
    for lock in (ours, theirs):
        assert lock.acquire(**kwargs) is True
        assert lock.acquire(**kwargs) is False
        lock.release()


def test_the_old_names():
    lock = tarefa.Lock()
    assert lock.acquire_lock()
    assert lock.locked()
    lock.release_lock()
    assert not lock.locked()


def test_the_timeout_is_waited_for():
    lock = tarefa.Lock()
    lock.acquire()
    start = time.monotonic()
    assert lock.acquire(timeout=0.2) is False
    assert time.monotonic() - start >= 0.2
    lock.release()


def test_it_has_all_public_names_of_threadings():
    names = {name for name in dir(threading.Lock()) if not name.startswith("_")}
    assert names - {"locked_lock"} <= set(dir(tarefa.Lock()))
    for name in ("acquire", "release", "locked", "owner"):
        assert inspect.getdoc(getattr(tarefa.Lock, name))


def test_equality_is_of_the_lock():
    lock, other = tarefa.Lock(), tarefa.Lock()
    copy = pickle.loads(pickle.dumps(lock))
    assert copy == lock
    assert hash(copy) == hash(lock)
    assert lock != other
    assert lock != tarefa.RLock()


def test_a_condition_of_threading_on_it():
    condition = threading.Condition(tarefa.Lock())
    said = []

    def say():
        with condition:
            said.append(1)
            condition.notify()

    with condition:
        thread = threading.Thread(target=say)
        thread.start()
        assert condition.wait_for(lambda: said, timeout=20)
    thread.join()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_in_a_process_of_multiprocessing(method, kind):
    run_script(
        f"""
        import multiprocessing, tarefa

        def take(lock, done):
            with lock:
                done.set()

        if __name__ == "__main__":
            lock, done = tarefa.{kind}(), tarefa.Event()
            child = multiprocessing.get_context("{method}").Process(target=take, args=(lock, done))
            with lock:
                child.start()
                assert not done.wait(0.3)
            assert done.wait(30)
            child.join()
            assert child.exitcode == 0
            assert not lock.locked()
        """
    )


# Who holds it.


def test_owner_of_nobody():
    lock = tarefa.Lock()
    assert lock.owner() is None
    with lock:
        pass
    assert lock.owner() is None


def test_owner_that_is_no_task():
    lock = tarefa.Lock()
    before = time.time()
    with lock:
        owner = lock.owner()
    assert owner.task is None
    assert owner.pid == os.getpid()
    assert owner.thread == threading.get_native_id()
    assert before - 0.1 <= owner.since <= time.time() + 0.1


def test_owner_seen_from_elsewhere(Task):
    def look(lock):
        owner = lock.owner()
        return owner.task, owner.pid, owner.thread, owner.since

    lock, ready, go = tarefa.Lock(), tarefa.Event(), tarefa.Event()
    before = time.time()
    holder = Task(target=hold, args=(lock, ready, go), name="the holder").start()
    ready.wait()
    owner = lock.owner()
    elsewhere = tarefa.Process(target=look, args=(lock,)).start().result()
    go.set()
    holder.join()
    assert owner.task.name == "the holder"
    assert (owner.pid, owner.thread) == (holder.pid, holder.native_id)
    assert before - 0.1 <= owner.since <= time.time()
    assert elsewhere[0].name == "the holder"
    assert elsewhere[1:3] == owner[1:3]
    assert abs(elsewhere[3] - owner.since) < 0.1
    assert lock.owner() is None


def test_a_dead_owner_is_nobody():
    lock = tarefa.Lock()
    killed_owner(lock)
    assert lock.owner() is None
    assert not lock.locked()
    with pytest.raises(tarefa.OwnerDied):
        lock.acquire()


def test_in_a_child_of_fork_the_parents_lock_is_the_parents():
    lock = tarefa.Lock()
    with lock:
        child = os.fork()
        if child == 0:
            held = lock.owner().pid == os.getppid() and not lock.acquire(False)
            os._exit(0 if held else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert lock.owner().pid == os.getpid()


def test_the_death_of_a_child_of_fork_is_told():
    lock = tarefa.Lock()
    child = os.fork()
    if child == 0:
        lock.acquire()
        os._exit(0)
    os.waitpid(child, 0)
    eventually(lambda: not lock.locked())
    with pytest.raises(tarefa.OwnerDied, match=str(child)):
        lock.acquire(timeout=20)
    assert take(lock) == "got"


# Waits that end.


def test_a_wait_is_interrupted(Task):
    lock = tarefa.Lock()

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
        assert lock.owner().pid == os.getpid()
    assert take(lock) == "got"


def test_a_signal_ends_a_wait_with_what_its_handler_raises():
    lock = tarefa.Lock()

    def handler(*_):
        raise LookupError

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with lock:
            timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
            timer.start()
            with pytest.raises(LookupError):
                lock.acquire()
            timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert take(lock) == "got"


def test_a_handler_that_returns_does_not_end_the_wait():
    lock, calls = tarefa.Lock(), []
    before = signal.signal(signal.SIGUSR1, lambda *_: calls.append(lock.acquire(False)))
    try:
        lock.acquire()
        timers = [
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)),
            threading.Timer(0.3, lock.release),
        ]
        for timer in timers:
            timer.start()
        assert lock.acquire(timeout=20)
        for timer in timers:
            timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert calls == [False]
    lock.release()


def test_a_handler_that_forks_in_the_middle_of_a_wait():
    run_script(
        """
        import os, signal, threading, tarefa

        lock = tarefa.Lock()
        codes = []

        def handler(*_):
            child = os.fork()
            if child:
                codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

        signal.signal(signal.SIGUSR1, handler)
        me = os.getpid()
        lock.acquire()
        timers = [threading.Timer(0.2, os.kill, (me, signal.SIGUSR1)),
                  threading.Timer(1, lock.release)]
        for timer in timers:
            timer.start()
        try:
            assert lock.acquire(timeout=30)
        except KeyboardInterrupt:
            # The wait was the parent's.
            assert os.getpid() != me
            assert lock.owner().pid == me and not lock.acquire(False)
            os._exit(7)
        assert os.getpid() == me and lock.owner().pid == me
        lock.release()
        assert codes == [7], codes
        """
    )


def test_many_wait_and_some_give_up(Task):
    """Those who do not give up get it all the same."""

    def want(lock, count, timeout):
        got = 0
        for _ in range(count):
            if lock.acquire(timeout=timeout):
                time.sleep(0.0005)
                lock.release()
                got += 1
        return got

    lock = tarefa.Lock()
    patient = [Task(target=want, args=(lock, 60, -1)).start() for _ in range(2)]
    hasty = [Task(target=want, args=(lock, 60, 0.0012)).start() for _ in range(3)]
    assert [task.result() for task in patient] == [60, 60]
    assert all(task.result() <= 60 for task in hasty)
    assert take(lock) == "got"


def test_nobody_starves(Task):
    """Against two that take it again at once, a third gets it as often as it asks."""

    def greedy(lock, go):
        while not go.is_set():
            with lock:
                time.sleep(0.001)

    def modest(lock):
        for _ in range(20):
            with lock:
                pass
        return "done"

    lock, go = tarefa.Lock(), tarefa.Event()
    tasks = [Task(target=greedy, args=(lock, go)).start() for _ in range(2)]
    assert Task(target=modest, args=(lock,)).start().result() == "done"
    go.set()
    for task in tasks:
        task.result()


def test_as_a_signal_between_tasks(Task):
    """A plain lock is taken by one and let go by another, again and again."""

    def pong(ping, pong):
        for _ in range(200):
            ping.acquire()
            pong.release()

    first, second = tarefa.Lock(), tarefa.Lock()
    first.acquire()
    second.acquire()
    task = Task(target=pong, args=(first, second)).start()
    for _ in range(200):
        first.release()
        second.acquire()
    task.result()
    assert second.locked()
    # The other took it last: a thread still has it, a process has ended with it, or is about to.
    if Task is tarefa.Thread:
        assert take(first, 0.01) == "timeout"
    else:
        assert take(first) == "owner died"


def test_waiters_with_the_lock_reserved_for_a_killed_one():
    """Killed while they wait, are woken, or are about to take it: the others go on."""

    def want(lock):
        while True:
            take(lock)

    lock = tarefa.Lock()
    for round_ in range(6):
        tasks = [tarefa.Process(target=want, args=(lock,)).start() for _ in range(3)]
        time.sleep(0.01 + 0.004 * round_)
        for task in tasks:
            task.kill()
        for task in tasks:
            task.join()
        assert take(lock, timeout=30) in ("got", "owner died")
    assert take(lock, timeout=30) == "got"
