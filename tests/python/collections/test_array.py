"""``Array`` and ``RawArray``."""

import array
import copy
import ctypes
import gc
import itertools
import os
import pickle
import random
import signal
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from support import eventually, run_script

import tarefa

NUMBERS = "bBhHiIlLqQfd"


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]


class Packed(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("tag", ctypes.c_char), ("number", ctypes.c_uint64), ("name", ctypes.c_char * 3)]


class Nested(ctypes.Structure):
    _fields_ = [("first", Point), ("grid", ctypes.c_short * 2 * 3), ("letter", ctypes.c_wchar)]


class Both(ctypes.Union):
    _fields_ = [("number", ctypes.c_uint32), ("bytes", ctypes.c_uint8 * 4)]


def used():
    return tarefa._engine.diagnostics()["arena_used"]


def test_sizes_and_initial_items():
    assert list(tarefa.Array("i", 3)) == [0, 0, 0]
    assert list(tarefa.Array("i", [1, 2])) == [1, 2]
    assert list(tarefa.Array("i", (3, 4))) == [3, 4]
    assert list(tarefa.Array("i", range(3))) == [0, 1, 2]
    assert list(tarefa.Array("d", (n / 2 for n in range(3)))) == [0, 0.5, 1]
    assert list(tarefa.Array("B", b"ab")) == [97, 98]
    assert list(tarefa.Array("c", b"ab")) == [b"a", b"b"]
    assert list(tarefa.Array("u", "olá")) == ["o", "l", "á"]
    assert list(tarefa.Array("h", array.array("h", [5, -6]))) == [5, -6]
    assert list(tarefa.Array("d", array.array("h", [5, -6]))) == [5, -6]
    assert list(tarefa.Array("?", [0, 2, "", "x"])) == [False, True, False, True]
    assert list(tarefa.Array("D", [1, 2j])) == [1, 2j]
    assert list(tarefa.Array(ctypes.c_ulong, [1 << 63])) == [1 << 63]
    assert list(tarefa.Array(int, [1 << 40])) == [1 << 40]
    assert (
        len(tarefa.Array("i", 0)) == len(tarefa.Array("i", [])) == len(tarefa.Array("c", b"")) == 0
    )
    assert list(tarefa.Array("i", np.int64(2))) == [0, 0]
    assert list(tarefa.Array("i", tarefa.Array("i", [7, 8]))) == [7, 8]
    assert list(tarefa.Array("i", tarefa.List([7, 8]))) == [7, 8]


def test_bad_sizes_and_items():
    for size in (-1, -(1 << 80)):
        with pytest.raises(ValueError, match="not below 0"):
            tarefa.Array("i", size)
    with pytest.raises(TypeError, match=r"a size \(a whole number\) or items"):
        tarefa.Array("i", 2.5)
    with pytest.raises(TypeError, match="NoneType"):
        tarefa.Array("i", None)
    with pytest.raises(OverflowError, match=r"item 2: 128 .*-128 to 127"):
        tarefa.Array("b", [1, 2, 128])
    with pytest.raises(TypeError, match=r"item 1: .*whole number, not str"):
        tarefa.Array("i", [1, "2"])
    with pytest.raises(OverflowError, match=r"item 1\.x: "):
        tarefa.Array(Point, [(1, 2), (1 << 31, 2)])
    with pytest.raises(TypeError):
        tarefa.Array(Point, [(1, 2), ("a", 2)])
    with pytest.raises(tarefa.BadItemType, match="typecodes"):
        tarefa.Array("x", 3)
    with pytest.raises(TypeError, match="str of length 1"):
        tarefa.Array("u", ["ab"])


def test_too_large_says_how_large():
    before = used()
    for make in (
        lambda: tarefa.Array("q", 1 << 40),
        lambda: tarefa.Array("c", (1 << 40) + 1),
        lambda: tarefa.Array("q", 1 << 62),
        lambda: tarefa.Array(np.float64, (1 << 31, 1 << 31, 8)),
        lambda: tarefa.Array("d", 1 << 80),
    ):
        with pytest.raises(MemoryError, match=r"\d bytes"):
            make()
    assert used() <= before


def test_items_and_slices_are_those_of_a_list():
    shared, plain = tarefa.Array("i", range(10)), list(range(10))
    for key in (0, 9, -1, -10, np.int8(3), True):
        assert shared[key] == plain[key]
        shared[key] = plain[key] = plain[key] + 100
    bounds = [None, 0, 3, 10, 50, -2, -50]
    for start, stop, step in itertools.product(bounds, bounds, [None, 1, 3, -1, -4]):
        key = slice(start, stop, step)
        assert shared[key] == plain[key]
        new = [random.randrange(1000) for _ in plain[key]]
        shared[key] = new
        plain[key] = new
    assert shared.snapshot() == plain == list(shared)
    assert [7 in shared, plain[4] in shared] == [7 in plain, True]
    assert list(reversed(shared)) == plain[::-1]
    for key in (10, -11, 1 << 70):
        with pytest.raises(IndexError, match="index"):
            shared[key]
        with pytest.raises(IndexError):
            shared[key] = 1
        with pytest.raises(IndexError):
            shared.add(key, 1)
    with pytest.raises(IndexError, match="index 10 is out of range: the array has 10 items"):
        shared[10]
    for key in ("0", 1.0, None, [1], ...):
        with pytest.raises(TypeError, match="whole numbers or slices"):
            shared[key]
        with pytest.raises(TypeError):
            shared[key] = 1
        with pytest.raises(TypeError):
            shared.exchange(key, 1)
    with pytest.raises(TypeError):
        shared.add(slice(2), 1)
    with pytest.raises(IndexError, match="2 indices"):
        shared[1, 2]
    with pytest.raises(TypeError):
        del shared[0]


def test_a_slice_is_assigned_as_a_whole_or_not():
    shared = tarefa.Array("b", [1, 2, 3, 4])
    with pytest.raises(ValueError, match="3 items do not fit a slice of 2"):
        shared[1:3] = [9, 9, 9]
    with pytest.raises(OverflowError, match="item 1: 200"):
        shared[1:3] = [9, 200]
    with pytest.raises(TypeError, match="item 0"):
        shared[1:3] = "ab"
    with pytest.raises(TypeError, match="not int"):
        shared[1:3] = 5
    assert shared[:] == [1, 2, 3, 4]
    shared[:] = shared[::-1]
    shared[1:3] = iter([7, 8])
    assert shared[:] == [4, 7, 8, 1]
    structures = tarefa.Array(Point, 3)
    with pytest.raises(OverflowError, match="item 1"):
        structures[:2] = [(1, 2), (1 << 31, 2)]
    with pytest.raises(ValueError, match="do not fit"):
        structures[:2] = [(1, 2)]
    assert structures[0].x == 0


@pytest.mark.parametrize("code", NUMBERS)
def test_as_array_array(code):
    """The bytes are those of ``array.array``."""
    if code in "fd":
        numbers = [0.0, -1.5, 1e30, float("inf")]
    else:
        most = array.array(code, [0]).itemsize * 8 - code.islower()
        numbers = [0, 1, (1 << most) - 1]
    plain, shared = array.array(code, numbers), tarefa.Array(code, numbers)
    assert bytes(shared) == plain.tobytes()
    assert memoryview(shared) == memoryview(plain)
    assert memoryview(shared).format == plain.typecode
    assert shared[:] == plain.tolist()
    numpy = np.asarray(shared)
    assert numpy.dtype == np.asarray(plain).dtype
    numpy[:] = numpy[::-1]
    assert shared[:] == plain.tolist()[::-1]


class AgainstArray(RuleBasedStateMachine):
    """The same operations on an ``Array`` and on a list of numbers in range."""

    @initialize(
        code=st.sampled_from("bBhHiIqQ"),
        size=st.integers(0, 12),
        lock=st.booleans(),
        data=st.data(),
    )
    def make(self, code, size, lock, data):
        bits = array.array(code).itemsize * 8
        self.least = -(1 << bits - 1) if code.islower() else 0
        self.most = self.least + (1 << bits) - 1
        self.number = st.integers(self.least, self.most)
        self.any = self.number | st.integers(self.least - 3, self.most + 3)
        self.plain = data.draw(st.lists(self.number, min_size=size, max_size=size))
        self.shared = tarefa.Array(code, self.plain, lock=lock)
        self.index = st.integers(-size - 1, size)

    def both(self, act):
        results = []
        for one in (self.plain, self.shared):
            try:
                results.append(act(one))
            except (IndexError, ValueError) as e:
                results.append(type(e))
        return results

    @rule(data=st.data())
    def item(self, data):
        index = data.draw(self.index)
        first, second = self.both(lambda one: one[index])
        assert first == second

    @rule(data=st.data())
    def assign(self, data):
        index, number = data.draw(self.index), data.draw(self.any)
        if self.least <= number <= self.most:
            first, second = self.both(lambda one: one.__setitem__(index, number))
            assert first == second
        else:
            with pytest.raises((OverflowError, IndexError)):
                self.shared[index] = number

    @rule(data=st.data())
    def assign_slice(self, data):
        key = data.draw(st.slices(len(self.plain)))
        wanted = len(self.plain[key])
        numbers = data.draw(st.lists(self.number, min_size=wanted, max_size=wanted))
        self.plain[key] = numbers
        self.shared[key] = numbers
        assert self.plain[key] == self.shared[key]

    @rule(data=st.data())
    def add(self, data):
        index, more = data.draw(self.index), data.draw(self.any | st.integers(-5, 5))
        try:
            total = self.plain[index] + more
        except IndexError:
            with pytest.raises(IndexError):
                self.shared.add(index, more)
            return
        if self.least <= total <= self.most:
            self.plain[index] = total
            assert self.shared.add(index, more) == total
        else:
            with pytest.raises(OverflowError):
                self.shared.add(index, more)

    @rule(data=st.data())
    def compare_exchange(self, data):
        if self.plain:
            index = data.draw(st.integers(0, len(self.plain) - 1))
            expected = data.draw(st.sampled_from(self.plain) | self.number)
            new = data.draw(self.number)
            same = self.plain[index] == expected
            if same:
                self.plain[index] = new
            assert self.shared.compare_exchange(index, expected, new) is same
            assert self.shared.exchange(index, new) == self.plain[index]
            self.plain[index] = new

    @rule()
    def look(self):
        assert self.shared.snapshot() == list(self.shared) == self.plain
        assert np.asarray(self.shared).tolist() == self.plain


TestAgainstArray = AgainstArray.TestCase
TestAgainstArray.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)


def test_text():
    text = tarefa.Array("c", 8)
    text.value = b"ola"
    assert (text.value, text.raw) == (b"ola", b"ola\0\0\0\0\0")
    text.raw = b"12345678"
    text.value = b"ab"
    assert text.raw == b"ab\00045678"
    assert text[:2] == b"ab"
    assert text[::-2] == b"864b"
    assert text[0] == b"a"
    text[0:2] = b"xy"
    text[2] = 122
    assert text.value == b"xyz45678"
    assert text.snapshot() == b"xyz45678"
    for too_long in (b"123456789", bytearray(9)):
        with pytest.raises(ValueError, match="do not fit"):
            text.value = too_long
        with pytest.raises(ValueError, match="do not fit"):
            text.raw = too_long
    with pytest.raises(TypeError, match="bytes expected, not str"):
        text.value = "text"
    wide = tarefa.Array("u", 4)
    wide.value = "sí"
    assert (wide.value, wide[:], wide.snapshot()) == ("sí", "sí\0\0", "sí\0\0")
    with pytest.raises(TypeError, match="str expected"):
        wide.value = b"x"
    with pytest.raises(AttributeError):
        _ = wide.raw
    with pytest.raises(AttributeError, match=r"no \.value"):
        _ = tarefa.Array("i", 2).value
    with pytest.raises(AttributeError):
        tarefa.Array("i", 2).raw = b""
    assert repr(text) == "tarefa.Array('c', b'xyz45678')"
    assert repr(tarefa.RawArray("i", [1])) == "tarefa.RawArray('i', [1])"


def test_structures():
    points = tarefa.Array(Point, [(1, 2.0), (3, 4.0), Point(5, 6.0)])
    assert [(p.x, p.y) for p in points] == [(1, 2.0), (3, 4.0), (5, 6.0)]
    points[1].y = 40.0
    points[0] = (10, 20)
    points[-1] = Point(50, 60)
    assert [(p.x, p.y) for p in points.get_obj()] == [(10, 20.0), (3, 40.0), (50, 60.0)]
    points[:2] = [(7, 8), Point(9, 10)]
    copies = points.snapshot()
    points[0].x = -1
    assert [(p.x, p.y) for p in copies] == [(7, 8.0), (9, 10.0), (50, 60.0)]
    assert isinstance(points, tarefa.Array)
    for key in (3, -4):
        with pytest.raises(IndexError, match="the array has 3 items"):
            points[key]
    with pytest.raises(TypeError):
        points["x"]
    with pytest.raises(TypeError, match="no atomic operation"):
        points.add(0, 1)
    kept = points[1]
    del points, copies
    gc.collect()
    kept.x = 77
    assert kept.x == 77
    numbers = tarefa.Array(ctypes.c_int * 3, 2)
    numbers[1][2] = 5
    numbers[0] = (1, 2, 3)
    assert [list(n) for n in numbers] == [[1, 2, 3], [0, 0, 5]]
    assert np.asarray(numbers).tolist() == [[1, 2, 3], [0, 0, 5]]
    with pytest.raises(OverflowError, match=r"\[1\]"):
        numbers[0] = (1, 1 << 31, 3)
    assert "3 items" in repr(tarefa.Array(Point, 3))


@pytest.mark.parametrize(
    ("what", "dtype"),
    [
        (Point, [("x", "i4"), ("", "V4"), ("y", "f8")]),
        (Packed, [("tag", "S1"), ("number", "u8"), ("name", "S3")]),
        (ctypes.c_int * 2 * 3, None),
        (Both, None),
        (Nested, None),
    ],
)
def test_structures_as_buffers(what, dtype):
    items = tarefa.Array(what, 2)
    view = np.asarray(items)
    assert view.nbytes == 2 * ctypes.sizeof(what)
    assert view.__array_interface__["data"][0] == ctypes.addressof(items.get_obj())
    if dtype is not None:
        assert view.dtype.itemsize == ctypes.sizeof(what)
        for name, kind in dtype:
            if name:
                assert view.dtype[name] == kind
    if what is Point:
        view["y"] = [1.5, 2.5]
        assert items[1].y == 2.5
    if what is Nested:
        assert view["grid"].shape == (2, 3, 2)
        assert view["first"]["y"].shape == (2,)
        view["letter"] = "é"
        assert items[0].letter == "é"
    if what is Both:
        assert view.shape == (2, 4)


def test_dtypes():
    for what, code in (
        (np.float32, "f"),
        (np.dtype("i8"), "l"),
        ("float64", "d"),
        ("<u2", "H"),
        (np.bool_, "?"),
        (np.complex128, "D"),
        ("uint8", "B"),
        (np.intc, "i"),
    ):
        shared = tarefa.Array(what, 3)
        assert shared.type_code == code
        assert np.asarray(shared).dtype == np.dtype(what)
        assert shared[:] == [0, 0, 0]
    structured = np.dtype([("x", "i4"), ("y", "f8"), ("sub", "i2", (2, 2))])
    shared = tarefa.Array(structured, 3)
    shared[1] = (1, 2.5, [[1, 2], [3, 4]])
    shared[2]["x"] = 9
    view = np.asarray(shared)
    assert view.dtype == structured
    assert (view["x"].tolist(), view["sub"][1].tolist()) == ([0, 1, 9], [[1, 2], [3, 4]])
    assert shared.snapshot()[2][0] == 9
    for what in (">i4", "f2", np.longdouble, "S5", "U3", "V8", np.dtype("(2,3)i4")):
        shared = tarefa.Array(what, 2)
        assert np.asarray(shared).nbytes == 2 * np.dtype(what).itemsize, what
        assert isinstance(shared.get_obj(), np.ndarray)
    big = tarefa.Array(">i4", [1, 2, -3])
    assert list(big) == [1, 2, -3]
    with pytest.raises(TypeError, match="no atomic"):
        big.add(0, 1)
    assert tarefa.Array("U3", ["ab", "cde"])[1] == "cde"
    half = tarefa.Value(np.float16, 0.5)
    half.value += 1
    assert half.value == 1.5
    complexes = tarefa.Array(np.complex64, [1, 2j])
    assert np.asarray(complexes).sum() == 1 + 2j
    complexes.get_obj()[0] = 5
    assert complexes[0] == 5
    for what, why in (
        (object, "typecodes"),
        (np.dtype("O"), "Python objects"),
        (np.dtype([("a", "i4"), ("b", "O")]), "field b"),
        ("M8[s]", "int64"),
        ("V0", "no bytes"),
    ):
        with pytest.raises(tarefa.BadItemType, match=why):
            tarefa.Array(what, 2)


def test_several_dimensions():
    grid = tarefa.Array(np.float64, (3, 4))
    view = np.asarray(grid)
    assert (view.shape, view.dtype, view.flags.writeable, view.flags.c_contiguous) == (
        (3, 4), np.float64, True, True,
    )  # fmt: skip
    view[:] = np.arange(12).reshape(3, 4)
    assert len(grid) == 3
    assert grid[1, 2] == grid[-2, -2] == 6
    for key in (
        1,
        -1,
        slice(1, 3),
        (slice(None), 1),
        (slice(None, None, -2), slice(1, 3)),
        (2,),
        (),
    ):
        assert grid[key] == view[key].tolist()
    grid[0] = [9, 9, 9, 9]
    grid[:, 3] = (1, 2, 3)
    grid[1, 1] = -1
    grid[1:, :2] = np.array([[10, 11], [12, 13]])
    assert view.tolist() == [[9, 9, 9, 1], [10, 11, 6, 2], [12, 13, 10, 3]]
    assert grid.snapshot() == view.tolist() == list(grid)
    assert grid.add((2, 0), 5) == 17
    assert grid.exchange((0, -1), 4) == 1
    assert grid.compare_exchange((2, 0), 17, 0)
    with pytest.raises(TypeError, match="2 indices"):
        grid.add(0, 5)
    with pytest.raises(IndexError, match="3 items along dimension 0"):
        grid[3, 0]
    with pytest.raises(IndexError, match="along dimension 1"):
        grid[0, 4] = 1
    with pytest.raises(IndexError, match="3 indices"):
        grid[0, 0, 0]
    with pytest.raises(ValueError, match="lengths stay"):
        grid[0] = [1, 2]
    copied = tarefa.Array("i", np.arange(6, dtype=np.int64).reshape(2, 3))
    assert copied[:] == [[0, 1, 2], [3, 4, 5]]
    assert np.asarray(tarefa.Array(np.int16, np.ones((2, 2, 2)))).shape == (2, 2, 2)
    assert ctypes.sizeof(grid.get_obj()) == 96
    assert grid.get_obj()[0][3] == 4
    assert memoryview(grid).shape == (3, 4)
    with pytest.raises(ValueError, match="below 0"):
        tarefa.Array(np.float64, (3, -1))
    with pytest.raises(ValueError, match=r"tarefa\.Value"):
        tarefa.Array(np.float64, ())
    assert np.asarray(tarefa.Array(np.float64, (3, 0, 2))).shape == (3, 0, 2)


def test_views_keep_the_memory(Task):
    before = used()
    shared = tarefa.Array("d", 1 << 18)
    view, part = np.asarray(shared), memoryview(shared)[:10]
    keeper = tarefa.Array("i", 1)

    def change(shared, keeper):
        keeper[0] = 1
        while keeper[0] != 2:
            tarefa.sleep(0.001)
        shared[5] = 5.5

    task = Task(target=change, args=(shared, keeper)).start()
    eventually(lambda keeper=keeper: keeper[0] == 1)
    del shared
    gc.collect()
    keeper[0] = 2
    task.result()
    del task
    assert (view[5], part[5]) == (5.5, 5.5)
    view[5] = 6.5
    del view
    gc.collect()
    assert part[5] == 6.5
    assert used() - before > 1 << 20
    part.release()
    del keeper
    eventually(lambda: used() - before < 1 << 20)


def test_views_in_children_of_a_fork():
    shared = tarefa.Array("i", [1, 2, 3])
    view = np.asarray(shared)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(read, 1)
        view[1] = 20
        os._exit(int(view[0]))
    del shared, view
    gc.collect()
    other = tarefa.Array("i", [7, 7, 7])
    os.write(write, b"x")
    status = os.waitpid(child, 0)[1]
    os.close(read)
    os.close(write)
    assert other[:] == [7, 7, 7]
    assert status >> 8 == 1


def test_close():
    shared = tarefa.Array("i", [1, 2])
    view = np.asarray(shared)
    item = tarefa.Array(Point, 2)
    kept = item[0]
    for one in (shared, item):
        with pytest.raises(BufferError, match="view"):
            one.close()
    assert kept.x == 0
    del view, kept
    for one in (shared, item):
        one.close()
        with pytest.raises(ValueError, match="closed"):
            one[0]
        with pytest.raises(ValueError, match="closed"):
            np.asarray(memoryview(one))
        with pytest.raises(ValueError, match="closed"):
            one.get_obj()
        with pytest.raises(ValueError, match="closed"):
            one.snapshot()
        assert "closed" in repr(one)
    twin = tarefa.Array("i", [5])
    other = pickle.loads(pickle.dumps(twin))
    twin.close()
    assert other[0] == 5


def test_raw_arrays_have_no_lock():
    for raw in (tarefa.RawArray("i", [1, 2]), tarefa.Array("i", [1, 2], lock=False)):
        assert type(raw) is tarefa.RawArray
        assert (raw[:], raw.add(0, 5)) == ([1, 2], 6)
        assert not hasattr(raw, "get_lock")
        assert not hasattr(raw, "acquire")


def test_the_lock_makes_others_wait(Task):
    shared = tarefa.Array("i", [1, 2])
    begun = tarefa.Event()

    def change(shared, begun):
        begun.set()
        shared[:] = [8, 9]

    with shared.get_lock():
        task = Task(target=change, args=(shared, begun)).start()
        begun.wait()
        tarefa.Event().wait(0.05)
        assert shared[:] == [1, 2]
        assert shared.add(0, 1) == 2
    task.result()
    assert shared[:] == [8, 9]


def test_snapshots_are_of_one_instant(Task):
    """All who write hold the lock."""
    shared, stop = tarefa.Array("q", 50), tarefa.Event()

    def write(shared, stop):
        number = 0
        while not stop.is_set():
            number += 1
            shared[:] = [number] * len(shared)

    task = Task(target=write, args=(shared, stop)).start()
    eventually(lambda: shared[0] > 0)
    for _ in range(300):
        assert len(set(shared.snapshot())) == 1
        assert len(set(shared[10:40:3])) == 1
    stop.set()
    task.result()


def test_no_add_is_lost(Task):
    shared = tarefa.Array("h", 3)

    def add(shared, times):
        for turn in range(times):
            shared.add(turn % 3, 1)

    tasks = [Task(target=add, args=(shared, 6000)).start() for _ in range(4)]
    for task in tasks:
        task.result()
    assert shared[:] == [8000] * 3


def test_the_owners_death_is_told_once():
    shared = tarefa.Array(Point, 2)

    def die(shared):
        with shared.get_lock():
            shared[0].x = 1
            os.kill(os.getpid(), signal.SIGKILL)

    tarefa.Process(target=die, args=(shared,)).start().join()
    with pytest.raises(tarefa.OwnerDied):
        shared[0]
    assert shared[0].x == 1


def test_a_copy_is_another_array():
    for shared in (
        tarefa.Array("i", [1, 2, 3]),
        tarefa.RawArray("D", [1j, 2]),
        tarefa.Array("c", b"text"),
        tarefa.Array(np.float64, np.arange(6.0).reshape(2, 3)),
        tarefa.Array(">i4", [1, 2]),
    ):
        copied = copy.copy(shared)
        assert type(copied) is type(shared)
        assert copied != shared
        assert copied.snapshot() == shared.snapshot()
        assert copy.deepcopy([shared])[0].snapshot() == shared.snapshot()
        copied[0] = copied[1]
        assert copied.snapshot() != shared.snapshot()


def test_many_items_are_not_shown():
    many = repr(tarefa.Array("i", 1001))
    assert many == "tarefa.Array('i', [0, 0, 0, ..., 0, 0, 0], shape=(1001,))"
    rows = ", ".join(["[0, 0, 0, ..., 0, 0, 0]"] * 3)
    many = repr(tarefa.Array(np.int8, (100, 11)))
    assert many == f"tarefa.Array('b', [{rows}, ..., {rows}], shape=(100, 11))"


def test_large_arrays():
    source = np.arange(4_000_000, dtype=np.int32)
    before = used()
    shared = tarefa.Array("i", source)
    assert np.array_equal(np.asarray(shared), source)
    assert np.asarray(shared).__array_interface__["data"][0] % 64 == 0

    def total(shared):
        return int(np.asarray(shared).sum())

    assert tarefa.Process(target=total, args=(shared,)).start().result() == source.sum()
    del shared
    gc.collect()
    eventually(lambda: used() - before < 1 << 20)


def test_as_elements_of_a_list(Task):
    rows = tarefa.List([tarefa.Array("i", 2), tarefa.Array(Point, 1), tarefa.Array(">i4", [5])])

    def change(rows):
        rows[0][1] = 4
        rows[1][0].y = 2.5
        rows[2][0] += 1

    Task(target=change, args=(rows,)).start().result()
    assert (rows[0][:], rows[1][0].y, rows[2][0]) == ([0, 4], 2.5, 6)
    assert rows[0] == rows[0]
    assert rows[0] != rows[1]


def test_a_buffer_as_asked_for():
    """What ``PyObject_GetBuffer`` is asked for, it gives."""
    grid = tarefa.Array(np.int16, (2, 3))
    view = memoryview(grid)
    assert (view.format, view.itemsize, view.shape, view.strides) == ("h", 2, (2, 3), (6, 2))
    assert (view.c_contiguous, view.f_contiguous, view.readonly) == (True, False, False)
    assert view.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert len(bytes(grid)) == 12
    plain = (ctypes.c_char * 12).from_buffer(grid)
    plain[0] = b"\1"
    assert grid[0, 0] == 1
    with open("/dev/zero", "rb") as zeroes:
        assert zeroes.readinto(grid) == 12
    assert grid[0, 0] == 0


def test_arrays_of_another_language():
    """What the Rust crate writes down of its types, without a note of Python's."""

    def attach(what, size, shape, guarded=True):
        memory = tarefa._engine.make_array(what, size, shape, guarded, None)
        attach, arguments = tarefa._collections._making.from_handle(memory).__reduce__()
        return attach(*arguments)

    points = attach("T{<b:x:7x<d:y:<B:color:1x(3)<H:tags:}", 24, [3])
    assert type(points).__name__ == "Array"
    points[1].y = 2.5
    points[1].tags[2] = 9
    points[2].x = -1
    view = np.asarray(points)
    assert (view["y"][1], view["tags"][1].tolist(), view["x"][2]) == (2.5, [0, 0, 9], -1)
    with pytest.raises(TypeError, match="no atomic"):
        points.add(0, 1)
    nested = attach("T{T{<q:a:<?:b:7x}:first:(2,2)<f:grid:<w:letter:4x}", 40, [], guarded=False)
    assert isinstance(nested, tarefa.RawValue)
    assert not isinstance(nested, tarefa.Value)
    nested.first.a = 5
    nested.letter = "é"
    nested.grid[1][0] = 0.5
    assert np.asarray(nested)["grid"].tolist() == [[0, 0], [0.5, 0]]
    numbers = attach("(3)q", 24, [2])
    numbers[1][2] = 5
    assert np.asarray(numbers).tolist() == [[0, 0, 0], [0, 0, 5]]
    words = attach("q", 8, [2])
    assert words.add(1, 5) == 5
    unknown = attach("T{&i:pointer:}", 8, [2])
    unknown[1][0] = 7
    assert list(unknown[1]) == [7, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing(method):
    run_script(
        """
        import multiprocessing, sys, tarefa

        def work(shared, text, at):
            shared[at] = at * at
            with text.get_lock():
                text.value = text.value + b"x"

        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[1])
            shared, text = tarefa.Array("d", 3), tarefa.Array("c", 10)
            tasks = [context.Process(target=work, args=(shared, text, at)) for at in range(3)]
            for task in tasks:
                task.start()
            for task in tasks:
                task.join()
                assert task.exitcode == 0
            assert (shared[:], text.value) == ([0, 1, 4], b"xxx")
        """,
        method,
    )


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_bytes_come_back(data):
    assert tarefa.RawArray("B", data)[:] == list(data)
    assert tarefa.RawArray("c", data).raw == data
    assert bytes(tarefa.RawArray("b", np.frombuffer(data, np.int8))) == data


def test_forks_of_several_threads():
    """Each waits for its own child to hold what it inherited, and for nobody else's."""
    shared = tarefa.Array("i", 100)
    view = np.asarray(shared)

    def fork(number):
        for turn in range(5):
            child = os.fork()
            if child == 0:
                view[number * 5 + turn] += 1
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0

    threads = [threading.Thread(target=fork, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shared[:20] == [1] * 20


def test_one_without_items_shows_its_shape():
    assert repr(tarefa.Array(np.zeros((0, 3)))) == "tarefa.Array('d', [], shape=(0, 3))"
    assert repr(tarefa.Array("d", 0)) == "tarefa.Array('d', [])"
