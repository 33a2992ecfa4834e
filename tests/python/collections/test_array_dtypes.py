"""Arrays with NumPy's types: packed structures, `dtype` and `shape`."""

import pytest

import tarefa

np = pytest.importorskip("numpy")


PACKED = [
    [("x", "f8"), ("id", "i4")],
    [("id", "i4"), ("x", "f8")],
    [("a", "i1"), ("x", "f8"), ("s", [("q", "u2"), ("r", "f4")])],
    [("a", "i1"), ("c", "S5"), ("u", "U3"), ("v", "i2", (2, 3)), ("z", "c16"), ("h", "f2")],
    [("a", "?"), ("x", ">f8"), ("t", "i2")],
    [("s", [("x", "f8"), ("b", "i1")], (3,)), ("n", "u4")],
    [("v", "V5"), ("x", "f8")],
    {"names": ["a", "b"], "formats": ["i4", "f8"], "offsets": [4, 16], "itemsize": 40},
    {"names": ["a"], "formats": ["u1"], "offsets": [0], "itemsize": 3},
]


@pytest.mark.parametrize("fields", PACKED, ids=str)
def test_packed_structured_types(fields):
    dtype = np.dtype(fields)
    array = tarefa.Array(dtype, 3)
    view = np.asarray(array)
    assert (view.dtype, view.shape) == (dtype, (3,))
    assert (array.dtype, array.shape) == (dtype, (3,))
    name = dtype.names[-1]
    view[name][1] = np.ones((), dtype[name])
    assert memoryview(array).itemsize == dtype.itemsize

    def look(array):
        return np.asarray(array)[name].tolist(), np.asarray(array).dtype

    found = tarefa.Process(target=look, args=(array,)).start().result()
    assert found == (view[name].tolist(), dtype)


def test_shape_and_dtype():
    grid = tarefa.Array(np.int16, (3, 4))
    assert (grid.shape, grid.dtype) == ((3, 4), np.dtype("int16"))
    for code in "bBhHiIlLqQfd?":
        assert tarefa.RawArray(code, 2).dtype == np.dtype(code)
    assert tarefa.Array("c", 2).dtype == np.dtype("S1")
    assert tarefa.Array("D", 2).dtype == np.dtype("complex128")
    assert tarefa.Array("i", 5).shape == (5,)
