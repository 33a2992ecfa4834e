"""Several tasks at one lock, whoever made it: the same loops for ours and for the peers.

What the tasks share besides the lock is a small file that each maps: whose turn it is, who is
ready, when to begin, and one result of each.
"""

import mmap
import struct
import tempfile
from time import perf_counter_ns, sleep

TURN, GO, READY, RESULTS, SIZE = 0, 1, 8, 16, 64


def handed(lock, me, shared, count):
    """Two take it by turns, `count` times each: nanoseconds of each time that it changes hands.

    Who has it out of turn lets it go and takes it again.
    """
    start = perf_counter_ns()
    turns = 0
    while turns < count:
        lock.acquire()
        if shared[TURN] == me:
            shared[TURN] = 1 - me
            turns += 1
        lock.release()
    return (perf_counter_ns() - start) / (2 * count)


def taken(lock, _me, _shared, count):
    """Each takes it `count` times, as it comes: nanoseconds of each time, of either."""
    start = perf_counter_ns()
    for _ in range(count):
        lock.acquire()
        lock.release()
    return (perf_counter_ns() - start) / (2 * count)


def longest(lock, _me, _shared, milliseconds):
    """The longest that one waits for it, in nanoseconds; each holds it for some 20 us."""
    end = perf_counter_ns() + milliseconds * 1_000_000
    worst = 0
    while (asked := perf_counter_ns()) < end:
        lock.acquire()
        got = perf_counter_ns()
        worst = max(worst, got - asked)
        while perf_counter_ns() < got + 20_000:
            pass
        lock.release()
    return worst


def work(what, lock, me, path, number):
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), SIZE) as shared:
        shared[READY + me] = 1
        while not shared[GO]:
            sleep(0.0002)
        result = what(lock, me, shared, number)
        struct.pack_into("d", shared, RESULTS + 8 * me, result)


def contend(start, lock, what, tasks, number):
    """What each of `tasks` comes to; `start(target, args)` starts one and returns it."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(SIZE))
        file.flush()
        with mmap.mmap(file.fileno(), SIZE) as shared:
            all_ = [start(work, (what, lock, me, file.name, number)) for me in range(tasks)]
            while not all(shared[READY + me] for me in range(tasks)):
                sleep(0.0002)
            shared[GO] = 1
            for task in all_:
                task.join()
            return struct.unpack_from(f"{tasks}d", shared, RESULTS)
