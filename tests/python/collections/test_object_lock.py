"""`lock()` of a container: operations in groups, while everybody else's wait."""

import contextlib
import os
import pickle
import threading
import time

import pytest
from locking import sleeping, take
from support import eventually

import tarefa

# Operations of others on a list of three: each waits for the group.
READS = {
    "len": len,
    "index": lambda it: it[0],
    "from the end": lambda it: it[-1],
    "past the end": lambda it: it[3],
    "slice": lambda it: it[:2],
    "in": lambda it: 2 in it,
    "iterate": list,
    "compare": lambda it: it == [0, 1, 2, 3],
    "repr": lambda it: repr(it).replace("tarefa.List", "").strip("()"),
}
WRITES = {
    "append": lambda it: it.append(4),
    "append a blob": lambda it: it.append("four"),
    "extend": lambda it: it.extend([4, "five"]),
    "set": lambda it: it.__setitem__(0, 9),
    "set from the end": lambda it: it.__setitem__(-1, 9),
    "delete": lambda it: it.__delitem__(0),
    "pop": lambda it: it.pop(),
    "pop the first": lambda it: it.pop(0),
    "insert": lambda it: it.insert(1, 9),
    "insert at the end": lambda it: it.insert(4, 9),
    "remove": lambda it: it.remove(2),
    "sort": lambda it: it.sort(reverse=True),
    "reverse": lambda it: it.reverse(),
    "clear": lambda it: it.clear(),
}


@pytest.mark.parametrize("name", [*READS, *WRITES])
def test_an_operation_of_another_waits_for_the_group(Task, name):
    act = {**READS, **WRITES}[name]
    shared, model = tarefa.List([1, 2, 3]), [0, 1, 2, 3]
    with shared.lock():
        task = Task(target=act, args=(shared,)).start()
        sleeping(task)
        assert shared == [1, 2, 3]
        shared.insert(0, 0)
        assert len(shared) == 4
    # As after the group; at the index that was past the end before it there is something now.
    expected = act(model)
    result = task.result()
    assert result == expected
    assert shared == model


def test_a_group_is_seen_whole_or_not_at_all(Task):
    """One moves elements from the end to the front, two by two; the others count them."""

    def watch(shared, stop):
        wrong = []
        while not stop.is_set():
            if len(shared) != 10:
                wrong.append("len")
            if shared[0] == "missing":
                wrong.append("index")
            if sum(1 for item in shared.copy() if item == "missing"):
                wrong.append("copy")
            with contextlib.suppress(IndexError):
                shared[9]
                continue
            wrong.append("past")
        return wrong

    shared, stop = tarefa.List(range(10)), tarefa.Event()
    tasks = [Task(target=watch, args=(shared, stop)).start() for _ in range(2)]
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        with shared.lock():
            assert len(shared) == 10
            last = shared.pop()
            before = shared.pop()
            assert len(shared) == 8
            shared.insert(0, "missing")
            shared.insert(0, "missing")
            shared[0], shared[1] = last, before
            assert len(shared) == 10
    stop.set()
    assert [task.result() for task in tasks] == [[], []]


def test_in_a_group_nothing_of_others_is_seen(Task):
    """Also no operation that had begun before the group."""

    def fill(shared, stop):
        while not stop.is_set():
            shared.append(1)
            shared.pop()

    shared, stop = tarefa.List(), tarefa.Event()
    tasks = [Task(target=fill, args=(shared, stop)).start() for _ in range(2)]
    for _ in range(400):
        with shared.lock():
            lengths = {len(shared) for _ in range(30)}
            assert len(lengths) == 1
            length = lengths.pop()
            for index in range(length):
                assert shared[index] == 1
            with pytest.raises(IndexError):
                shared[length]
    stop.set()
    for task in tasks:
        task.result()


def test_add_one_by_many(Task):
    def count(shared):
        for _ in range(200):
            with shared.lock():
                shared[0] = shared[0] + 1

    shared = tarefa.List([0])
    tasks = [Task(target=count, args=(shared,)).start() for _ in range(3)]
    for task in tasks:
        task.result()
    assert shared == [600]


def test_acquire_release_locked_owner():
    shared = tarefa.List()
    lock = shared.lock()
    assert not lock.locked()
    assert lock.owner() is None
    assert lock.acquire() is True
    assert lock.locked()
    assert shared.lock().locked()
    owner = shared.lock().owner()
    assert (owner.pid, owner.thread) == (os.getpid(), threading.get_native_id())
    assert lock.acquire(False) is True
    shared.lock().release()
    assert lock.locked()
    lock.release()
    assert not lock.locked()
    with pytest.raises(RuntimeError, match="un-acquired"):
        lock.release()


def test_nested():
    shared = tarefa.List()
    with shared.lock() as value, shared.lock():
        assert value is True
        shared.append(1)
        with shared.lock():
            shared.append(2)
    assert not shared.lock().locked()
    assert shared == [1, 2]


def test_an_error_inside_lets_it_go():
    shared = tarefa.List()
    with pytest.raises(LookupError), shared.lock():
        raise LookupError
    assert not shared.lock().locked()


@pytest.mark.parametrize("args", [(False,), (True, 0.02), (True, 0)])
def test_another_does_not_get_it(Task, args):
    def try_it(shared, args):
        return shared.lock().acquire(*args)

    shared = tarefa.List()
    with shared.lock():
        assert Task(target=try_it, args=(shared, args)).start().result() is False


@pytest.mark.parametrize(
    ("args", "error"),
    [((False, 1), ValueError), ((True, -2), ValueError), ((True, "1"), TypeError)],
)
def test_arguments_that_make_no_sense(args, error):
    lock = tarefa.List().lock()
    with pytest.raises(error):
        lock.acquire(*args)
    assert not lock.locked()


def test_another_may_not_release_it(Task):
    def release(shared):
        shared.lock().release()

    shared = tarefa.List()
    with shared.lock():
        assert isinstance(Task(target=release, args=(shared,)).start().exception(), RuntimeError)
        assert shared.lock().locked()


def test_a_pickled_one_in_another_process(Task):
    lock = tarefa.List([1]).lock()
    assert pickle.loads(pickle.dumps(lock)).acquire(False)
    assert Task(target=take, args=(lock, 0)).start().result() == "timeout"
    lock.release()
    assert Task(target=take, args=(lock, 0)).start().result() == "got"


def test_repr():
    lock = tarefa.List().lock()
    assert "unlocked tarefa.ObjectLock of List" in repr(lock)
    with lock:
        assert "unlocked" not in repr(lock)


def test_lists_have_locks_of_their_own(Task):
    outer, inner = tarefa.List(), tarefa.List()
    outer.append(inner)
    with outer.lock():
        assert Task(target=inner.append, args=(1,)).start().result() is None
    assert inner == [1]


def group(shared, ready):
    with shared.lock():
        shared.append("mine")
        ready.set()
        threading.Event().wait()


def test_a_killed_holder_stands_in_nobodys_way(Task):
    shared, ready = tarefa.List(), tarefa.Event()
    holder = tarefa.Process(target=group, args=(shared, ready)).start()
    ready.wait()
    waiting = [Task(target=shared.append, args=(n,)).start() for n in range(2)]
    waiting.append(Task(target=len, args=(shared,)).start())
    sleeping(*waiting)
    holder.kill()
    assert waiting.pop().result() >= 1
    for task in waiting:
        task.result()
    assert sorted(shared[1:]) == [0, 1]
    assert shared.pop(0) == "mine"
    # Nobody was told of the death by an operation: the next to take the lock is, once.
    with pytest.raises(tarefa.OwnerDied), shared.lock():
        raise AssertionError
    with shared.lock():
        shared.clear()
    assert shared == []


def test_a_thread_that_ends_with_it_stands_in_nobodys_way():
    shared = tarefa.List()
    thread = threading.Thread(target=shared.lock().acquire)
    thread.start()
    thread.join()
    eventually(lambda: not shared.lock().locked())
    shared.append(1)
    with pytest.raises(tarefa.OwnerDied):
        shared.lock().acquire()
    assert shared.lock().acquire(timeout=5)
    shared.lock().release()


def test_an_operation_that_waits_is_interrupted(Task):
    def want(shared):
        try:
            shared.append(1)
        except tarefa.Interrupted:
            return "interrupted"

    shared = tarefa.List()
    with shared.lock():
        task = Task(target=want, args=(shared,)).start()
        sleeping(task)
        task.interrupt()
        assert task.result() == "interrupted"
    assert shared == []
    shared.append(2)
    assert shared == [2]


def test_operations_have_their_turn_beside_groups(Task):
    """One groups again and again, at once: the operations of the other are not shut out."""

    def groups(shared, stop):
        while not stop.is_set():
            with shared.lock():
                time.sleep(0.001)

    shared, stop = tarefa.List(), tarefa.Event()
    tasks = [Task(target=groups, args=(shared, stop)).start() for _ in range(2)]
    eventually(shared.lock().locked)
    for number in range(30):
        shared.append(number)
    stop.set()
    for task in tasks:
        task.result()
    assert shared == list(range(30))


def test_members_killed_while_they_group_and_operate():
    def groups(shared):
        while True:
            with contextlib.suppress(tarefa.OwnerDied), shared.lock():
                shared.append(1)
                shared.pop()

    def operates(shared):
        while True:
            shared.append(2)
            shared.pop()

    shared = tarefa.List()
    for round_ in range(6):
        tasks = [
            tarefa.Process(target=target, args=(shared,)).start()
            for target in (groups, operates, groups)
        ]
        time.sleep(0.02 + 0.005 * round_)
        for task in tasks:
            task.kill()
        for task in tasks:
            task.join()
        assert take(shared.lock(), timeout=30) in ("got", "owner died")
        assert take(shared.lock(), timeout=30) == "got"
        shared.clear()
