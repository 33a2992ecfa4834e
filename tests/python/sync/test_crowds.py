"""Many threads that one event, condition, lock or barrier wakes at once all go on."""

import os
import threading
import time

import pytest
from support import eventually, run_script

import tarefa

COUNT = 300


def _condition(it):
    with it:
        it.wait()


def _notify(it):
    with it:
        it.notify_all()


def _taken():
    lock = tarefa.Lock()
    lock.acquire()
    return lock


KINDS = {
    "Event": (tarefa.Event, lambda it: it.wait(), lambda it: it.set()),
    "Condition": (tarefa.Condition, _condition, _notify),
    "Lock": (_taken, lambda it: it.acquire() and it.release(), lambda it: it.release()),
    "Barrier": (lambda: tarefa.Barrier(COUNT + 1), lambda it: it.wait(), lambda it: it.wait()),
}


@pytest.fixture
def small_stacks():
    size = threading.stack_size(256 * 1024)
    yield
    threading.stack_size(size)


@pytest.mark.parametrize("kind", KINDS)
def test_all_go_on(kind, small_stacks):
    make, wait, wake = KINDS[kind]
    it, begun, through = make(), [], []

    def work():
        begun.append(None)
        wait(it)
        through.append(None)

    threads = [threading.Thread(target=work) for _ in range(COUNT)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(begun) == COUNT)
    time.sleep(0.05)
    wake(it)
    for thread in threads:
        thread.join()
    assert len(through) == COUNT


def test_a_fork_in_the_middle_of_them_leaves_a_child_that_can_wait(small_stacks):
    event, threads = tarefa.Event(), []
    for _ in range(COUNT):
        threads.append(threading.Thread(target=event.wait))
        threads[-1].start()
    time.sleep(0.05)
    event.set()
    # Many of them are on their way back by now.
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            waits = [tarefa.Event().wait(0.001) for _ in range(3)]
            os._exit(0 if waits == [False] * 3 else 1)
        assert os.waitpid(pid, 0)[1] == 0
    for thread in threads:
        thread.join()


def test_others_have_their_turn_beside_one_that_computes():
    event, through = tarefa.Event(), []

    def work():
        event.wait()
        through.append(None)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    event.set()
    # It never waits, so it has to be asked for the interpreter's lock each time.
    while len(through) < 20:
        pass
    for thread in threads:
        thread.join()


def test_the_interpreter_goes_down_while_they_come_back():
    for _ in range(3):
        run_script(
            """
            import threading, time
            import tarefa
            event = tarefa.Event()
            threading.stack_size(256 * 1024)
            for _ in range(100):
                threading.Thread(target=event.wait, daemon=True).start()
            time.sleep(0.05)
            kept = tarefa.List([tarefa.List([1])])
            event.set()
            """
        )
