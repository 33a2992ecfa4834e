"""Libraries that take an executor or a `map` take a pool."""

import os

import pytest

import tarefa

try:
    import dask
except ImportError:
    dask = None

has_dask = pytest.mark.skipif(dask is None, reason="Dask is not installed")
KINDS = ["process", "thread", "auto"]


def square(n):
    return n * n


def pid_of(_):
    return os.getpid()


def bowl(x):
    return float(((x - 3) ** 2).sum())


@has_dask
@pytest.mark.parametrize("kind", KINDS)
def test_dask_runs_its_graphs_on_a_pool(kind):
    with tarefa.Pool(2, kind) as pool:
        graph = dask.delayed(sum)([dask.delayed(square)(n) for n in range(30)])
        assert graph.compute(scheduler=pool) == sum(map(square, range(30)))
        with dask.config.set(pool=pool):
            assert graph.compute(scheduler="threads") == sum(map(square, range(30)))
        # A lambda, and a failure in the middle.
        doubled = dask.delayed(lambda n: 2 * n)(21)
        assert doubled.compute(scheduler=pool) == 42
        with pytest.raises(ZeroDivisionError):
            dask.delayed(square)(dask.delayed(lambda: 1 / 0)()).compute(scheduler=pool)
        pids = dask.compute(*[dask.delayed(pid_of)(n) for n in range(4)], scheduler=pool)
    assert (set(pids) == {os.getpid()}) == (kind == "thread") or kind == "auto"


@has_dask
def test_dask_s_own_scheduler_of_processes_takes_one():
    with tarefa.Pool(2) as pool:
        found = dask.delayed(sum)([dask.delayed(square)(n) for n in range(30)])
        assert found.compute(scheduler="processes", pool=pool) == sum(map(square, range(30)))


@pytest.mark.parametrize("kind", KINDS)
def test_scipy_takes_its_map_for_workers(kind):
    optimize = pytest.importorskip("scipy.optimize")
    with tarefa.Pool(2, kind) as pool:
        found = optimize.differential_evolution(
            bowl, [(0, 10)] * 2, workers=pool.map, updating="deferred", seed=1, maxiter=20
        )
        assert abs(found.x - 3).max() < 0.1
        best = optimize.brute(bowl, [(0, 6)] * 2, Ns=7, workers=pool.map, finish=None)
    assert best.tolist() == [3, 3]
