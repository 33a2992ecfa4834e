"""`imap().next(timeout)` and the timeouts of `multiprocessing.Pool`, on both kinds of worker."""

import multiprocessing
import pickle

import pytest
from support import eventually, run_script

import tarefa


@pytest.fixture(params=["process", "thread"])
def pool(request):
    with tarefa.Pool(1, request.param) as made:
        yield made


@pytest.fixture(params=["imap", "imap_unordered", "map"])
def mapped(request, pool):
    return getattr(pool, request.param)


def items(kind, numbers):
    """With a length, and without one: their inputs are given out in other ways."""
    return numbers if kind == "sized" else iter(numbers)


@pytest.mark.parametrize("kind", ["sized", "endless"])
def test_next_gives_one_after_the_other_and_then_the_end(mapped, kind):
    results = mapped(abs, items(kind, [-1, -2, -3]))
    assert [results.next(), results.next(timeout=60), next(results)] == [1, 2, 3]
    for _ in range(2):
        with pytest.raises(StopIteration):
            results.next(timeout=60)
        with pytest.raises(StopIteration):
            results.next()


@pytest.mark.parametrize("kind", ["sized", "endless"])
def test_results_go_on_after_a_timeout(mapped, kind):
    go = tarefa.Event()
    results = mapped(lambda n: go.wait() and n, items(kind, [1, 2, 3]))
    for timeout in (0, 0.01, -1):
        with pytest.raises(multiprocessing.TimeoutError) as caught:
            results.next(timeout)
        assert isinstance(caught.value, (TimeoutError, tarefa.TaskTimeout))
        assert "go on" in str(caught.value)
    go.set()
    assert [results.next(60), *results] == [1, 2, 3]


def test_what_a_call_raised_is_raised_and_the_others_follow(pool):
    results = pool.imap(lambda n: 6 // n, [1, 0, 2])
    assert results.next(60) == 6
    with pytest.raises(ZeroDivisionError):
        results.next(60)
    assert results.next(60) == 3


@pytest.mark.parametrize("timeout", ["soon", float("nan"), 1e300])
def test_a_timeout_that_is_none(pool, timeout):
    with pytest.raises((TypeError, ValueError, OverflowError)):
        pool.imap(abs, [1]).next(timeout)


def test_in_a_pool_of_a_context():
    with tarefa.get_context().Pool(1) as pool:
        results = pool.imap(abs, range(2))
        assert [results.next(timeout=60), results.next(60)] == [0, 1]


def test_an_async_result_s_timeout_is_one_of_multiprocessing(pool):
    go = tarefa.Event()
    for result in (pool.apply_async(go.wait), pool.map_async(lambda _: go.wait(), [1])):
        with pytest.raises(multiprocessing.TimeoutError) as caught:
            result.get(0.01)
        again = pickle.loads(pickle.dumps(caught.value))
        assert isinstance(again, tarefa.TaskTimeout)
        assert str(again) == str(caught.value)
    go.set()


def raise_timeout():
    raise tarefa.TaskTimeout("of the call")


def test_a_timeout_that_a_call_raises_is_what_it_is(pool):
    with pytest.raises(tarefa.TaskTimeout, match="of the call") as caught:
        pool.apply_async(raise_timeout).get(60)
    assert type(caught.value) is tarefa.TaskTimeout


def test_without_multiprocessing_it_is_ours():
    done = run_script("""
        import sys, tarefa
        go = tarefa.Event()
        with tarefa.Pool(1, "thread") as pool:
            results = pool.imap(lambda n: go.wait(), [1])
            try: results.next(0)
            except TimeoutError as error: print(type(error) is tarefa.TaskTimeout)
            print("multiprocessing.context" in sys.modules)
            go.set()
    """)
    assert done.stdout == "True\nFalse\n"


def test_repr_says_how_far_it_is(pool):
    results = pool.imap(abs, [1, 2, 3])
    eventually(lambda: repr(results) == "<tarefa.Results: 0 of 3 taken, 3 more there>")
    next(results)
    assert repr(results) == "<tarefa.Results: 1 of 3 taken, 2 more there>"
    assert list(results) == [2, 3]
    assert repr(results) == "<tarefa.Results: 3 of 3 taken, 0 more there, over>"
    closed = pool.imap(abs, [1, 2, 3])
    eventually(lambda: repr(closed).endswith(" 3 more there>"))
    next(closed)
    closed.close()
    assert repr(closed).startswith("<tarefa.Results: 1 of 3 taken, ")
    endless = pool.imap(abs, iter([1, 2]))
    next(endless)
    assert repr(endless).startswith("<tarefa.Results: 1 taken, ")
    endless.close()
    assert repr(endless).endswith(", over>")
