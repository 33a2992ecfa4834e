"""Large buffers (arrays, bytearray, PickleBuffer) on every way: elements, arguments, results."""

import pickle

import numpy as np
import pytest
from support import run_script

import tarefa
from tarefa._convert import _pickling

LARGE = 1 << 18


def through_list(value):
    shared = tarefa.List()
    shared.append(value)
    return shared[0]


def through_set_item(value):
    shared = tarefa.List([None])
    shared[0] = value
    return shared.pop()


def through_copy(value):
    shared = tarefa.List()
    shared.extend([value, value])
    return shared[:][1]


def through_dict(value):
    shared = tarefa.Dict()
    shared["key"] = value
    return shared["key"]


def identity(value):
    return value


def through_process(value):
    return tarefa.Process(target=identity, args=(value,)).start().result()


def through_keyword(value):
    return tarefa.Process(target=identity, kwargs={"value": value}).start().result()


def through_closure(value):
    return tarefa.Process(target=lambda: value).start().result()


@pytest.fixture(
    params=[
        through_list,
        through_set_item,
        through_copy,
        through_dict,
        through_process,
        through_keyword,
        through_closure,
    ]
)
def way(request):
    return request.param


def arrays():
    plain = np.arange(LARGE, dtype=np.float64)
    readonly = plain.copy()
    readonly.flags.writeable = False
    records = np.zeros(LARGE, dtype=[("a", "<i4"), ("b", "S5")])
    records["a"] = np.arange(LARGE)
    yield "contiguous", plain
    yield "small", np.arange(3)
    yield "just_large_enough", np.zeros(1 << 14, dtype=np.uint8)
    yield "just_too_small", np.ones((1 << 14) - 1, dtype=np.uint8)
    yield "fortran", np.asfortranarray(plain.reshape(512, -1))
    yield "three_dimensions", plain.reshape(8, 64, -1)
    yield "strided", plain[::2]
    yield "reversed", plain[::-1]
    yield "read_only", readonly
    yield "empty", np.empty((0, 7))
    yield "of_one", np.array(5.5)
    yield "objects", np.array([{"a": 1}, "text", None] * 1000, dtype=object)
    yield "records", records
    yield "times", plain[:5000].astype("datetime64[s]")
    yield "other_byte_order", plain.astype(">f8")
    yield "long_double", plain.astype(np.longdouble)


@pytest.mark.parametrize(("name", "array"), list(arrays()), ids=[n for n, _ in arrays()])
def test_an_array_comes_back_as_plain_pickle_gives_it(way, name, array):
    expected = pickle.loads(pickle.dumps(array, 5))
    back = way(array)
    assert type(back) is np.ndarray
    np.testing.assert_array_equal(back, array)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.flags.writeable == expected.flags.writeable
    assert back.flags.aligned
    for order in ("c_contiguous", "f_contiguous"):
        assert getattr(back.flags, order) == getattr(expected.flags, order)


def test_what_comes_back_is_a_copy_of_its_own(way):
    array = np.zeros(LARGE)
    back = way(array)
    back += 1
    assert array.sum() == 0
    assert back.sum() == LARGE


def test_two_readers_of_one_element_do_not_see_each_other_s_changes():
    shared = tarefa.List([np.zeros(LARGE)])
    first, second = shared[0], shared[0]
    first[:] = 1
    assert second.sum() == 0
    assert shared[0].sum() == 0


def test_an_array_outlives_the_element_it_was_read_from():
    shared = tarefa.List([np.arange(LARGE), np.arange(LARGE)])
    back = shared[0]
    shared.clear()
    del shared
    np.testing.assert_array_equal(back, np.arange(LARGE))


def test_nested_in_anything(way):
    value = {
        "a": [np.arange(LARGE), (np.ones((300, 300), order="F"), "text")],
        "b": bytearray(b"x" * LARGE),
        "c": b"y" * LARGE,
        "d": None,
    }
    back = way(value)
    np.testing.assert_array_equal(back["a"][0], value["a"][0])
    np.testing.assert_array_equal(back["a"][1][0], value["a"][1][0])
    assert (back["b"], back["c"], back["d"]) == (value["b"], value["c"], None)
    assert type(back["b"]) is bytearray
    assert back["a"][1][1] == "text"


def test_an_object_mentioned_twice_stays_one(way):
    array = np.arange(LARGE)
    back = way([array, array, {"again": array}])
    assert back[0] is back[1] is back[2]["again"]


@pytest.mark.parametrize("size", [0, 1, 1000, LARGE])
def test_a_bytearray_stays_one(way, size):
    back = way(bytearray(range(256)) * (size // 256) + bytearray(size % 256))
    assert type(back) is bytearray
    assert back == bytearray(range(256)) * (size // 256) + bytearray(size % 256)
    back += b"it grows"


def test_a_bytearray_can_be_resized_after_it_was_given(way):
    data = bytearray(LARGE)
    way(data)
    data.extend(b"more")


class OwnBytes(bytearray):
    pass


def test_a_bytearray_of_a_class_of_its_own_keeps_it(way):
    back = way(OwnBytes(b"z" * LARGE))
    assert type(back) is OwnBytes
    assert back == b"z" * LARGE


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_a_pickle_buffer_comes_back_as_plain_pickle_gives_it(way, kind):
    data = kind(b"w" * LARGE)
    back = way((pickle.PickleBuffer(data),))[0]
    assert type(back) is kind
    assert back == data


def test_one_bytearray_in_two_arguments_arrives_as_one():
    def same(a, b, *, c=None):
        return a is b, c is None or c is a, type(a).__name__

    data = bytearray(LARGE)
    task = tarefa.Process(target=same, args=(data, data), kwargs={"c": data}).start()
    assert task.result() == (True, True, "bytearray")


def test_one_bytearray_in_an_argument_and_inside_another_arrives_as_one():
    def same(a, inside):
        return a is inside[0]

    data = bytearray(LARGE)
    assert tarefa.Process(target=same, args=(data, [data])).start().result()


def test_handles_and_buffers_travel_together(way):
    inner = tarefa.List([1, 2])
    array, handle = way((np.arange(LARGE), inner))
    handle.append(3)
    assert list(inner) == [1, 2, 3]
    assert array[-1] == LARGE - 1


def test_an_array_of_a_class_of_the_program_itself(way):
    class Tagged:
        def __init__(self):
            self.data = np.arange(LARGE)

    # By value: what it refers to cannot be imported.
    Tagged.__module__ = "__main__"
    back = way(Tagged())
    np.testing.assert_array_equal(back.data, np.arange(LARGE))


def test_a_strided_pickle_buffer_is_an_error_that_names_it():
    strided = pickle.PickleBuffer(np.arange(LARGE)[::2])
    shared = tarefa.List()
    with pytest.raises(tarefa.NotPicklable, match="contiguous"):
        shared.append(strided)
    with pytest.raises(tarefa.NotPicklable, match=r"args\[1\].*contiguous"):
        tarefa.Process(target=identity, args=(1, strided)).start()
    assert len(shared) == 0


def test_what_does_not_pickle_beside_an_array_is_named_and_nothing_is_stored():
    shared = tarefa.List()
    with pytest.raises(tarefa.NotPicklable, match="generator"):
        shared.append([np.arange(LARGE), (i for i in range(3))])
    assert len(shared) == 0


def test_an_array_with_no_room_for_it_is_an_error_and_the_list_stays_whole():
    run_script(
        """
        import numpy as np, tarefa
        shared = tarefa.List([1])
        try:
            shared.append(np.zeros(64 << 20, dtype=np.uint8))
        except MemoryError:
            pass
        else:
            raise SystemExit("it found room")
        assert list(shared) == [1]
        shared.append(np.zeros(1 << 20, dtype=np.uint8))
        assert shared[1].nbytes == 1 << 20
        """,
        env={"TAREFA_ARENA_MAX": str(32 << 20)},
    )


def test_an_encoding_inside_another_keeps_its_own_buffers(way):
    class Nests:
        def __init__(self, array):
            self.array = array

        def __reduce__(self):
            # A shared list that is filled while this is pickled.
            return rebuild, (tarefa.List([self.array]), self.array)

    Nests.__module__ = __name__
    inner, outer = way(Nests(np.arange(LARGE)))
    np.testing.assert_array_equal(inner[0], np.arange(LARGE))
    np.testing.assert_array_equal(outer, np.arange(LARGE))


def rebuild(inner, outer):
    return inner, outer


def test_outside_of_an_encoding_buffers_stay_in_the_pickle():
    array = np.arange(LARGE)
    np.testing.assert_array_equal(pickle.loads(_pickling.dumps_out_of_band(array)), array)
