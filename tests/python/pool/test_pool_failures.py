"""What happens when a worker dies, and to tasks that run too long."""

import contextlib
import os
import random
import signal
import sys
import threading
import time

import pytest
from support import eventually
from targets import double

import tarefa


def die_at(x, at=3):
    if x == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def test_a_death_fails_the_running_task_alone():
    with tarefa.Pool(2) as pool:
        futures = [pool.submit(die_at, i) for i in range(50)]
        failed = [i for i, f in enumerate(futures) if f.exception() is not None]
        assert failed == [3]
        error = futures[3].exception()
        assert type(error) is tarefa.WorkerDied
        assert (error.signal, error.attempts, error.argument) == (signal.SIGKILL, 1, "die_at(3)")
        assert error.pid > 0
        assert "die_at(3)" in str(error)
        assert "SIGKILL" in str(error)
        assert list(pool.map(double, range(20))) == list(range(0, 40, 2))


@pytest.mark.parametrize("chunksize", ["auto", 1, 10, 1000])
def test_the_rest_of_a_dead_workers_batch_goes_to_others(chunksize):
    with tarefa.Pool(2) as pool:
        got = list(
            pool.map(die_at, range(40), [17] * 40, chunksize=chunksize, return_exceptions=True)
        )
        assert isinstance(got.pop(17), tarefa.WorkerDied)
        assert got == [i for i in range(40) if i != 17]


def test_nothing_is_run_twice_that_has_its_result():
    runs = tarefa.Counter()

    def run(x):
        runs[x] += 1
        if x % 10 == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    with tarefa.Pool(2) as pool:
        got = list(pool.map(run, range(60), chunksize=20, return_exceptions=True))
    died = [i for i, value in enumerate(got) if isinstance(value, tarefa.WorkerDied)]
    assert died == [3, 13, 23, 33, 43, 53]
    assert dict(runs) == dict.fromkeys(range(60), 1)


def test_a_task_is_tried_again_and_knows_it():
    def third_time():
        if tarefa.attempt() < 3:
            os._exit(7)
        return tarefa.attempt()

    with tarefa.Pool(2, retries=2) as pool:
        assert pool.submit(third_time).result() == 3
        assert list(pool.map(lambda _: third_time(), range(3))) == [3, 3, 3]
        assert pool.submit(tarefa.attempt).result() == 1
    assert tarefa.attempt() == 1


def test_a_task_that_kills_all_its_workers_is_given_up():
    with tarefa.Pool(2) as pool:
        future = pool.options(retries=2).submit(die_at, 3)
        others = [pool.submit(double, i) for i in range(20)]
        error = future.exception()
        assert type(error) is tarefa.WorkerDied
        assert error.attempts == 3
        assert str(error).count("ended by SIGKILL") >= 3
        assert [f.result() for f in others] == list(range(0, 40, 2))


def test_what_a_task_raises_is_not_tried_again():
    runs = tarefa.Counter()

    def fail():
        runs["n"] += 1
        raise ValueError

    with tarefa.Pool(1, retries=5) as pool:
        assert isinstance(pool.submit(fail).exception(), ValueError)
    assert runs["n"] == 1


def test_an_idle_worker_that_dies_is_replaced():
    with tarefa.Pool(2) as pool:
        pid = pool.submit(os.getpid).result()
        os.kill(pid, signal.SIGKILL)
        assert list(pool.map(double, range(100))) == list(range(0, 200, 2))


def test_workers_that_die_all_the_time():
    seed = random.randrange(10_000)
    chance = random.Random(seed)
    deadly = {i for i in range(120) if chance.random() < 0.05}

    def run(x):
        if x in deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    with tarefa.Pool(3) as pool:
        got = list(pool.map(run, range(120), return_exceptions=True))
    found = {i for i, value in enumerate(got) if isinstance(value, tarefa.WorkerDied)}
    assert found == deadly, f"seed {seed}"


def kill_a_worker(pool):
    for worker in pool.stats().workers:
        if worker.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
            return


def test_killed_from_outside_nothing_is_lost_and_nothing_comes_twice():
    with tarefa.Pool(2, retries=50) as pool:
        got = []
        for value in pool.map(double, range(2000)):
            got.append(value)
            if len(got) % 100 == 1:
                kill_a_worker(pool)
        assert got == [2 * i for i in range(2000)]


def test_a_time_limit_interrupts(kind):
    seen = tarefa.List()

    def long():
        try:
            time.sleep(60)
        except tarefa.Interrupted:
            seen.append("interrupted")
            raise

    with tarefa.Pool(1, kind) as pool:
        future = pool.options(time_limit=0.1).submit(long)
        after = pool.submit(double, 2)
        error = future.exception()
        assert isinstance(error, tarefa.TimeLimitExceeded)
        assert isinstance(error, TimeoutError)
        assert "0.1 s" in str(error)
        assert after.result() == 4
    assert list(seen) == ["interrupted"]


def test_a_time_limit_of_the_pool_holds_for_each_task_of_a_map(kind):
    def maybe(x):
        time.sleep(60 if x == 2 else 0)
        return x

    with tarefa.Pool(2, kind, time_limit=0.2) as pool:
        got = list(pool.map(maybe, range(5), return_exceptions=True))
        assert isinstance(got.pop(2), tarefa.TimeLimitExceeded)
        assert got == [0, 1, 3, 4]
        assert list(pool.map(double, range(3))) == [0, 2, 4]


def test_a_memory_limit_fails_the_task_and_another_worker_takes_over():
    with tarefa.Pool(1, memory_limit="256M") as pool:
        before = pool.submit(os.getpid).result()
        error = pool.submit(bytearray, 1 << 30).exception()
        assert isinstance(error, tarefa.MemoryLimitExceeded)
        assert "256 MiB" in str(error)
        assert pool.submit(len, bytes(1 << 20)).result() == 1 << 20
        assert pool.submit(os.getpid).result() != before


@pytest.mark.parametrize("kind", ["process", "auto"])
def test_one_that_grows_past_its_soft_limit_is_replaced_and_no_task_fails(kind):
    def leak(n):
        sys.modules["__main__"].__dict__.setdefault("leaked", []).append(bytearray(30 << 20))
        return os.getpid()

    with tarefa.Pool(1, kind, soft_memory_limit="100M", memory_limit="1G") as pool:
        pids = [pool.submit(leak, n).result() for n in range(1)]
        # A look takes a while, so there is one at most each 10 ms.
        while len(set(pids)) < 3:
            pids.append(pool.submit(leak, 0).result())
            time.sleep(0.02)
        counts = [pids.count(pid) for pid in list(dict.fromkeys(pids))[:2]]
        assert all(2 <= count <= 12 for count in counts), counts
        eventually(lambda: pool.stats().restarts >= 2)


def test_what_an_initializer_takes_does_not_count_for_the_soft_limit():
    def begin():
        global kept
        kept = bytearray(200 << 20)

    with tarefa.Pool(1, soft_memory_limit="100M", initializer=begin) as pool:
        pids = set()
        for _ in range(10):
            pids.add(pool.submit(os.getpid).result())
            time.sleep(0.02)
        assert len(pids) == 1


@pytest.mark.parametrize(
    ("how", "error", "text"),
    [
        ({"soft_memory_limit": 0}, ValueError, "soft_memory_limit must be a number of bytes above"),
        ({"soft_memory_limit": 1.5}, TypeError, "soft_memory_limit must be a number of bytes or"),
        ({"soft_memory_limit": "1G", "memory_limit": "1G"}, ValueError, "must be below"),
        ({"soft_memory_limit": "1G", "kind": "thread"}, ValueError, "share the memory"),
        ({"memory_limit": "1G", "kind": "thread"}, ValueError, "share the memory"),
    ],
)
def test_bad_memory_limits(how, error, text):
    with pytest.raises(error, match=text):
        tarefa.Pool(1, **how)


def test_a_task_that_ignores_its_interrupt_is_killed():
    def stubborn():
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                time.sleep(60)

    with tarefa.Pool(1) as pool:
        error = pool.options(time_limit=0.1).submit(stubborn).exception()
        assert isinstance(error, tarefa.TimeLimitExceeded)
        assert isinstance(error, tarefa.WorkerDied)
        assert pool.submit(double, 1).result() == 2


def raise_value_error():
    raise ValueError("no start")


@pytest.mark.parametrize("initializer", [raise_value_error, lambda: os._exit(3)])
def test_an_initializer_that_fails_breaks_the_pool(initializer):
    started = len(tarefa.active_tasks())
    pool = tarefa.Pool(2, initializer=initializer)
    futures = []
    with contextlib.suppress(tarefa.BrokenPool):
        futures = [pool.submit(double, i) for i in range(3)]
    for future in futures:
        error = future.exception()
        assert isinstance(error, tarefa.BrokenPool)
        assert error.__cause__ is not None
    with pytest.raises(tarefa.BrokenPool):
        pool.submit(double, 1)
    pool.shutdown()
    eventually(lambda: len(tarefa.active_tasks()) <= started)


def test_an_initializer_of_threads_that_fails_breaks_the_pool():
    with tarefa.Pool(2, "thread", initializer=raise_value_error) as pool:
        future = pool.submit(double, 1)
        error = future.exception()
        assert isinstance(error, tarefa.BrokenPool)
        assert isinstance(error.__cause__, ValueError)
        with pytest.raises(tarefa.BrokenPool):
            pool.submit(double, 1)


def test_an_initializer_that_hangs_is_ended_by_terminate():
    pool = tarefa.Pool(2, initializer=time.sleep, initargs=(60,))
    future = pool.submit(double, 1)
    pool.terminate()
    assert future.done()


class NotBuilt:
    def __reduce__(self):
        return int, ("x",)


def test_what_cannot_be_built_there_or_here_fails_its_task_alone():
    with tarefa.Pool(1) as pool:
        error = pool.submit(double, NotBuilt()).exception()
        assert isinstance(error, tarefa.NotPicklable)
        assert "cannot be built in its worker" in str(error)
        error = pool.submit(NotBuilt).exception()
        assert isinstance(error, tarefa.NotPicklable)
        assert "arrived and cannot be built here" in str(error)
        error = pool.submit(threading.Lock).exception()
        assert isinstance(error, tarefa.NotPicklable)
        assert "cannot be sent back" in str(error)
        assert list(pool.map(double, range(5))) == [0, 2, 4, 6, 8]


def test_an_exception_that_does_not_travel():
    class Odd(Exception):
        def __init__(self, a, b):
            super().__init__(a)
            self.lock = threading.Lock()

    def fail():
        raise Odd(1, 2)

    with tarefa.Pool(1) as pool:
        assert "Odd" in repr(pool.submit(fail).exception())


@pytest.mark.parametrize("tasks", [1, 2, 3, 7])
@pytest.mark.parametrize("workers", [1, 3])
def test_workers_that_are_replaced_after_some_tasks(kind, tasks, workers):
    with tarefa.Pool(workers, kind, tasks_per_worker=tasks) as pool:
        assert list(pool.map(double, range(10))) == list(range(0, 20, 2))
        who = [pool.submit(threading.get_native_id) for _ in range(5)]
        most = max([f.result() for f in who].count(f.result()) for f in who)
        assert most <= tasks


def test_the_end_of_a_pool_waits_for_workers_that_were_replaced(kind):
    done = tarefa.List()

    def finalizer():
        time.sleep(0.05)
        done.append(1)

    for _ in range(20):
        with tarefa.Pool(1, kind, tasks_per_worker=1, finalizer=finalizer) as pool:
            assert [pool.submit(double, i).result() for i in range(2)] == [0, 2]
        assert len(done) >= 2
        done.clear()


def test_replacement_and_deaths_together():
    with tarefa.Pool(2, tasks_per_worker=3) as pool:
        got = list(pool.map(die_at, range(30), [11] * 30, return_exceptions=True))
        assert isinstance(got.pop(11), tarefa.WorkerDied)
        assert got == [i for i in range(30) if i != 11]


def test_a_method_of_a_shared_object_keeps_it_until_it_runs():
    with tarefa.Pool(1) as pool:
        before = pool.submit(time.sleep, 0.05)
        assert pool.submit(tarefa.Event().wait, 0.01).result() is False
        assert before.result() is None


def test_no_task_is_begun_twice_unless_its_worker_died_in_it():
    count = 400
    begun = tarefa.RawArray("q", count)

    def run(x):
        begun[x] += 1
        time.sleep(0.004 if x % 50 == 7 else 0.0005)
        return x

    # What waits behind a long task goes to others, also while its worker dies.
    with tarefa.Pool(2) as pool:
        got = []
        for value in pool.map(run, range(count), chunksize=20, return_exceptions=True):
            got.append(value)
            if len(got) % 25 == 1:
                kill_a_worker(pool)
    assert max(begun) == 1
    for x, value in enumerate(got):
        if isinstance(value, tarefa.WorkerDied):
            continue
        assert (value, begun[x]) == (x, 1)


def use(size):
    return len(bytearray(size))


@pytest.mark.parametrize("kind", ["process", "auto"])
def test_a_task_has_a_memory_limit_of_its_own(kind):
    with tarefa.Pool(1, kind) as pool:
        little = pool.options(memory_limit="50M", name="a glutton")
        error = little.submit(use, 200_000_000).exception()
        assert isinstance(error, tarefa.MemoryLimitExceeded)
        assert "beyond what its worker had" in str(error)
        assert little.submit(use, 1_000_000).result() == 1_000_000
        assert pool.submit(use, 200_000_000).result() == 200_000_000


def test_threads_have_no_memory_limit():
    with tarefa.Pool(1, "thread") as pool, pytest.raises(ValueError, match="share the memory"):
        pool.options(memory_limit="50M")


def test_a_task_with_a_name_is_told_by_it():
    with tarefa.Pool(1) as pool:
        error = pool.options(name="the last one").submit(os._exit, 3).exception()
    assert isinstance(error, tarefa.WorkerDied)
    assert "'the last one', _exit(3)" in str(error)


@pytest.mark.parametrize("workers", [1, 3])
def test_large_arguments_of_an_initializer_are_encoded_once(workers):
    class Counted:
        times = 0

        def __init__(self, data):
            self.data = data

        def __reduce__(self):
            Counted.times += 1
            return bytes, (self.data,)

    there = []
    data = Counted(b"x" * 3_000_000)
    with tarefa.Pool(
        workers, initializer=there.append, initargs=([data, b"y" * 3_000_000],)
    ) as pool:
        assert pool.submit(double, 2).result() == 4
    assert Counted.times == 1
