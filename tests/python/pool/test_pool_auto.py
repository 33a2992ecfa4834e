"""Pools of kind ``"auto"``: the trial of the first tasks, what is chosen, and what is kept to."""

import os
import pickle
import signal
import sys
import threading
import time

import pytest
from support import eventually
from targets import double

import tarefa
from tarefa._pool._choice import THREADS, Choice
from tarefa._pool._processes import ProcessCrew

HAS_GIL = getattr(sys, "_is_gil_enabled", lambda: True)()


def compute(_):
    total = 0
    for i in range(40_000):
        total += i & 3
    return os.getpid()


def rest(_):
    time.sleep(0.01)
    return os.getpid()


def tried(function, inputs, wanted, is_seen=lambda _: True):
    """The explanation of a pool that has mapped these, and what it got: the first that is wanted.

    What is measured beside other tests may be anything, once.
    """
    for _ in range(8):
        with tarefa.Pool(2, "auto") as pool:
            got = list(pool.map(function, inputs))
            found = pool.explain()
        if found.choice == wanted and is_seen(got):
            return found, got
    raise AssertionError(f"{wanted} were not chosen:\n{found}")


@pytest.fixture
def auto():
    with tarefa.Pool(2, "auto") as pool:
        yield pool


def test_it_starts_in_one_worker_process(auto):
    assert auto.kind == "auto"
    assert "nothing has been run yet" in auto.explain()
    assert auto.submit(os.getpid).result() != os.getpid()
    assert "auto" in repr(auto)


def test_what_waits_goes_to_threads():
    found, pids = tried(rest, range(40), "threads", lambda got: os.getpid() in got)
    assert pids[0] != os.getpid()
    assert found.reason in found
    assert found.functions[-1].looks >= 1
    assert found.functions[-1].start > 0


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor")
@pytest.mark.skipif(not HAS_GIL, reason="threads compute at once")
def test_what_computes_goes_to_processes():
    _, pids = tried(compute, range(60), "processes")
    assert pids[0] != os.getpid()


def test_what_is_short_is_run_beside_the_caller(auto):
    assert tried(double, range(100_000), "caller")[1] == list(range(0, 200_000, 2))
    assert list(auto.map(double, range(100_000))) == list(range(0, 200_000, 2))
    assert auto.explain().choice is not None
    # What is known is kept for the next call; the function that was called last is the last.
    assert set(auto.map(lambda _: None, range(5))) == {None}
    assert auto.explain().functions[-1].function != "double"
    assert list(auto.map(double, range(100))) == list(range(0, 200, 2))
    assert auto.explain().functions[-1].function == "double"
    assert auto.explain().choice is not None


def test_no_task_runs_twice(auto):
    runs = tarefa.Array("i", 5000, lock=False)

    def run(n):
        runs[n] += 1
        return n

    assert list(auto.map(run, range(5000))) == list(range(5000))
    assert list(runs) == [1] * 5000


@pytest.mark.parametrize("sleep", [0, 0.012])
def test_hardly_more_run_at_once_than_there_are_workers(auto, sleep):
    now, most = tarefa.Value("i", 0), tarefa.Value("i", 0)

    def run(_):
        with now.get_lock():
            now.value += 1
            most.value = max(most.value, now.value)
        time.sleep(sleep)
        with now.get_lock():
            now.value -= 1

    futures = [auto.submit(run, n) for n in range(8)]
    list(auto.map(run, range(20)))
    assert all(f.exception() is None for f in futures)
    # The second thread of the trial's process may be at its last one while another begins.
    assert most.value <= 3


def test_what_cannot_travel_stays_here(auto):
    lock = threading.Lock()

    def locked(n):
        with lock:
            return os.getpid(), n

    assert list(auto.map(locked, range(300))) == [(os.getpid(), n) for n in range(300)]
    assert "cannot travel" in auto.explain().reason or auto.explain().choice is None
    assert auto.submit(locked, 1).result() == (os.getpid(), 1)
    # An argument that does not, either.
    assert auto.submit(lambda it: (os.getpid(), it is lock), lock).result() == (os.getpid(), True)
    assert list(auto.map(lambda _: os.getpid(), [lock] * 50)) == [os.getpid()] * 50


def test_what_is_process_only_never_runs_on_threads(auto):
    @tarefa.process_only
    def only(_):
        time.sleep(0.001)
        return os.getpid()

    assert os.getpid() not in list(auto.map(only, range(50)))
    assert auto.submit(only, 1).result() != os.getpid()
    assert auto.explain().choice == "processes"
    assert "process_only" in auto.explain().reason
    lock = threading.Lock()
    with pytest.raises(tarefa.NotPicklable):
        auto.submit(tarefa.process_only(lambda: lock))
    with pytest.raises(tarefa.NotPicklable, match=r"args\[0\]"):
        auto.submit(only, lock)
    with tarefa.Pool(1, "thread") as threads, pytest.raises(ValueError, match="process_only"):
        threads.submit(only, 1)


def test_the_mark_travels(auto):
    @tarefa.process_only
    def only():
        return 1

    def on_threads(function):
        with tarefa.Pool(1, "thread") as threads:
            try:
                return threads.submit(function).result()
            except ValueError as error:
                return str(error)

    with tarefa.Pool(1) as pool:
        assert "process_only" in pool.submit(on_threads, only).result()


def test_a_death_fails_its_task_alone_and_threads_are_not_tried(auto):
    runs = tarefa.Array("i", 200, lock=False)

    def run(n):
        runs[n] += 1
        if n == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.0005)
        return os.getpid()

    got = list(auto.map(run, range(200), return_exceptions=True))
    assert isinstance(got.pop(0), tarefa.WorkerDied)
    assert os.getpid() not in got
    assert list(runs) == [1] * 200
    assert auto.explain().choice == "processes"


def test_with_a_memory_limit_all_are_processes():
    with tarefa.Pool(1, "auto", memory_limit="512M") as pool:
        assert os.getpid() not in list(pool.map(lambda _: os.getpid(), range(20)))
        assert "memory_limit" in pool.explain()


def test_tasks_that_wait_for_each_other(auto):
    barrier = tarefa.Barrier(2)
    assert sorted(auto.map(lambda _: barrier.wait(50), range(8)))[4:] == [1] * 4
    futures = [auto.submit(barrier.wait, 50) for _ in range(6)]
    assert sorted(f.result() for f in futures) == [0, 0, 0, 1, 1, 1]


def test_tasks_that_become_others_are_looked_at_again(auto):
    def run(seconds):
        if seconds:
            time.sleep(seconds)

    list(auto.map(run, [0] * 100_000))
    now = first = auto.explain().functions[-1]
    assert first.looks >= 1
    results = auto.map(run, [0.02] * 500)
    for _ in results:
        now = auto.explain().functions[-1]
        if now.looks > first.looks:
            results.close()
    assert now.looks > first.looks


def test_one_long_task_among_short_ones_holds_nobody_up(auto):
    go_on = tarefa.Event()

    def one_waits(n):
        if n == 30_000:
            go_on.wait(50)
        return n

    got = []
    for n in auto.map(one_waits, range(60_000), ordered=False):
        got.append(n)
        if len(got) == 59_999:
            go_on.set()
    assert got[-1] == 30_000
    assert sorted(got) == list(range(60_000))


def test_long_tasks_among_short_ones_do_not_hold_up_what_was_taken_from_behind_them(auto):
    # Two are at work, one in a process and one on a thread, and what waited behind each goes to
    # others: those have room once a worker is through with its batch, which is not over then.
    def some_rest(n):
        if n % 1000 == 7:
            time.sleep(0.15)
        return n

    for _ in range(3):
        assert list(auto.map(some_rest, range(4000))) == list(range(4000))


def test_what_goes_to_the_trial_while_that_ends_runs_where_it_was_decided(auto, monkeypatch):
    crew = auto._crew
    put = ProcessCrew.put

    def decide_meanwhile(self, batch):
        (subject,) = crew._tried
        crew._tried.clear()
        subject.decide(Choice(THREADS, "the test says so"), None)
        crew._move_on(subject)
        put(self, batch)

    monkeypatch.setattr(ProcessCrew, "put", decide_meanwhile)
    assert auto.submit(os.getpid).result() == os.getpid()


def test_what_runs_beside_the_caller_tells_each_failure_in_its_place(auto):
    def run(n):
        if n % 10_000 == 7:
            raise (StopIteration if n < 50_000 else KeyError)(n)
        return n

    list(auto.map(run, [1] * 50_000))
    got = list(auto.map(run, range(100_000), return_exceptions=True))
    for n, value in enumerate(got):
        if n % 10_000 == 7:
            assert type(value) is (StopIteration if n < 50_000 else KeyError)
            assert value.args == (n,)
        else:
            assert value == n


def test_two_functions_at_once(auto):
    slow, quick = auto.map(rest, range(20)), auto.map(double, range(2000))
    assert list(quick) == list(range(0, 4000, 2))
    assert len(list(slow)) == 20
    assert {it.function for it in auto.explain().functions} == {"rest", "double"}


def test_calls_that_are_held_are_called_off():
    with tarefa.Pool(1, "auto") as pool:
        go_on = tarefa.Event()
        gate = pool.submit(go_on.wait, 50)
        waiting = [pool.submit(time.sleep, 60) for _ in range(4)]
        assert all(f.cancel() for f in waiting)
        go_on.set()
        assert gate.result() is True
        assert pool.submit(double, 2).result() == 4


def test_resources_and_priorities(auto):
    with tarefa.Pool(2, "auto", resources={"one": 1}) as pool:
        with_one = pool.options(resources={"one": 1}, priority=1)
        got = [with_one.submit(lambda: tarefa.leased("one")).result() for _ in range(5)]
        assert got == [(0,)] * 5
        lock = threading.Lock()
        assert with_one.submit(lambda: (lock.locked(), tarefa.leased("one"))).result() == (
            False,
            (0,),
        )


def test_what_a_pool_is_at(auto):
    go_on = tarefa.Event()
    gates = [auto.submit(go_on.wait, 50) for _ in range(3)]
    eventually(lambda: auto.stats().running == 2)
    assert auto.stats().waiting == 1
    go_on.set()
    assert [f.result() for f in gates] == [True] * 3
    eventually(lambda: auto.stats().running == 0)


def test_a_task_is_tried_again_and_knows_it(auto):
    def third_time():
        if tarefa.attempt() < 3:
            os._exit(7)
        return tarefa.attempt()

    assert auto.options(retries=2).submit(third_time).result() == 3


def test_terminate_in_the_middle_of_a_trial():
    pool = tarefa.Pool(2, "auto")
    futures = [pool.submit(time.sleep, 60) for _ in range(6)]
    eventually(lambda: any(f.running() for f in futures))
    pool.terminate()
    assert all(f.done() for f in futures)


def test_an_initializer_that_fails_breaks_it():
    def fail():
        raise ValueError("no start")

    with tarefa.Pool(2, "auto", initializer=fail) as pool:
        error = pool.submit(double, 1).exception()
        assert isinstance(error, tarefa.BrokenPool)
        with pytest.raises(tarefa.BrokenPool):
            pool.submit(double, 1)


def test_an_initializer_that_cannot_travel_keeps_all_here():
    lock = threading.Lock()
    with tarefa.Pool(2, "auto", initializer=lock.locked) as pool:
        assert pool.submit(os.getpid).result() == os.getpid()


def test_a_pool_of_a_given_kind_explains_itself(kind):
    with tarefa.Pool(1, kind) as pool:
        found = pool.explain()
        assert isinstance(found, str)
        assert repr(kind) in found
        assert found.choice is None
        assert str(pickle.loads(pickle.dumps(found))) == str(found)


def test_workers_are_replaced_wherever_tasks_run():
    with tarefa.Pool(2, "auto", tasks_per_worker=40) as pool:
        for ordered in (True, False):
            got = list(pool.map(double, range(200), ordered=ordered))
            assert sorted(got) == list(range(0, 400, 2))
            got = list(pool.map(double, range(1000, 1100), ordered=ordered))
            assert sorted(got) == list(range(2000, 2200, 2))
