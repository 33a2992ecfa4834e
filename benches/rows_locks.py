"""The rows of locks; those of `rows.py` and these make the table."""

import multiprocessing
import statistics
import threading
from time import perf_counter_ns

from contention import contend, handed, longest, taken
from measure import Peer, paired, row

import tarefa

COUNT = 20_000


def pairs(lock):
    """Nanoseconds of acquire and release."""
    acquire, release = lock.acquire, lock.release
    start = perf_counter_ns()
    for _ in range(COUNT):
        acquire()
        release()
    return (perf_counter_ns() - start) / COUNT


def withs(lock):
    start = perf_counter_ns()
    for _ in range(COUNT):
        with lock:
            pass
    return (perf_counter_ns() - start) / COUNT


def uncontended(quick, ours, peers, how, what):
    rows = []
    for label, peer, at_most in peers:
        values = paired(lambda: how(ours), lambda peer=peer: how(peer), 20 if quick else 200)
        rows.append(row(what, label, "ns", 1, values, at_most))
    return rows


def lock_pair(quick):
    peers = [
        ("multiprocessing.Lock", multiprocessing.Lock(), 1.4),
        ("threading.Lock", threading.Lock(), 1.2),
    ]
    ours = tarefa.Lock()
    what = "Lock acquire + release, uncontended"
    rows = uncontended(quick, ours, peers, pairs, what)
    return rows + uncontended(quick, ours, peers, withs, "with Lock, uncontended")


def rlock_pair(quick):
    peers = [
        ("multiprocessing.RLock", multiprocessing.RLock(), 1.4),
        ("threading.RLock", threading.RLock(), 1.2),
    ]
    what = "RLock acquire + release, uncontended"
    return uncontended(quick, tarefa.RLock(), peers, pairs, what)


def start(kind):
    return lambda target, args: kind(target=target, args=args).start()


def lock_handed(quick):
    count = 2000 if quick else 10_000
    lock = tarefa.Lock()

    def ours():
        return statistics.mean(contend(start(tarefa.Process), lock, handed, 2, count))

    with Peer("mp-lock-handed") as theirs:
        values = paired(ours, lambda: theirs(count), 5 if quick else 30)
    what = "Lock handed between two processes, by turns, each time"
    return [row(what, "multiprocessing.Lock", "ns", 1, values, 0.7)]


def lock_taken(quick):
    count = 500_000 if quick else 2_000_000
    lock = tarefa.Lock()

    def ours():
        return statistics.mean(contend(start(tarefa.Process), lock, taken, 2, count))

    with Peer("mp-lock-taken") as theirs:
        values = paired(ours, lambda: theirs(count), 5 if quick else 30)
    what = "Lock taken by two processes as it comes, each time"
    return [row(what, "multiprocessing.Lock", "ns", 1, values, 1.4)]


def lock_longest_wait(quick):
    rows = []
    length = 200 if quick else 1000
    kinds = [
        ("processes", tarefa.Process, "mp-lock-longest", "multiprocessing.Lock"),
        ("threads", tarefa.Thread, "thread-lock-longest", "threading.Lock"),
    ]
    for what, kind, peer, label in kinds:
        lock = tarefa.Lock()

        def ours(kind=kind, lock=lock):
            return max(contend(start(kind), lock, longest, 4, length))

        with Peer(peer) as theirs:
            values = paired(ours, lambda theirs=theirs: theirs(length), 5 if quick else 15)
        what = f"longest wait of four {what} at one Lock"
        rows.append(row(what, label, "ms", 1e-6, values, 1))
    return rows


ROWS = {
    "lock-pair": lock_pair,
    "rlock-pair": rlock_pair,
    "lock-handed": lock_handed,
    "lock-taken": lock_taken,
    "lock-longest-wait": lock_longest_wait,
}
