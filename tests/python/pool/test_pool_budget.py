"""One budget of processors, and joblib's backend, where joblib is installed."""

import os

import pytest
from targets import double, fail_at_five

import tarefa

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@pytest.fixture
def unset(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def threads():
    return [os.environ.get(name) for name in VARIABLES]


def workers_of_a_pool_here():
    with tarefa.Pool() as pool:
        inside = pool.submit(workers_deeper).result()
        return pool._workers, inside


def workers_deeper():
    with tarefa.Pool(kind="thread") as pool:
        return pool._workers


def test_workers_share_the_processors(unset):
    for workers in (1, 2, 7):
        share = str(max(1, tarefa.cpu_count() // workers))
        with tarefa.Pool(workers) as pool:
            assert pool.submit(threads).result() == [share] * len(VARIABLES)
    assert threads() == [None] * len(VARIABLES)


def test_what_the_user_says_stays(unset):
    unset.setenv("OMP_NUM_THREADS", "5")
    with tarefa.Pool(2) as pool:
        assert pool.submit(threads).result()[0] == "5"


def test_pools_in_pools_share_what_their_process_has():
    with tarefa.Pool() as pool:
        inside, deeper = pool.submit(workers_of_a_pool_here).result()
    assert pool._workers == tarefa.cpu_count()
    assert inside == 1
    assert deeper == 1
    with tarefa.Pool(1) as pool:
        assert pool.submit(workers_of_a_pool_here).result()[0] == tarefa.cpu_count()


def test_joblib():
    joblib = pytest.importorskip("joblib")
    tarefa.register_joblib_backend()

    def nested(n):
        with joblib.parallel_config(backend="threading"):
            inner = joblib.Parallel(n_jobs=2)(joblib.delayed(double)(i) for i in range(n))
        return sum(inner)

    calls = [joblib.delayed(double)(n) for n in range(200)]
    for kind in ("process", "thread"):
        with joblib.parallel_config(backend="tarefa", kind=kind):
            assert joblib.Parallel(n_jobs=2)(calls) == [2 * n for n in range(200)]
            assert joblib.Parallel(n_jobs=1)(calls) == [2 * n for n in range(200)]
            got = joblib.Parallel(n_jobs=2, return_as="generator")(calls)
            assert list(got) == [2 * n for n in range(200)]
            with pytest.raises(KeyError):
                joblib.Parallel(n_jobs=2)(joblib.delayed(fail_at_five)(n) for n in range(50))
            sums = joblib.Parallel(n_jobs=2)(joblib.delayed(nested)(n) for n in range(5))
            assert sums == [0, 0, 2, 6, 12]
    from tarefa._pool import _warm

    while _warm._pools:
        _warm._pools.popitem()[1].shutdown()


def test_without_joblib_it_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "joblib", None)
    monkeypatch.delitem(sys.modules, "tarefa._pool._joblib", raising=False)
    with pytest.raises(ImportError, match="joblib is not installed"):
        tarefa.register_joblib_backend()
