"""Arrays and other buffers in messages: copied once into shared memory, and looked at there."""

import array as array_module
import gc
import os
import pickle
import signal
import sys
import threading
import time
from itertools import compress

import pytest
from leaks import own_descriptors
from support import eventually, run_script

import tarefa

np = pytest.importorskip("numpy")

LARGE = 1 << 15


class Way:
    """A queue or a pipe, by the same names."""

    def __init__(self, kind):
        if kind == "queue":
            self.queue = tarefa.Queue()
            self.put, self.get = self.queue.put, self.queue.get
        else:
            self.ends = tarefa.Pipe()
            self.put, self.get = self.ends[0].send, self.ends[1].recv


@pytest.fixture(params=["queue", "pipe"])
def way(request):
    return Way(request.param)


def address(array):
    return array.__array_interface__["data"][0]


def blocks():
    return tarefa._engine.diagnostics()["objects"]


def arrays():
    plain = np.arange(LARGE, dtype=np.float64)
    records = np.zeros(LARGE, dtype=[("a", "<i4"), ("b", "S5")])
    records["a"] = np.arange(LARGE)
    yield "contiguous", plain
    yield "fortran", np.asfortranarray(plain.reshape(512, -1))
    yield "three_dimensions", plain.reshape(8, 64, -1)
    yield "strided", plain[::2]
    yield "records", records
    yield "times", plain.astype("datetime64[s]")
    yield "other_byte_order", plain.astype(">f8")
    yield "complex", plain.astype(np.complex128)
    yield "half", (plain % 99).astype(np.float16)
    yield "texts", plain[:30000].astype("U9")
    yield "small", np.arange(3)
    yield "empty", np.empty((0, 7))
    yield "of_one", np.array(5.5)


@pytest.mark.parametrize(("name", "array"), list(arrays()), ids=[n for n, _ in arrays()])
@pytest.mark.parametrize("shape", ["bare", "nested", "shared", "shared_nested"])
def test_an_array_arrives_as_it_was_and_writable(way, name, array, shape):
    sent = tarefa.share(array) if "shared" in shape else array
    way.put({"a": sent} if "nested" in shape else sent)
    is_fortran, sent = sent.flags.f_contiguous, None
    back = way.get()
    back = back["a"] if "nested" in shape else back
    np.testing.assert_array_equal(back, array)
    assert type(back) is np.ndarray
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.flags.writeable
    assert back.flags.f_contiguous == is_fortran or not array.flags.contiguous
    back[...] = back


def test_it_is_a_copy_of_what_was_sent(way):
    array = np.zeros(LARGE)
    way.put(array)
    array += 1
    back = way.get()
    assert back.sum() == 0
    back += 2
    assert array.sum() == LARGE


def test_what_was_received_goes_on_without_a_copy(way):
    way.put(np.arange(LARGE))
    first = way.get()
    where = address(first)
    way.put(first)
    del first
    second = way.get()
    assert address(second) == where
    assert second.flags.writeable
    way.put((1, second))
    third = way.get()[1]
    assert address(third) == where
    assert not third.flags.writeable


def test_share_copies_once_and_sending_does_not(way):
    array = np.arange(LARGE)
    shared = tarefa.share(array)
    shared[0] = 5
    assert array[0] == 0
    assert tarefa.share(shared) is shared
    way.put(shared)
    back = way.get()
    assert address(back) == address(shared)
    assert not back.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        back[0] = 1
    shared[1] = 7
    assert back[1] == 7


def test_it_is_writable_again_for_the_only_one_that_has_it(way):
    shared = tarefa.share(np.arange(LARGE))
    way.put(shared)
    del shared
    back = way.get()
    assert back.flags.writeable


def test_two_parts_of_one_array_in_a_message_are_one_holder(way):
    shared = tarefa.share(np.arange(LARGE))
    way.put([shared[:10], shared[10:], shared])
    del shared
    first, second, whole = way.get()
    assert first.flags.writeable
    assert second.flags.writeable
    second[0] = -1
    assert whole[10] == -1


CUTS = {
    "slice": lambda v: v[1:3],
    "stride": lambda v: v[::2],
    "backwards": lambda v: v[::-1],
    "transposed": lambda v: v.T,
    "column": lambda v: v[:, 1],
    "both ways back": lambda v: v[::-1, ::-2],
    "one item": lambda v: v[2:3, 1:2],
    "no item": lambda v: v[2:2],
    "as bytes": lambda v: v.view("u1")[:, 8:16],
    "new axis": lambda v: v[:, None, :2],
    "a field": lambda v: v.view([("x", "f8"), ("y", "f8")])["y"],
    "a scalar": lambda v: v[1, 1, ...],
    "times": lambda v: v.view("M8[s]")[1:],
    "one for all": lambda v: np.broadcast_to(v[0], (5, 6)),
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("nested", [False, True])
def test_slices_travel_as_slices(way, cut, nested):
    whole = tarefa.empty((4, 6))
    whole[...] = np.arange(24).reshape(4, 6)
    part = CUTS[cut](whole)
    way.put((part,) if nested else part)
    back = way.get()[0] if nested else way.get()
    np.testing.assert_array_equal(back, part)
    assert back.dtype == part.dtype
    assert not back.flags.writeable or not part.size
    if part.size:
        assert address(back) == address(part)
        of_several = [n > 1 for n in part.shape]
        assert list(compress(back.strides, of_several)) == list(compress(part.strides, of_several))
        whole[...] = 9
        np.testing.assert_array_equal(back, part)


def test_a_read_only_array_stays_one(way):
    for array in (np.arange(LARGE), tarefa.share(np.arange(LARGE))):
        array.flags.writeable = False
        way.put(array)
        way.put([array])
        del array
        assert not way.get().flags.writeable
        assert not way.get()[0].flags.writeable


def test_not_yet_acknowledged_is_read_only():
    q = tarefa.Queue()
    q.put(np.arange(LARGE))
    back = q.get(ack=True)
    assert not back.flags.writeable
    q.nack()
    del back
    back = q.get(ack=True)
    assert q.redelivered
    assert back[-1] == LARGE - 1
    q.ack()
    np.testing.assert_array_equal(back, np.arange(LARGE))


def test_a_view_outlives_queue_producer_and_what_it_is_a_part_of():
    def produce(q):
        q.put(tarefa.share(np.arange(LARGE)))

    q = tarefa.Queue()
    tarefa.Process(target=produce, args=(q,)).start().join()
    part = q.get()[5:10]
    del q
    gc.collect()
    assert part.tolist() == [5, 6, 7, 8, 9]
    memory = memoryview(part)
    del part
    assert memory.tolist() == [5, 6, 7, 8, 9]


def test_the_memory_is_free_with_the_last_view(way):
    before = blocks()
    way.put(np.arange(LARGE))
    assert blocks() == before + 1
    back = way.get()
    assert blocks() == before + 1
    part = back[3:5]
    del back
    assert blocks() == before + 1
    del part
    assert blocks() == before


def test_it_is_free_when_its_holder_was_killed():
    def hold(q, held):
        kept = q.get()
        held.set()
        time.sleep(60)
        return kept

    q, held = tarefa.Queue(), tarefa.Event()
    before = blocks()
    q.put(np.arange(LARGE))
    task = tarefa.Process(target=hold, args=(q, held)).start()
    assert held.wait(30)
    os.kill(task.pid, signal.SIGKILL)
    with pytest.raises(tarefa.WorkerDied):
        task.result()
    del task
    eventually(lambda: blocks() <= before)


def test_what_a_killed_producer_shared_stays_for_its_receiver():
    def produce(q):
        q.put(tarefa.share(np.arange(LARGE)))
        os.kill(os.getpid(), signal.SIGKILL)

    q = tarefa.Queue()
    task = tarefa.Process(target=produce, args=(q,)).start()
    with pytest.raises(tarefa.WorkerDied):
        task.result()
    back = q.get()
    np.testing.assert_array_equal(back, np.arange(LARGE))


def test_as_argument_result_and_element_a_shared_array_is_looked_at(Task):
    shared = tarefa.share(np.zeros(LARGE))

    def look(array):
        return array.flags.writeable, array[10:20]

    writable, part = Task(target=look, args=(shared,)).start().result(30)
    if Task is tarefa.Process:
        assert not writable
    shared[12] = 3
    assert part[2] == 3
    kept = tarefa.List([shared, {"part": shared[4:]}])
    shared[5] = 8
    assert (kept[0][5], kept[1]["part"][1]) == (8, 8)
    assert not kept[0].flags.writeable


def test_other_arrays_as_elements_stay_copies():
    kept = tarefa.List([np.zeros(LARGE)])
    first, second = kept[0], kept[0]
    first += 1
    assert second.sum() == 0
    assert kept[0].sum() == 0


def test_an_array_is_returned_in_what_empty_made():
    def make():
        made = tarefa.empty((1000, 1000))
        made[...] = 4
        return made

    back = tarefa.Process(target=make).start().result(30)
    assert (back == 4).all()


def test_messages_between_processes(way):
    def square(way, back):
        for _ in range(50):
            array = way.get()
            if not array.flags.writeable:
                raise ValueError("the producer has it still")
            array *= 2
            back.put(array)

    back = tarefa.Queue()
    source = way.queue if hasattr(way, "queue") else way.ends[1]
    get = tarefa.Process(
        target=lambda s, b: square(type("W", (), {"get": getattr(s, "get", None) or s.recv}), b),
        args=(source, back),
    ).start()
    for i in range(50):
        way.put(np.full(1 << 14, i))
    for i in range(50):
        assert back.get(timeout=30)[-1] == 2 * i
    get.result(30)


@pytest.mark.parametrize("size", [0, 5, LARGE])
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_a_memoryview_travels(way, kind, size):
    data = kind(b"w" * size)
    way.put(memoryview(data))
    way.put([memoryview(data)])
    for back in (way.get(), way.get()[0]):
        assert type(back) is memoryview
        assert back == data
        assert back.readonly == (kind is bytes)


def test_a_memoryview_of_other_items(way):
    numbers = array_module.array("d", range(5000))
    whole = memoryview(numbers).cast("B").cast("d", (50, 100))
    way.put(memoryview(numbers))
    way.put(whole)
    assert way.get().tolist() == numbers.tolist()
    back = way.get()
    assert back.shape == (50, 100)
    assert back.tolist() == whole.tolist()


def test_a_memoryview_that_cannot_travel_is_refused(way):
    with pytest.raises(tarefa.NotPicklable, match="contiguous"):
        way.put(memoryview(bytes(LARGE))[::2])
    with pytest.raises(tarefa.NotPicklable, match="cast"):
        way.put(memoryview(np.zeros(3, dtype="i4,i4")))


def test_shared_bytes(way):
    shared = tarefa.share(b"x" * LARGE)
    assert type(shared) is memoryview
    way.put(shared)
    back = way.get()
    assert back.readonly
    shared[0] = ord("y")
    assert back[:2] == b"yx"
    way.put(shared[10:20])
    shared[10:20] = b"0123456789"
    assert way.get() == b"0123456789"


def test_bytes_and_bytearray_stay_what_they_are(way):
    way.put({"a": b"x" * LARGE, "b": bytearray(LARGE), "c": pickle.PickleBuffer(b"z" * LARGE)})
    back = way.get()
    assert [type(v) for v in back.values()] == [bytes, bytearray, bytes]


def test_without_numpy_views_work_as_well():
    run_script(
        """
        import sys
        sys.modules["numpy"] = None
        import tarefa
        q = tarefa.Queue()
        shared = tarefa.share(bytearray(range(256)) * 1000)
        q.put((1, shared))
        q.put(memoryview(b"ab" * 50000))
        (one, back), other = q.get(), q.get()
        shared[3] = 77
        assert back[3] == 77 and back.readonly and other[:4] == b"abab"
        for wrong in (lambda: tarefa.empty(3), lambda: tarefa.share([1, 2])):
            try:
                wrong()
            except (ImportError, TypeError) as e:
                assert "numpy" in str(e).lower(), e
            else:
                raise SystemExit("it worked")
        """
    )


def test_bytes_of_arrays_count_for_the_bound():
    q = tarefa.Queue(max_bytes=10 * LARGE)
    q.put(np.zeros(8 * LARGE, dtype=np.uint8))
    with pytest.raises(tarefa.Full):
        q.put_nowait(np.zeros(4 * LARGE, dtype=np.uint8))
    before = blocks()
    with pytest.raises(ValueError, match=f"than the queue may hold, which is {10 * LARGE} bytes"):
        q.put(np.zeros(11 * LARGE, dtype=np.uint8))
    assert blocks() == before
    got = q.get()
    q.put_nowait(np.zeros(9 * LARGE, dtype=np.uint8))
    with pytest.raises(tarefa.Full):
        q.put_nowait(got)
    shared = tarefa.share(np.zeros(20 * LARGE))
    for _ in range(10):
        q.put_nowait(shared)
    assert q.qsize() == 11


def test_a_producer_of_arrays_waits_for_its_consumer():
    q = tarefa.Queue(max_bytes=4 * LARGE)

    def produce(q):
        for i in range(50):
            q.put(np.full(LARGE, i, dtype=np.uint8))

    task = tarefa.Process(target=produce, args=(q,)).start()
    eventually(lambda: q.qsize() >= 3)
    assert q.qsize() <= 4
    assert [int(q.get(timeout=30)[0]) for _ in range(50)] == list(range(50))
    task.result(30)


def test_many_arrays_need_no_descriptors():
    q = tarefa.Queue()
    q.put(np.zeros(LARGE // 8))
    first = q.get()
    before = own_descriptors()
    kept = []
    for i in range(2000):
        q.put(np.full(2048, i))
        kept.append(q.get())
    assert own_descriptors() == before
    assert [int(a[0]) for a in kept] == list(range(2000))
    del first


def test_threads_share_what_is_shared_and_get_copies_of_the_rest():
    q = tarefa.Queue()
    shared, plain = tarefa.share(np.zeros(LARGE)), np.zeros(LARGE)

    def change():
        a, b = q.get(), q.get()
        assert not a.flags.writeable
        b += 1

    thread = threading.Thread(target=change)
    thread.start()
    q.put(shared)
    q.put(plain)
    thread.join()
    assert plain.sum() == 0


def test_a_fork_s_child_keeps_what_its_parent_lets_go():
    shared = tarefa.share(np.arange(LARGE))
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0 if shared[-1] == LARGE - 1 else 1)
    os.close(reading)
    del shared
    others = [tarefa.share(np.zeros(LARGE)) for _ in range(3)]
    os.close(writing)
    assert os.waitpid(pid, 0)[1] == 0
    del others


def test_empty():
    made = tarefa.empty((3, 4), np.int16, "F")
    assert (made.shape, made.dtype, made.flags.f_contiguous) == ((3, 4), np.int16, True)
    assert tarefa.empty(5).shape == (5,)
    assert tarefa.empty(()).shape == ()
    assert tarefa.empty((0, 3)).shape == (0, 3)
    with pytest.raises(ValueError, match="negative"):
        tarefa.empty(-1)
    with pytest.raises(tarefa.BadItemType, match="refer to objects"):
        tarefa.empty(3, object)
    with pytest.raises(ValueError, match="order"):
        tarefa.empty(3, float, "A")
    with pytest.raises(MemoryError):
        tarefa.empty(1 << 55, np.uint8)


def test_what_cannot_be_shared_is_refused():
    with pytest.raises(tarefa.BadItemType, match="refer to objects"):
        tarefa.share(np.array([{}, None]))
    with pytest.raises(TypeError, match=r"numpy\.asarray"):
        tarefa.share([1, 2, 3])
    with pytest.raises(TypeError, match="mask"):
        tarefa.share(np.ma.masked_array([1, 2], [0, 1]))
    with pytest.raises(TypeError, match="contiguous"):
        tarefa.share(memoryview(b"abcdef")[::2])


def test_share_takes_what_says_how_it_is_an_array():
    class Like:
        def __init__(self, array):
            self.__array_interface__ = array.__array_interface__
            self.array = array

    shared = tarefa.share(Like(np.arange(5)))
    assert shared.tolist() == [0, 1, 2, 3, 4]
    records = np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
    assert type(tarefa.share(records)) is np.recarray


def test_takers_of_dlpack_and_the_interface_look_at_the_memory(way):
    way.put(np.arange(LARGE))
    back = way.get()
    other = np.from_dlpack(back)
    back[0] = 9
    assert other[0] == 9
    assert back.__array_interface__["data"] == (address(back), False)


def test_pickle_and_copy_copy_as_ever():
    shared = tarefa.share(np.arange(100))
    back = pickle.loads(pickle.dumps(shared))
    shared[0] = 5
    assert back[0] == 0
    assert shared.copy().flags.owndata


def test_a_message_of_arrays_with_no_room_for_them_leaves_the_queue_whole():
    run_script(
        """
        import numpy as np, tarefa
        q = tarefa.Queue()
        q.put(1)
        for _ in range(3):
            try:
                q.put([np.zeros(10 << 20, dtype=np.uint8), np.ones(30 << 20, dtype=np.uint8)])
            except MemoryError:
                pass
            else:
                raise SystemExit("it found room")
        assert q.get() == 1 and q.empty()
        for _ in range(10):
            q.put(np.zeros(10 << 20, dtype=np.uint8))
            assert q.get().nbytes == 10 << 20
        """,
        env={"TAREFA_ARENA_MAX": str(32 << 20)},
    )


def test_frames_travel_without_a_copy_of_their_columns(way):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": np.arange(LARGE), "b": np.arange(LARGE) / 2})
    way.put(frame)
    back = way.get()
    pd.testing.assert_frame_equal(back, frame)
    before = blocks()
    way.put(back)
    assert blocks() == before
    pd.testing.assert_frame_equal(way.get(), frame)


def test_arrow_buffers_travel(way):
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": np.arange(LARGE)})
    way.put(table)
    assert way.get() == table


def test_memory_is_used_again():
    q = tarefa.Queue()
    array = np.zeros(LARGE)
    q.put(array)
    where = address(q.get())
    for _ in range(20):
        q.put(array)
        assert address(q.get()) == where


def test_a_reference_count_is_not_kept():
    class Own(np.ndarray):
        pass

    own = np.arange(LARGE).view(Own)
    before = sys.getrefcount(own)
    q = tarefa.Queue()
    q.put(own.view(np.ndarray))
    q.get()
    assert sys.getrefcount(own) == before
