"""NumPy views of an `Array` or `Value` travel as views; `pickle` and `copy` copy them."""

import copy
import pickle

import pytest

import tarefa

np = pytest.importorskip("numpy")


def result(Task, target, *args):
    return Task(target=target, args=args).start().result(30)


def fill(view, value):
    view[...] = value


CUTS = {
    "slice": lambda v: v[1:3],
    "stride": lambda v: v[::2],
    "backwards": lambda v: v[::-1],
    "transposed": lambda v: v.T,
    "column": lambda v: v[:, 1],
    "inner": lambda v: v[1:, 1:3],
    "both ways back": lambda v: v[::-1, ::-2],
    "flat": lambda v: v.reshape(-1)[3:7],
    "one item": lambda v: v[2:3, 1:2],
    "no item": lambda v: v[2:2],
    "as bytes": lambda v: v.view("u1")[:, 8:16],
    "new axis": lambda v: v[:, None, :2],
    "diagonal": lambda v: np.einsum("ii->i", v[:4, :4]),
}


@pytest.mark.parametrize("cut", CUTS)
def test_any_view_is_the_arrays_memory(Task, cut):
    array = tarefa.Array(np.dtype("f8"), (4, 6))
    whole = np.asarray(array)
    whole[...] = np.arange(24).reshape(4, 6)
    expected = whole.copy()
    CUTS[cut](expected)[...] = 7
    result(Task, fill, CUTS[cut](whole), 7)
    assert (whole == expected).all()


def test_the_view_arrives_as_it_was():
    array = tarefa.Array("i", range(10))
    view = np.asarray(array)[7:1:-2]

    def look(v):
        return v.shape, v.strides, v.dtype.str, v.flags.writeable, list(map(int, v))

    assert result(tarefa.Process, look, view) == look(view)
    view.flags.writeable = False
    assert result(tarefa.Process, look, view) == look(view)


def test_as_element_and_as_result():
    array = tarefa.Array("d", 6)
    whole = np.asarray(array)
    shared = tarefa.List([whole[1:3]])
    shared.append({"part": whole[4:]})
    shared[0][:] = 5
    shared[1]["part"][:] = 6
    assert list(whole) == [0, 5, 5, 0, 6, 6]

    def part(v):
        return v[3:4]

    back = result(tarefa.Process, part, whole)
    back[:] = 9
    assert whole[3] == 9


def test_the_memory_stays_as_long_as_a_view_of_it():
    shared = tarefa.List()
    shared.append(np.asarray(tarefa.Array("d", range(5)))[1:])
    assert list(shared[0]) == [1, 2, 3, 4]


def test_other_kinds_of_items(Task):
    pair = np.dtype([("x", "f8"), ("n", "i4")], align=True)
    for dtype in ("?", "u1", "i8", "f4", "c16", ">i4", "S5", pair):
        array = tarefa.Array(np.dtype(dtype), 3)
        whole = np.asarray(array)
        new = np.ones(2, np.dtype(dtype))

        def put(view, new):
            view[...] = new

        result(Task, put, whole[1:], new)
        assert (whole[1:] == new).all()


def test_an_array_that_looks_into_a_field():
    array = tarefa.Array(np.dtype([("x", "f8"), ("n", "i4")], align=True), 3)
    whole = np.asarray(array)
    result(tarefa.Process, fill, whole["n"], 4)
    assert list(whole["n"]) == [4, 4, 4]


def test_pickle_and_deepcopy_copy():
    array = tarefa.Array("d", range(4))
    view = np.asarray(array)[1:]
    for made in (pickle.loads(pickle.dumps(view)), copy.deepcopy(view), copy.copy(view)):
        made[:] = 8
        assert list(view) == [1, 2, 3]


def test_other_arrays_are_copied_as_ever():
    data = np.arange(100_000.0)

    def change(given):
        given[0] = -1
        return given.sum()

    assert result(tarefa.Process, change, data) == data.sum() - 1
    assert data[0] == 0


def test_an_array_made_of_an_array_of_numpys():
    made = tarefa.Array(np.arange(6.0).reshape(2, 3))
    assert (np.asarray(made) == [[0, 1, 2], [3, 4, 5]]).all()
    assert (made.shape, made.dtype) == ((2, 3), np.dtype("f8"))
    raw = tarefa.Array(np.array([1, 2], "i2"), lock=False)
    assert isinstance(raw, tarefa.RawArray)
    assert np.asarray(raw).dtype == np.dtype("i2")
    with pytest.raises(TypeError):
        tarefa.Array(5)


def test_a_memoryview_is_a_view_too(Task):
    array = tarefa.Array("d", 6)
    result(Task, lambda m: fill(np.asarray(m), 3), memoryview(array)[2:4])
    result(Task, lambda m: fill(np.asarray(m), 5), memoryview(array)[::-2])
    assert list(array) == [0, 5, 3, 5, 0, 5]
    grid = np.asarray(tarefa.Array(np.dtype("i4"), (2, 3)))
    shared = tarefa.List([memoryview(grid.T)])
    fill(np.asarray(shared[0])[1], 7)
    assert grid.tolist() == [[0, 7, 0], [0, 7, 0]]
    frozen = tarefa.List([memoryview(grid).toreadonly()])[0]
    assert frozen.readonly
    assert frozen[1, 1] == 7
    # One of other memory travels as a copy of what it shows.
    assert tarefa.List([memoryview(b"no view of ours")])[0] == b"no view of ours"


def test_records_and_what_reads_the_buffer(Task):
    array = tarefa.Array(np.dtype([("x", "f8"), ("id", "i4")]), 3)
    records = np.asarray(array).view(np.recarray)

    def put(given):
        given.x[1] = 2.5
        given.id = 9

    result(Task, put, records[1:])
    assert np.asarray(array).tolist() == [(0, 0), (0, 9), (2.5, 9)]
    result(Task, fill, np.frombuffer(memoryview(array), "u1")[:12], 255)
    assert np.asarray(array)["id"].tolist() == [-1, 9, 9]


def test_windows_any_strides_and_matrices(Task):
    from numpy.lib.stride_tricks import as_strided, sliding_window_view

    array = tarefa.Array("d", 12)
    view = np.asarray(array)
    windows = sliding_window_view(view, 3, writeable=True)
    for made, places in (
        (windows, range(12)),
        (windows[::4, 1:], (1, 2, 5, 6, 9, 10)),
        (as_strided(view[4:], (2, 2), (8, 16)), (4, 5, 6, 7)),
        (view.reshape(3, 4).view(np.matrix)[1:, ::2], (4, 6, 8, 10)),
    ):
        view[:] = 0
        result(Task, fill, made, 7)
        assert np.flatnonzero(view).tolist() == list(places)
    assert type(result(Task, lambda given: given, view.reshape(3, 4).view(np.matrix))) is np.matrix


@pytest.mark.parametrize("shared", ["data", "mask"])
def test_a_masked_array_over_one(shared):
    data, mask = np.zeros(4), np.zeros(4, bool)
    array = tarefa.Array(data if shared == "data" else mask)
    over = {"data": data, "mask": mask, shared: np.asarray(array)}
    masked = np.ma.MaskedArray(over["data"], over["mask"], fill_value=7, copy=False)

    def fill(given):
        getattr(given, "data" if shared == "data" else "_mask")[1:3] = 1
        return float(given.fill_value)

    assert result(tarefa.Process, fill, masked) == 7
    assert list(np.asarray(array)) == [0, 1, 1, 0]
