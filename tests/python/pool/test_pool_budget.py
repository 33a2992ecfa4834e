"""One budget of processors."""

import os

import pytest

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
