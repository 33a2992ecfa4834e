"""Resources of a pool, and priorities."""

import os
import signal
import time

import pytest
from support import eventually
from targets import double

import tarefa


def which():
    return tarefa.leased("connection")


def test_a_task_is_told_which_it_has(kind):
    with tarefa.Pool(2, kind, resources={"connection": 3, "gpu": ["a", "b"]}) as pool:
        one = pool.options(resources={"connection": 1})
        found = {one.submit(which).result() for _ in range(20)}
        assert found <= {(0,), (1,), (2,)}
        both = pool.options(resources={"connection": 2, "gpu": 2})
        numbers, items = both.submit(
            lambda: (tarefa.leased("connection"), tarefa.leased("gpu"))
        ).result()
        assert len(set(numbers)) == 2
        assert sorted(items) == ["a", "b"]
        assert isinstance(one.submit(tarefa.leased, "gpu").exception(), tarefa.StateError)
        assert isinstance(pool.submit(which).exception(), tarefa.StateError)
    with pytest.raises(tarefa.StateError, match="nothing of 'connection'"):
        tarefa.leased("connection")


def test_no_unit_is_had_twice(kind):
    users = tarefa.Array("i", 3, lock=False)
    most, lock = tarefa.Value("i", 0, lock=False), tarefa.Lock()

    def use():
        units = tarefa.leased("connection")
        with lock:
            for unit in units:
                users[unit] += 1
            most.value = max(most.value, *users)
        time.sleep(0.002)
        with lock:
            for unit in units:
                users[unit] -= 1

    with tarefa.Pool(4, kind, resources={"connection": 3}) as pool:
        amounts = [pool.options(resources={"connection": n % 3 + 1}) for n in range(24)]
        for future in [options.submit(use) for options in amounts]:
            future.result()
    assert most.value == 1
    assert list(users) == [0, 0, 0]


def test_what_needs_nothing_goes_on(kind):
    go_on = tarefa.Event()
    with tarefa.Pool(2, kind, resources={"connection": 1}) as pool:
        one = pool.options(resources={"connection": 1})
        first, second = one.submit(go_on.wait, 50), one.submit(which)
        assert pool.submit(double, 2).result() == 4
        assert list(pool.map(double, range(50))) == list(range(0, 100, 2))
        assert not second.done()
        go_on.set()
        assert (first.result(), second.result()) == (True, (0,))


def test_tasks_begin_though_nobody_asks_for_results(kind):
    done = tarefa.Counter()

    def count():
        done["n"] += 1

    with tarefa.Pool(2, kind, resources={"connection": 1}) as pool:
        for _ in range(6):
            pool.options(resources={"connection": 1}).submit(count)
        eventually(lambda: done["n"] == 6)


def test_the_end_of_a_pool_waits_for_what_waits(kind):
    with tarefa.Pool(2, kind, resources={"connection": 1}) as pool:
        futures = [pool.options(resources={"connection": 1}).submit(double, n) for n in range(9)]
    assert [future.result() for future in futures] == [2 * n for n in range(9)]


def test_terminate_cancels_what_waits(kind):
    pool = tarefa.Pool(1, kind, resources={"connection": 1})
    one = pool.options(resources={"connection": 1})
    futures = [one.submit(tarefa.Event().wait, 50) for _ in range(3)]
    eventually(futures[0].running)
    pool.terminate()
    assert all(future.done() for future in futures)


def test_what_waits_can_be_cancelled(kind):
    go_on = tarefa.Event()
    with tarefa.Pool(2, kind, resources={"connection": 1}) as pool:
        one = pool.options(resources={"connection": 1})
        first, second, third = one.submit(go_on.wait, 50), one.submit(which), one.submit(which)
        assert second.cancel()
        go_on.set()
        assert third.result() == (0,)
        assert first.result()
        assert second.cancelled()


def test_a_task_that_is_killed_gives_back_what_it_had():
    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def third_time():
        if tarefa.attempt() < 3:
            os._exit(1)
        return tarefa.leased("connection")

    with tarefa.Pool(2, resources={"connection": 1}) as pool:
        one = pool.options(resources={"connection": 1})
        for _ in range(3):
            assert isinstance(one.submit(die).exception(), tarefa.WorkerDied)
            assert one.submit(which).result() == (0,)
        again = pool.options(resources={"connection": 1}, retries=2)
        assert again.submit(third_time).result() == (0,)
        running = one.submit(time.sleep, 60)
        eventually(running.running)
        assert running.cancel(kill=True)
        assert one.submit(which).result() == (0,)
        late = pool.options(resources={"connection": 1}, time_limit=0.1)
        assert isinstance(late.submit(time.sleep, 60).exception(), tarefa.TimeLimitExceeded)
        assert one.submit(which).result() == (0,)


@pytest.mark.parametrize(
    ("resources", "error", "words"),
    [
        ({"connection": 5}, ValueError, "asks for 5 of 'connection', and .* has 4"),
        ({"gpu": 1}, ValueError, "no resource 'gpu'; it has 'connection'"),
        ({"connection": 0}, ValueError, "1 or more"),
        ({"connection": 1.5}, TypeError, "whole number"),
        (["connection"], TypeError, "must be a dict"),
    ],
)
def test_more_than_there_is_is_an_error_at_the_call(resources, error, words):
    with (
        tarefa.Pool(1, "thread", resources={"connection": 4}) as pool,
        pytest.raises(error, match=words),
    ):
        pool.options(resources=resources)


@pytest.mark.parametrize(
    ("resources", "error"),
    [({"a": 0}, ValueError), ({"a": []}, ValueError), ({1: 1}, TypeError), ("a", TypeError)],
)
def test_resources_that_are_none(resources, error):
    with pytest.raises(error):
        tarefa.Pool(1, "thread", resources=resources)


def test_a_higher_priority_goes_first(kind):
    go_on, order = tarefa.Event(), tarefa.List()
    with tarefa.Pool(1, kind) as pool:
        first = pool.submit(go_on.wait, 50)
        eventually(first.running)
        called = []
        early = [pool.submit(order.append, n) for n in range(3)]
        early[2].add_done_callback(called.append)
        pool.options(priority=5).submit(order.append, "high")
        pool.options(priority=-1).submit(order.append, "low")
        pool.options(priority=7).submit(order.append, "higher")
        pool.submit(order.append, 3)
        assert early[1].cancel()
        go_on.set()
        eventually(lambda: called == [early[2]])
    assert list(order) == ["higher", "high", 0, 2, 3, "low"]
    assert early[1].cancelled()
    assert early[2].result() is None


def test_arguments_are_those_of_the_call():
    go_on, given = tarefa.Event(), [1]
    with tarefa.Pool(1, resources={"connection": 1}) as pool:
        one = pool.options(resources={"connection": 1})
        one.submit(go_on.wait, 50)
        future = one.submit(sum, given)
        given.append(5)
        with pytest.raises(tarefa.NotPicklable, match=r"args\[0\]"):
            one.submit(sum, (n for n in given))
        go_on.set()
        assert future.result() == 1


def test_a_priority_that_is_none():
    with tarefa.Pool(1, "thread") as pool, pytest.raises(TypeError, match="whole number"):
        pool.options(priority="high")
