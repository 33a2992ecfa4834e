"""joblib's backend, where joblib is installed; with scikit-learn where that is."""

import sys

import pytest
from targets import double, fail_at_five

import tarefa
from tarefa._pool import _copies


@pytest.fixture
def joblib():
    joblib = pytest.importorskip("joblib")
    tarefa.register_joblib_backend()
    yield joblib
    from tarefa._pool import _warm

    while _warm._pools:
        _warm._pools.popitem()[1].shutdown()


def test_calls(joblib):
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


def looked_at(array, inside, index):
    inner = inside["of"][0]
    same = array.__array_interface__["data"] == inner.__array_interface__["data"]
    return float(array[index]), bool(array.flags.writeable), same


def written(array, index, number):
    array[index] = number
    return float(array.sum())


def test_an_array_of_many_calls_is_copied_once(joblib):
    np = pytest.importorskip("numpy")
    array = np.arange(300_000, dtype="d")
    inside = {"of": (array,)}
    calls = [joblib.delayed(looked_at)(array, inside, n) for n in range(20)]
    met = []
    real = _copies.share

    def share(given):
        met.append(given)
        return real(given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_copies, "share", share)
        with joblib.parallel_config(backend="tarefa", n_jobs=2):
            found = joblib.Parallel()(calls)
            assert len(met) == 1
            assert found == [(float(n), False, True) for n in range(20)]
            # Small ones, and where no limit is wanted, travel as ever: each task has its own.
            assert joblib.Parallel(max_nbytes=None)(calls)[0][1]
            assert joblib.Parallel(max_nbytes="10M")(calls)[0][1]
            assert len(met) == 1
    assert array.flags.writeable


def test_what_calls_write_to_is_that_of_all_where_that_is_asked_for(joblib, tmp_path):
    np = pytest.importorskip("numpy")
    array = np.zeros(200_000)
    mapped = np.memmap(tmp_path / "mapped", "d", "w+", shape=(3, 50_000))
    with joblib.parallel_config(backend="tarefa", n_jobs=2):
        call = joblib.delayed(written)
        sums = joblib.Parallel(mmap_mode="r+")(call(array, n, n) for n in range(10))
        assert max(sums) > 9  # each sees what others wrote before
        assert joblib.Parallel(mmap_mode="c")(call(array, n, 5) for n in range(3)) == [5, 5, 5]
        assert not array.any()
        # A file that is mapped is the same in all of them, whatever part of it is shown.
        joblib.Parallel()(call(mapped[row, ::-2], n, 1) for row in (1, 2) for n in range(4))
        assert mapped.sum() == 8
        assert mapped[1, -1] == mapped[2, -7] == 1
        private = np.memmap(tmp_path / "mapped", "d", "c", shape=(3, 50_000))
        private[0] = 2
        assert joblib.Parallel()(call(private[0], n, 1) for n in range(3)) == [99_999] * 3
        assert mapped.sum() == 8
        empty = joblib.delayed(len)(mapped[:0])
        assert joblib.Parallel()([empty, empty]) == [0, 0]
        shown = np.memmap(tmp_path / "mapped", "d", "r", 8, shape=(100,))
        with pytest.raises(ValueError, match="read-only"):
            joblib.Parallel()(call(shown, n, n) for n in range(3))


def test_a_search_of_scikit_learn(joblib):
    pytest.importorskip("sklearn")
    import numpy as np
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV

    rng = np.random.default_rng(0)
    data = rng.normal(size=(400, 500))
    target = data[:, 0] + rng.normal(size=400)
    found = []
    for backend in ("sequential", "tarefa"):
        with joblib.parallel_config(backend=backend, n_jobs=2):
            search = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0, 10.0]}, cv=3).fit(data, target)
        found.append((search.best_params_, search.cv_results_["mean_test_score"]))
    assert found[0][0] == found[1][0]
    assert np.allclose(found[0][1], found[1][1])


def test_without_joblib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    monkeypatch.delitem(sys.modules, "tarefa._pool._joblib", raising=False)
    with pytest.raises(ImportError, match="joblib is not installed"):
        tarefa.register_joblib_backend()
