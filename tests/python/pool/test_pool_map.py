"""``map`` and its siblings, on processes and on threads."""

import itertools
import os
import threading
import time
import warnings

import numpy as np
import pytest
from support import eventually
from targets import double, fail_at_five

import tarefa
from tarefa._pool._map import BatchSizes, Mapping


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100, 5000])
@pytest.mark.parametrize("chunksize", ["auto", 1, 7, 10_000])
def test_results_in_the_order_of_the_inputs(pool, count, chunksize):
    assert list(pool.map(double, range(count), chunksize=chunksize)) == [
        2 * i for i in range(count)
    ]


def test_several_iterables_end_with_the_shortest(pool):
    assert list(pool.map(pow, [2, 3, 4], (3, 2))) == [8, 9]
    assert list(pool.map(pow, itertools.count(1), [2, 2])) == [1, 4]


def test_an_exception_comes_in_its_place_and_ends_it(pool):
    results = pool.map(fail_at_five, range(10))
    got = []
    with pytest.raises(KeyError):
        got.extend(iter(results.__next__, None))
    assert list(itertools.islice(pool.map(fail_at_five, range(10)), 5)) == [0, 1, 2, 3, 4]
    assert list(results) == []


def test_exceptions_as_values(pool):
    got = list(pool.map(fail_at_five, range(8), return_exceptions=True))
    assert isinstance(got.pop(5), KeyError)
    assert got == [0, 1, 2, 3, 4, 6, 7]


def test_unordered(pool):
    last = tarefa.Event()

    def slow_first(x):
        if x == 0:
            last.wait()
        elif x == 5:
            last.set()
        return x

    got = list(pool.map(slow_first, range(6), ordered=False, chunksize=1))
    assert sorted(got) == list(range(6))
    assert got[0] != 0


def test_all_inputs_with_a_length_are_run_though_nobody_takes_results(pool):
    done = tarefa.Value("i", 0)

    def count(_):
        with done.get_lock():
            done.value += 1

    pool.map(count, range(200))
    pool.close()
    pool.join()
    assert done.value == 200


def test_endless_inputs_and_a_dropped_iterator(pool):
    taken = []

    def numbers():
        for n in itertools.count():
            taken.append(n)
            yield n

    results = pool.map(double, numbers(), buffersize=50)
    assert [next(results) for _ in range(100)] == [2 * i for i in range(100)]
    assert len(taken) <= 151
    with pytest.warns(RuntimeWarning, match="100 results were taken"):
        del results
    assert pool.submit(double, 4).result() == 8


def test_a_closed_iterator_warns_of_nothing(pool):
    results = pool.map(double, itertools.count())
    assert next(results) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results.close()
        del results


def test_an_iterable_that_raises_in_the_middle(pool):
    def numbers():
        yield 1
        yield 2
        raise OSError("no more")

    results = pool.map(double, numbers())
    assert [next(results), next(results)] == [2, 4]
    with pytest.raises(OSError, match="no more"):
        next(results)
    assert list(results) == []


def test_a_timeout(pool):
    with pytest.raises(TimeoutError):
        list(pool.map(time.sleep, [0.3, 0.3, 0.3, 0.3], timeout=0.05))
    assert list(pool.map(double, [1], timeout=60)) == [2]
    with pytest.raises(TypeError):
        pool.map(double, [1], timeout="soon")


def test_short_tasks_do_not_wait_behind_a_long_one(pool):
    go_on = tarefa.Event()

    def one_waits(x):
        if x == 900:
            go_on.wait(50)
        return x

    got = []
    for x in pool.map(one_waits, range(2000), ordered=False):
        got.append(x)
        if len(got) == 1999:
            go_on.set()
    assert got[-1] == 900
    assert sorted(got) == list(range(2000))


@pytest.mark.parametrize("kind", ["process", "thread", "auto"])
def test_long_tasks_one_behind_the_other_hold_up_no_short_ones(kind):
    # What was taken from behind the first is taken once more from behind the second.
    go_on = tarefa.Event()

    def some_wait(n):
        if n in (40, 60, 2000, 2030):
            go_on.wait(50)
        return n

    got = []
    with tarefa.Pool(6, kind) as pool:
        for n in pool.map(some_wait, range(4000), ordered=False):
            got.append(n)
            if len(got) == 3996:
                go_on.set()
    assert sorted(got[-4:]) == [40, 60, 2000, 2030]
    assert sorted(got) == list(range(4000))


def test_what_was_taken_from_behind_a_long_task_ends_with_its_map(pool):
    go_on, begun = tarefa.Event(), tarefa.Event()

    def wait_or_note(n):
        if n == 500:
            begun.set()
        if n >= 500:
            go_on.wait(50)
        return n

    results = pool.map(wait_or_note, range(2000))
    assert next(results) == 0
    begun.wait(50)
    eventually(lambda: results._mapping.parts or not results._mapping.wait_all(0.1))
    results.close()
    go_on.set()
    assert pool.submit(double, 2).result() == 4


def test_the_ways_of_multiprocessing(pool):
    assert pool.starmap(pow, [(2, 3), (3, 2)]) == [8, 9]
    assert pool.apply(pow, (2, 5)) == 32
    assert sorted(pool.imap_unordered(double, range(50))) == list(range(0, 100, 2))
    results = pool.imap(fail_at_five, range(7))
    got = []
    while True:
        try:
            got.append(next(results))
        except KeyError:
            got.append("error")
        except StopIteration:
            break
    assert got == [0, 1, 2, 3, 4, "error", 6]


def test_large_arrays(pool):
    arrays = [np.full(300_000, i) for i in range(6)]
    assert list(pool.map(np.sum, arrays)) == [300_000 * i for i in range(6)]
    assert all(
        np.array_equal(a, 2 * b) for a, b in zip(pool.map(double, arrays), arrays, strict=True)
    )


def test_shared_objects_are_the_same_there(pool):
    numbers, lock = tarefa.List(), tarefa.Lock()

    def add(n):
        with lock:
            numbers.append(n)

    list(pool.map(add, range(30)))
    assert sorted(numbers) == list(range(30))


def test_two_maps_at_once(pool):
    a, b = pool.map(double, range(300)), pool.map(str, range(300))
    assert list(zip(a, b, strict=True)) == [(2 * i, str(i)) for i in range(300)]


def test_results_to_come(pool):
    got = []
    one = pool.apply_async(pow, (2, 5), callback=got.append)
    many = pool.map_async(double, range(100), callback=got.append)
    stars = pool.starmap_async(pow, [(2, 3), (3, 2)], 1)
    assert (one.get(30), many.get(30), stars.get(30)) == (32, list(range(0, 200, 2)), [8, 9])
    assert one.ready()
    assert many.successful()
    eventually(lambda: len(got) == 2)
    failed = pool.map_async(fail_at_five, range(9), error_callback=got.append)
    failed.wait(30)
    assert not failed.successful()
    with pytest.raises(KeyError):
        failed.get(30)
    eventually(lambda: isinstance(got[-1], KeyError))
    late = pool.apply_async(time.sleep, (0.3,))
    with pytest.raises(ValueError, match="not ready"):
        late.successful()
    with pytest.raises(TimeoutError):
        late.get(0.01)
    assert late.get() is None


def test_the_names_of_the_standard_library():
    with tarefa.ThreadPoolExecutor(2, "mine") as threads:
        assert list(threads.map(double, [1, 2])) == [2, 4]
        assert threads.submit(lambda: threading.current_thread().name).result().startswith("mine")
    with tarefa.ProcessPoolExecutor(max_workers=1, max_tasks_per_child=1) as processes:
        assert len(set(processes.map(lambda _: os.getpid(), range(3)))) == 3
    with tarefa.ThreadPool(2) as pool:
        assert pool.map(double, (1, 2, 3), 2) == [2, 4, 6]
        assert list(pool.imap(double, [1])) == [2]
    with pytest.raises(ValueError, match="takes no more work"):
        pool.map(double, [1])


def test_callbacks_come_before_the_result(pool):
    for _ in range(20):
        got = []
        pool.map_async(double, [1], callback=got.append).wait(50)
        assert got == [[2]]
        pool.apply_async(double, (2,), callback=got.append).get(50)
        assert got[1:] == [4]
        with pytest.raises(KeyError):
            pool.apply_async(fail_at_five, (5,), error_callback=got.append).get(50)
        assert isinstance(got[2], KeyError)
    asked = []
    result = pool.apply_async(double, (3,), callback=lambda _: asked.append(result.get(50)))
    assert result.get(50) == 6
    assert asked == [6]


class HeldUp(bytearray):
    """What came of a batch's tasks; while a thread counts it, another has the last result."""

    meanwhile = None

    def count(self, *what):
        found = super().count(*what)
        act, self.meanwhile = self.meanwhile, None
        if act is not None:
            act()
        return found


def test_the_last_results_of_a_batch_come_from_two_threads_at_once():
    from tarefa._pool._work import Batch

    class Sink:
        def put(self, index, ok, value):
            pass

    batch = Batch(double, [0, 1], 0, Sink())
    batch.shared = True
    batch.got = HeldUp(2)
    batch.got.meanwhile = lambda: batch.give(1, True, None)
    batch.give(0, True, None)
    assert batch.left == 0


class Home:
    """Workers that do nothing, of a pool whose inputs another thread gives out."""

    encodes = False
    on_limited = None
    starting = ""
    workers = 1

    def __init__(self):
        self.epoch = 0
        self.ahead = 0
        self.unfed = set()
        self.sent = []
        self.told = []

    def ahead_of(self, _function):
        return self.ahead

    def put(self, batch):
        self.sent.append(batch)

    def fetch_kept(self, batch):
        self.told.append(batch)

    def take_rest(self, _batch):
        return None


def mapping_over(home, inputs, unit, kind=Mapping):
    how = {"buffersize": None, "ordered": False, "context": None, "time_limit": None, "retries": 0}
    return kind(home, None, (inputs,), unit=unit, **how)


def test_who_waits_while_others_give_out_inputs_looks_at_those():
    home = Home()
    run = mapping_over(home, range(9), 1)
    run.feed()
    (first,) = home.sent
    steps = []

    def wait_for(_batches, done, step):
        # Nobody comes to `first` soon; meanwhile the end of a trial has all given out.
        steps.append(step)
        if len(steps) == 1:
            home.ahead, home.epoch = 99, 1
            run.sizes = BatchSizes(8)
            run.feed()
        elif home.told:
            run.put(0, True, None)
        assert len(steps) < 9
        return done()

    home.wait_for = wait_for
    run.wait(run.has_next, None)
    assert None not in steps
    assert home.sent[0] is first
    assert home.sent[1] in home.told


def test_who_sees_that_all_inputs_are_given_out_sees_how_many():
    home = Home()
    seen = []

    class Watched(Mapping):
        @property
        def exhausted(self):
            return self._exhausted

        @exhausted.setter
        def exhausted(self, value):
            self._exhausted = value
            if value:
                seen.append((self.all_there(), self.given))

    home.ahead = 99
    for inputs in ([1, 2, 3], (n for n in (1, 2, 3))):
        run = mapping_over(home, inputs, 100, Watched)
        run.feed()
    assert seen == [(False, 3)] * 2
