"""A thread that finds no slot left gets an ordinary error; what must not fail goes on in it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def crowd():
    """A program in Rust that takes all slots that are free."""
    folder = os.environ.get("TAREFA_RUST_EXAMPLES")
    path = Path(folder or "", "crowd")
    if not folder or not path.exists():
        pytest.skip("the Rust examples are not built: make test-python does it")
    return path


# In an interpreter of its own, whose only thread has its slot before the others are taken.
PROGRAM = """
import asyncio, subprocess, sys, threading, time
import tarefa

tarefa.configure(spares=0)
event = tarefa.Event()
one = [tarefa.List([1, 2]), tarefa.Dict(a=1), tarefa.Set([1]), tarefa.Counter("ab"), tarefa.Lock(),
       tarefa.RLock(), tarefa.RWLock(), tarefa.Condition(), tarefa.Semaphore(2), tarefa.Barrier(2),
       tarefa.Event(), tarefa.Value("i", 3), tarefa.Array("d", 3), tarefa.RawValue("i", 3),
       tarefa.Namespace(x=1), tarefa.Queue(9), tarefa.PriorityQueue(), *tarefa.Pipe()]
(l, d, s, c, lock, rlock, rw, condition, semaphore, barrier, flag, value, array, raw, space, queue,
 by_priority, end, other) = one
queue.put_many([1, "two", [3]])
taken = queue.get(ack=True)
other.send(b"x")
done = tarefa.Process(target=len, args=("abc",)).start()
done.join()
# Its threads' slots must not come back after the others are taken.
# Left are two of this process and the one of the zygote.
while tarefa._engine.diagnostics()["thread_slots"] > 3:
    time.sleep(0.001)

refused = {
    "List()": lambda: tarefa.List(),
    "Dict()": lambda: tarefa.Dict(),
    "Lock()": lambda: tarefa.Lock(),
    "Value()": lambda: tarefa.Value("i", 1),
    "Process()": lambda: tarefa.Process(target=print),
    "Thread()": lambda: tarefa.Thread(target=print),
    "append": lambda: l.append(3),
    "getitem": lambda: l[0],
    "in": lambda: 1 in l,
    "len": lambda: len(l),
    "iter": lambda: list(l),
    "sort": lambda: l.sort(),
    "dict get": lambda: d["a"],
    "dict set": lambda: d.update(b=2),
    "dict del": lambda: d.pop("a"),
    "dict iter": lambda: list(d.items()),
    "set": lambda: s.add(2),
    "counter": lambda: c.update("b"),
    "namespace": lambda: space.x,
    "lock": lambda: lock.acquire(),
    "with lock": lambda: lock.__enter__(),
    "no wait": lambda: lock.acquire(False),
    "rlock": lambda: rlock.acquire(),
    "release": lambda: lock.release(),
    "read": lambda: rw.acquire_read(),
    "write": lambda: rw.acquire_write(),
    "condition": lambda: condition.acquire(),
    "wait": lambda: condition.wait(1),
    "notify": lambda: condition.notify(),
    "semaphore": lambda: semaphore.acquire(),
    "semaphore release": lambda: semaphore.release(),
    "barrier": lambda: barrier.wait(1),
    "event wait": lambda: flag.wait(1),
    "value": lambda: value.value,
    "value set": lambda: setattr(value, "value", 4),
    "array": lambda: array[0],
    "array set": lambda: array.__setitem__(0, 1.0),
    "raw": lambda: raw.value,
    "Queue()": lambda: tarefa.Queue(),
    "Pipe()": lambda: tarefa.Pipe(),
    "put": lambda: queue.put(1),
    "put text": lambda: queue.put("x"),
    "put_nowait": lambda: queue.put_nowait(1),
    "put_many": lambda: queue.put_many([1, 2]),
    "aput": lambda: asyncio.run(queue.aput(1)),
    "get": lambda: queue.get(),
    "get for a moment": lambda: queue.get(timeout=0.1),
    "get_nowait": lambda: queue.get_nowait(),
    "get to ack": lambda: queue.get(ack=True),
    "get_many": lambda: queue.get_many(2),
    "aget": lambda: asyncio.run(queue.aget()),
    "task_done": lambda: queue.task_done(),
    "join": lambda: queue.join(1),
    "put by priority": lambda: by_priority.put((1, "x")),
    "send": lambda: end.send(1),
    "send a list": lambda: end.send([1]),
    "send_bytes": lambda: end.send_bytes(b"x"),
    "recv": lambda: end.recv(),
    "recv_bytes": lambda: end.recv_bytes(),
    "poll": lambda: end.poll(),
    "poll for a moment": lambda: end.poll(0.1),
    "select": lambda: tarefa.select([queue, end, flag], timeout=1),
    "select a pipe": lambda: tarefa.select([end], timeout=1),
    "Pool()": lambda: tarefa.Pool(1).submit(len, "abc").result(),
    "run": lambda: asyncio.run(tarefa.run(len, "abc")),
    "Program": lambda: tarefa.Process(target=tarefa.Program("true")),
    "result": lambda: done.result(),
    "deadlocks": lambda: tarefa.deadlocks(),
}
goes_on = {
    "is_set": lambda: flag.is_set() is False,
    "set": lambda: flag.set() is None and flag.is_set(),
    "locked": lambda: lock.locked() is False,
    "parties": lambda: barrier.parties == 2,
    "free": lambda: semaphore.get_value() == 2,
    "state": lambda: done.state is tarefa.State.FINISHED,
    "exitcode": lambda: done.exitcode == 0,
    "name": lambda: done.name.startswith("Process"),
    "tasks": lambda: tarefa.active_tasks() == [],
    "address": lambda: tarefa.address(l).startswith("tarefa:"),
    "alive": lambda: done.is_alive() is False,
    "qsize": lambda: queue.qsize() == 2 and not queue.empty() and not queue.full(),
    "unfinished": lambda: queue.unfinished_tasks == 3 and queue.maxsize == 9,
    "queue": lambda: "2 of 9 items" in repr(queue) and not queue.is_shutdown,
    "pipe": lambda: not end.closed and end.readable and end.writable and repr(end) is not None,
    "shutdown": lambda: queue.shutdown() is None and queue.is_shutdown,
    "close": lambda: end.close() is None and end.closed and other.close() is None,
}

wrong, thread_result = [], []


def attempt():
    for name, act in refused.items():
        try:
            wrong.append(f"{name} gave {act()!r}")
        except tarefa.TooManyThreads as e:
            if "65536" not in str(e).replace(",", ""):
                wrong.append(f"{name}: {e}")
        except BaseException as e:
            wrong.append(f"{name}: {type(e).__mro__} {e}")
    for name, act in goes_on.items():
        try:
            if not act():
                wrong.append(f"{name} is wrong")
        except BaseException as e:
            wrong.append(f"{name}: {type(e)} {e}")
    # Dropped without a slot.
    one.clear()
    for name in ["l", "d", "s", "c", "lock", "rlock", "rw", "condition", "semaphore", "barrier",
                 "flag", "value", "array", "raw", "space", "queue", "by_priority", "end", "other"]:
        del globals()[name]


task = tarefa.Thread(target=len, args=("abc",))
crowd = subprocess.Popen([sys.argv[1], tarefa.address(event)], stdin=subprocess.PIPE)
event.wait(50)
thread = threading.Thread(target=attempt)
thread.start()
thread.join()
# One that was made in time and starts too late fails, and says why.
task.start()
error = task.exception()
if type(error) is not tarefa.TooManyThreads:
    wrong.append(f"the task: {error!r}")
crowd.kill()
crowd.wait()
# Once there are slots again all is well.
deadline = time.monotonic() + 50
while time.monotonic() < deadline:
    again = tarefa.Thread(target=len, args=("abc",)).start()
    if again.exception() is None:
        break
else:
    wrong.append("the slots did not come back")
if tarefa.Process(target=len, args=("abc",)).start().result() != 3:
    wrong.append("no process")
print(*wrong, sep=chr(10))
print("that is all")
"""


def test_a_thread_without_a_slot_gets_an_ordinary_error(crowd):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, crowd], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "that is all", (done.stdout, done.stderr)
    assert "panick" not in done.stderr, done.stderr


# A process finds none for itself, though its starter has one.
STARTER = """
import subprocess, sys, time
import tarefa

tarefa.configure(spares=0)
event = tarefa.Event()
tarefa.Process(target=len, args=("abc",)).start().join()
while tarefa._engine.diagnostics()["thread_slots"] > 3:
    time.sleep(0.001)
crowd = subprocess.Popen([sys.argv[1], tarefa.address(event)], stdin=subprocess.PIPE)
event.wait(50)
error = tarefa.Process(target=len, args=("abc",)).start().exception()
assert type(error) is tarefa.WorkerDied, error
assert "65536 threads" in str(error) and "end some" in str(error), error
crowd.kill()
crowd.wait()
deadline = time.monotonic() + 50
while tarefa.Process(target=len, args=("abc",)).start().exception() is not None:
    assert time.monotonic() < deadline
print("that is all")
"""


def test_a_process_without_a_slot_is_told_as_one_that_died_of_that(crowd):
    done = subprocess.run(
        [sys.executable, "-c", STARTER, crowd], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "that is all", (done.stdout, done.stderr)
    assert "panick" not in done.stderr, done.stderr
