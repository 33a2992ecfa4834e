"""``Value`` and ``RawValue``."""

import copy
import ctypes
import gc
import operator
import os
import pickle
import signal
import struct
import threading
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import eventually, run_script

import tarefa

INTEGERS = "bBhHiIlLqQnN"


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]

    def norm(self):
        return (self.x**2 + self.y**2) ** 0.5


class Bits(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint, 3), ("high", ctypes.c_int, 5)]


class Whole(ctypes.Structure):
    _anonymous_ = ("inner",)
    _fields_ = [
        ("tag", ctypes.c_byte),
        ("inner", Point),
        ("name", ctypes.c_char * 8),
        ("all", ctypes.c_short * 3),
    ]


class Both(ctypes.Union):
    _fields_ = [("number", ctypes.c_uint32), ("bytes", ctypes.c_uint8 * 4)]


def limits(code):
    size = struct.calcsize(code)
    if code.islower():
        return -(1 << 8 * size - 1), (1 << 8 * size - 1) - 1
    return 0, (1 << 8 * size) - 1


@pytest.mark.parametrize("code", INTEGERS)
def test_integers_have_their_range(code):
    least, most = limits(code)
    value = tarefa.Value(code)
    assert value.value == 0
    for number in (least, most):
        value.value = number
        assert value.value == number
        assert tarefa.Value(code, number).value == number
        assert memoryview(value)[()] == number
    for number in (least - 1, most + 1, -(1 << 70), 1 << 70, 1 << 5000):
        with pytest.raises(OverflowError, match=f"{least} to {most}"):
            value.value = number
        with pytest.raises(OverflowError, match=f'"{code}"'):
            tarefa.Value(code, number)
        with pytest.raises(OverflowError):
            value.exchange(number)
        with pytest.raises(OverflowError):
            value.compare_exchange(most, number)
        assert value.value == most
    for wrong in ("1", 1.0, None, b"1", [1]):
        with pytest.raises(TypeError, match="a whole number"):
            value.value = wrong
        with pytest.raises(TypeError):
            value.add(wrong)


@pytest.mark.parametrize("code", INTEGERS)
def test_add_stays_in_range(code):
    least, most = limits(code)
    value = tarefa.Value(code, most - 1)
    assert value.add(1) == most
    for more in (1, most + 1, 1 << 64, 1 << 130, 1 << 5000):
        with pytest.raises(OverflowError, match=f"{least} to {most}.*nothing was changed"):
            value.add(more)
    assert value.value == most
    assert value.add(least - most) == least
    with pytest.raises(OverflowError):
        value.add(-1)
    with pytest.raises(OverflowError):
        value.add(-(1 << 200))
    assert value.value == least
    assert value.add(0) == least
    assert value.add(True) == least + 1


@given(st.sampled_from(INTEGERS), st.lists(st.integers(-(2**65), 2**65), max_size=20))
@settings(deadline=None)
def test_add_is_what_int_says(code, numbers):
    least, most = limits(code)
    value, expected = tarefa.RawValue(code), 0
    for number in numbers:
        if least <= expected + number <= most:
            expected += number
            assert value.add(number) == expected
        else:
            with pytest.raises(OverflowError):
                value.add(number)
        assert value.value == expected


def test_exchange_and_compare_exchange():
    value = tarefa.Value("q", 5)
    assert value.exchange(-7) == 5
    assert not value.compare_exchange(5, 1)
    assert value.compare_exchange(-7, 1 << 40)
    assert value.value == 1 << 40
    real = tarefa.Value("d", 0.0)
    assert real.add(0.5) == 0.5
    assert real.add(2) == 2.5
    assert real.exchange(-0.0) == 2.5
    assert real.compare_exchange(0, float("nan"))
    assert not real.compare_exchange(float("nan"), 1)
    small = tarefa.Value("f", 3e38)
    with pytest.raises(OverflowError, match=r"3\.4.*e38.*nothing was changed"):
        small.add(3e38)
    assert small.add(float("inf")) == float("inf")
    flag = tarefa.Value("?")
    assert flag.exchange(True) is False
    assert flag.compare_exchange(True, False)
    assert not flag.compare_exchange(True, False)


@pytest.mark.parametrize("what", ["c", "u", "F", "D", Point, ctypes.c_longdouble, Both])
def test_other_types_have_no_atomics(what):
    value = tarefa.Value(what)
    for operation in (
        lambda: value.add(1),
        lambda: value.exchange(1),
        lambda: value.compare_exchange(1, 2),
    ):
        with pytest.raises(TypeError, match=r"no atomic operation.*get_lock"):
            operation()


def test_a_truth_value_does_not_add():
    with pytest.raises(TypeError, match="no atomic operation"):
        tarefa.Value("?").add(1)


def test_floats_text_and_the_rest():
    assert tarefa.Value("d", 1 / 3).value == 1 / 3
    assert tarefa.Value("f", 0.5).value == 0.5
    assert tarefa.Value("f", float("-inf")).value == float("-inf")
    with pytest.raises(OverflowError, match='"f"'):
        tarefa.Value("f", 1e39)
    assert tarefa.Value("?", [1]).value is True
    assert tarefa.Value("?").value is False
    assert tarefa.Value("c").value == b"\0"
    assert tarefa.Value("c", b"x").value == b"x"
    assert tarefa.Value("c", 65).value == b"A"
    assert tarefa.Value("u", "ñ").value == "ñ"
    assert tarefa.Value("u", "\U0001f40d").value == "\U0001f40d"
    assert tarefa.Value("D", 1 - 2j).value == 1 - 2j
    assert tarefa.Value("F", 0.5j).value == 0.5j
    assert tarefa.Value(int, 3).value == 3
    assert tarefa.Value(float, 3).value == 3.0
    assert tarefa.Value(bool, 3).value is True
    assert tarefa.Value(complex, 3).value == 3
    for what, wrong in (("c", b"xy"), ("c", "x"), ("u", "xy"), ("u", b"x"), ("d", "1"), ("D", "1")):
        with pytest.raises(TypeError, match=f'"{what}"'):
            tarefa.Value(what, wrong)
    broken = tarefa.Value("u")
    memoryview(broken).cast("B").cast("I")[0] = 0x110000
    with pytest.raises(ValueError, match="chr"):
        _ = broken.value


@pytest.mark.parametrize(
    "what", ["x", "", "ii", "int33", None, 5, object, str, list, "é", object()]
)
def test_what_is_no_type(what):
    with pytest.raises(tarefa.BadItemType, match=r"typecodes c b B h H") as caught:
        tarefa.Value(what)
    assert isinstance(caught.value, (TypeError, ValueError))


def test_pointers_are_refused_with_the_reason():
    class Inner(ctypes.Structure):
        _fields_ = [("ok", ctypes.c_int), ("text", ctypes.c_char_p)]

    class Outer(ctypes.Structure):
        _fields_ = [("n", ctypes.c_int), ("inner", Inner * 2)]

    for what, place in (
        (ctypes.c_void_p, "c_void_p"),
        (ctypes.c_char_p, "c_char_p"),
        (ctypes.py_object, "a Python object"),
        (ctypes.POINTER(ctypes.c_int), "a pointer"),
        (ctypes.CFUNCTYPE(None), "a pointer"),
        (Inner, "field text"),
        (Outer, r"field inner\[\.\.\.\]\.text"),
        (ctypes.c_char_p * 3, "c_char_p"),
    ):
        with pytest.raises(tarefa.BadItemType, match=place + r".*another process"):
            tarefa.Value(what)
        with pytest.raises(tarefa.BadItemType, match=place):
            tarefa.Array(what, 2)

    class Empty(ctypes.Structure):
        pass

    with pytest.raises(tarefa.BadItemType, match="no bytes"):
        tarefa.Value(Empty)


def test_a_structure_has_its_fields():
    value = tarefa.Value(Point, 3, 4.0)
    assert (value.x, value.y) == (3, 4.0)
    value.x = -5
    assert value.get_obj().x == -5
    assert isinstance(value.get_obj(), Point)
    assert value.get_obj() is value.get_obj()
    value.get_obj().y = 12.0
    assert value.snapshot().norm() == 13.0
    copied = value.snapshot()
    value.y = 0
    assert copied.y == 12.0
    assert isinstance(value, tarefa.Value)
    assert "x=-5" in repr(value)
    with pytest.raises(OverflowError, match="field x"):
        value.x = 1 << 31
    with pytest.raises(OverflowError, match="x: "):
        tarefa.Value(Point, 1 << 31)
    with pytest.raises(TypeError):
        value.x = "text"
    with pytest.raises(AttributeError):
        _ = value.value
    with pytest.raises(AttributeError):
        value.z = 1
    assert value.x == -5


def test_fields_of_every_sort():
    value = tarefa.Value(Whole, 1, (2, 3.0), b"nome", (1, 2, 3))
    assert (value.tag, value.x, value.y, value.name, list(value.all)) == (
        1,
        2,
        3.0,
        b"nome",
        [1, 2, 3],
    )
    value.x = 9
    value.all = (4, 5, 6)
    value.inner.y = 8.0
    assert (value.inner.x, value.y, list(value.all)) == (9, 8.0, [4, 5, 6])
    with pytest.raises(OverflowError, match=r"field all\[1\]"):
        value.all = (4, 1 << 15, 6)
    with pytest.raises(OverflowError, match=r"inner\.x"):
        tarefa.Value(Whole, 1, (1 << 31, 3.0))
    bits = tarefa.Value(Bits, 7, -16)
    assert (bits.low, bits.high) == (7, -16)
    with pytest.raises(OverflowError, match=r"of 3 bits: 0 to 7"):
        bits.low = 8
    both = tarefa.Value(Both)
    both.number = 0x01020304
    assert list(both.bytes) == [4, 3, 2, 1]
    assert bytes(memoryview(both)) == bytes([4, 3, 2, 1])


def test_swapped_and_long_numbers():
    big = tarefa.Value(ctypes.c_int.__ctype_be__, 1)
    assert big.value == 1
    assert bytes(memoryview(big).cast("B")) == b"\0\0\0\1"
    with pytest.raises(OverflowError):
        big.value = 1 << 31
    long = tarefa.Value(ctypes.c_longdouble, 0.5)
    long.value += 1
    assert long.value == 1.5


def test_a_field_may_have_any_name():
    names = ["value", "lock", "memory", "add", "close", "object_id", "acquire", "get_obj"]

    class Odd(ctypes.Structure):
        _fields_ = [(name, ctypes.c_int) for name in names]

    value = tarefa.Value(Odd, *range(8))
    assert [getattr(value, name) for name in names] == list(range(8))
    value.memory = 50
    with value.get_lock():
        assert value.memory == 50
    assert pickle.loads(pickle.dumps(value)).memory == 50
    assert "object_id=5" in repr(value)
    assert value == value
    assert len({value, value}) == 1


def test_raw_values_have_no_lock():
    for value in (tarefa.RawValue("i", 7), tarefa.Value("i", 7, lock=False)):
        assert type(value) is tarefa.RawValue
        assert value.value == 7
        for name in ("get_lock", "acquire", "release", "lock", "__enter__"):
            assert not hasattr(value, name)
        assert value.get_obj().value == 7
        assert value.add(1) == 8
    assert isinstance(tarefa.Value("i"), tarefa.RawValue)


def test_the_lock_makes_others_wait(Task):
    value = tarefa.Value("i", 1)
    begun = tarefa.Event()

    def change(value, begun):
        begun.set()
        value.value = 5
        return value.value

    with value.get_lock():
        value.value = 2
        with value, value.lock():
            assert value.value == 2
        task = Task(target=change, args=(value, begun)).start()
        begun.wait()
        tarefa.Event().wait(0.05)
        assert value.value == 2
        assert value.add(10) == 12
        assert task.is_alive()
    assert task.result() == 5


def test_atomics_do_not_wait(Task):
    value = tarefa.Value("i", 1)
    with value:
        work = lambda v: (v.add(1), v.exchange(9), v.compare_exchange(9, 10))  # noqa: E731
        assert Task(target=work, args=(value,)).start().result() == (2, 2, True)
    assert value.value == 10


def test_acquire_and_release():
    value = tarefa.Value("i")
    assert value.acquire()
    assert value.acquire(False)
    assert value.get_lock().owner().pid == os.getpid()
    seen = []
    thread = threading.Thread(target=lambda: seen.append(value.acquire(timeout=0.01)))
    thread.start()
    thread.join()
    assert seen == [False]
    value.release()
    value.release()
    with pytest.raises(RuntimeError):
        value.release()


@pytest.mark.parametrize("make", [tarefa.Lock, tarefa.RLock, threading.RLock])
def test_a_lock_may_be_given(make):
    lock = make()
    value = tarefa.Value("i", 3, lock=lock)
    assert value.get_lock() is lock
    with value.get_lock():
        assert value.add(1) == 4
        if make is not tarefa.Lock:
            assert value.value == 4
    value.value = 6
    assert value.value == 6
    with pytest.raises(AttributeError, match="acquire"):
        tarefa.Value("i", lock="no lock")
    assert tarefa.Value("i", lock=None).get_lock().acquire()


def test_a_given_lock_of_tarefa_travels(Task):
    lock = tarefa.RLock()
    value = tarefa.Value(Point, 1, 2, lock=lock)

    def same(value, lock):
        return value.get_lock() == lock

    assert Task(target=same, args=(value, lock)).start().result()
    held = tarefa.List([value])
    del value
    assert held[0].get_lock() == lock


def test_a_lock_of_threads_only_does_not_travel():
    value = tarefa.Value("i", lock=threading.Lock())
    with pytest.raises(TypeError, match="lock"):
        pickle.dumps(value)
    with pytest.raises(tarefa.NotPicklable):
        tarefa.List([value])


def test_the_owners_death_is_told_once():
    value = tarefa.Value("i", 3)

    def die(value):
        value.acquire()
        value.value = 4
        os.kill(os.getpid(), signal.SIGKILL)

    tarefa.Process(target=die, args=(value,)).start().join()
    with pytest.raises(tarefa.OwnerDied):
        _ = value.value
    assert value.value == 4


def test_no_add_is_lost(Task):
    value = tarefa.Value("q")

    def add(value, times):
        for _ in range(times):
            value.add(1)

    tasks = [Task(target=add, args=(value, 20_000)).start() for _ in range(4)]
    for task in tasks:
        task.result()
    assert value.value == 80_000


def test_no_update_under_the_lock_is_lost(Task):
    value = tarefa.Value("d")

    def add(value, times):
        for _ in range(times):
            with value.get_lock():
                value.value += 1

    tasks = [Task(target=add, args=(value, 2000)).start() for _ in range(3)]
    for task in tasks:
        task.result()
    assert value.value == 6000


def test_killed_adders_lose_nothing_that_they_told():
    value, told = tarefa.Value("q"), tarefa.RawValue("q")

    def add(value, told):
        while True:
            told.value = value.add(1)

    task = tarefa.Process(target=add, args=(value, told)).start()
    eventually(lambda: told.value > 1000)
    task.kill()
    task.join()
    assert told.value <= value.value <= told.value + 1
    assert value.add(1) == value.value


def test_it_is_one_value_wherever_it_goes(Task):
    value = tarefa.Value("i", 1)
    twin = pickle.loads(pickle.dumps(value))
    twin.value = 2
    assert (value.value, twin == value, hash(twin)) == (2, True, hash(value))
    assert type(twin) is tarefa.Value
    assert type(pickle.loads(pickle.dumps(tarefa.RawValue("i")))) is tarefa.RawValue
    held = tarefa.List([value, tarefa.RawValue(Point, 1, 2)])
    held[0].value = 3
    held[1].x = 8
    assert (value.value, held[1].x) == (3, 8)
    assert (
        Task(target=lambda v: type(v).__name__ + str(v.add(1)), args=(value,)).start().result()
        == "Value4"
    )
    assert value != tarefa.Value("i", 4)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_a_copy_is_another_value(how):
    for value in (
        tarefa.Value("i", 5),
        tarefa.RawValue("i", 5),
        tarefa.Value("i", 5, lock=tarefa.Lock()),
    ):
        copied = how(value)
        assert (type(copied), copied.value, copied == value) == (type(value), 5, False)
        copied.value = 6
        assert value.value == 5
    point = how(tarefa.Value(Point, 1, 2.5))
    assert (point.x, point.y, type(point.get_obj())) == (1, 2.5, Point)
    with point.get_lock():
        point.x = 3


def test_a_buffer():
    value = tarefa.Value("h", -2)
    view = memoryview(value)
    assert (view.format, view.shape, view.ndim, view.itemsize, view.readonly) == (
        "h",
        (),
        0,
        2,
        False,
    )
    view[()] = 5
    assert value.value == 5
    del value
    gc.collect()
    assert view[()] == 5


def test_close():
    value = tarefa.Value("i", 5)
    view = memoryview(value)
    with pytest.raises(BufferError, match=r"1 view"):
        value.close()
    view.release()
    obj = value.get_obj()
    with pytest.raises(BufferError):
        value.close()
    del obj
    with value, pytest.raises(RuntimeError, match="lock"):
        value.close()
    value.close()
    value.close()
    for use in (
        lambda: value.value,
        lambda: value.add(1),
        lambda: memoryview(value),
        lambda: pickle.dumps(value),
        lambda: value.acquire(),
        lambda: value.get_obj(),
    ):
        with pytest.raises(ValueError, match="closed"):
            use()
    with pytest.raises(tarefa.NotPicklable, match="closed"):
        tarefa.List([value])
    assert "closed" in repr(value)
    structure = tarefa.Value(Point, 1, 2)
    assert structure.x == 1
    structure.close()
    with pytest.raises(ValueError, match="closed"):
        _ = structure.x


def test_weak_references_and_parameters_of_c():
    value = tarefa.Value("i", -3)
    assert ctypes.CDLL(None).abs(value) == 3
    gone = weakref.ref(value)
    del value
    gc.collect()
    assert gone() is None


def test_a_process_made_by_fork():
    value = tarefa.Value("i", 1)
    child = os.fork()
    if child == 0:
        value.value = 2
        os._exit(value.add(40))
    assert os.waitpid(child, 0)[1] >> 8 == 42
    assert value.value == 42


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing(method):
    run_script(
        """
        import ctypes, multiprocessing, sys, tarefa

        class Point(ctypes.Structure):
            _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]

        def work(value, point, given):
            value.add(1)
            point.x += 1
            with given.get_lock():
                given.value += 1

        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[1])
            value, point = tarefa.Value("i"), tarefa.Value(Point, 5, 0.5)
            given = tarefa.Value("i", lock=context.RLock())
            tasks = [context.Process(target=work, args=(value, point, given)) for _ in range(2)]
            for task in tasks:
                task.start()
                task.join()
                assert task.exitcode == 0
            assert (value.value, point.x, given.value) == (2, 7, 2)
        """,
        method,
    )


def test_structures_of_main_travel():
    run_script(
        """
        import ctypes, tarefa

        class Point(ctypes.Structure):
            _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_int)]
            scale = 10

            def total(self):
                "What it comes to."
                return self.scale * (self.x + self.y)

        class More(Point):
            _pack_ = 1
            _fields_ = [("tag", ctypes.c_byte), ("where", Point * 2)]

        def work(point, more, array):
            assert type(point.get_obj()) is Point is type(array[0])
            assert type(more.get_obj()) is More and isinstance(more.get_obj(), Point)
            more.where[1].y = 4
            more.tag = -1
            array[1] = (5, 6)
            return point.get_obj().total(), more.x, array[1].total(), Point(1, 2).total()

        point, more = tarefa.Value(Point, 1, 2), tarefa.Value(More, 7)
        array = tarefa.Array(Point, 2)
        for kind in tarefa.Process, tarefa.Thread, tarefa.Process:
            assert kind(target=work, args=(point, more, array)).start().result() == (30, 7, 110, 30)
        assert (more.where[1].y, more.tag, array[1].x) == (4, -1, 5)
        """
    )


def test_numpy_is_not_imported():
    run_script(
        """
        import sys, tarefa
        value, array = tarefa.Value("d", 1.5), tarefa.Array("i", [1, 2])
        import ctypes
        class Point(ctypes.Structure):
            _fields_ = [("x", ctypes.c_int)]
        tarefa.Value(Point, 1).x, tarefa.Array(Point, 2)[0], tarefa.Value("D", 1j).add
        try:
            tarefa.Value("x")
        except tarefa.BadItemType:
            pass
        value.add(1), array[:], repr(array), memoryview(array), tarefa.List([value, array])[1][0]
        assert "numpy" not in sys.modules
        """
    )


def half_written(shared, item, index, number):
    """What a process leaves that was killed while it wrote a complex number: half of it, and the
    record from which whoever takes the lock next finishes it."""
    data = ctypes.addressof(ctypes.c_char.from_buffer(memoryview(shared).cast("B")))
    record = data + len(memoryview(shared).cast("B"))
    ctypes.memmove(record + 8, struct.pack("dd", number.real, number.imag), 16)
    ctypes.memmove(record, struct.pack("Q", index + 1), 8)
    ctypes.memmove(data + index * item, struct.pack("d", number.real), 8)


def test_the_next_to_take_the_lock_finishes_what_a_killed_process_wrote():
    value = tarefa.Value("D", 1 + 2j)
    half_written(value, 16, 0, 3 + 4j)
    assert value.value == 3 + 4j
    half_written(value, 16, 0, 5 + 6j)
    with value.get_lock():
        assert struct.unpack("dd", memoryview(value).cast("B")) == (5.0, 6.0)
    array = tarefa.Array("D", [1j, 2j, 3j])
    half_written(array, 16, 1, 7 + 8j)
    assert array[:] == [1j, 7 + 8j, 3j]
    half_written(array, 16, 2, 9 + 1j)
    assert array[2] == 9 + 1j


@pytest.mark.parametrize("Value", [tarefa.Value, tarefa.RawValue])
def test_conversions_to_a_number(Value):
    for code, number in (("b", 53), ("B", 48), ("i", 3), ("q", -(2**63)), ("?", True)):
        value = Value(code, number)
        assert int(value) == number
        assert float(value) == float(number)
        assert operator.index(value) == number
        assert [0] * 60 if number > 60 or number < 0 else range(60)[value] == number
    for code, number in (("d", 2.75), ("f", 0.5)):
        value = Value(code, number)
        assert (int(value), float(value), complex(value)) == (int(number), number, number)
        with pytest.raises(TypeError):
            operator.index(value)
    for value in (Value("c", b"5"), Value("u", "5"), Value(Point, 1, 2)):
        for convert in (int, float, complex, operator.index):
            with pytest.raises(TypeError, match="number"):
                convert(value)
    with pytest.raises(TypeError):
        int(Value("D", 1j))
    assert complex(Value("D", 1j)) == 1j


def test_an_array_is_no_number():
    for array in (tarefa.Array("c", b"53"), tarefa.Array("B", [53]), tarefa.RawArray("i", 1)):
        for convert in (int, float, operator.index):
            with pytest.raises(TypeError):
                convert(array)


def test_shape_and_dtype_of_a_value():
    np = pytest.importorskip("numpy")
    assert tarefa.Value("d", 1).shape == ()
    assert tarefa.Value("d", 1).dtype == np.float64
    assert tarefa.Value(np.dtype([("x", "f8"), ("id", "i4")])).dtype.itemsize == 12
