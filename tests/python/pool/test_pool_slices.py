"""Arrays and columns as inputs: they go out as slices, and each call gets what iterating gives."""

import itertools

import pytest

import tarefa

np = pytest.importorskip("numpy")

ARRAYS = {
    "floats": np.arange(9_000.0),
    "few": np.arange(7),
    "none": np.empty(0),
    "big-endian": np.arange(300, dtype=">i4"),
    "rows": np.arange(9_000.0).reshape(-1, 3),
    "columns": np.asfortranarray(np.arange(900.0).reshape(-1, 3)),
    "transposed": np.arange(27_000.0).reshape(3, -1).T,
    "every third": np.arange(27_000)[::9],
    "backwards": np.arange(300)[::-1],
    "broadcast": np.broadcast_to(np.arange(3), (50, 3)),
    "read-only": np.frombuffer(b"12345678" * 100, dtype="i8"),
    "three dimensions": np.arange(240).reshape(-1, 3, 4),
    "texts": np.array(["abc", "d"] * 50),
    "times": np.arange(100).astype("M8[s]"),
    "complex": np.arange(50) * 1j,
    "objects": np.array([1, "a", None, [3]], dtype=object),
    "structures": np.zeros(50, dtype=[("a", "i4"), ("b", "f8")]),
    "masked": np.ma.masked_array(np.arange(5), [0, 1, 0, 0, 1]),
}


@pytest.fixture(params=["process", "auto"])
def any_pool(request):
    with tarefa.Pool(2, request.param) as made:
        yield made


def seen(item, _=None):
    """What a call sees of its argument: its type, its dtype and its value."""
    dtype = getattr(item, "dtype", None)
    return type(item).__name__, dtype and dtype.str, str(getattr(item, "tolist", lambda: item)())


def total(item, _=None):
    assert type(item) in (np.float64, np.int64, np.ndarray)
    return float(item.sum())


def itself(item):
    return item


def check(pool, name):
    array = ARRAYS[name]
    if len(array) > 300:
        # What is large lies in shared memory.
        expected = [total(item) for item in array]
        assert list(pool.map(total, array)) == expected, name
        assert list(pool.map(total, array, range(len(array)), chunksize=1000)) == expected, name
        return
    expected = [seen(item) for item in array]
    assert list(pool.map(seen, array)) == expected, name
    assert list(pool.map(seen, array, itertools.repeat(0), chunksize=7)) == expected, name
    assert list(pool.map(seen, array, buffersize=20)) == expected, name


def test_a_call_gets_what_iterating_gives(any_pool):
    for name in ARRAYS:
        check(any_pool, name)


def doubled_here(row):
    row *= 2
    return float(row.sum())


@pytest.mark.parametrize("count", [30, 9_000])
def test_what_a_process_writes_to_a_row_is_its_own(count):
    array = np.arange(float(count)).reshape(-1, 3)
    before = array.copy()
    with tarefa.Pool(2) as pool:
        assert list(pool.map(doubled_here, array)) == [2 * row.sum() for row in before]
    assert (array == before).all()


def test_a_row_is_tried_again_as_it_was():
    def write_and_die(row):
        row += 1
        if row[0] == 301 and tarefa.attempt() == 1:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGKILL)
        return float(row[0])

    array = np.arange(9_000.0).reshape(-1, 3)
    with tarefa.Pool(2, retries=1) as pool:
        assert list(pool.map(write_and_die, array)) == [row[0] + 1 for row in array]


@pytest.mark.parametrize("count", [100, 10_000])
def test_what_becomes_of_the_array_afterwards_changes_nothing(count):
    array = np.zeros(count)
    with tarefa.Pool(2) as pool:
        results = pool.map(int, array)
        array[:] = 1
        assert sum(results) == 0


def test_an_array_of_no_dimensions_is_refused(any_pool):
    with pytest.raises(TypeError, match="0-d"):
        any_pool.map(itself, np.array(1))


def test_slices_of_an_array(any_pool):
    for name in ("floats", "rows", "columns", "every third", "objects", "texts"):
        array = ARRAYS[name]
        for rows in (None, 1 + len(array) // 5, len(array)):
            found = list(any_pool.map_slices(itself, array, rows=rows))
            assert (np.concatenate(found) == array).all(), name
            assert rows is None or [len(it) for it in found[:-1]] == [rows] * (len(found) - 1)


def test_slices_of_a_sequence(any_pool):
    assert list(any_pool.map_slices(len, range(10), rows=4)) == [4, 4, 2]
    assert list(any_pool.map_slices(sum, [1, 2, 3], rows=2)) == [3, 3]
    assert "".join(any_pool.map_slices(str.upper, "abcdefghijk")) == "ABCDEFGHIJK"
    assert list(any_pool.map_slices(len, [])) == []
    assert list(any_pool.map_slices(len, np.empty(0))) == []


def is_read_only(array):
    try:
        array[0] = 1
    except ValueError:
        return True
    return False


def test_slices_are_views_of_memory_that_is_shared():
    with tarefa.Pool(2) as pool:
        assert all(pool.map_slices(is_read_only, np.zeros(100_000)))
    array = np.zeros(100)
    with tarefa.Pool(2, "thread") as pool:
        assert not any(pool.map_slices(is_read_only, array, rows=10))
    assert array.sum() == 10


def test_what_cannot_be_cut_is_refused(pool):
    for data in (5, iter([1]), {1: 2}, {1}, np.array(1)):
        with pytest.raises(TypeError, match=r"map_slices\(\) takes an array"):
            pool.map_slices(len, data)


def test_a_slice_has_a_row_or_more(pool):
    with pytest.raises(ValueError, match="rows must be 1 or more"):
        pool.map_slices(len, [1, 2], rows=0)


def test_what_fails_of_a_slice_is_told_in_its_place(pool):
    def fail_at_four(numbers):
        return [1 / (n - 4) for n in numbers]

    got = list(pool.map_slices(fail_at_four, range(6), rows=2, return_exceptions=True))
    assert [type(it) for it in got] == [list, list, ZeroDivisionError]


class TestFrames:
    """Series and frames, where pandas is installed."""

    def series(self, pd):
        yield pd.Series(range(20_000))
        yield pd.Series([1.5, 2.0] * 20)
        yield pd.Series(["a", "b"] * 20)
        yield pd.Series(pd.date_range("2020", periods=50, freq="s"))
        yield pd.Series(["x", "y"] * 20).astype("category")
        yield pd.Series([1, None], dtype="Int64")
        yield pd.Series([1, 2], index=["q", "r"])
        yield pd.Series(range(40))[::2]
        yield pd.Series([], dtype=float)

    def test_a_series_gives_its_items(self, any_pool):
        pd = pytest.importorskip("pandas")
        for it in self.series(pd):
            expected = [seen(item) for item in it]
            assert list(any_pool.map(seen, it)) == expected
            assert list(any_pool.map(seen, it, range(len(it)), chunksize=1000)) == expected

    def test_slices_of_frames(self, any_pool):
        pd = pytest.importorskip("pandas")
        count = 20_000
        frame = pd.DataFrame(
            {
                "a": np.arange(count),
                "b": np.arange(count) / 2,
                "c": np.arange(count) % 3 == 0,
                "d": pd.date_range("2020", periods=count, freq="s"),
            }
        )
        assert list(any_pool.map(str, frame)) == ["a", "b", "c", "d"]
        texts = frame.assign(e=[str(n) for n in range(count)])
        for data in (frame, texts, frame.set_index("d"), frame["b"]):
            found = pd.concat(list(any_pool.map_slices(itself, data, rows=7000)))
            assert found.equals(data)
