"""Workers that run on some processors alone."""

import os
import signal
import threading

import pytest
from support import eventually

import tarefa

USABLE = sorted(os.sched_getaffinity(0))


def where(_=None):
    return tarefa.current_process().name, threading.get_ident(), sorted(os.sched_getaffinity(0))


def places(pool, workers):
    """Where each of the workers runs: all are kept busy until all have begun."""
    barrier = tarefa.Barrier(workers)

    def meet(_):
        barrier.wait(30)
        return where()

    found = list(pool.map(meet, range(workers), chunksize=1))
    assert len({worker[:2] for worker in found}) == workers
    return sorted(processors for *_, processors in found)


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_each_worker_has_one_processor_in_turn(kind):
    before = os.sched_getaffinity(0)
    with tarefa.Pool(3, kind, pin=True) as pool:
        wanted = sorted([USABLE[i % len(USABLE)]] for i in range(3))
        assert places(pool, 3) == wanted
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_the_processors_that_are_given(kind):
    with tarefa.Pool(3, kind, pin=[USABLE[0], set(USABLE)]) as pool:
        assert places(pool, 3) == sorted([[USABLE[0]], USABLE, [USABLE[0]]])
    with tarefa.Pool(2, kind, pin=iter([[USABLE[-1]]])) as pool:
        assert places(pool, 2) == [[USABLE[-1]]] * 2


@pytest.mark.parametrize("kind", ["process", "thread", "auto"])
def test_false_and_none_pin_nobody(kind):
    for pin in (False, None):
        with tarefa.Pool(1, kind, pin=pin) as pool:
            assert pool.submit(where).result(30)[-1] == USABLE


def test_kind_auto_has_them_wherever_it_runs():
    with tarefa.Pool(2, "auto", pin=[USABLE[0]]) as pool:
        found = [one[-1] for one in pool.map(where, range(400))]
    assert found == [[USABLE[0]]] * 400


def test_the_initializer_runs_there_and_what_a_task_starts_inherits_it():
    seen = tarefa.List()

    def first():
        seen.append(where()[-1])

    def start():
        return tarefa.Process(target=where).start().result(30)[-1]

    with tarefa.Pool(1, pin=[USABLE[-1:]], initializer=first) as pool:
        assert pool.submit(start).result(30) == USABLE[-1:]
    assert list(seen) == [USABLE[-1:]]


def test_who_takes_a_place_takes_its_processors():
    with tarefa.Pool(2, pin=[USABLE[0], USABLE[-1]]) as pool:
        wanted = sorted([[USABLE[0]], [USABLE[-1]]])
        assert places(pool, 2) == wanted
        for _ in range(3):
            os.kill(pool.stats().workers[0].pid, signal.SIGKILL)
            eventually(lambda: len(pool.stats().workers) == 2)
            assert places(pool, 2) == wanted
    for kind in ("process", "thread"):
        with tarefa.Pool(2, kind, pin=[USABLE[0], USABLE[-1]], tasks_per_worker=1) as pool:
            assert {tuple(one[-1]) for one in pool.map(where, range(20))} <= {
                (USABLE[0],),
                (USABLE[-1],),
            }


@pytest.mark.parametrize(
    ("pin", "error", "words"),
    [
        ([], ValueError, "no processors"),
        ([[USABLE[0]], []], ValueError, "set of processors at 1 is empty"),
        ([1 << 20], ValueError, "may not use processor 1048576, but only"),
        ([-1], ValueError, "0 or above, not -1"),
        ("0", TypeError, "pin must be True"),
        (0, TypeError, "pin must be True"),
        ([True], TypeError, "not bool True"),
        ([0.5], TypeError, "not float 0.5"),
        ([["0"]], TypeError, "not str '0'"),
    ],
)
@pytest.mark.parametrize("kind", ["process", "thread", "auto"])
def test_what_names_no_processors_is_refused_at_the_call(kind, pin, error, words):
    with pytest.raises(error, match=words):
        tarefa.Pool(1, kind, pin=pin)


def test_processors_that_are_taken_away_meanwhile_are_named(monkeypatch):
    from tarefa._pool import _pin

    def refuse(_who, _processors):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    with pytest.raises(OSError, match=r"cannot be pinned to processors \[3\]: Invalid"):
        _pin.apply([3])
