"""The context variables that a pool's tasks have, whoever hired their worker."""

import contextvars
import decimal
import gc
import os
import signal
import sys
import threading
import time
import weakref

import pytest
from support import eventually

import tarefa
from tarefa._pool import _warm

KINDS = ["process", "thread", "auto"]

stage = contextvars.ContextVar("stage", default="unset")
other = contextvars.ContextVar("other", default="unset")


def seen(_=0):
    return stage.get(), decimal.getcontext().prec


def set_both(value, precision):
    stage.set(value)
    decimal.getcontext().prec = precision


def set_other(value):
    other.set(value)


def other_seen(_=0):
    return other.get()


def in_a_new_context(function, *args):
    return contextvars.Context().run(function, *args)


@pytest.fixture(autouse=True)
def own_variables():
    token = stage.set("maker")
    with decimal.localcontext(prec=9):
        yield
    stage.reset(token)


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_that_takes_anothers_place_begins_as_the_first_did(kind):
    with tarefa.Pool(1, kind, tasks_per_worker=1) as pool:
        assert [pool.submit(seen).result() for _ in range(4)] == [("maker", 9)] * 4


def test_a_worker_that_takes_a_dead_ones_place_does_too():
    with tarefa.Pool(1) as pool:
        for _ in range(2):
            with pytest.raises(tarefa.WorkerDied):
                pool.submit(os.kill, pool.submit(os.getpid).result(), signal.SIGKILL).result()
            assert pool.submit(seen).result() == ("maker", 9)


@pytest.mark.parametrize("kind", KINDS)
def test_tasks_have_what_their_caller_has_now(kind):
    with tarefa.Pool(1, kind) as pool:
        assert pool.submit(seen).result() == ("maker", 9)
        stage.set("later")
        with decimal.localcontext(prec=11):
            assert pool.submit(seen).result() == ("later", 11)
            assert list(pool.map(seen, range(3))) == [("later", 11)] * 3
        assert pool.submit(seen).result() == ("later", 9)
        usual = decimal.DefaultContext.prec
        found = in_a_new_context(lambda: pool.submit(seen).result())
        assert found == ("unset", usual)
        assert in_a_new_context(lambda: list(pool.map(seen, [1, 2]))) == [("unset", usual)] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_initializer_sets_counts_where_the_caller_changes_nothing(kind):
    with tarefa.Pool(1, kind, initializer=set_both, initargs=("worker", 7)) as pool:
        assert pool.submit(seen).result() == ("worker", 7)
        assert list(pool.map(seen, range(3))) == [("worker", 7)] * 3
        token = stage.set("caller")
        assert pool.submit(seen).result() == ("caller", 7)
        stage.reset(token)
        with decimal.localcontext(prec=11):
            assert pool.submit(seen).result() == ("worker", 11)
    with tarefa.Pool(1, kind, initializer=set_other, initargs=("worker",)) as pool:
        assert pool.submit(other_seen).result() == "worker"
        assert in_a_new_context(lambda: pool.submit(other_seen).result()) == "worker"


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_task_sets_is_its_own(kind):
    with tarefa.Pool(1, kind, initializer=set_both, initargs=("worker", 7)) as pool:
        pool.submit(set_both, "task", 3).result()
        assert pool.submit(seen).result() == ("worker", 7)


@pytest.mark.parametrize("kind", KINDS)
def test_flags_of_the_callers_are_not_the_tasks(kind):
    with decimal.localcontext(prec=11) as own, tarefa.Pool(1, kind) as pool:
        own.flags[decimal.Inexact] = True
        assert not any(pool.submit(flags).result().values())
        assert own.flags[decimal.Inexact]


def flags():
    return {signal.__name__: on for signal, on in decimal.getcontext().flags.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_pickle_stays_behind_of_processes_alone(kind):
    lock = threading.Lock()
    token = stage.set(lock)
    with tarefa.Pool(1, kind) as pool:
        assert pool.submit(is_locked).result() == (False if kind == "thread" else "unset")
    stage.reset(token)


def is_locked():
    found = stage.get()
    return found if isinstance(found, str) else found.locked()


def test_all_have_them_while_a_pool_tries_where_tasks_run_best():
    """Also those that a second thread of a worker process runs."""
    with tarefa.Pool(2, "auto") as pool:
        assert set(pool.map(seen_slowly, range(300), chunksize=1)) == {("maker", 9)}
        futures = [pool.submit(seen_slowly, 0) for _ in range(100)]
        assert {future.result() for future in futures} == {("maker", 9)}


def seen_slowly(_):
    time.sleep(0.002)
    return seen()


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_module_sets_as_it_is_imported_counts(kind, tmp_path, monkeypatch):
    (tmp_path / "sets_as_imported.py").write_text(
        "import contextvars, decimal\n"
        "mode = contextvars.ContextVar('mode', default='unset')\n"
        # A value that does not pickle.
        "mode.set(lambda: 'imported')\n"
        "decimal.getcontext().prec = 13\n"
        "def look(_=0):\n"
        "    found = mode.get()\n"
        "    return found if isinstance(found, str) else found(), decimal.getcontext().prec\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with tarefa.Pool(2, kind) as pool:
        import sets_as_imported

        try:
            assert pool.submit(sets_as_imported.look).result() == ("imported", 13)
            assert set(pool.map(sets_as_imported.look, range(50))) == {("imported", 13)}
            assert in_a_new_context(lambda: pool.submit(seen).result())[0] == "unset"
        finally:
            del sys.modules["sets_as_imported"]


class Request:
    """What a server has in a context variable."""


@pytest.mark.parametrize("kind", KINDS)
def test_the_pool_that_is_kept_keeps_nothing_of_its_callers(kind):
    def serve():
        stage.set(request := Request())
        assert [len(found) for found in tarefa.map(seen, range(3), workers=3, kind=kind)] == [2] * 3
        return weakref.ref(request)

    requests = [in_a_new_context(serve) for _ in range(2)]
    eventually(lambda: gc.collect() >= 0 and not any(found() for found in requests))
    _warm._pools.pop((3, kind)).shutdown()
