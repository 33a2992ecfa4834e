"""`Pipe` has the habits of multiprocessing's, between tasks of both kinds."""

import gc
import multiprocessing
import os
import pickle
import select
import selectors
import signal
import threading
import time
from multiprocessing.connection import wait as wait_for_connections

import pytest
from leaks import own_descriptors
from support import eventually, run_script

import tarefa


@pytest.fixture
def pipe():
    a, b = tarefa.Pipe()
    yield a, b
    a.close()
    b.close()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


MESSAGES = [
    0,
    2**70,
    1.5,
    None,
    "text ü",
    b"",
    b"bytes" * 1000,
    bytearray(b"array"),
    (1, "two", b"three"),
    (1, [2]),
    {"a": {1, 2}},
    list(range(1000)),
]


def test_what_is_sent_is_received_both_ways(pipe):
    for sender, receiver in (pipe, pipe[::-1]):
        for message in MESSAGES:
            sender.send(message)
        for message in MESSAGES:
            got = receiver.recv()
            assert got == message
            assert type(got) is type(message)


def test_one_way():
    reader, writer = tarefa.Pipe(duplex=False)
    assert (reader.readable, reader.writable) == (True, False)
    assert (writer.readable, writer.writable) == (False, True)
    writer.send("x")
    assert reader.recv() == "x"
    for act in (
        lambda: reader.send(1),
        lambda: reader.send_bytes(b"x"),
    ):
        with pytest.raises(OSError, match="read-only"):
            act()
    for act in (writer.recv, writer.recv_bytes, writer.poll, writer.fileno):
        with pytest.raises(OSError, match="write-only"):
            act()
    with pytest.raises(OSError, match="write-only"):
        writer.recv_bytes_into(bytearray(3))
    reader.close()
    writer.close()


def test_tasks_have_ends(Task, pipe):
    def echo(end):
        while True:
            try:
                end.send(("echo", end.recv()))
            except EOFError:
                return "the end"

    a, b = pipe
    task = Task(target=echo, args=(b,)).start()
    if Task is tarefa.Process:
        b.close()
    for message in MESSAGES:
        a.send(message)
        assert a.recv() == ("echo", message)
    a.close()
    assert task.result(30) == "the end"


def test_the_end_when_the_other_side_is_closed(pipe):
    a, b = pipe
    b.send(1)
    b.send("two")
    b.close()
    assert a.poll()
    assert [a.recv(), a.recv()] == [1, "two"]
    assert a.poll()
    for act in (a.recv, a.recv_bytes, lambda: a.recv_bytes_into(bytearray(1))):
        with pytest.raises(EOFError):
            act()
    for act in (lambda: a.send(1), lambda: a.send([1]), lambda: a.send_bytes(b"x")):
        with pytest.raises(BrokenPipeError) as caught:
            act()
        assert caught.value.errno == 32


def test_the_end_when_the_other_side_is_dropped():
    a, b = tarefa.Pipe()
    b.send("last")
    del b
    gc.collect()
    assert a.recv() == "last"
    with pytest.raises(EOFError):
        a.recv()
    a.close()


def test_the_end_when_the_other_side_is_killed(pipe):
    def hold(end, ready):
        end.send("here")
        ready.set()
        time.sleep(60)

    a, b = pipe
    ready = tarefa.Event()
    process = tarefa.Process(target=hold, args=(b, ready)).start()
    b.close()
    ready.wait()
    assert a.recv() == "here"
    caught = []

    def receive():
        try:
            a.recv()
        except EOFError:
            caught.append("end")

    thread = threading.Thread(target=receive)
    thread.start()
    time.sleep(0.05)
    process.kill()
    thread.join()
    assert caught == ["end"]
    with pytest.raises(BrokenPipeError):
        a.send(1)
    process.join()


def test_a_sender_that_waits_for_room_hears_that_the_receiver_was_killed(pipe):
    def hold(end):
        end.recv()
        time.sleep(60)

    a, b = pipe
    process = tarefa.Process(target=hold, args=(b,)).start()
    b.close()
    a.send("go")
    caught = []

    def send():
        try:
            while True:
                a.send_bytes(bytes(64 << 20))
        except BrokenPipeError:
            caught.append("broken")

    thread = threading.Thread(target=send)
    thread.start()
    time.sleep(0.3)
    process.kill()
    thread.join()
    assert caught == ["broken"]
    process.join()


def test_an_end_is_not_kept_by_the_task_that_it_was_an_argument_of(pipe):
    def close_and_stay(end, go):
        end.close()
        go.wait()

    a, b = pipe
    go = tarefa.Event()
    process = tarefa.Process(target=close_and_stay, args=(b, go)).start()
    b.close()
    with pytest.raises(EOFError):
        a.recv()
    assert process.is_alive()
    go.set()
    process.result(30)


def test_the_end_comes_after_the_last_who_has_it(pipe):
    def hold(end, go):
        go.wait()
        end.send(os.getpid())

    a, b = pipe
    events = [tarefa.Event(), tarefa.Event()]
    tasks = [tarefa.Process(target=hold, args=(b, event)).start() for event in events]
    b.close()
    for event, task in zip(events, tasks, strict=True):
        assert not a.poll(0.02)
        event.set()
        assert a.recv() == task.pid
        task.result(30)
    with pytest.raises(EOFError):
        a.recv()


def test_an_end_travels_through_queues_and_other_pipes(pipe):
    def use(queue):
        other = queue.get()
        end = other.recv()
        other.close()
        end.send("from far")

    a, b = pipe
    c, d = tarefa.Pipe()
    queue = tarefa.Queue()
    task = tarefa.Process(target=use, args=(queue,)).start()
    queue.put(d)
    d.close()
    c.send(b)
    b.close()
    assert a.recv() == "from far"
    with pytest.raises(EOFError):
        a.recv()
    task.result(30)
    c.close()


def test_an_end_on_its_way_keeps_the_pipe_open(pipe):
    a, b = pipe
    queue = tarefa.Queue()
    queue.put(b)
    b.close()
    a.send(1)
    assert not a.poll()
    end = queue.get()
    assert end.recv() == 1
    end.close()
    with pytest.raises(EOFError):
        a.recv()


def test_an_end_cannot_travel_through_its_own_pipe(pipe):
    a, b = pipe
    for message in (a, b, [1, {"in": b}]):
        with pytest.raises(ValueError, match="through that pipe"):
            a.send(message)
    assert not b.poll()


def test_pickled_it_is_the_same_end(pipe):
    a, b = pipe
    again = pickle.loads(pickle.dumps(b))
    assert again.object_id == b.object_id
    b.close()
    again.send("x")
    assert a.recv() == "x"
    again.close()
    with pytest.raises(EOFError):
        a.recv()
    with pytest.raises(OSError, match="closed"):
        pickle.dumps(b)


def test_bytes(pipe):
    a, b = pipe
    data = bytes(range(200))
    a.send_bytes(data)
    a.send_bytes(bytearray(data), 10)
    a.send_bytes(memoryview(data), 10, 5)
    a.send_bytes(data, offset=200)
    a.send_bytes(data, 0, 0)
    assert b.recv_bytes() == data
    assert b.recv_bytes() == data[10:]
    assert b.recv_bytes() == data[10:15]
    assert [b.recv_bytes(), b.recv_bytes()] == [b"", b""]


def test_bytes_of_wider_items(pipe):
    import array

    a, b = pipe
    numbers = array.array("i", range(10))
    a.send_bytes(numbers)
    assert b.recv_bytes() == numbers.tobytes()
    a.send_bytes(numbers, 4, 8)
    assert b.recv_bytes() == numbers.tobytes()[4:12]


def test_bytes_out_of_range(pipe):
    a, _ = pipe
    for args, text in (
        ((-1,), "offset is negative"),
        ((4,), "buffer length < offset"),
        ((1, -1), "size is negative"),
        ((1, 3), "buffer length < offset"),
    ):
        with pytest.raises(ValueError, match=text):
            a.send_bytes(b"abc", *args)
    with pytest.raises(TypeError):
        a.send_bytes("text")


def test_objects_and_bytes_are_of_one_kind(pipe):
    a, b = pipe
    a.send({"an": "object"})
    assert pickle.loads(b.recv_bytes()) == {"an": "object"}
    a.send(5)
    assert pickle.loads(b.recv_bytes()) == 5
    a.send(b"bytes")
    assert pickle.loads(b.recv_bytes()) == b"bytes"
    a.send_bytes(pickle.dumps(["pickled"]))
    assert b.recv() == ["pickled"]


def test_maxlength():
    for duplex in (True, False):
        reader, writer = tarefa.Pipe(duplex)
        writer.send_bytes(b"12345")
        writer.send_bytes(b"123456")
        writer.send_bytes(b"1")
        with pytest.raises(ValueError, match="negative maxlength"):
            reader.recv_bytes(-1)
        assert reader.recv_bytes(5) == b"12345"
        with pytest.raises(OSError, match="bad message length"):
            reader.recv_bytes(5)
        assert reader.closed != duplex
        with pytest.raises(OSError, match="write-only" if duplex else "closed"):
            reader.recv_bytes()
        reader.close()
        writer.close()


def test_into_a_buffer(pipe):
    import array

    a, b = pipe
    buffer = bytearray(b".........")
    a.send_bytes(b"abc")
    assert b.recv_bytes_into(buffer) == 3
    a.send_bytes(b"def")
    assert b.recv_bytes_into(buffer, 5) == 3
    assert buffer == b"abc..def."
    numbers = array.array("q", [0] * 4)
    a.send_bytes(array.array("q", [7, 8]))
    assert b.recv_bytes_into(numbers, 8) == 16
    assert list(numbers) == [0, 7, 8, 0]
    a.send_bytes(b"too long for it")
    with pytest.raises(multiprocessing.BufferTooShort) as caught:
        b.recv_bytes_into(buffer)
    assert caught.value.args == (b"too long for it",)
    assert buffer == b"abc..def."
    for offset, text in ((-1, "negative offset"), (10, "offset too large")):
        with pytest.raises(ValueError, match=text):
            b.recv_bytes_into(buffer, offset)
    with pytest.raises(TypeError):
        b.recv_bytes_into(b"read-only")
    assert not b.poll()


def test_poll(pipe, Task):
    a, b = pipe
    assert not b.poll()
    assert not b.poll(0.01)
    assert not b.poll(timeout=0)
    assert not b.poll(-1)
    a.send(1)
    assert b.poll()
    assert b.poll(60)
    assert b.poll(None)
    assert b.recv() == 1

    def send_late(end):
        time.sleep(0.05)
        end.send("late")

    task = Task(target=send_late, args=(a,)).start()
    assert b.poll(None)
    assert b.recv() == "late"
    task.result(30)


def test_who_polls_leaves_the_message_to_who_receives(pipe):
    a, b = pipe
    got = []
    receiver = threading.Thread(target=lambda: got.append(b.recv()))
    poller = threading.Thread(target=lambda: got.append(b.poll(60)))
    for thread in (poller, receiver):
        thread.start()
    time.sleep(0.05)
    a.send("x")
    receiver.join()
    a.send("y")
    poller.join()
    assert sorted(got, key=str) == [True, "x"]
    assert b.recv() == "y"


def test_closed_here(pipe):
    a, b = pipe
    assert not a.closed
    with a as entered:
        assert entered is a
    assert a.closed
    a.close()
    for act in (
        a.recv,
        a.recv_bytes,
        a.poll,
        a.fileno,
        lambda: a.send(1),
        lambda: a.send_bytes(b"x"),
        lambda: a.recv_bytes_into(bytearray(1)),
    ):
        with pytest.raises(OSError, match="handle is closed"):
            act()
    assert "closed" in repr(a)
    assert "reads and writes" in repr(b)


@pytest.mark.parametrize("what", ["recv", "poll", "recv_bytes"])
def test_close_ends_the_waits_of_other_threads(pipe, what):
    a, b = pipe
    caught = []

    def act():
        try:
            b.poll(None) if what == "poll" else getattr(b, what)()
        except OSError as e:
            caught.append(str(e))

    thread = threading.Thread(target=act)
    thread.start()
    time.sleep(0.05)
    b.close()
    thread.join()
    assert caught == ["handle is closed"]
    with pytest.raises(EOFError):
        a.recv()


def test_interrupted(Task, pipe):
    _, b = pipe

    def receive(end, ready):
        ready.set()
        try:
            end.recv()
        except tarefa.Interrupted:
            return "interrupted"

    ready = tarefa.Event()
    task = Task(target=receive, args=(b, ready)).start()
    ready.wait()
    time.sleep(0.05)
    task.interrupt()
    assert task.result(30) == "interrupted"


def test_several_use_one_end(pipe):
    a, b = pipe
    each = 300

    def send(end, n):
        for i in range(each):
            end.send((n, i, "x" * (i % 50)))

    def receive(end, got):
        while True:
            n, i, text = end.recv()
            if n < 0:
                return
            assert text == "x" * (i % 50)
            got.put((n, i))

    got = tarefa.Queue()
    kinds = [tarefa.Thread, tarefa.Process]
    receivers = [kind(target=receive, args=(b, got)).start() for kind in kinds]
    senders = [kind(target=send, args=(a, n)).start() for n, kind in enumerate(kinds * 2)]
    for sender in senders:
        sender.result(50)
    for _ in receivers:
        a.send((-1, 0, ""))
    for receiver in receivers:
        receiver.result(50)
    everything = sorted(got.get_many())
    assert everything == [(n, i) for n in range(4) for i in range(each)]


class Unreadable:
    def __reduce__(self):
        return _raise, ()


def _raise():
    raise RuntimeError("cannot be made here")


def test_what_cannot_be_sent_or_read(pipe):
    a, b = pipe
    with pytest.raises(tarefa.NotPicklable):
        a.send(threading.Lock())
    a.send(Unreadable())
    a.send("next")
    with pytest.raises(tarefa.BadMessage, match="pipe"):
        b.recv()
    assert b.recv() == "next"


@pytest.mark.once("what it takes to move much, the engine does; smaller ones are sent on all")
def test_large_messages(pipe, Task):
    a, b = pipe
    size = (256 << 20) + 5

    def send(end):
        for n in range(2):
            end.send_bytes(bytes([n]) * size)

    task = Task(target=send, args=(a,)).start()
    for n in range(2):
        got = b.recv_bytes()
        assert (len(got), got[0], got[-1]) == (size, n, n)
    task.result(50)


# Descriptors.


def test_a_descriptor_shows_what_is_there(pipe):
    a, b = pipe
    fd = b.fileno()
    assert b.fileno() == fd

    def readable():
        return bool(select.select([fd], [], [], 0)[0])

    assert not readable()
    a.send(1)
    assert readable()
    a.send(2)
    b.recv()
    assert readable()
    b.recv()
    assert not readable()
    a.close()
    eventually(readable)
    with pytest.raises(EOFError):
        b.recv()
    assert readable()


def test_a_descriptor_is_made_when_asked_for_and_goes_with_the_connection():
    def count():
        return len(own_descriptors())

    before = count()
    a, b = tarefa.Pipe()
    a.send(1)
    assert b.recv() == 1
    assert count() == before
    b.fileno()
    assert count() == before + 1
    b.close()
    assert count() == before
    a.fileno()
    del a
    gc.collect()
    assert count() == before


def test_a_dropped_connection_with_a_descriptor_ends_the_pipe():
    a, b = tarefa.Pipe()
    b.fileno()
    del b
    gc.collect()
    with pytest.raises(EOFError):
        a.recv()
    a.close()


def test_select_sees_what_another_task_sends(Task, pipe):
    def send(end):
        time.sleep(0.05)
        end.send("x")

    a, b = pipe
    task = Task(target=send, args=(a,)).start()
    assert select.select([b], [], [], 50)[0] == [b]
    assert b.recv() == "x"
    task.result(30)


def test_wait_of_multiprocessing(Task):
    def send(end, n):
        for i in range(20):
            end.send((n, i))

    readers, tasks = [], []
    for n in range(3):
        reader, writer = tarefa.Pipe(duplex=False)
        tasks.append(Task(target=send, args=(writer, n)).start())
        readers.append(reader)
        if Task is tarefa.Process:
            writer.close()
    got = {n: [] for n in range(3)}
    open_ones = list(readers)
    while open_ones and sum(map(len, got.values())) < 60:
        for reader in wait_for_connections(open_ones, timeout=50):
            try:
                n, i = reader.recv()
                got[n].append(i)
            except EOFError:
                open_ones.remove(reader)
    assert all(items == list(range(20)) for items in got.values())
    for task in tasks:
        task.result(30)
    if Task is tarefa.Process:
        for reader in readers:
            assert wait_for_connections([reader], timeout=50) == [reader]
            with pytest.raises(EOFError):
                reader.recv()
    for reader in readers:
        reader.close()


def test_wait_of_multiprocessing_takes_others_besides(pipe):
    a, b = pipe
    theirs, other = multiprocessing.Pipe()
    assert wait_for_connections([b, theirs], timeout=0) == []
    other.send(1)
    assert wait_for_connections([b, theirs], timeout=50) == [theirs]
    a.send(1)
    assert set(wait_for_connections([b, theirs], timeout=0)) == {b, theirs}
    theirs.close()
    other.close()


def test_a_killed_sender_is_seen_by_select(pipe):
    def hold(end, ready):
        ready.set()
        time.sleep(60)

    a, b = pipe
    ready = tarefa.Event()
    process = tarefa.Process(target=hold, args=(a, ready)).start()
    a.close()
    ready.wait()
    assert select.select([b], [], [], 0.02)[0] == []
    process.kill()
    assert select.select([b], [], [], 50)[0] == [b]
    with pytest.raises(EOFError):
        b.recv()
    process.join()


def test_selectors_and_asyncio(pipe):
    import asyncio

    a, b = pipe
    with selectors.DefaultSelector() as selector:
        selector.register(b, selectors.EVENT_READ, "data")
        assert selector.select(0) == []
        a.send(1)
        assert [key.data for key, _ in selector.select(50)] == ["data"]
        assert b.recv() == 1

    async def main():
        loop = asyncio.get_running_loop()
        got = loop.create_future()
        loop.add_reader(b.fileno(), lambda: got.done() or got.set_result(b.recv()))
        threading.Timer(0.05, a.send, ["from a thread"]).start()
        try:
            return await got
        finally:
            loop.remove_reader(b.fileno())

    assert asyncio.run(main()) == "from a thread"


def test_a_queue_has_a_descriptor_too(Task):
    def put(queue):
        time.sleep(0.05)
        queue.put("x")

    queue = tarefa.Queue()
    assert select.select([queue], [], [], 0)[0] == []
    task = Task(target=put, args=(queue,)).start()
    assert select.select([queue], [], [], 50)[0] == [queue]
    assert queue.get() == "x"
    assert select.select([queue], [], [], 0)[0] == []
    queue.shutdown()
    assert select.select([queue], [], [], 50)[0] == [queue]
    task.result(30)
    queue.close()
    with pytest.raises(ValueError, match="closed"):
        queue.fileno()


def test_a_descriptor_takes_no_wake_up_from_who_takes(Task):
    def take(queue):
        return [queue.get(timeout=50) for _ in range(100)]

    queue = tarefa.Queue()
    queue.fileno()
    task = Task(target=take, args=(queue,)).start()
    for n in range(100):
        queue.put(n)
        time.sleep(0.0005)
    assert task.result(50) == list(range(100))
    queue.close()


def test_a_forked_child_has_both_ends():
    run_script(
        """
        import os, tarefa
        a, b = tarefa.Pipe()
        b.fileno()
        pid = os.fork()
        if pid == 0:
            a.close()
            b.send("from the child")
            b.close()
            os._exit(0)
        b.close()
        assert a.recv() == "from the child"
        try:
            a.recv()
        except EOFError:
            pass
        else:
            raise SystemExit("no end")
        assert os.waitpid(pid, 0)[1] == 0
        """
    )


def test_the_script_that_all_processes_have_keeps_no_end_open():
    run_script(
        """
        import tarefa

        def given(end):
            assert end.recv() == "last"
            try:
                end.recv()
            except EOFError:
                return "the end"

        def reached():
            ends[1].send("x")
            single.send("y")

        mine, theirs = tarefa.Pipe()
        several = [tarefa.Pipe() for _ in range(3)]
        ends = tarefa.Pipe()
        other, single = tarefa.Pipe()
        task = tarefa.Process(target=given, args=(theirs,)).start()
        reacher = tarefa.Process(target=reached).start()
        theirs.close()
        mine.send("last")
        mine.close()
        assert task.result(30) == "the end"
        reacher.result(30)
        for end, message in ((ends, "x"), ((other, single), "y")):
            end[1].close()
            assert end[0].recv() == message
            try:
                end[0].recv()
            except EOFError:
                continue
            raise SystemExit("no end")
        """
    )
