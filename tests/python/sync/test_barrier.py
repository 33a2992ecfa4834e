"""`Barrier` has the habits of threading's; a party that is killed breaks it, and the others are
told who it was."""

import os
import pickle
import signal
import threading
import time

import pytest
from support import eventually

import tarefa


def start(Task, barrier, count, timeout=None):
    """Tasks that come to the barrier."""
    return [Task(target=barrier.wait, args=(timeout,)).start() for _ in range(count)]


def come(barrier, count):
    eventually(lambda: barrier.n_waiting == count)


def broken(task):
    error = task.exception()
    assert isinstance(error, tarefa.BrokenBarrierError), error
    return str(error)


def test_one_party_never_waits():
    barrier = tarefa.Barrier(1)
    assert [barrier.wait(), barrier.wait(timeout=0)] == [0, 0]
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (1, 0, False)


@pytest.mark.parametrize("wrong", [0, -1])
def test_no_parties(wrong):
    with pytest.raises(ValueError, match="parties"):
        tarefa.Barrier(wrong)


def test_bad_arguments():
    with pytest.raises(TypeError):
        tarefa.Barrier()
    with pytest.raises(TypeError):
        tarefa.Barrier("two")
    with pytest.raises(TypeError, match="callable"):
        tarefa.Barrier(2, action=3)
    with pytest.raises(TypeError):
        tarefa.Barrier(2, timeout="soon")
    with pytest.raises(OverflowError, match="TIMEOUT_MAX"):
        tarefa.Barrier(2, timeout=1e10)


def test_a_negative_timeout_is_over_at_once():
    # As in threading.
    for barrier, timeout in ((tarefa.Barrier(2), -1), (tarefa.Barrier(2, timeout=-1), None)):
        with pytest.raises(tarefa.BrokenBarrierError):
            barrier.wait(timeout)
        assert barrier.broken
    assert tarefa.Barrier(1, timeout=-1).wait() == 0


def test_all_go_on_together(Task):
    def work(barrier, before, after):
        before.append(1)
        index = barrier.wait()
        after.append(len(before))
        return index

    barrier, before, after = tarefa.Barrier(4), tarefa.List(), tarefa.List()
    tasks = [Task(target=work, args=(barrier, before, after)).start() for _ in range(4)]
    assert sorted(task.result() for task in tasks) == [0, 1, 2, 3]
    assert after == [4] * 4


def test_it_waits(Task):
    barrier = tarefa.Barrier(3)
    tasks = start(Task, barrier, 2)
    come(barrier, 2)
    time.sleep(0.05)
    assert all(task.is_alive() for task in tasks)
    assert barrier.wait() == 2
    assert sorted(task.result() for task in tasks) == [0, 1]
    assert barrier.n_waiting == 0


def test_many_rounds(Task):
    def work(barrier, counts, number):
        for turn in range(200):
            counts[number] = turn
            barrier.wait()
            assert all(count == turn for count in counts)
            barrier.wait()

    barrier, counts = tarefa.Barrier(3), tarefa.List([0] * 3)
    tasks = [Task(target=work, args=(barrier, counts, number)).start() for number in range(3)]
    for task in tasks:
        task.result()
    assert barrier.n_waiting == 0


def test_more_tasks_than_parties(Task):
    """As many rounds as there are, each of so many parties."""
    barrier = tarefa.Barrier(2)
    tasks = start(Task, barrier, 6)
    assert sorted(task.result() for task in tasks) == [0, 0, 0, 1, 1, 1]


def test_threads_and_processes_meet():
    barrier = tarefa.Barrier(4)
    tasks = start(tarefa.Thread, barrier, 2) + start(tarefa.Process, barrier, 1)
    barrier.wait()
    for task in tasks:
        task.result()


def test_the_action_runs_once_before_all_go_on(Task):
    def work(barrier, done):
        barrier.wait()
        return len(done)

    done = tarefa.List()
    barrier = tarefa.Barrier(3, action=lambda: done.append(os.getpid()))
    tasks = [Task(target=work, args=(barrier, done)).start() for _ in range(2)]
    assert work(barrier, done) == 1
    assert [task.result() for task in tasks] == [1, 1]
    assert len(done) == 1


def test_the_action_runs_in_another_process():
    """It travels, and what it does is seen; state of the starter's own it has as a copy."""
    done = tarefa.List()

    def action():
        done.append(os.getpid())

    barrier = tarefa.Barrier(2, action)
    early = tarefa.Thread(target=barrier.wait).start()
    come(barrier, 1)
    task = tarefa.Process(target=barrier.wait).start()
    assert task.result() == 1
    early.result()
    assert done == [task.pid]


def test_an_action_that_does_not_travel_runs_here_only():
    lock, done = threading.Lock(), []

    def action():
        with lock:
            done.append(1)

    barrier = tarefa.Barrier(2, action)
    task = tarefa.Process(target=barrier.wait).start()
    come(barrier, 1)
    barrier.wait()
    task.result()
    assert done == [1]
    early = tarefa.Thread(target=barrier.wait).start()
    come(barrier, 1)
    late = tarefa.Process(target=barrier.wait).start()
    error = late.exception()
    assert isinstance(error, tarefa.NotPicklable)
    assert "action" in str(error)
    assert "lock" in str(error)
    assert "action" in broken(early)
    assert barrier.broken


def test_an_action_that_mentions_its_barrier():
    barrier = tarefa.Barrier(1, action=lambda: box[0].n_waiting)
    box = [barrier]
    assert tarefa.Process(target=barrier.wait).start().result() == 0
    del box[:]


def test_an_action_that_fails_breaks_the_barrier(Task):
    def action():
        raise LookupError("no")

    barrier = tarefa.Barrier(2, action)
    task = Task(target=barrier.wait).start()
    come(barrier, 1)
    with pytest.raises(LookupError, match="no"):
        barrier.wait()
    assert "action" in broken(task)
    assert barrier.broken
    with pytest.raises(tarefa.BrokenBarrierError):
        barrier.wait()
    barrier.reset()
    assert not barrier.broken


def test_who_comes_while_the_action_runs_belongs_to_the_next_round(Task):
    inside, go = tarefa.Event(), tarefa.Event()

    def action():
        inside.set()
        go.wait()

    barrier = tarefa.Barrier(2, action)
    tasks = start(Task, barrier, 2)
    inside.wait()
    late = Task(target=barrier.wait).start()
    time.sleep(0.05)
    assert late.is_alive()
    go.set()
    assert sorted(task.result() for task in tasks) == [0, 1]
    come(barrier, 1)
    assert barrier.wait() == 1
    assert late.result() == 0


def test_a_timeout_breaks_the_barrier(Task):
    barrier = tarefa.Barrier(3)
    task = Task(target=barrier.wait).start()
    come(barrier, 1)
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(0.05)
    assert "time" in broken(task)
    assert barrier.broken
    assert barrier.n_waiting == 0
    assert "broken" in repr(barrier)


def test_the_timeout_of_the_constructor(Task):
    barrier = tarefa.Barrier(2, timeout=0.05)
    assert "time" in broken(Task(target=barrier.wait).start())
    barrier.reset()
    task = Task(target=barrier.wait, args=(20,)).start()
    come(barrier, 1)
    time.sleep(0.1)
    assert barrier.wait() == 1
    assert task.result() == 0


def test_abort(Task):
    barrier = tarefa.Barrier(3)
    tasks = start(Task, barrier, 2)
    come(barrier, 2)
    barrier.abort()
    assert all("aborted" in broken(task) for task in tasks)
    assert barrier.broken
    with pytest.raises(tarefa.BrokenBarrierError):
        barrier.wait()
    barrier.abort()
    barrier.reset()
    assert not barrier.broken
    tasks = start(Task, barrier, 2)
    barrier.wait()
    for task in tasks:
        task.result()


def test_reset_sends_those_who_wait_away(Task):
    barrier = tarefa.Barrier(3)
    tasks = start(Task, barrier, 2)
    come(barrier, 2)
    barrier.reset()
    assert all("reset" in broken(task) for task in tasks)
    assert not barrier.broken
    assert barrier.n_waiting == 0
    barrier.reset()
    tasks = start(Task, barrier, 2)
    assert barrier.wait(20) in {0, 1, 2}
    for task in tasks:
        task.result()


def test_reset_again_and_again_while_others_wait(Task):
    def work(barrier, stop, met):
        failed = 0
        while not stop.is_set():
            try:
                barrier.wait(0.5)
            except tarefa.BrokenBarrierError:
                failed += 1
                if failed == 1:
                    met.release()
        return failed

    barrier, stop, met = tarefa.Barrier(4), tarefa.Event(), tarefa.Semaphore(0)
    tasks = [Task(target=work, args=(barrier, stop, met)).start() for _ in range(3)]
    resets = begun = 0
    while resets < 100 or begun < 3:
        barrier.reset()
        time.sleep(0.001)
        resets += 1
        begun += met.acquire(blocking=False)
    stop.set()
    while any(task.is_alive() for task in tasks):
        barrier.reset()
        time.sleep(0.005)
    assert sum(task.result() for task in tasks) > 0


def test_an_interrupted_party_does_not_count(Task):
    barrier = tarefa.Barrier(2)
    task = Task(target=barrier.wait).start()
    come(barrier, 1)
    task.interrupt()
    task.join()
    assert task.state is tarefa.State.INTERRUPTED
    assert not barrier.broken
    come(barrier, 0)
    other = Task(target=barrier.wait).start()
    come(barrier, 1)
    barrier.wait()
    other.result()


def test_a_killed_party_breaks_the_barrier(Task):
    barrier = tarefa.Barrier(3)
    doomed = tarefa.Process(target=barrier.wait).start()
    come(barrier, 1)
    task = Task(target=barrier.wait).start()
    come(barrier, 2)
    doomed.kill()
    message = broken(task)
    assert str(doomed.pid) in message
    assert "died" in message
    assert barrier.broken
    with pytest.raises(tarefa.BrokenBarrierError, match=str(doomed.pid)):
        barrier.wait()
    barrier.reset()
    tasks = start(Task, barrier, 2)
    barrier.wait()
    for task in tasks:
        task.result()


def test_one_killed_while_it_runs_the_action_breaks_the_barrier(Task):
    barrier = tarefa.Barrier(2, action=lambda: os.kill(os.getpid(), signal.SIGKILL))
    task = Task(target=barrier.wait).start()
    come(barrier, 1)
    doomed = tarefa.Process(target=barrier.wait).start()
    assert str(doomed.pid) in broken(task)
    assert isinstance(doomed.exception(), tarefa.WorkerDied)


def test_parties_killed_at_any_moment():
    def churn(barrier):
        while True:
            try:
                barrier.wait()
            except tarefa.BrokenBarrierError:
                barrier.reset()

    barrier = tarefa.Barrier(2)
    for _ in range(6):
        tasks = [tarefa.Process(target=churn, args=(barrier,)).start() for _ in range(3)]
        time.sleep(0.04)
        for task in tasks:
            task.kill()
        for task in tasks:
            task.join()
        time.sleep(0.01)
        barrier.reset()
        task = tarefa.Thread(target=barrier.wait).start()
        come(barrier, 1)
        barrier.wait()
        task.result()


def test_it_is_one_barrier_for_all():
    barrier = tarefa.Barrier(2, timeout=7)
    again = pickle.loads(pickle.dumps(barrier))
    assert again == barrier
    assert hash(again) == hash(barrier)
    assert again.parties == 2
    thread = threading.Thread(target=again.wait)
    thread.start()
    barrier.wait()
    thread.join()
    assert barrier != tarefa.Barrier(2)
    assert "waiters=0/2" in repr(barrier)


def test_it_may_be_in_a_list():
    numbers = tarefa.List()
    barrier = tarefa.Barrier(1, action=lambda: numbers.append(1))
    box = tarefa.List([barrier])

    def work(box):
        box[0].wait()

    tarefa.Process(target=work, args=(box,)).start().result()
    assert numbers == [1]


def test_a_subclass():
    class Two(tarefa.Barrier):
        def __init__(self):
            super().__init__(2)

    assert Two().parties == 2
