"""`Event` has the habits of threading's, for threads and processes alike."""

import pickle
import threading
import time

import pytest
from support import eventually, waited_for

import tarefa


def test_set_clear_is_set():
    event = tarefa.Event()
    assert event.is_set() is False
    assert event.set() is None
    assert event.is_set() is True
    event.set()
    assert event.clear() is None
    assert event.is_set() is False


def test_wait_says_whether_it_is_set():
    event = tarefa.Event()
    assert event.wait(0.02) is False
    assert event.wait(timeout=0) is False
    event.set()
    assert event.wait() is True
    assert event.wait(0) is True
    assert event.wait(None) is True


def test_a_waiter_is_woken(Task):
    event = tarefa.Event()
    task = Task(target=event.wait).start()
    time.sleep(0.05)
    assert task.is_alive()
    event.set()
    assert task.result() is True


def test_all_waiters_are_woken(Task):
    event, waiting = tarefa.Event(), tarefa.List()

    def wait(event, waiting):
        waiting.append(1)
        return event.wait()

    tasks = [Task(target=wait, args=(event, waiting)).start() for _ in range(6)]
    eventually(lambda: len(waiting) == 6)
    event.set()
    assert [task.result() for task in tasks] == [True] * 6


def test_a_waiter_that_slept_when_it_was_set_sees_it_even_if_it_is_cleared_at_once(Task):
    event, waiting = tarefa.Event(), tarefa.List()

    def wait(event, waiting):
        waiting.append(1)
        return event.wait()

    task = Task(target=wait, args=(event, waiting)).start()
    waited_for(event)
    time.sleep(0.05)
    event.set()
    event.clear()
    assert task.result() is True
    assert not event.is_set()


def test_a_task_sets_it(Task):
    event = tarefa.Event()
    Task(target=event.set).start()
    assert event.wait() is True


def test_ping_pong(Task):
    ping, pong = tarefa.Event(), tarefa.Event()

    def answer(ping, pong):
        for _ in range(300):
            ping.wait()
            ping.clear()
            pong.set()

    task = Task(target=answer, args=(ping, pong)).start()
    for _ in range(300):
        ping.set()
        assert pong.wait()
        pong.clear()
    task.result()


def test_it_is_one_event_for_all():
    event = tarefa.Event()
    again = pickle.loads(pickle.dumps(event))
    again.set()
    assert event.is_set()


def test_a_killed_waiter_disturbs_nobody():
    event, waiting = tarefa.Event(), tarefa.List()

    def wait(event, waiting):
        waiting.append(1)
        return event.wait()

    tasks = [tarefa.Process(target=wait, args=(event, waiting)).start() for _ in range(3)]
    eventually(lambda: len(waiting) == 3)
    time.sleep(0.05)
    tasks[0].kill()
    tasks[0].join()
    assert not event.is_set()
    event.set()
    assert [task.result() for task in tasks[1:]] == [True, True]


def test_setters_killed_at_any_moment_leave_a_working_event():
    event = tarefa.Event()

    def churn(event):
        while True:
            event.set()
            event.clear()

    for _ in range(5):
        task = tarefa.Process(target=churn, args=(event,)).start()
        event.wait(0.05)
        time.sleep(0.02)
        task.kill()
        task.join()
        event.clear()
        assert event.wait(0) is False
        event.set()
        assert event.wait() is True


def test_waiting_lets_other_threads_run():
    event, seen = tarefa.Event(), []
    thread = threading.Thread(target=lambda: (seen.append(1), event.set()))
    thread.start()
    assert event.wait()
    thread.join()
    assert seen == [1]


def test_repr_says_whether_it_is_set():
    event = tarefa.Event()
    assert "Event" in repr(event)
    assert "unset" in repr(event)
    event.set()
    assert "unset" not in repr(event)
    assert "set" in repr(event)


@pytest.mark.parametrize("timeout", [-1, -0.5, float("-inf"), float("nan"), 0])
def test_a_timeout_that_is_not_above_0(timeout):
    # As in threading.
    event = tarefa.Event()
    assert event.wait(timeout) is False
    event.set()
    assert event.wait(timeout) is True


@pytest.mark.parametrize(
    ("timeout", "error"),
    [(float("inf"), OverflowError), (1e300, OverflowError), ("1", TypeError), ([], TypeError)],
)
def test_a_timeout_that_is_none(timeout, error):
    with pytest.raises(error):
        tarefa.Event().wait(timeout)


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        (-1, ValueError),
        (float("nan"), ValueError),
        (float("inf"), OverflowError),
        ("1", TypeError),
        (None, TypeError),
    ],
)
def test_a_sleep_that_is_none(seconds, error):
    with pytest.raises(error):
        tarefa.sleep(seconds)
