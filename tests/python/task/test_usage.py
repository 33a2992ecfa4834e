"""`usage()` and `context()`: what a task used, and what the system knows about it now."""

import itertools
import os
import threading
import time

import pytest
from support import eventually

import tarefa


def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def wait_far_below(ready, go):
    ready.set()
    go.wait()


def test_usage_counts_the_time_on_the_processor(Task):
    def work(burn):
        burn(0.2)

    task = Task(target=work, args=(burn,)).start()
    task.join()
    usage = task.usage()
    assert usage.cpu_user + usage.cpu_system >= 0.15
    assert usage.wall >= 0.2


def test_sleeping_costs_no_processor_time(Task):
    task = Task(target=time.sleep, args=(0.3,)).start()
    task.join()
    usage = task.usage()
    assert usage.wall >= 0.3
    assert usage.cpu_user + usage.cpu_system < usage.wall


def test_usage_knows_peak_memory_and_switches(Task):
    def grow():
        block = bytearray(64 << 20)
        for page in range(0, len(block), 4096):
            block[page] = 1
        time.sleep(0.01)
        return len(block)

    task = Task(target=grow).start()
    task.join()
    usage = task.usage()
    assert usage.peak_memory >= 64 << 20
    assert usage.voluntary_switches >= 1
    assert usage.involuntary_switches >= 0


def test_usage_of_a_running_task(held):
    task, _ = held
    first = task.usage()
    second = task.usage()
    assert 0 <= first.wall <= second.wall


def test_usage_of_a_killed_process_is_known():
    ready = tarefa.Event()

    def work(burn, ready):
        burn(0.1)
        ready.set()
        time.sleep(1000)

    task = tarefa.Process(target=work, args=(burn, ready)).start()
    ready.wait()
    task.kill()
    task.join()
    assert task.usage().cpu_user + task.usage().cpu_system >= 0.05


def test_context_of_a_waiting_task_shows_where_it_waits(Task):
    ready, go = tarefa.Event(), tarefa.Event()
    task = Task(target=wait_far_below, args=(ready, go)).start()
    ready.wait()
    context = eventually(lambda: (now := task.context()).os_state == "waiting" and now)
    assert "wait_far_below" in str(context.stack)
    assert (context.pid, context.tid) == (task.pid, task.native_id)
    assert context.memory > 0
    assert context.threads >= 1
    assert context.open_files >= 1
    go.set()
    task.join()


def test_context_of_a_busy_task_shows_what_it_does(Task):
    ready, stop = tarefa.Event(), tarefa.Event()

    def spin_for_ever(ready, stop):
        ready.set()
        while not stop.is_set():
            pass

    task = Task(target=spin_for_ever, args=(ready, stop)).start()
    ready.wait()
    eventually(lambda: task.context().os_state in ("running", "ready"))
    assert "spin_for_ever" in str(task.context().stack)
    stop.set()
    task.join()


def test_context_of_a_sleeping_process_shows_the_sleep():
    def sleep_long():
        time.sleep(1000)

    task = tarefa.Process(target=sleep_long).start()
    eventually(lambda: "sleep_long" in str(task.context().stack))
    assert task.is_alive()
    task.kill()
    task.join()


def compute_in_native_code(ready):
    ready.set()
    sum(itertools.repeat(0))


def read_from_a_pipe(ready):
    reader, _writer = os.pipe()
    ready.set()
    os.read(reader, 1)


def take_a_lock_twice(ready):
    lock = threading.Lock()
    lock.acquire()
    ready.set()
    lock.acquire()


@pytest.mark.parametrize("where", [compute_in_native_code, read_from_a_pipe, take_a_lock_twice])
def test_context_of_a_process_that_runs_no_python_code_shows_where(where):
    ready = tarefa.Event()
    task = tarefa.Process(target=where, args=(ready,)).start()
    ready.wait()
    for _ in range(3):
        assert where.__name__ in str(task.context().stack)
    assert task.is_alive()
    task.kill()
    task.join()


def test_looking_at_a_process_that_calls_functions_all_the_time_leaves_it_alive():
    ready, stop = tarefa.Event(), tarefa.Event()

    def call_all_the_time(ready, stop):
        def fib(n):
            return n if n < 2 else fib(n - 1) + fib(n - 2)

        ready.set()
        while not stop.is_set():
            fib(6)
            sorted(range(9), key=lambda i: -i)
            sum(j for i in range(3) for j in range(i))

    task = tarefa.Process(target=call_all_the_time, args=(ready, stop)).start()
    ready.wait()
    seen = []

    def look():
        for _ in range(1000):
            seen.append("call_all_the_time" in str(task.context().stack))

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    for looker in lookers:
        looker.join()
    stop.set()
    assert task.exception() is None
    assert seen == [True] * 2000


def test_looking_does_not_disturb(held):
    task, go = held
    for _ in range(20):
        task.context()
    go.set()
    assert task.result() == "done"


def test_context_of_the_own_task(Task):
    def look():
        context = tarefa.current_task().context()
        return context.pid, os.getpid(), str(context.stack)

    pid, seen, stack = Task(target=look).start().result()
    assert pid == seen
    assert "look" in stack
