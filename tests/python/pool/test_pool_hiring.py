"""Pools for which the system starts no more threads or processes."""

import threading
import time
import types

import pytest

import tarefa
from tarefa._pool import _choice, _hiring, _threads, _trials


def square(x):
    return x * x


@tarefa.process_only
def square_in_a_process(x):
    return x * x


def compute(x):
    until = time.perf_counter() + 0.02
    while time.perf_counter() < until:
        pass
    return x


@pytest.fixture
def few(monkeypatch):
    """Let so many workers start of each kind, and no more."""

    def limit(threads, processes):
        none = RuntimeError("can't start new thread")
        monkeypatch.setattr(_threads, "Thread", limited(tarefa.Thread, [threads], none))
        again = BlockingIOError(11, "Resource temporarily unavailable")
        monkeypatch.setattr(_hiring, "Process", limited(tarefa.Process, [processes], again))

    def limited(task_class, left, error):
        class Limited(task_class):
            def start(self):
                if not left[0]:
                    raise error
                left[0] -= 1
                super().start()

        return Limited

    return limit


def test_a_thread_pool_without_any_says_so_at_the_call(few):
    few(0, 0)
    with tarefa.Pool(2, "thread") as pool:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            pool.submit(square, 3)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            list(pool.map(square, range(5)))
        few(1, 0)
        assert pool.submit(square, 3).result() == 9


def test_a_thread_pool_goes_on_with_fewer(few):
    few(1, 0)
    with tarefa.Pool(3, "thread") as pool:
        with pytest.warns(RuntimeWarning, match="goes on with 1 of 3 workers.*can't start") as told:
            assert list(pool.map(square, range(50), chunksize=1)) == [x * x for x in range(50)]
        assert len(told) == 1


def test_a_process_pool_that_cannot_be_made_leaves_no_worker(few):
    few(0, 2)
    with pytest.raises(BlockingIOError):
        tarefa.Pool(3)
    assert tarefa.active_children() == []


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_a_pool_breaks_when_nobody_takes_the_last_ones_place(few, kind):
    few(2, 2)
    with tarefa.Pool(1, kind, tasks_per_worker=2) as pool:
        futures = [pool.submit(square, x) for x in range(5)]
        assert [future.result() for future in futures[:4]] == [0, 1, 4, 9]
        with pytest.raises(tarefa.BrokenPool, match="its workers cannot begin: "):
            futures[4].result()


@pytest.mark.filterwarnings("ignore:.*goes on with:RuntimeWarning")
def test_a_pool_that_chooses_does_with_the_processes_that_there_are(few):
    few(100, 1)
    with tarefa.Pool(2, "auto") as pool:
        assert list(pool.map(compute, range(60))) == list(range(60))
        assert pool.submit(square, 3).result() == 9


def test_a_pool_that_chooses_uses_threads_where_no_process_starts(few):
    few(100, 0)
    with tarefa.Pool(2, "auto") as pool:
        assert list(pool.map(compute, range(20))) == list(range(20))
        assert "no worker process can be started" in str(pool.explain())
        with pytest.raises(BlockingIOError):
            pool.submit(square_in_a_process, 3)


def test_a_pool_that_chooses_without_any_worker_says_so(few):
    few(0, 0)
    with tarefa.Pool(2, "auto") as pool:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            pool.submit(square, 3).result()
        with pytest.raises(RuntimeError, match="can't start new thread"):
            list(pool.map(square, range(5)))


@pytest.mark.filterwarnings("ignore:.*goes on with:RuntimeWarning")
def test_a_pool_that_chooses_without_threads_leaves_nobody_waiting(few):
    few(0, 2)
    with tarefa.Pool(2, "auto") as pool:
        for _ in range(3):
            try:
                assert list(pool.map(square, range(500))) == [x * x for x in range(500)]
            except RuntimeError as error:
                assert "can't start new thread" in str(error)  # noqa: PT017 - it need not come


class NoThread(threading.Thread):
    """A thread of the pool's own that cannot be started, of some name."""

    name_of_it = ""

    def start(self):
        if self.name_of_it in self.name:
            raise RuntimeError("can't start new thread")
        super().start()


@pytest.fixture
def no_thread(monkeypatch):
    def named(module, name):
        made = type("No", (NoThread,), {"name_of_it": name})
        names = {**vars(threading), "Thread": made}
        monkeypatch.setattr(module, "threading", types.SimpleNamespace(**names))

    return named


def test_a_pool_that_chooses_does_without_a_trial_where_nobody_knows_the_time(no_thread):
    no_thread(_trials, "(chooses)")
    with tarefa.Pool(2, "auto") as pool:
        assert list(pool.map(square, range(200))) == [x * x for x in range(200)]
        assert "there can be no trial" in str(pool.explain())


def test_workers_that_nobody_can_watch_are_none(no_thread):
    no_thread(_hiring, "(watches workers)")
    with pytest.raises(RuntimeError, match="can't start new thread"):
        tarefa.Pool(2)
    assert tarefa.active_children() == []
    with tarefa.Pool(2, "auto") as pool:
        assert list(pool.map(square, range(20))) == [x * x for x in range(20)]


@pytest.mark.filterwarnings("ignore:.*goes on with:RuntimeWarning")
def test_workers_more_that_nobody_can_watch_are_none(no_thread):
    with tarefa.Pool(2, "auto") as pool:
        assert pool.submit(square, 3).result() == 9
        no_thread(_hiring, "(watches workers)")
        assert list(pool.map(compute, range(60))) == list(range(60))


def test_what_one_thread_was_to_run_goes_to_workers_that_there_are(monkeypatch):
    """A pool that chooses, whose thread beside the caller cannot be started."""
    start = tarefa.Thread.start

    def but_one(thread):
        if "(alone)" in thread.name:
            raise RuntimeError("can't start new thread")
        return start(thread)

    monkeypatch.setattr(tarefa.Thread, "start", but_one)
    chosen = _choice.Choice(_choice.CALLER, "the test says so")
    monkeypatch.setattr(_trials, "choose", lambda *_: chosen)
    with tarefa.Pool(2, "auto") as pool:
        for count in (10_000, 10_000, 3000):
            assert list(pool.map(square, range(count))) == [x * x for x in range(count)]
