"""Loops over events, barriers and read-write locks, whoever made them; see `contention.py`."""

from time import perf_counter_ns


def answered(events, me, _shared, count):
    """One sets an event that the other waits for, by turns: nanoseconds until it is seen."""
    mine, other = events if me == 0 else events[::-1]
    start = perf_counter_ns()
    for _ in range(count):
        if me == 0:
            other.set()
        mine.wait()
        mine.clear()
        if me == 1:
            other.set()
    return (perf_counter_ns() - start) / (2 * count)


def rounds(barrier, _me, _shared, count):
    """Nanoseconds of each round."""
    start = perf_counter_ns()
    for _ in range(count):
        barrier.wait()
    return (perf_counter_ns() - start) / count


def writer_among_readers(lock, me, _shared, milliseconds):
    """The longest that the first waits to write, while the others read without a pause."""
    end = perf_counter_ns() + milliseconds * 1_000_000
    worst = 0
    while (asked := perf_counter_ns()) < end:
        if me == 0:
            lock.acquire_write()
        else:
            lock.acquire_read()
        got = perf_counter_ns()
        worst = max(worst, got - asked)
        while perf_counter_ns() < got + 20_000:
            pass
        if me == 0:
            lock.release_write()
        else:
            lock.release_read()
    return worst if me == 0 else 0.0


class ReadersFirst:
    """The read-write lock of the textbooks, on two of `multiprocessing`'s.

    After Courtois, Heymans and Parnas, "Concurrent control with 'readers' and 'writers'" (1971),
    problem 1.
    """

    def __init__(self, context):
        self.mutex, self.writing = context.Lock(), context.Semaphore(1)
        self.readers = context.RawValue("i", 0)

    def acquire_read(self):
        with self.mutex:
            self.readers.value += 1
            if self.readers.value == 1:
                self.writing.acquire()

    def release_read(self):
        with self.mutex:
            self.readers.value -= 1
            if self.readers.value == 0:
                self.writing.release()

    def acquire_write(self):
        self.writing.acquire()

    def release_write(self):
        self.writing.release()
