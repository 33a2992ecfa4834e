"""An initializer that fails, hangs, leaves or is killed: told once, clearly, by few processes."""

import functools
import os
import signal
import sys
import time

import pytest
from targets import double

import tarefa


def raises(begun):
    begun.append(os.getpid())
    raise LookupError("no table")


def leaves(begun):
    begun.append(os.getpid())
    sys.exit(0)


def exits(begun):
    begun.append(os.getpid())
    os._exit(0)


def is_killed(begun):
    begun.append(os.getpid())
    os.kill(os.getpid(), signal.SIGKILL)


def interrupts(begun):
    begun.append(os.getpid())
    raise KeyboardInterrupt


def broken_of(pool):
    """The error that all get who ask a pool that is broken, or becomes so."""
    try:
        error = pool.submit(double, 1).exception()
    except tarefa.BrokenPool as e:
        error = e
    assert isinstance(error, tarefa.BrokenPool)
    with pytest.raises(tarefa.BrokenPool):
        pool.submit(double, 1)
    with pytest.raises(tarefa.BrokenPool):
        list(pool.map(double, range(10)))
    return error


@pytest.mark.parametrize("initializer", [raises, leaves, exits, is_killed, interrupts])
@pytest.mark.parametrize("workers", [1, 3])
def test_what_fails_is_tried_by_no_more_processes_than_there_are_workers(initializer, workers):
    begun = tarefa.List()
    with tarefa.Pool(workers, initializer=initializer, initargs=(begun,)) as pool:
        error = broken_of(pool)
        assert f"its initializer {initializer.__name__} failed" in str(error)
        assert error.__cause__ is not None
    assert 1 <= len(begun) <= workers


@pytest.mark.parametrize("kind", ["process", "thread", "auto"])
def test_what_it_raised_is_the_cause_with_its_traceback(kind):
    with tarefa.Pool(2, kind, initializer=raises, initargs=(tarefa.List(),)) as pool:
        error = broken_of(pool)
    assert type(error.__cause__) is LookupError
    assert "LookupError: no table" in str(error)
    import traceback

    assert "in raises" in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("kind", ["process", "thread", "auto"])
def test_one_that_hangs_ends_at_its_limit(kind):
    hour = 3600
    limit = {"initializer_time_limit": 0.1}
    with tarefa.Pool(2, kind, initializer=time.sleep, initargs=(hour,), **limit) as pool:
        error = broken_of(pool)
        assert isinstance(error.__cause__, tarefa.TimeLimitExceeded)
        assert "initializer sleep ran longer than its time limit of 0.1 s" in str(error)


def holds_out():
    while True:
        try:
            time.sleep(3600)
        except BaseException:
            continue


def test_one_that_goes_on_after_its_limit_is_killed():
    with tarefa.Pool(1, initializer=holds_out, initializer_time_limit=0.05) as pool:
        error = broken_of(pool)
    assert isinstance(error.__cause__, tarefa.TimeLimitExceeded)
    assert isinstance(error.__cause__.__cause__, tarefa.WorkerDied)
    assert "was killed" in str(error)


def test_one_within_its_limit_is_left_alone(kind):
    began = tarefa.List()
    with tarefa.Pool(
        2, kind, initializer=began.append, initargs=(1,), initializer_time_limit=60
    ) as pool:
        assert list(pool.map(double, range(20))) == list(range(0, 40, 2))
    assert 1 <= len(began) <= 2


def test_who_waits_for_one_is_told():
    pool = tarefa.Pool(1, initializer=time.sleep, initargs=(3600,))
    future, results = pool.submit(double, 1), pool.map(double, range(3), timeout=0.02)
    for wait in (lambda: future.result(0.02), lambda: next(results)):
        with pytest.raises(TimeoutError, match=r"initializer sleep runs \(initializer_time_limit="):
            wait()
    pool.terminate()
    assert future.done()


def test_who_waits_for_a_task_is_told_nothing_of_it(kind):
    with tarefa.Pool(1, kind, initializer=int) as pool:
        assert pool.submit(double, 1).result() == 2
        future = pool.submit(time.sleep, 0.2)
        with pytest.raises(TimeoutError) as told:
            future.result(0.02)
        assert "initializer" not in str(told.value)


def test_a_worker_killed_in_its_initializer_is_replaced_where_others_were_ready():
    begun = tarefa.List()

    def begin():
        begun.append(os.getpid())
        if len(begun) in (2, 3):
            os.kill(os.getpid(), signal.SIGKILL)

    with tarefa.Pool(1, initializer=begin, tasks_per_worker=1) as pool:
        assert [pool.submit(double, n).result() for n in range(3)] == [0, 2, 4]
    assert len(begun) >= 5


def test_one_that_fails_in_a_later_worker_breaks_the_pool():
    begun = tarefa.List()

    def begin():
        begun.append(os.getpid())
        if len(begun) > 2:
            raise LookupError("gone meanwhile")

    with tarefa.Pool(1, initializer=begin, tasks_per_worker=1) as pool:
        assert [pool.submit(double, n).result() for n in range(2)] == [0, 2]
        error = pool.submit(double, 2).exception()
    assert isinstance(error, tarefa.BrokenPool)
    assert isinstance(error.__cause__, LookupError)
    assert len(begun) == 3


def test_large_arguments_of_one_arrive():
    data = os.urandom(1 << 20) * 32

    def begin(data):
        global size
        size = len(data)

    def found(_):
        return size

    with tarefa.Pool(2, initializer=begin, initargs=(data,)) as pool:
        assert set(pool.map(found, range(10))) == {len(data)}


@pytest.mark.parametrize(("limit", "error"), [(0, ValueError), (-1, ValueError), ("1", TypeError)])
def test_a_limit_that_is_none_is_refused(limit, error):
    with pytest.raises(error, match="initializer_time_limit must be a number of seconds"):
        tarefa.Pool(1, initializer=int, initializer_time_limit=limit)


async def notes(which, calls):
    import asyncio

    await asyncio.sleep(0)
    calls.append(which)


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_an_async_def_runs_as_initializer_and_as_finalizer(kind):
    calls = tarefa.List()
    with tarefa.Pool(
        1,
        kind,
        initializer=notes,
        initargs=("begins", calls),
        finalizer=functools.partial(notes, "ends", calls),
        initializer_time_limit=50,
    ) as pool:
        assert pool.submit(double, 2).result() == 4
        assert calls.snapshot() == ["begins"]
    assert calls.snapshot() == ["begins", "ends"]


async def fails():
    raise LookupError("no table")


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_what_an_async_one_raises_breaks_the_pool(kind):
    with tarefa.Pool(1, kind, initializer=fails) as pool:
        error = pool.submit(double, 2).exception()
    assert isinstance(error, tarefa.BrokenPool)
    assert isinstance(error.__cause__, LookupError)
