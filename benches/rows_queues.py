"""The rows of events, semaphores, barriers and read-write locks."""

import multiprocessing
import threading

from contention import contend, longest
from measure import Peer, paired, row
from meeting import answered, rounds, writer_among_readers
from rows_locks import pairs, start, uncontended, withs

import tarefa


def together(thing, how, tasks, number, result=max):
    return result(contend(start(tarefa.Process), thing, how, tasks, number))


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


def barrier_round(quick):
    count = 2000 if quick else 10_000
    barrier = tarefa.Barrier(2)
    with Peer("mp-barrier") as theirs:
        values = paired(
            lambda: together(barrier, rounds, 2, count), lambda: theirs(count), 5 if quick else 30
        )
    what = "Barrier of two processes, each round"
    return [row(what, "multiprocessing.Barrier", "ns", 1, values, 0.2)]


def semaphore_pair(quick):
    peers = [
        ("multiprocessing.Semaphore", multiprocessing.Semaphore(), 3),
        ("threading.Semaphore", threading.Semaphore(), 1),
    ]
    ours = tarefa.Semaphore()
    rows = uncontended(quick, ours, peers, pairs, "Semaphore acquire + release, uncontended")
    return rows + uncontended(quick, ours, peers, withs, "with Semaphore, uncontended")


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


ROWS = {
    "event-seen": event_seen,
    "barrier-round": barrier_round,
    "semaphore-pair": semaphore_pair,
    "semaphore-longest-wait": semaphore_longest_wait,
    "rwlock-longest-wait": rwlock_longest_wait,
}
