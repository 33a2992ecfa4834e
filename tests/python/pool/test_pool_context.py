"""``get_context``: what takes a context of multiprocessing takes it."""

import copy
import gc
import multiprocessing
import multiprocessing.context
import os
import pickle
import queue
import time
import warnings

import pytest
from targets import double

import tarefa

context = tarefa.get_context()


def test_it_is_a_context():
    assert isinstance(context, multiprocessing.context.BaseContext)
    for method in (None, "fork", "spawn", "forkserver"):
        assert tarefa.get_context(method) is context
        assert context.get_context(method) is context
    assert copy.copy(context) is context
    assert pickle.loads(pickle.dumps(context)) is context
    assert context.get_start_method() in multiprocessing.get_all_start_methods()
    assert context.get_all_start_methods() == [context.get_start_method()]
    assert context.cpu_count() == tarefa.cpu_count()
    context.allow_connection_pickling()
    with pytest.raises(ValueError, match="cannot find context for 'thread'"):
        tarefa.get_context("thread")
    with pytest.raises(ValueError, match="cannot set start method"):
        context.set_start_method("spawn")
    with pytest.raises(NotImplementedError, match=r"tarefa\.List"):
        context.Manager()


def test_all_names_are_ours():
    made = [
        context.Lock(),
        context.RLock(),
        context.Condition(),
        context.Condition(context.Lock()),
        context.Semaphore(2),
        context.BoundedSemaphore(value=2),
        context.Event(),
        context.Barrier(2, None, 5),
        context.Queue(3),
        context.Queue(maxsize=3),
        context.JoinableQueue(),
        context.SimpleQueue(),
        *context.Pipe(False),
        context.Value("i", 3),
        context.Array("d", 3, lock=True),
        context.RawValue("i", 3),
        context.RawArray("i", [1, 2]),
        context.Process(target=double, args=(1,)),
    ]
    assert {type(one).__module__ for one in made} == {"tarefa"}
    assert context.current_process().name == tarefa.current_process().name
    assert context.parent_process() is None
    assert context.active_children() == []
    assert issubclass(tarefa.TaskTimeout, context.TimeoutError)
    assert issubclass(tarefa.WorkerDied, context.ProcessError)


@pytest.mark.parametrize("make", [tarefa.ThreadPool, tarefa.get_context().Pool])
def test_one_that_is_dropped_open_says_so(make):
    """As `multiprocessing`'s does where warnings are shown."""

    def drop(end):
        pool = make(1)
        end(pool)
        del pool
        gc.collect()

    for end in ("close", "terminate"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            drop(lambda pool, end=end: (getattr(pool, end)(), pool.join()))
    with pytest.warns(ResourceWarning, match="unclosed running multiprocessing pool"):
        drop(bool)


@pytest.mark.parametrize("make", [tarefa.ThreadPool, tarefa.get_context().Pool])
def test_an_input_that_fails_takes_its_chunk_along(make):
    def numbers():
        yield from range(5)
        raise ZeroDivisionError

    with make(1) as pool:
        for size, whole in ((1, 5), (2, 4), (4, 4), (8, 0)):
            results = pool.imap(abs, numbers(), size)
            assert [next(results) for _ in range(whole)] == list(range(whole))
            with pytest.raises(ZeroDivisionError):
                next(results)


def test_an_executor_says_how_many_workers_it_has():
    """Dask's scheduler asks the standard library's executors so."""
    with tarefa.Pool(3, "thread") as pool:
        assert pool._max_workers == 3


def test_its_pool_has_the_ways_of_multiprocessing():
    began = context.Queue()
    with context.Pool(2, began.put, ("began",), 100) as pool:
        assert pool.map(double, range(50)) == list(range(0, 100, 2))
        assert pool.apply(double, (4,)) == 8
        assert list(pool.imap(double, range(3), 2)) == [0, 2, 4]
        with pytest.raises(context.TimeoutError):
            pool.apply_async(time.sleep, (0.5,)).get(0.01)
    assert began.get(timeout=50) == "began"


def test_all_the_names_that_a_context_of_multiprocessing_has():
    theirs = multiprocessing.get_context("spawn")
    assert [name for name in dir(theirs) if not hasattr(context, name)] == []


# What DataLoader does with a context.


def load(data, indices, results, done, worker):
    watched = os.getppid()
    while not done.is_set() and os.getppid() == watched:
        try:
            wanted = indices.get(timeout=5)
        except queue.Empty:
            continue
        if wanted is None:
            break
        number, places = wanted
        results.put((number, worker, [data[n] for n in places]))
    if done.is_set():
        results.cancel_join_thread()
        results.close()


@pytest.mark.parametrize("workers", [1, 3])
def test_a_loader_of_data(workers):
    data = [n * n for n in range(40)]
    batches = [list(range(n, n + 4)) for n in range(0, 40, 4)]
    results, done = context.Queue(), context.Event()
    queues, processes = [], []
    for worker in range(workers):
        indices = context.Queue()
        indices.cancel_join_thread()
        process = context.Process(target=load, args=(data, indices, results, done, worker))
        process.daemon = True
        process.start()
        queues.append(indices)
        processes.append(process)
    for number, batch in enumerate(batches):
        queues[number % workers].put((number, batch))
    got = {}
    while len(got) < len(batches):
        number, worker, values = results.get(timeout=50)
        assert worker == number % workers
        got[number] = values
    assert [got[n] for n in range(len(batches))] == [[data[n] for n in b] for b in batches]
    assert all(process.is_alive() and process.pid > 0 for process in processes)
    done.set()
    for indices in queues:
        indices.put(None)
    for process in processes:
        process.join(timeout=50)
        assert process.exitcode == 0
    for indices in queues:
        indices.cancel_join_thread()
        indices.close()
