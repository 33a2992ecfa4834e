"""The rows of pools."""

import importlib.util
import os
import statistics
import subprocess
import sys

import tarefa
from benches import pooling
from benches.measure import ROOT, Peer, figures, paired, row

ROWS, figure = figures()

WORKERS = 2


def beside(what, ours, peers, unit, scale, count, samples):
    """A row for each peer that is installed, in pairs with what `ours(count)` takes."""
    rows = []
    for peer, label, needs, at_most, fewer in peers:
        if needs is not None and importlib.util.find_spec(needs) is None:
            continue
        with Peer(peer) as theirs:
            values = paired(
                lambda: ours(count),
                lambda theirs=theirs, fewer=fewer: theirs(max(1, count // fewer)),
                samples,
            )
        rows.append(row(what, label, unit, scale, values, at_most))
    return rows


def mapping(what, pool_map, peers, quick):
    """The rows of a map of tasks that do nothing, a task each."""
    count, samples = (20_000, 5) if quick else (100_000, 15)
    return beside(what, lambda n: pooling.mapped(pool_map, n), peers, "µs", 1e-3, count, samples)


@figure
def pool_map_one(quick):
    peers = [
        ("pool-mp-one", "multiprocessing.Pool", None, 1 / 8, 5),
        ("pool-futures-one", "ProcessPoolExecutor", None, 1 / 50, 50),
        ("pool-loky-one", "loky", "loky", 1 / 80, 50),
        ("pool-mpire-one", "mpire", "mpire", 1 / 40, 50),
    ]
    what = "Pool of processes, a task that does nothing, chunks of one"
    with tarefa.Pool(WORKERS) as pool:
        pooling.mapped(lambda f, it: pool.map(f, it, chunksize=1), 1000)
        return mapping(what, lambda f, it: pool.map(f, it, chunksize=1), peers, quick)


@figure
def pool_map_default(quick):
    peers = [("pool-mp-default", "multiprocessing.Pool", None, 1.0, 1)]
    what = "Pool of processes, a task that does nothing, chunks of its own choice"
    with tarefa.Pool(WORKERS) as pool:
        pooling.mapped(pool.map, 1000)
        return mapping(what, pool.map, peers, quick)


@figure
def pool_map_threads(quick):
    peers = [("pool-threads", "ThreadPoolExecutor", None, 1 / 4, 5)]
    what = "Pool of threads, a task that does nothing"
    with tarefa.Pool(WORKERS, "thread") as pool:
        pooling.mapped(pool.map, 1000)
        return mapping(what, pool.map, peers, quick)


@figure
def pool_round_trip(quick):
    peers = [
        ("pool-mp-call", "multiprocessing.Pool.apply", None, 1 / 10, 1),
        ("pool-futures-call", "ProcessPoolExecutor", None, 1 / 12, 1),
        ("pool-threads-call", "ThreadPoolExecutor", None, 1 / 4, 1),
    ]
    what = "Pool of processes, one call that does nothing and its result"
    with tarefa.Pool(WORKERS) as pool:
        return beside(
            what,
            lambda n: pooling.called(lambda f, a: pool.submit(f, a).result(), n),
            peers,
            "µs",
            1e-3,
            500 if quick else 2000,
            5 if quick else 15,
        )


@figure
def pool_made(quick):
    peers = [
        ("pool-mp-made", "multiprocessing.Pool (fork)", None, 0.5, 1),
        ("pool-mp-forkserver-made", "multiprocessing.Pool (forkserver)", None, 1 / 6, 1),
    ]

    def ours(_):
        return pooling.made(lambda: tarefa.Pool(WORKERS), tarefa.Pool.shutdown)

    ours(1)
    what = "Pool of two processes: made, two tasks, ended"
    return beside(what, ours, peers, "ms", 1e-6, 1, 5 if quick else 20)


@figure
def pool_arrays(quick):
    if importlib.util.find_spec("numpy") is None:
        return []
    import numpy as np

    arrays = [np.full(1 << 19, n, dtype="d") for n in range(20 if quick else 100)]
    peers = [
        ("pool-mp-arrays", "multiprocessing.Pool", "numpy", 1 / 4, 1),
        ("pool-joblib-arrays", "joblib (loky)", "joblib", 0.5, 1),
    ]
    what = f"Pool of processes, the sums of {len(arrays)} arrays of 4 MiB"
    with tarefa.Pool(WORKERS) as pool:
        pooling.summed(pool.map, arrays[:2])
        return beside(
            what,
            lambda _: pooling.summed(pool.map, arrays),
            peers,
            "ms",
            1e-6,
            len(arrays),
            3 if quick else 7,
        )


@figure
def pool_joblib(quick):
    """joblib's own microbenchmark with our backend, beside its usual one."""
    if importlib.util.find_spec("numpy") is None or importlib.util.find_spec("joblib") is None:
        return []
    tarefa.register_joblib_backend()
    rows = []
    for peer, what, data_size, result_size in (
        ("pool-joblib-naps", "tasks of 0 to 3 ms", 0, 0),
        ("pool-joblib-naps-with-data", "the same, 20 MB there, 100 kB back", 20_000_000, 100_000),
    ):

        def ours(count, data_size=data_size, result_size=result_size):
            return pooling.in_joblib("tarefa", count, data_size, result_size)

        ours(10)
        what = f"joblib's benchmark of batches: {what}"
        peers = [(peer, "backend loky", None, 0.3, 1)]
        how = ("ms", 1e-6, 500 if quick else 5000, 3 if quick else 5)
        rows += beside(what, ours, peers, *how)
    return rows


@figure
def pool_pure_python(quick):
    peers = [("pool-mp-pure", "multiprocessing.Pool", None, 1 / 0.95, 1)]
    what = "Pool of two processes, pure Python"
    with tarefa.Pool(WORKERS) as pool:
        pooling.counted(pool.map, 8, 10_000)
        return beside(
            what,
            lambda _: pooling.counted(pool.map, 40, 100_000),
            peers,
            "ms",
            1e-6,
            1,
            3 if quick else 9,
        )


@figure
def pool_auto(quick):
    """A pool that chooses, its trial included, beside the best kind chosen by hand."""
    noise = os.urandom(1 << 20)
    work = {
        "pure Python": (pooling.count_up, [100_000] * (60 if quick else 200)),
        "time.sleep": (pooling.waited, range(60 if quick else 300)),
        "zlib on 1 MiB": (pooling.packed, [noise] * (12 if quick else 40)),
        "tasks of 1 µs": (pooling.microsecond, range(300_000 if quick else 2_000_000)),
    }
    rows = []
    with tarefa.Pool(WORKERS) as processes, tarefa.Pool(WORKERS, "thread") as threads:
        for name, (function, inputs) in work.items():

            def ours(function=function, inputs=inputs):
                # A new one: it knows nothing, and has no worker yet.
                with tarefa.Pool(WORKERS, "auto") as pool:
                    return pooling.all_of(pool.map, function, inputs)

            def theirs(function=function, inputs=inputs):
                return min(
                    pooling.all_of(map_, function, inputs)
                    for map_ in (processes.map, threads.map, pooling.in_a_row)
                )

            values = paired(ours, theirs, 3 if quick else 7)
            what = f'Pool that chooses (kind "auto"), trial included: {name}'
            rows.append(row(what, "the best kind, and a loop", "ms", 1e-6, values, 1.15))
    return rows


@figure
def pool_memory(quick):
    """The most memory that a caller has which maps lazily over many inputs, beside few."""
    many = 1_000_000 if quick else 10_000_000

    def most(count):
        command = [sys.executable, "-m", "benches.pooling", str(count)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        return int(done.stdout)

    values = paired(lambda: most(many), lambda: most(10_000), 3)
    what = f"Memory of the caller while it maps {many:,} tasks lazily"
    return [row(what, "10,000 tasks", "MiB", 1 / 1024, values, 1.1)]


@figure
def pool_timeline(quick):
    """What a call costs more of which a timeline is recorded; and the branch, where none is."""
    count, samples = (20_000, 5) if quick else (100_000, 15)

    batches = []

    def each(timeline):
        with tarefa.Pool(1, timeline=timeline) as pool:
            pooling.mapped(pool.map, 1000)
            before = next(pool._crew._numbers)
            each_took = pooling.mapped(pool.map, count)
            batches.append(next(pool._crew._numbers) - before - 1)
            return each_took

    recorded, without = paired(lambda: each(True), lambda: each(False), samples)
    more = [a - b for a, b in zip(recorded, without, strict=True)]

    is_traced = tarefa._engine.is_traced

    def asked():
        return pooling.called(lambda _, __: is_traced(), count)

    def not_asked():
        return pooling.called(lambda _, __: None, count)

    off, nothing = paired(asked, not_asked, samples)
    # It is asked once a batch.
    share = statistics.median(batches) / count
    branch = [(a - b) * share for a, b in zip(off, nothing, strict=True)]
    what = "Pool, a call more"
    return [
        row(f"{what} with a timeline", "a call", "µs", 1e-3, (more, without), 3.0, limit_of="ours"),
        row(
            f"{what} without: its branch", "a call", "ns", 1, (branch, without), 20, limit_of="ours"
        ),
    ]
