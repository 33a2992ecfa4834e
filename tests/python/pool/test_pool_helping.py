"""Tasks that wait for tasks of their own pool, on threads: they run them meanwhile."""

import asyncio
import threading

import pytest
from support import eventually
from targets import double, fail_at_five

import tarefa


@pytest.fixture(params=["thread", "auto"])
def kind(request):
    return request.param


@pytest.fixture(params=[1, 2])
def pool(request, kind):
    with tarefa.Pool(request.param, kind) as made:
        yield made


def test_a_task_waits_for_a_task(pool):
    def outer(n):
        return pool.submit(double, n).result() + pool.apply(double, (n,))

    assert [pool.submit(outer, n).result(60) for n in range(20)] == [4 * n for n in range(20)]
    assert list(pool.map(outer, range(20))) == [4 * n for n in range(20)]


def test_a_task_waits_for_many(pool):
    def outer(n):
        found = sum(pool.map(double, range(n)))
        return found + sum(pool.imap_unordered(double, range(n)))

    assert list(pool.map(outer, [5, 500, 50])) == [2 * n * (n - 1) for n in (5, 500, 50)]


def test_deep_down(pool):
    def fibonacci(n):
        if n < 2:
            return n
        ahead = pool.submit(fibonacci, n - 1)
        return sum(pool.map(fibonacci, [n - 2])) + ahead.result()

    assert pool.submit(fibonacci, 9).result(60) == 34


def test_what_fails_is_told_to_who_waits_for_it(pool):
    def outer(n):
        try:
            return pool.submit(fail_at_five, n).result()
        except KeyError as error:
            return error.args

    assert pool.submit(outer, 5).result(60) == (5,)
    raised = pool.submit(lambda: list(pool.map(fail_at_five, [5]))).exception(60)
    assert isinstance(raised, KeyError)


def test_a_callback_waits_for_a_task(pool):
    told = threading.Event()
    got = []

    def ended(_):
        got.append(pool.submit(double, 4).result())
        told.set()

    go_on = threading.Event()
    future = pool.submit(go_on.wait, 50)
    future.add_done_callback(ended)
    go_on.set()
    assert told.wait(50)
    assert got == [8]


def test_it_has_its_own_context_and_no_lease_of_who_waits(kind):
    def inner():
        try:
            return tarefa.leased("one")
        except tarefa.StateError:
            return "none"

    with tarefa.Pool(1, kind, resources={"one": 1}) as pool:
        lock = threading.Lock()

        def outer():
            with lock:
                found = pool.submit(lambda: (lock.locked(), inner())).result()
            return found, tarefa.leased("one")

        future = pool.options(resources={"one": 1}, priority=3).submit(outer)
        assert future.result(60) == ((True, "none"), (0,))


def test_who_waits_has_its_time_limit(kind):
    with tarefa.Pool(1, kind) as pool:
        go_on, begun = tarefa.Event(), threading.Event()
        inner = []

        def wait():
            begun.set()  # which cannot travel, so this stays on threads
            return go_on.wait(50)

        def outer():
            inner.append(pool.submit(wait))
            return inner[0].result()

        future = pool.options(time_limit=0.1).submit(outer)
        assert isinstance(future.exception(60), tarefa.TimeLimitExceeded)
        assert isinstance(inner[0].exception(60), tarefa.TaskInterrupted)
        assert pool.submit(double, 2).result() == 4


def test_who_waits_is_running_and_can_be_cancelled(kind):
    with tarefa.Pool(1, kind) as pool:
        go_on, begun = tarefa.Event(), threading.Event()

        def wait():
            begun.set()
            return go_on.wait(50)

        future = pool.submit(lambda: pool.submit(wait).result())
        assert begun.wait(50)
        assert future.running()
        assert future.cancel(kill=True)
        assert pool.submit(double, 2).result(60) == 4
        eventually(lambda: pool.stats().running == 0)


def test_a_coroutine_that_blocks_its_loop_runs_nothing_else():
    with tarefa.Pool(2, "thread") as pool:

        async def inner():
            await asyncio.sleep(0)
            return 3

        async def outer():
            return pool.submit(inner).result()

        assert pool.submit(outer).result(60) == 3
