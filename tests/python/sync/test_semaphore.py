"""`Semaphore` and `BoundedSemaphore` have the habits of the standard library's; what a killed task
held in a `with` comes back."""

import os
import pickle
import signal
import threading
import time

import pytest
from support import eventually, run_script

import tarefa

KINDS = ["Semaphore", "BoundedSemaphore"]


@pytest.fixture(params=KINDS)
def Semaphore(request):
    return getattr(tarefa, request.param)


def test_the_value_at_first(Semaphore):
    assert Semaphore().get_value() == 1
    assert Semaphore(value=3).get_value() == 3
    assert Semaphore(0).get_value() == 0
    with pytest.raises(ValueError, match=">= 0"):
        Semaphore(-1)
    with pytest.raises(TypeError):
        Semaphore("1")
    with pytest.raises(TypeError):
        Semaphore(1.5)


def test_acquire_and_release(Semaphore):
    semaphore = Semaphore(2)
    assert semaphore.acquire() is True
    assert not semaphore.locked()
    assert semaphore.acquire() is True
    assert semaphore.get_value() == 0
    assert semaphore.locked()
    assert semaphore.acquire(False) is False
    assert semaphore.release() is None
    assert semaphore.get_value() == 1


def test_with(Semaphore):
    semaphore = Semaphore(2)
    with semaphore as value:
        assert value is True
        assert semaphore.get_value() == 1
        with semaphore:
            assert semaphore.get_value() == 0
    assert semaphore.get_value() == 2
    with pytest.raises(LookupError), semaphore:
        raise LookupError
    assert semaphore.get_value() == 2


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
def test_without_permits_nothing_is_acquired(Semaphore, arguments):
    args, kwargs = arguments
    semaphore = Semaphore(1)
    assert semaphore.acquire(*args, **kwargs) is True
    assert semaphore.acquire(*args, **kwargs) is False
    semaphore.release()
    assert semaphore.get_value() == 1


def test_none_waits_for_ever():
    semaphore = tarefa.Semaphore(0)
    timer = threading.Timer(0.05, semaphore.release)
    timer.start()
    assert semaphore.acquire(timeout=None) is True
    timer.join()


def test_bad_timeouts():
    semaphore = tarefa.Semaphore(0)
    with pytest.raises(ValueError, match="non-blocking"):
        semaphore.acquire(False, timeout=1)
    for timeout in (-1, -2, -0.5, float("-inf")):
        # As in threading and in multiprocessing.
        assert semaphore.acquire(timeout=timeout) is False
    with pytest.raises(TypeError):
        semaphore.acquire(timeout="soon")
    assert semaphore.get_value() == 0


def test_release_of_several():
    semaphore = tarefa.Semaphore(0)
    semaphore.release(3)
    assert semaphore.get_value() == 3
    semaphore.release(n=2)
    assert semaphore.get_value() == 5
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="one or more"):
            semaphore.release(wrong)
    with pytest.raises(ValueError, match="too many times"):
        semaphore.release(2**63 - 1)
    assert semaphore.get_value() == 5


def test_a_bounded_one_is_not_released_too_often():
    semaphore = tarefa.BoundedSemaphore(2)
    with pytest.raises(ValueError, match="Semaphore released too many times") as caught:
        semaphore.release()
    assert str(caught.value).count("too many") == 1
    semaphore.acquire()
    with pytest.raises(ValueError, match="Semaphore released too many times"):
        semaphore.release(2)
    assert semaphore.get_value() == 1
    semaphore.release()
    assert semaphore.get_value() == 2
    assert isinstance(semaphore, tarefa.Semaphore)


def test_it_is_one_for_all(Semaphore, Task):
    def take(semaphore):
        return type(semaphore).__name__, semaphore.acquire(False), semaphore.acquire(False)

    semaphore = Semaphore(2)
    semaphore.acquire()
    task = Task(target=take, args=(semaphore,)).start()
    assert task.result() == (Semaphore.__name__, True, False)
    again = pickle.loads(pickle.dumps(semaphore))
    assert again == semaphore
    assert type(again) is Semaphore
    assert again.get_value() == 0
    assert again.bound == semaphore.bound


def test_it_counts_tasks(Task):
    """No more than two inside at once, and two there are."""

    def work(semaphore, lock, inside):
        for _ in range(50):
            with semaphore:
                with lock:
                    inside[0] += 1
                    inside[1] = max(inside[0], inside[1])
                if inside[0] == 1:
                    time.sleep(0.0005)
                with lock:
                    inside[0] -= 1

    semaphore, lock, inside = tarefa.BoundedSemaphore(2), tarefa.Lock(), tarefa.List([0, 0])
    tasks = [Task(target=work, args=(semaphore, lock, inside)).start() for _ in range(4)]
    for task in tasks:
        task.result()
    assert inside == [0, 2]
    assert semaphore.get_value() == 2


def test_release_wakes_as_many_as_it_gives(Task):
    def wait(semaphore, got):
        semaphore.acquire()
        got.append(1)

    semaphore, got = tarefa.Semaphore(0), tarefa.List()
    tasks = [Task(target=wait, args=(semaphore, got)).start() for _ in range(5)]
    semaphore.release(3)
    eventually(lambda: len(got) == 3)
    time.sleep(0.05)
    assert len(got) == 3
    semaphore.release(2)
    for task in tasks:
        task.result()
    assert semaphore.get_value() == 0


def waiters(semaphore, order, count, Task):
    """Tasks that wait in the order of their numbers."""

    def wait(semaphore, order, number):
        semaphore.acquire()
        order.append(number)

    tasks = []
    for number in range(count):
        tasks.append(Task(target=wait, args=(semaphore, order, number)).start())
        eventually(lambda upto=number + 1: semaphore.n_waiting == upto)
    return tasks


def test_first_come_first_served(Task):
    semaphore, order = tarefa.Semaphore(0), tarefa.List()
    tasks = waiters(semaphore, order, 5, Task)
    for number in range(5):
        semaphore.release()
        eventually(lambda upto=number + 1: len(order) == upto)
    assert order == list(range(5))
    for task in tasks:
        task.result()


def test_who_comes_late_does_not_overtake(Task):
    semaphore, order = tarefa.Semaphore(0), tarefa.List()
    (task,) = waiters(semaphore, order, 1, Task)
    assert semaphore.acquire(timeout=0.02) is False
    semaphore.release()
    assert task.result() is None
    assert semaphore.get_value() == 0


def test_who_gives_up_takes_nothing_along(Task):
    def hasty(semaphore):
        return semaphore.acquire(timeout=0.1)

    semaphore = tarefa.Semaphore(0)
    task = Task(target=hasty, args=(semaphore,)).start()
    patient = Task(target=semaphore.acquire).start()
    assert task.result() is False
    eventually(lambda: semaphore.n_waiting == 1)
    semaphore.release()
    patient.result()
    assert semaphore.get_value() == 0


def test_an_interrupted_waiter_takes_nothing_along(Task):
    def wait(semaphore):
        with semaphore:
            pass

    semaphore = tarefa.Semaphore(0)
    for _ in range(10):
        task = Task(target=wait, args=(semaphore,)).start()
        time.sleep(0.02)
        task.interrupt()
        semaphore.release()
        task.join()
        assert task.state in {tarefa.State.FINISHED, tarefa.State.INTERRUPTED}
        assert semaphore.acquire(timeout=20)
    assert semaphore.get_value() == 0


def test_handlers_of_signals_may_wait_inside_a_wait():
    semaphore, depth = tarefa.Semaphore(0), []

    def handler(*_):
        depth.append(1)
        if len(depth) < 3:
            os.kill(os.getpid(), signal.SIGUSR1)
            semaphore.acquire(timeout=0.05)
        else:
            with semaphore:
                pass

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        timer = threading.Timer(0.2, lambda: semaphore.release(4))
        threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
        timer.start()
        assert semaphore.acquire() is True
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(depth) == 3
    eventually(lambda: semaphore.get_value() >= 1)


def hold(semaphore, ready):
    with semaphore, semaphore:
        ready.set()
        threading.Event().wait()


def test_a_permit_held_in_a_with_comes_back_from_a_killed_process(Semaphore):
    semaphore, ready = Semaphore(3), tarefa.Event()
    task = tarefa.Process(target=hold, args=(semaphore, ready)).start()
    ready.wait()
    assert semaphore.get_value() == 1
    task.kill()
    task.join()
    eventually(lambda: semaphore.get_value() == 3)


def test_waiters_get_what_the_killed_held(Task):
    semaphore, ready, order = tarefa.BoundedSemaphore(2), tarefa.Event(), tarefa.List()
    task = tarefa.Process(target=hold, args=(semaphore, ready)).start()
    ready.wait()
    tasks = waiters(semaphore, order, 2, Task)
    task.kill()
    for task in tasks:
        task.result()
    assert sorted(order) == [0, 1]
    semaphore.release(2)
    with pytest.raises(ValueError, match="too many times"):
        semaphore.release()


def test_a_permit_taken_plainly_stays_taken():
    semaphore = tarefa.Semaphore(2)
    tarefa.Process(target=semaphore.acquire).start().result()
    time.sleep(0.05)
    assert semaphore.get_value() == 1
    tarefa.Process(target=semaphore.release).start().result()
    assert semaphore.get_value() == 2


def test_a_permit_given_back_early_comes_back_once():
    def work(semaphore, ready):
        with semaphore:
            semaphore.release()
            ready.set()
            threading.Event().wait()

    semaphore, ready = tarefa.Semaphore(2), tarefa.Event()
    task = tarefa.Process(target=work, args=(semaphore, ready)).start()
    ready.wait()
    assert semaphore.get_value() == 2
    task.kill()
    task.join()
    time.sleep(0.1)
    assert semaphore.get_value() == 2


def test_a_killed_waiter_disturbs_nobody():
    semaphore, order = tarefa.Semaphore(0), tarefa.List()
    tasks = waiters(semaphore, order, 3, tarefa.Process)
    tasks[0].kill()
    tasks[0].join()
    semaphore.release(2)
    for task in tasks[1:]:
        task.result()
    assert sorted(order) == [1, 2]
    assert semaphore.get_value() == 0


def test_permits_are_neither_lost_nor_made_when_tasks_are_killed():
    def churn(semaphore):
        while True:
            with semaphore:
                pass

    semaphore = tarefa.BoundedSemaphore(2)
    for _ in range(8):
        tasks = [tarefa.Process(target=churn, args=(semaphore,)).start() for _ in range(3)]
        time.sleep(0.03)
        for task in tasks:
            task.kill()
        for task in tasks:
            task.join()
        eventually(lambda: semaphore.get_value() == 2)


def test_a_subclass():
    class Named(tarefa.Semaphore):
        def __init__(self, name, value):
            super().__init__(value)
            self.name = name

    semaphore = Named("mine", 4)
    assert semaphore.get_value() == 4
    assert "Named" in repr(semaphore)


def test_it_is_told_apart(Semaphore):
    one, other = Semaphore(), Semaphore()
    assert one != other
    assert hash(one) == hash(one)
    assert one != 3
    assert "value=1" in repr(one)
    assert Semaphore.__name__ in repr(one)
    assert ("/1" in repr(one)) is (Semaphore is tarefa.BoundedSemaphore)


@pytest.mark.parametrize(
    ("make", "wait", "end"),
    [
        ("Semaphore(0)", "it.acquire()", "it.release()"),
        ("Barrier(2)", "it.wait()", "it.wait()"),
        ("RWLock()", "it.acquire_read()", "go.set()"),
        ("Condition()", "wait()", "notify()"),
    ],
)
def test_a_fork_inside_a_wait_leaves_the_wait_to_the_parent(make, wait, end):
    run_script(
        f"""
        import os, signal, threading, time, tarefa

        it, go, main = tarefa.{make}, tarefa.Event(), os.getpid()

        def wait():
            with it:
                it.wait()

        def notify():
            with it:
                it.notify()

        def write(ready):
            with it.write():
                ready.set()
                go.wait()

        if type(it) is tarefa.RWLock:
            ready = tarefa.Event()
            threading.Thread(target=write, args=(ready,)).start()
            ready.wait()

        def handler(*_):
            global child
            child = os.fork()

        signal.signal(signal.SIGUSR1, handler)
        threading.Timer(0.1, os.kill, (main, signal.SIGUSR1)).start()
        threading.Timer(0.5, lambda: {end}).start()
        try:
            {wait}
        except (KeyboardInterrupt, RuntimeError):
            os._exit(7 if os.getpid() != main else 1)
        assert os.getpid() == main
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        if type(it) is tarefa.RWLock:
            assert it.readers == 1
        elif type(it) is not tarefa.Barrier:
            assert it.n_waiting == 0
        """
    )
