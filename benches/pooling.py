"""What pools of all makers are asked to do. It imports no tarefa."""

from time import perf_counter_ns, sleep
from zlib import compress


def nothing(_):
    return None


def total(array):
    return array.sum()


def count_up(rounds):
    found = 0
    for n in range(rounds):
        found += n & 3
    return found


def mapped(map_, count):
    """Nanoseconds for each task of a map of `count` that do nothing."""
    start = perf_counter_ns()
    found = list(map_(nothing, range(count)))
    took = perf_counter_ns() - start
    if len(found) != count:
        raise RuntimeError(f"{len(found)} results of {count}")
    return took / count


def called(call, count):
    """Nanoseconds for each of `count` calls, one after the other, that do nothing."""
    start = perf_counter_ns()
    for n in range(count):
        call(nothing, n)
    return (perf_counter_ns() - start) / count


def summed(map_, arrays):
    start = perf_counter_ns()
    list(map_(total, arrays))
    return perf_counter_ns() - start


def counted(map_, tasks, rounds):
    """Nanoseconds for `tasks` pieces of pure Python."""
    start = perf_counter_ns()
    list(map_(count_up, [rounds] * tasks))
    return perf_counter_ns() - start


def made(make, end):
    """Nanoseconds for a pool of two that is made, maps two tasks, and ends."""
    start = perf_counter_ns()
    pool = make()
    list(pool.map(nothing, [1, 2]))
    end(pool)
    return perf_counter_ns() - start


def waited(_):
    sleep(0.005)


def packed(data):
    return len(compress(data))


def microsecond(number):
    found = 0
    for n in range(22):
        found += n
    return found + number


def in_a_row(function, inputs):
    return [function(it) for it in inputs]


def all_of(map_, function, inputs):
    """Nanoseconds for a map of these."""
    start = perf_counter_ns()
    found = list(map_(function, inputs))
    took = perf_counter_ns() - start
    if len(found) != len(inputs):
        raise RuntimeError(f"{len(found)} results of {len(inputs)}")
    return took


def nap(seconds, _data, size):
    """What the tasks of joblib's own benchmark do: they sleep, and give so many bytes back."""
    import numpy as np

    sleep(seconds)
    return np.ones(size, dtype=np.byte) if size else None


def in_joblib(backend, count, data_size, result_size):
    """Nanoseconds for joblib's benchmark of batches, of high variance.

    `benchmarks/bench_auto_batching.py` in https://github.com/joblib/joblib: the times are a normal
    distribution cut at 0, half of the tasks do not sleep at all.
    """
    import numpy as np
    from joblib import Parallel, delayed, parallel_config

    times = np.random.default_rng(1).normal(1e-6, 1e-3, count).clip(0)
    data = np.ones(data_size, dtype=np.byte) if data_size else None
    with parallel_config(backend=backend, n_jobs=2):
        start = perf_counter_ns()
        found = Parallel()(delayed(nap)(seconds, data, result_size) for seconds in times)
        took = perf_counter_ns() - start
    if len(found) != count:
        raise RuntimeError(f"{len(found)} results of {count}")
    return took


def most_memory(count):
    """The most memory in KiB that this process has had when it has mapped so many lazily."""
    import tarefa

    with tarefa.Pool(2) as pool:
        for _ in pool.map(nothing, (n for n in range(count))):
            pass
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


if __name__ == "__main__":
    import sys

    print(most_memory(int(sys.argv[1])))
