"""`Queue` and its siblings have the habits of the standard library's, on both kinds of task."""

import contextlib
import copy
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import time
import weakref

import pytest
from support import eventually, run_script, waited_for

import tarefa

FIFO = ["Queue", "JoinableQueue", "SimpleQueue"]


@pytest.fixture(params=[*FIFO, "LifoQueue", "PriorityQueue"])
def Any(request):
    return getattr(tarefa, request.param)


@pytest.fixture
def q():
    return tarefa.Queue()


def put_all(q, items):
    for item in items:
        q.put(item)


def drain(q):
    items = []
    while not q.empty():
        items.append(q.get())
    return items


MESSAGES = [
    0,
    -1,
    2**49,
    2**70,
    1.5,
    float("inf"),
    True,
    None,
    "text ü",
    "\ud800",
    b"",
    b"bytes" * 1000,
    bytearray(b"array"),
    (),
    (1, "two", [3.0]),
    (1, -2.5, True, False, None, "ü", b"\0", ((), ("in", (b"",)))),
    (2**60, "\ud800"),
    ("x" * 5000, 1),
    tuple(range(2000)),
    (((((((((((1,),),),),),),),),),),),
    {"a": {1, 2}},
    list(range(1000)),
]


def test_what_is_put_comes_out(Any):
    q = Any()
    for item in MESSAGES:
        if Any is tarefa.PriorityQueue:
            item = (1, item)
        q.put(item)
        got = q.get()
        assert got == item
        assert type(got) is type(item)


@pytest.mark.parametrize("name", FIFO)
def test_first_in_first_out(name):
    q = getattr(tarefa, name)()
    put_all(q, MESSAGES)
    assert q.qsize() == len(MESSAGES)
    assert drain(q) == MESSAGES


def test_last_in_first_out():
    q = tarefa.LifoQueue()
    put_all(q, MESSAGES)
    assert drain(q) == MESSAGES[::-1]
    put_all(q, [1, 2])
    assert q.get_many() == [2, 1]


class Job:
    def __init__(self, name):
        self.name = name


def test_the_least_first():
    q = tarefa.PriorityQueue()
    numbers = [5, -1, 2.5, 2**60, -(2**70), True, float("-inf"), 2**49, 0]
    put_all(q, numbers)
    assert drain(q) == sorted(numbers)
    texts = ["b", "a", "é", "", "z" * 9000, "aa"]
    put_all(q, texts)
    assert drain(q) == sorted(texts)
    tuples = [
        (2, "b"),
        (1, "z"),
        (2, "a"),
        (1.5, "y"),
        (2,),
        (1, ("z",)),
        (2**60, b"x"),
        (0, "q" * 5000),
    ]
    put_all(q, tuples)
    assert q.get() == (0, "q" * 5000)
    put_all(q, [(time.time_ns(), "now")])
    assert q.get_many(2) == [(1, "z"), (1, ("z",))]
    assert q.get() == (1.5, "y")


def test_equal_priorities_in_their_order(Task):
    q = tarefa.PriorityQueue()
    jobs = [(priority, {"job": n}) for n in range(20) for priority in (2, 1)]
    Task(target=put_all, args=(q, jobs)).start().result()
    got = drain(q)
    assert got == sorted(jobs, key=lambda job: job[0])
    q.put((1, Job("one")))
    q.put((0, tarefa.List([1])))
    assert q.get()[1] == [1]
    assert q.get()[1].name == "one"


def test_a_nan_and_none_leave_the_others_their_order():
    q = tarefa.PriorityQueue()
    nan = float("nan")
    put_all(q, [5, nan, 2, None, (1, nan), 9, 1.5, nan, (1, 3), 0, 2**70])
    got = drain(q)
    assert got[0] is None
    assert got[1:7] == [0, 1.5, 2, 5, 9, 2**70]
    assert [x != x for x in got[7:9]] == [True, True]
    assert got[9] == (1, 3)
    assert got[10][1] != got[10][1]


def test_what_has_no_order_is_refused():
    q = tarefa.PriorityQueue(3)
    for item in ([1], {}, Job("x"), ([1], 2), ({}, 1)):
        with pytest.raises(TypeError, match="PriorityQueue orders numbers"):
            q.put(item)
    with pytest.raises(tarefa.NotPicklable):
        q.put((1, threading.Lock()))
    with pytest.raises(ValueError, match="128 bits"):
        q.put(2**200)
    assert q.empty()
    put_all(q, [3, 1, 2])
    with pytest.raises(tarefa.Full):
        q.put(0, timeout=0.01)
    assert drain(q) == [1, 2, 3]


def test_a_message_is_a_copy(q):
    item = [1]
    q.put(item)
    item.append(2)
    assert q.get() == [1]


def test_in_takes_nothing(Any):
    q = Any()
    put_all(q, [1, 2, 3])
    for item in (1, 7, None):
        with pytest.raises(TypeError, match=type(q).__name__):
            assert item in q
    assert sorted(drain(q)) == [1, 2, 3]
    with pytest.raises(TypeError):
        assert 1 not in tarefa.Pipe()[0]


def test_shared_objects_travel_by_reference(q):
    numbers = tarefa.List()
    q.put(numbers)
    q.put({"numbers": numbers})
    q.get().append(1)
    q.get()["numbers"].append(2)
    assert numbers == [1, 2]
    inner = tarefa.Queue()
    q.put(inner)
    inner.put(3)
    del inner
    assert q.get().get() == 3
    with pytest.raises(ValueError, match="itself"):
        q.put(q)


def test_bounds():
    q = tarefa.Queue(2)
    assert q.maxsize == 2
    assert not q.full()
    put_all(q, [1, 2])
    assert q.full()
    for full in (
        lambda: q.put(3, False),
        lambda: q.put(3, block=False),
        lambda: q.put_nowait(3),
        lambda: q.put(3, timeout=0.01),
        lambda: q.put(3, True, 0.01),
        lambda: q.put("text", True, 0.01),
    ):
        with pytest.raises(tarefa.Full):
            full()
    assert drain(q) == [1, 2]
    for unbounded in (tarefa.Queue(), tarefa.Queue(0), tarefa.Queue(-1), tarefa.Queue(maxsize=0)):
        put_all(unbounded, range(500))
        assert not unbounded.full()
    with pytest.raises(TypeError):
        tarefa.Queue("2")
    assert tarefa.Queue(2**70).maxsize > 0


def test_empty(q):
    for empty in (
        lambda: q.get(False),
        lambda: q.get(block=False),
        lambda: q.get_nowait(),
        lambda: q.get(timeout=0.01),
        lambda: q.get(True, 0.01),
        lambda: q.get(timeout=0),
    ):
        with pytest.raises(tarefa.Empty):
            empty()


def test_arguments_of_waits(q):
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError, match="non-negative"):
            q.get(timeout=wrong)
        with pytest.raises(ValueError, match="non-negative"):
            q.put(1, timeout=wrong)
    with pytest.raises(TypeError, match="number of seconds"):
        q.get(timeout="1")
    # Without waiting a timeout means nothing, as in the standard library.
    with pytest.raises(tarefa.Empty):
        q.get(False, -1)
    for large in (float("inf"), 10**400):
        with pytest.raises(OverflowError):
            q.get(timeout=large)
        with pytest.raises(OverflowError):
            q.put(1, timeout=large)
    q.put(1, timeout=None)
    assert q.get(timeout=None) == 1


def test_errors_are_the_standard_librarys():
    assert issubclass(tarefa.Empty, (queue.Empty,))
    assert issubclass(tarefa.Full, queue.Full)
    for error in (tarefa.Empty, tarefa.Full, tarefa.ShutDown, tarefa.BadMessage, tarefa.ItemsLost):
        assert issubclass(error, tarefa.TarefaError)
    if sys.version_info >= (3, 13):
        assert issubclass(tarefa.ShutDown, queue.ShutDown)
    with pytest.raises(queue.Empty):
        tarefa.Queue().get_nowait()
    again = pickle.loads(pickle.dumps(tarefa.ItemsLost("text", 2, 5)))
    assert str(again) == "text"


def test_bytes_are_bounded():
    q = tarefa.Queue(max_bytes=1000)
    assert q.max_bytes == 1000
    with pytest.raises(ValueError, match=r"1001 bytes .* 1000 bytes"):
        q.put(b"x" * 1001)
    assert q.empty()
    q.put(b"x" * 1000)
    assert q.full()
    with pytest.raises(tarefa.Full):
        q.put(b"x", timeout=0.01)
    assert len(q.get()) == 1000
    q.put(b"x" * 500)
    assert 500 <= q.used_bytes <= 520
    assert tarefa.Queue(max_bytes="1K").max_bytes in (1000, 1024)
    for wrong in (0, -1, "much", 2**64):
        with pytest.raises(ValueError, match="max_bytes"):
            tarefa.Queue(max_bytes=wrong)


def test_a_large_message(Task):
    q = tarefa.Queue(2)
    task = Task(target=lambda q: put_all(q, [bytes([i]) * 3_000_000 for i in range(6)]), args=(q,))
    task.start()
    for i in range(6):
        assert q.get() == bytes([i]) * 3_000_000
    task.result()


def test_put_waits_for_room(Task):
    q = tarefa.Queue(1)
    q.put(0)
    task = Task(target=put_all, args=(q, [1, "two", 3]))
    task.start()
    waited_for(q)
    assert [q.get() for _ in range(4)] == [0, 1, "two", 3]
    task.result()


def test_the_bound_may_be_set_anew(Task):
    q = tarefa.Queue(2)
    put_all(q, [1, 2])
    q.maxsize = 1
    assert (q.maxsize, q.qsize(), q.full()) == (1, 2, True)
    with pytest.raises(tarefa.Full):
        q.put_nowait(3)
    task = Task(target=q.put, args=(3,)).start()
    waited_for(q)
    q.maxsize = 4
    task.result()
    q.maxsize = -1
    assert (q.maxsize, q.full()) == (0, False)
    assert drain(q) == [1, 2, 3]
    with pytest.raises(TypeError):
        q.maxsize = "2"


def test_get_waits_for_a_message(Task, q):
    def sum_up(q, back):
        total = 0
        while (n := q.get()) is not None:
            total += n
        back.put(total)

    back = tarefa.Queue()
    task = Task(target=sum_up, args=(q, back))
    task.start()
    for n in range(500):
        q.put(n)
    q.put(None)
    assert back.get() == sum(range(500))
    task.result()


def test_many_producers_and_consumers(Task):
    q, results = tarefa.Queue(7), tarefa.Queue()

    def produce(q, who):
        for i in range(300):
            q.put((who, i) if i % 2 else who * 1000 + i)

    def consume(q, results):
        got = list(q)
        results.put(got)

    producers = [Task(target=produce, args=(q, w)).start() for w in range(3)]
    consumers = [Task(target=consume, args=(q, results)).start() for _ in range(3)]
    for task in producers:
        task.result()
    q.shutdown()
    for task in consumers:
        task.result()
    every = []
    for _ in consumers:
        got = [divmod(x, 1000) if isinstance(x, int) else x for x in results.get()]
        for who in range(3):
            its = [i for w, i in got if w == who]
            assert its == sorted(its)
        every += got
    assert sorted(every) == [(w, i) for w in range(3) for i in range(300)]


def test_many_at_once(Task, q):
    q.put_many(range(100))
    assert q.get_many(10) == list(range(10))
    assert q.get_many() == list(range(10, 100))
    q.put_many([])
    with pytest.raises(tarefa.Empty):
        q.get_many(5, timeout=0.01)
    with pytest.raises(tarefa.Empty):
        q.get_many(5, block=False)
    with pytest.raises(ValueError, match="max"):
        q.get_many(0)
    bounded = tarefa.Queue(3)
    with pytest.raises(tarefa.Full) as info:
        bounded.put_many(["a", "b", "c", "d", "e"], timeout=0.01)
    assert info.value.put == 3
    assert bounded.get_many() == ["a", "b", "c"]
    task = Task(target=lambda q: q.put_many(["x", 1, "y", 2, "z"] * 20), args=(bounded,)).start()
    got = []
    while len(got) < 100:
        got += bounded.get_many(4)
    assert got == ["x", 1, "y", 2, "z"] * 20
    task.result()


def test_task_done_and_join(Task, q):
    assert q.join() is True
    with pytest.raises(ValueError, match="too many times"):
        q.task_done()
    put_all(q, range(20))
    assert q.unfinished_tasks == 20
    assert q.join(timeout=0.01) is False

    def work(q):
        for _ in range(20):
            q.get()
            q.task_done()

    task = Task(target=work, args=(q,)).start()
    assert q.join() is True
    assert q.unfinished_tasks == 0
    task.result()


def test_items_of_a_dead_consumer_are_told_of(q):
    put_all(q, [1, 2, 3])

    def take_two(q, taken):
        q.get()
        q.get()
        q.task_done()
        q.get()
        taken.set()
        time.sleep(60)

    taken = tarefa.Event()
    task = tarefa.Process(target=take_two, args=(q, taken)).start()
    assert taken.wait(30)
    killer = threading.Timer(0.2, task.kill)
    killer.start()
    with pytest.raises(tarefa.ItemsLost, match="2 items were taken") as info:
        q.join()
    killer.join()
    assert (info.value.count, info.value.pid) == (2, task.pid)
    assert q.join() is True
    assert q.unfinished_tasks == 0
    assert isinstance(task.exception(), tarefa.WorkerDied)


def test_shutdown(Task):
    q = tarefa.Queue(1)
    q.put(0)

    def put_one(q):
        try:
            q.put(1)
        except tarefa.ShutDown:
            return "shut"

    def get_one(q):
        try:
            return q.get()
        except tarefa.ShutDown:
            return "shut"

    putter = Task(target=put_one, args=(q,)).start()
    waited_for(q)
    q.shutdown()
    assert putter.result() == "shut"
    assert q.is_shutdown
    with pytest.raises(tarefa.ShutDown):
        q.put("more")
    assert q.get() == 0
    with pytest.raises(tarefa.ShutDown):
        q.get()
    with pytest.raises(tarefa.ShutDown):
        q.get_nowait()
    assert list(q) == []
    empty = tarefa.Queue()
    getter = Task(target=get_one, args=(empty,)).start()
    waited_for(empty)
    empty.shutdown()
    assert getter.result() == "shut"


def test_shutdown_at_once(q):
    put_all(q, [1, "two", 3])
    q.get()
    q.shutdown(immediate=True)
    assert q.qsize() == 0
    with pytest.raises(tarefa.ShutDown):
        q.get()
    assert q.unfinished_tasks == 1
    q.task_done()
    assert q.join() is True


def test_close_is_this_process_s(q):
    other = pickle.loads(pickle.dumps(q))
    assert q.close() is None
    assert q.join_thread() is None
    assert q.cancel_join_thread() is None
    with pytest.raises(ValueError, match="closed"):
        q.put(1)
    with pytest.raises(ValueError, match="closed"):
        q.get()
    other.put(1)
    assert other.get() == 1


@pytest.mark.parametrize("what", ["get", "get_many", "put", "put_many"])
def test_close_ends_the_waits_of_other_threads(what):
    q = tarefa.Queue(1)
    other = pickle.loads(pickle.dumps(q))
    if what.startswith("put"):
        other.put(0)
    caught, waits = [], threading.Event()

    def act():
        waits.set()
        try:
            {
                "get": q.get,
                "get_many": q.get_many,
                "put": lambda: q.put(1),
                "put_many": lambda: q.put_many([1, 2]),
            }[what]()
        except ValueError as e:
            caught.append(str(e))

    thread = threading.Thread(target=act)
    thread.start()
    waits.wait()
    time.sleep(0.05)
    q.close()
    thread.join()
    assert len(caught) == 1
    assert "closed" in caught[0]
    # Only by this handle.
    if what.startswith("get"):
        other.put(0)
    assert other.get() == 0
    assert other.empty()


def test_any_number_is_a_most(q):
    q.put_many([1, 2])
    assert q.get_many(2**100) == [1, 2]
    with pytest.raises(TypeError):
        q.get_many(1.5)


def test_habits_of_an_object(Any):
    q = Any()
    assert bool(q)
    with pytest.raises(TypeError):
        len(q)
    for again in (pickle.loads(pickle.dumps(q)), copy.copy(q)):
        assert type(again) is Any
        assert again == q
        assert hash(again) == hash(q)
    assert q != Any()
    assert q != 1
    put_all(q, [1, 2])
    assert repr(q) == f"<tarefa.{Any.__name__} {q.object_id[1]}: 2 items>"
    ref = weakref.ref(q)
    assert ref() is q
    q.note = "as any object"
    assert Any[int] is not None
    assert isinstance(Any[int](), Any)


def test_repr_says_bounds_and_end():
    q = tarefa.Queue(3)
    q.put(1)
    q.shutdown()
    assert repr(q).endswith(": 1 of 3 items, shut down>")


def test_what_cannot_travel_is_refused(q):
    lock = threading.Lock()
    with pytest.raises(tarefa.NotPicklable, match=r"\['key'\].*lock.*queue\.Queue"):
        q.put({"key": lock})
    with pytest.raises(tarefa.NotPicklable, match=r"queue\.Queue"):
        q.put_many([1, lock])
    assert q.empty()
    q.put(1)
    assert q.get() == 1


class Spoilt:
    def __reduce__(self):
        return spoil, ()


def spoil():
    raise LookupError("not here")


def put_spoilt(q):
    put_all(q, [Spoilt(), "next", Spoilt()])


def test_what_cannot_be_decoded_fails_at_get(Task, q):
    task = Task(target=put_spoilt, args=(q,), name="maker").start()
    task.join()  # it has ended, and is known by its handle
    with pytest.raises(tarefa.BadMessage, match="LookupError: not here") as info:
        q.get()
    pid = os.getpid() if Task is tarefa.Thread else task.pid
    assert info.value.pid == pid
    who = "the program" if Task is tarefa.Thread else 'task "maker"'
    assert info.value.origin == f"{who} (pid {pid})"
    assert info.value.origin in str(info.value)
    assert isinstance(info.value.__cause__, LookupError)
    q.put(5)
    with pytest.raises(tarefa.BadMessage) as info:
        q.get_many()
    assert info.value.items == ["next", 5]


def test_a_wait_can_be_interrupted(Task, q):
    def wait(q):
        try:
            q.get()
        except tarefa.Interrupted:
            return "interrupted"

    task = Task(target=wait, args=(q,)).start()
    waited_for(q)
    task.interrupt()
    assert task.result() == "interrupted"
    q.put(1)
    assert q.get() == 1
    full = tarefa.Queue(1)
    full.put("one")

    def put(q):
        try:
            q.put("two")
        except tarefa.Interrupted:
            return "interrupted"

    task = Task(target=put, args=(full,)).start()
    waited_for(full)
    task.interrupt()
    assert task.result() == "interrupted"
    assert full.qsize() == 1


def test_ctrl_c_ends_a_wait():
    script = """
        import os, signal, threading, tarefa
        q = tarefa.Queue()
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            q.get()
        except KeyboardInterrupt:
            print("ended")
    """
    assert run_script(script).stdout == "ended\n"


def test_an_exit_never_waits_for_what_nobody_reads():
    script = """
        import tarefa
        def f(q):
            q.put(b"x" * 1_000_000)
        q = tarefa.Queue()
        tarefa.Process(target=f, args=(q,)).start().join()
        q.put("unread")
        print(q.qsize())
    """
    assert run_script(script).stdout == "2\n"


def test_a_module_s_queue_is_one():
    script = """
        import sys, types, tarefa
        q = tarefa.Queue(5)
        def f():
            q.put(1)
        tarefa.Process(target=f).start().join()
        print(q.get(), q.maxsize)
    """
    assert run_script(script).stdout == "1 5\n"


@pytest.mark.parametrize("what", ["get", "put"])
def test_a_process_killed_inside(what):
    q = tarefa.Queue(1)
    if what == "put":
        q.put("first")
    target = q.get if what == "get" else (lambda: q.put(b"x" * 100_000))
    task = tarefa.Process(target=target).start()
    waited_for(q)
    task.kill()
    task.join()
    assert isinstance(task.exception(), tarefa.WorkerDied)
    if what == "put":
        assert q.get() == "first"
    q.put(1)
    assert q.get(timeout=20) == 1
    assert q.empty()


def test_one_of_several_waiting_consumers_dies(q):
    tasks = [tarefa.Process(target=q.get).start() for _ in range(3)]
    waited_for(q, 3)
    tasks[0].kill()
    tasks[0].join()
    q.put("a")
    q.put("b")
    assert sorted(t.result() for t in tasks[1:]) == ["a", "b"]
    assert isinstance(tasks[0].exception(), tarefa.WorkerDied)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_through_multiprocessing(method, q):
    process = multiprocessing.get_context(method).Process(target=q.put, args=([1, 2],))
    process.start()
    process.join()
    assert q.get(timeout=20) == [1, 2]


def test_other_threads_run_while_one_waits(q):
    done = []
    thread = threading.Thread(target=lambda: done.append(q.get()))
    thread.start()
    waited_for(q)
    q.put(1)
    thread.join()
    eventually(lambda: done == [1])


STOPPED = {
    "put": (lambda q: q.put(1), lambda q: (q.get(timeout=0.05), 0)),
    "put a blob": (lambda q: q.put((1, "two", [3])), lambda q: (q.get(timeout=0.05), 0)),
    "get": (lambda q: q.get(), lambda q: q.put(1, timeout=0.05)),
    "put beside": (lambda q: q.put(1, timeout=0.05), lambda q: q.put(2, timeout=0.05)),
    "get beside": (lambda q: q.get(timeout=0.05), lambda q: q.get(timeout=0.05)),
}


@pytest.mark.parametrize("kind", STOPPED)
@pytest.mark.parametrize("cls", [tarefa.Queue, tarefa.LifoQueue])
def test_time_limits_hold_beside_a_process_that_is_stopped_in_the_middle(kind, cls):
    work, act = STOPPED[kind]
    q = cls(maxsize=2)

    def forever():
        while True:
            with contextlib.suppress(tarefa.Empty, tarefa.Full):
                work(q)

    task = tarefa.Process(target=forever).start()
    try:
        for _ in range(15):
            os.kill(task.pid, signal.SIGSTOP)
            # It goes on only when these are over: one that did not end would never.
            for _ in range(2):
                with contextlib.suppress(tarefa.Empty, tarefa.Full):
                    act(q)
            with contextlib.suppress(tarefa.Empty):
                q.get_nowait()
            with contextlib.suppress(tarefa.Full):
                q.put_nowait(1)
            assert tarefa.select([q], 0) in ([], [q])
            assert q.qsize() <= 2
            q.join(timeout=0.01)
            os.kill(task.pid, signal.SIGCONT)
            time.sleep(0.002)
    finally:
        os.kill(task.pid, signal.SIGCONT)
        task.kill()
        task.join()
    q.shutdown(immediate=True)
    assert q.empty()
