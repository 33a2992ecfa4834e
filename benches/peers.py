"""The peers, each in an interpreter that never imports tarefa.

`python -m benches.peers NAME`, driven by `measure.Peer`.

For each line read, a count, it does its thing that often and writes one number: nanoseconds for
each time, or for the `memory` peers the private bytes of one idle child.
"""

import multiprocessing
import os
import sys
import threading
import time
from functools import partial
from pathlib import Path
from time import perf_counter_ns

from benches import carrying, contention, meeting, pooling, queue_crowd


def nothing():
    pass


def idle():
    time.sleep(1000)


def thread():
    task = threading.Thread(target=nothing)
    task.start()
    task.join()


def fork():
    child = os.fork()
    if child == 0:
        nothing()
        os._exit(0)
    os.waitpid(child, 0)


def process(method):
    context = multiprocessing.get_context(method)

    def once():
        task = context.Process(target=nothing)
        task.start()
        task.join()

    return once


def per_call(call):
    def measure(times):
        start = perf_counter_ns()
        for _ in range(times):
            call()
        return (perf_counter_ns() - start) / times

    return measure


def manager_append():
    manager = multiprocessing.Manager()
    append = manager.list().append

    def measure(times):
        start = perf_counter_ns()
        for number in range(times):
            append(number)
        return (perf_counter_ns() - start) / times

    measure.keep = manager
    return measure


KEYS = [f"key {number}" for number in range(1000)]


def dict_sets(shared):
    for key in KEYS:
        shared[key] = 1

    def measure(times):
        keys = (KEYS * (times // len(KEYS) + 1))[:times]
        start = perf_counter_ns()
        for key in keys:
            shared[key] = 2
        return (perf_counter_ns() - start) / times

    measure.keep = shared
    return measure


def dict_gets(shared):
    for key in KEYS:
        shared[key] = 1

    def measure(times):
        keys = (KEYS * (times // len(KEYS) + 1))[:times]
        start = perf_counter_ns()
        for key in keys:
            shared[key]
        return (perf_counter_ns() - start) / times

    measure.keep = shared
    return measure


def manager_dict():
    manager_dict.manager = multiprocessing.Manager()
    return manager_dict.manager.dict()


def ultra_dict():
    from UltraDict import UltraDict

    return UltraDict()


def add_locked(value, times):
    for _ in range(times):
        with value.get_lock():
            value.value += 1


def value_add():
    value = multiprocessing.Value("i")

    def measure(times):
        start = perf_counter_ns()
        add_locked(value, times)
        return (perf_counter_ns() - start) / times

    return measure


def add_in_child(value, start, took, times):
    start.wait()
    before = perf_counter_ns()
    add_locked(value, times)
    took.put((perf_counter_ns() - before) / times)


def value_add_two():
    context = multiprocessing.get_context("fork")

    def measure(times):
        value, start, took = context.Value("q"), context.Barrier(2), context.SimpleQueue()
        args = (value, start, took, times)
        tasks = [context.Process(target=add_in_child, args=args) for _ in range(2)]
        for task in tasks:
            task.start()
        costs = [took.get() for _ in tasks]
        for task in tasks:
            task.join()
        return sum(costs) / 2

    return measure


def idle_memory(method):
    context = multiprocessing.get_context(method)

    def measure(times):
        task = context.Process(target=idle, daemon=True)
        task.start()
        time.sleep(0.3)
        lines = Path(f"/proc/{task.pid}/smaps_rollup").read_text().splitlines()
        private = sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))
        task.kill()
        task.join()
        return private

    return measure


def contended(what, tasks, lock, task):
    def start(target, args):
        started = task(target=target, args=args)
        started.start()
        return started

    lock = lock()
    worst = what in {contention.longest, meeting.writer_among_readers}

    def measure(number):
        # The first call, of one, only shows that it works.
        results = contention.contend(start, lock, what, tasks, number)
        return max(results) if worst else sum(results) / tasks

    return measure


def contended_processes(what, tasks):
    context = multiprocessing.get_context("fork")
    return lambda: contended(what, tasks, context.Lock, context.Process)


FORK = multiprocessing.get_context("fork")


def together(make, what, tasks):
    return lambda: contended(what, tasks, make, FORK.Process)


def fork_task(target, args):
    task = FORK.Process(target=target, args=args)
    task.start()
    return task


def mp_queue(item):
    queue = FORK.Queue()
    return lambda times: carrying.streamed(fork_task, queue, item, times)


def mp_pipe():
    here, there = FORK.Pipe()
    end = carrying.PipeEnd(here)

    def answered(_target, args):
        return fork_task(carrying.pipe_answer, (there, args[-1]))

    return lambda times: carrying.asked(answered, end, end, times)


def mp_pipe_rarely():
    here, there = FORK.Pipe()
    end = carrying.PipeEnd(here)

    def answered(_target, args):
        return fork_task(carrying.pipe_answer, (there, args[-1]))

    return lambda times: carrying.asked_rarely(answered, end, end, times)


def faster_fifo(size=64 << 20):
    from faster_fifo import Queue

    return Queue(max_size_bytes=size)


def faster_fifo_queue(item):
    queue = faster_fifo()
    return lambda times: carrying.streamed(fork_task, queue, item, times)


def faster_fifo_grid(cell):
    producers, consumers = map(int, cell.split("x"))
    queue = faster_fifo()
    options = {"max_messages_to_get": queue_crowd.BATCH}
    return lambda times: queue_crowd.grid(fork_task, queue, producers, consumers, options, times)


def megabytes():
    import numpy as np

    return np.ones(8 << 20)


def futures_pool(kind):
    import concurrent.futures

    return getattr(concurrent.futures, kind)(2)


def mp_mapped(**how):
    pool = FORK.Pool(2)
    return lambda times: pooling.mapped(lambda f, it: pool.map(f, it, **how), times)


def futures_mapped(kind):
    pool = futures_pool(kind)
    return lambda times: pooling.mapped(pool.map, times)


def loky_mapped():
    from loky import get_reusable_executor

    pool = get_reusable_executor(max_workers=2)
    return lambda times: pooling.mapped(pool.map, times)


def mpire_mapped():
    from mpire import WorkerPool

    pool = WorkerPool(n_jobs=2, keep_alive=True)
    return lambda times: pooling.mapped(lambda f, it: pool.map(f, it, chunk_size=1), times)


def mp_called():
    pool = FORK.Pool(2)
    return lambda times: pooling.called(lambda f, a: pool.apply(f, (a,)), times)


def futures_called(kind):
    pool = futures_pool(kind)
    return lambda times: pooling.called(lambda f, a: pool.submit(f, a).result(), times)


def end_pool(pool):
    pool.close()
    pool.join()


def mp_made(method):
    context = multiprocessing.get_context(method)
    return lambda _: pooling.made(lambda: context.Pool(2), end_pool)


def arrays(count):
    import numpy as np

    return [np.full(1 << 19, n, dtype="d") for n in range(count)]


def mp_arrays():
    pool = FORK.Pool(2)
    return lambda times: pooling.summed(pool.map, arrays(times))


def joblib_arrays():
    from joblib import Parallel, delayed

    def mapped(function, items):
        return Parallel(n_jobs=2)(delayed(function)(item) for item in items)

    return lambda times: pooling.summed(mapped, arrays(times))


def joblib_naps(data_size, result_size):
    return lambda times: pooling.in_joblib("loky", times, data_size, result_size)


def mp_counted():
    pool = FORK.Pool(2)
    return lambda _: pooling.counted(pool.map, 40, 100_000)


PEERS = {
    "pool-mp-one": lambda: mp_mapped(chunksize=1),
    "pool-mp-default": mp_mapped,
    "pool-futures-one": lambda: futures_mapped("ProcessPoolExecutor"),
    "pool-loky-one": loky_mapped,
    "pool-mpire-one": mpire_mapped,
    "pool-threads": lambda: futures_mapped("ThreadPoolExecutor"),
    "pool-mp-call": mp_called,
    "pool-futures-call": lambda: futures_called("ProcessPoolExecutor"),
    "pool-threads-call": lambda: futures_called("ThreadPoolExecutor"),
    "pool-mp-made": lambda: mp_made("fork"),
    "pool-mp-forkserver-made": lambda: mp_made("forkserver"),
    "pool-mp-arrays": mp_arrays,
    "pool-joblib-arrays": joblib_arrays,
    "pool-joblib-naps": partial(joblib_naps, 0, 0),
    "pool-joblib-naps-with-data": partial(joblib_naps, 20_000_000, 100_000),
    "pool-mp-pure": mp_counted,
    "mp-queue-int": lambda: mp_queue(7),
    "mp-queue-tuple": lambda: mp_queue((1, 2.5)),
    "mp-queue-megabyte": lambda: mp_queue(b"x" * (1 << 20)),
    "mp-queue-array": lambda: mp_queue(megabytes()),
    "mp-queue-longest": lambda: (
        lambda times: queue_crowd.longest_wait(fork_task, FORK.Queue(), 16, times)
    ),
    "mp-queue-idle": lambda: lambda _: queue_crowd.idle_cost(fork_task, FORK.Queue(), 0.5),
    "ff-queue-int": lambda: faster_fifo_queue(7),
    "ff-queue-megabyte": lambda: faster_fifo_queue(b"x" * (1 << 20)),
    **{f"ff-grid-{cell}": partial(faster_fifo_grid, cell) for cell in queue_crowd.CELLS},
    "mp-pipe-round-trip": mp_pipe,
    "mp-pipe-rarely": mp_pipe_rarely,
    "mp-event": together(lambda: (FORK.Event(), FORK.Event()), meeting.answered, 2),
    "mp-barrier": together(lambda: FORK.Barrier(2), meeting.rounds, 2),
    "mp-semaphore-longest": together(lambda: FORK.Semaphore(1), contention.longest, 4),
    "mp-readers-first-longest": together(
        lambda: meeting.ReadersFirst(FORK), meeting.writer_among_readers, 4
    ),
    "mp-lock-handed": contended_processes(contention.handed, 2),
    "mp-lock-taken": contended_processes(contention.taken, 2),
    "mp-lock-longest": contended_processes(contention.longest, 4),
    "thread-lock-longest": lambda: contended(
        contention.longest, 4, threading.Lock, threading.Thread
    ),
    "thread": lambda: per_call(thread),
    "fork": lambda: per_call(fork),
    "mp-forkserver": lambda: per_call(process("forkserver")),
    "mp-spawn": lambda: per_call(process("spawn")),
    "manager-append": manager_append,
    "dict-set-dict": lambda: dict_sets({}),
    "dict-get-dict": lambda: dict_gets({}),
    "dict-set-manager": lambda: dict_sets(manager_dict()),
    "dict-get-manager": lambda: dict_gets(manager_dict()),
    "dict-set-ultradict": lambda: dict_sets(ultra_dict()),
    "dict-get-ultradict": lambda: dict_gets(ultra_dict()),
    "mp-value-add": value_add,
    "mp-value-add-two": value_add_two,
    "memory-fork": lambda: idle_memory("fork"),
    "memory-forkserver": lambda: idle_memory("forkserver"),
}


if __name__ == "__main__":
    measure = PEERS[sys.argv[1]]()
    for line in sys.stdin:
        print(measure(int(line)), flush=True)
