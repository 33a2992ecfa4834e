"""Batches of short tasks, whose results are told several at once."""

import itertools
import os
import signal
import time
import weakref

import pytest
from support import eventually

import tarefa

COUNT = 3000


def nothing(_):
    return None


def of_all_kinds(n):
    kinds = [None, True, n, -n, n / 3, 1 << 70, str(n), (n, "x"), float("nan"), -(1 << 49)]
    return kinds[n % len(kinds)]


def test_results_of_all_kinds_come_in_order(pool):
    got = list(pool.map(of_all_kinds, range(COUNT)))
    assert [repr(value) for value in got] == [repr(of_all_kinds(n)) for n in range(COUNT)]
    assert [type(value) for value in got] == [type(of_all_kinds(n)) for n in range(COUNT)]


@pytest.mark.parametrize("at", [0, 1, 777, COUNT - 1])
@pytest.mark.parametrize("chunksize", ["auto", COUNT])
def test_a_death_among_short_tasks_fails_one_and_repeats_none(at, chunksize):
    runs = tarefa.Array("i", COUNT, lock=False)

    def run(n):
        runs[n] += 1
        if n == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return n

    with tarefa.Pool(2) as pool:
        got = list(pool.map(run, range(COUNT), chunksize=chunksize, return_exceptions=True))
    error = got.pop(at)
    assert type(error) is tarefa.WorkerDied
    assert error.argument == f"{run.__qualname__}({at})"
    assert got == [n for n in range(COUNT) if n != at]
    assert list(runs) == [1] * COUNT


def test_deaths_in_one_batch_after_another():
    def run(n):
        if n % 100 == 99:
            os._exit(3)
        return n

    with tarefa.Pool(2) as pool:
        got = list(pool.map(run, range(1000), chunksize=1000, return_exceptions=True))
    assert [n for n, value in enumerate(got) if value != n] == list(range(99, 1000, 100))


def test_what_a_short_task_raises_comes_in_its_place(pool):
    def run(n):
        if n % 50 == 7:
            raise (StopIteration if n % 100 == 7 else KeyError)(n)
        return n

    got = list(pool.map(run, range(COUNT), return_exceptions=True))
    for n, value in enumerate(got):
        if n % 50 == 7:
            assert type(value) is (StopIteration if n % 100 == 7 else KeyError)
            assert value.args == (n,)
        else:
            assert value == n


def test_an_iterator_goes_on_after_an_exception(pool):
    def run(n):
        if n == 1500:
            raise KeyError(n)
        return n

    results = pool.imap(run, range(COUNT), chunksize=700)
    got = list(itertools.islice(results, 1500))
    with pytest.raises(KeyError):
        next(results)
    got.extend(results)
    assert got == [n for n in range(COUNT) if n != 1500]
    assert next(results, "over") == "over"


def test_results_are_one_iterator(pool):
    results = pool.map(nothing, range(COUNT))
    assert iter(results) is results
    assert next(results) is None
    assert len(list(results)) == COUNT - 1
    assert list(results) == []
    results = pool.map(nothing, range(COUNT))
    next(results)
    results.close()
    assert list(results) == []


def test_what_is_finished_is_there_while_the_batch_goes_on():
    go_on = tarefa.Event()

    def run(n):
        if n == 1999:
            go_on.wait(50)
        return n

    with tarefa.Pool(1) as pool:
        results = pool.map(run, range(2000), chunksize=2000)
        assert list(itertools.islice(results, 1999)) == list(range(1999))
        go_on.set()
        assert list(results) == [1999]


def test_a_time_limit_hits_one_of_a_batch():
    def run(n):
        if n == 700:
            time.sleep(60)
        return n

    with tarefa.Pool(1, time_limit=0.1) as pool:
        got = list(pool.map(run, range(1000), chunksize=1000, return_exceptions=True))
    assert type(got.pop(700)) is tarefa.TimeLimitExceeded
    assert got == [n for n in range(1000) if n != 700]


def test_several_arguments_and_no_order(pool):
    assert list(pool.map(pow, range(COUNT), [2] * COUNT)) == [n**2 for n in range(COUNT)]
    assert pool.starmap(pow, ((n, 2) for n in range(100))) == [n**2 for n in range(100)]
    assert sorted(pool.map(int, range(COUNT), ordered=False)) == list(range(COUNT))
    bounded = pool.map(int, range(COUNT), buffersize=100)
    assert list(bounded) == list(range(COUNT))


@pytest.mark.parametrize("inputs", [range(0, 900, 7), tuple(range(500)), list(range(500))])
def test_inputs_that_are_cut_as_they_are(pool, inputs):
    inputs = inputs[:]
    assert list(pool.map(int, inputs)) == list(inputs)
    assert list(pool.map(int, inputs, buffersize=3)) == list(inputs)
    results = pool.map(int, inputs)
    if isinstance(inputs, list):
        inputs[:] = []
        assert len(list(results)) == 500


class Made:
    pass


def test_a_result_is_not_kept_once_it_was_handed_out(pool):
    for made in pool.map(lambda _: Made(), range(5)):
        gone = weakref.ref(made)
        del made
        eventually(lambda gone=gone: gone() is None)
