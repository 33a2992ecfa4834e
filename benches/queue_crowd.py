"""Many producers and consumers at one queue, whoever made it: the same loops for both sides.

What they share besides the queue is a small file that each maps: who is ready, when to begin, and
one number of each.
"""

import mmap
import struct
import tempfile
from time import perf_counter_ns, process_time_ns, sleep

GO, READY, RESULTS, MOST = 0, 1, 64, 40
SIZE = RESULTS + 8 * MOST
BATCH = 100
# Producers and consumers, as in faster-fifo's README (https://github.com/alex-petrenko/faster-fifo).
CELLS = ["1x1", "1x10", "10x1", "3x20", "20x3", "20x20"]


def work(what, queue, me, path, how):
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), SIZE) as shared:
        shared[READY + me] = 1
        while not shared[GO]:
            sleep(0.0002)
        struct.pack_into("d", shared, RESULTS + 8 * me, what(queue, how))


def produce(queue, count):
    put = queue.put
    for n in range(count):
        put(n)
    return 0


def consume(queue, options):
    """Take all there are until a None; the instant of that."""
    get_many, put = queue.get_many, queue.put
    while True:
        items = get_many(**options)
        ends = items.count(None)
        if ends:
            for _ in range(ends - 1):
                put(None)
            return perf_counter_ns()


def wait_long(queue, count):
    """The longest of `count` waits for an item."""
    longest = 0
    for _ in range(count):
        asked = perf_counter_ns()
        queue.get()
        longest = max(longest, perf_counter_ns() - asked)
    return longest


def bring(queue, count):
    """A burst of two, now and then: whoever waits is to have its turn."""
    for n in range(count):
        queue.put(n)
        if n % 2:
            sleep(0.0002)
    return 0


def idle(queue, _):
    """Processor time of a consumer while nothing comes, for each second."""
    cpu, clock = process_time_ns(), perf_counter_ns()
    queue.get()
    return (process_time_ns() - cpu) / ((perf_counter_ns() - clock) / 1e9)


def end_after(queue, seconds):
    sleep(seconds)
    queue.put(None)
    return 0


def together(start, queue, works, then=None):
    """What each of `works`, functions with an argument, comes to; and when they began."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(SIZE))
        file.flush()
        with mmap.mmap(file.fileno(), SIZE) as shared:
            tasks = [
                start(work, (what, queue, me, file.name, how))
                for me, (what, how) in enumerate(works)
            ]
            while not all(shared[READY + me] for me in range(len(works))):
                sleep(0.0002)
            began = perf_counter_ns()
            shared[GO] = 1
            if then is not None:
                then(tasks)
            for task in tasks:
                task.join()
            return struct.unpack_from(f"{len(works)}d", shared, RESULTS), began


def grid(start, queue, producers, consumers, options, count):
    """Nanoseconds for each of `count` items that go through."""
    each = max(1, count // producers)
    works = [(produce, each)] * producers + [(consume, options)] * consumers

    def end(tasks):
        for task in tasks[:producers]:
            task.join()
        for _ in range(consumers):
            queue.put(None)

    ends, began = together(start, queue, works, end)
    return (max(ends) - began) / (each * producers)


def longest_wait(start, queue, consumers, count):
    """The longest wait of any of the consumers, in nanoseconds."""
    works = [(wait_long, count)] * consumers + [(bring, consumers * count)]
    return max(together(start, queue, works)[0])


def idle_cost(start, queue, seconds):
    """Nanoseconds of processor time that a waiting consumer takes in a second."""
    return together(start, queue, [(idle, None), (end_after, seconds)])[0][0]
