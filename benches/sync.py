"""The rows of locks, events, semaphores, barriers and read-write locks."""

import multiprocessing
import statistics
import threading
from time import perf_counter_ns

import tarefa
from benches import crowd
from benches.contention import contend, handed, longest, taken
from benches.measure import Peer, figures, paired, row
from benches.meeting import answered, rounds, writer_among_readers

ROWS, figure = figures()

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


@figure
def lock_pair(quick):
    peers = [
        ("multiprocessing.Lock", multiprocessing.Lock(), 1.4),
        ("threading.Lock", threading.Lock(), 1.2),
    ]
    ours = tarefa.Lock()
    what = "Lock acquire + release, uncontended"
    rows = uncontended(quick, ours, peers, pairs, what)
    return rows + uncontended(quick, ours, peers, withs, "with Lock, uncontended")


@figure
def rlock_pair(quick):
    peers = [
        ("multiprocessing.RLock", multiprocessing.RLock(), 1.4),
        ("threading.RLock", threading.RLock(), 1.2),
    ]
    what = "RLock acquire + release, uncontended"
    return uncontended(quick, tarefa.RLock(), peers, pairs, what)


def start(kind):
    return lambda target, args: kind(target=target, args=args).start()


@figure
def lock_handed(quick):
    count = 2000 if quick else 10_000
    lock = tarefa.Lock()

    def ours():
        return statistics.mean(contend(start(tarefa.Process), lock, handed, 2, count))

    with Peer("mp-lock-handed") as theirs:
        values = paired(ours, lambda: theirs(count), 5 if quick else 30)
    what = "Lock handed between two processes, by turns, each time"
    return [row(what, "multiprocessing.Lock", "ns", 1, values, 0.7)]


@figure
def lock_taken(quick):
    count = 500_000 if quick else 2_000_000
    lock = tarefa.Lock()

    def ours():
        return statistics.mean(contend(start(tarefa.Process), lock, taken, 2, count))

    with Peer("mp-lock-taken") as theirs:
        values = paired(ours, lambda: theirs(count), 5 if quick else 30)
    what = "Lock taken by two processes as it comes, each time"
    return [row(what, "multiprocessing.Lock", "ns", 1, values, 1.4)]


@figure
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


def together(thing, how, tasks, number, result=max):
    return result(contend(start(tarefa.Process), thing, how, tasks, number))


@figure
def event_seen(quick):
    count = 2000 if quick else 10_000
    events = tarefa.Event(), tarefa.Event()
    with Peer("mp-event") as theirs:
        values = paired(
            lambda: together(events, answered, 2, count),
            lambda: theirs(count),
            5 if quick else 30,
        )
    what = "Event.set until a waiting process has seen it"
    return [row(what, "multiprocessing.Event", "ns", 1, values, 0.3)]


@figure
def barrier_round(quick):
    count = 2000 if quick else 10_000
    barrier = tarefa.Barrier(2)
    with Peer("mp-barrier") as theirs:
        values = paired(
            lambda: together(barrier, rounds, 2, count), lambda: theirs(count), 5 if quick else 30
        )
    what = "Barrier of two processes, each round"
    return [row(what, "multiprocessing.Barrier", "ns", 1, values, 0.2)]


@figure
def semaphore_pair(quick):
    peers = [
        ("multiprocessing.Semaphore", multiprocessing.Semaphore(), 3),
        ("threading.Semaphore", threading.Semaphore(), 1),
    ]
    ours = tarefa.Semaphore()
    rows = uncontended(quick, ours, peers, pairs, "Semaphore acquire + release, uncontended")
    return rows + uncontended(quick, ours, peers, withs, "with Semaphore, uncontended")


@figure
def semaphore_longest_wait(quick):
    length = 200 if quick else 1000
    semaphore = tarefa.Semaphore(1)
    with Peer("mp-semaphore-longest") as theirs:
        values = paired(
            lambda: together(semaphore, longest, 4, length),
            lambda: theirs(length),
            5 if quick else 15,
        )
    what = "longest wait of four processes at one Semaphore"
    return [row(what, "multiprocessing.Semaphore", "ms", 1e-6, values, 1)]


@figure
def rwlock_longest_wait(quick):
    length = 200 if quick else 1000
    lock = tarefa.RWLock()
    with Peer("mp-readers-first-longest") as theirs:
        values = paired(
            lambda: together(lock, writer_among_readers, 4, length),
            lambda: theirs(length),
            5 if quick else 15,
        )
    what = "longest wait of a writer among three readers, RWLock"
    peer = "readers first, on multiprocessing's locks"
    return [row(what, peer, "ms", 1e-6, values, 1)]


@figure
def crowd_woken(quick):
    rows = []
    for kind in (crowd.event, crowd.condition, crowd.lock, crowd.barrier):
        values = paired(
            lambda kind=kind: crowd.through(kind, tarefa, 2000),
            lambda kind=kind: crowd.through(kind, threading, 2000),
            5 if quick else 15,
        )
        name = kind.__name__.title()
        what = f"2,000 threads at one {name}, from the wake-up until the last has gone on"
        rows.append(row(what, f"threading.{name}", "ms", 1e-6, values, 1))
    return rows
