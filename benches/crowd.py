"""Many threads at one thing, whoever made it: how long it takes until all of them are through."""

import threading
from time import perf_counter_ns, sleep

# As much as the loop needs, so that two thousand threads take little of the machine.
STACK = 256 * 1024


def event(module, _count):
    it = module.Event()
    return None, it.wait, it.set


def condition(module, _count):
    it = module.Condition()

    def wait():
        with it:
            it.wait()

    def wake():
        with it:
            it.notify_all()

    return None, wait, wake


def lock(module, _count):
    it = module.Lock()

    def wait():
        it.acquire()
        it.release()

    return it.acquire, wait, it.release


def barrier(module, count):
    it = module.Barrier(count + 1)
    return None, it.wait, it.wait


def through(kind, module, count):
    """Nanoseconds from the wake-up until the last of `count` threads has gone on."""
    before, wait, wake = kind(module, count)
    if before is not None:
        before()
    arrived, left = [], []

    def work():
        arrived.append(None)
        wait()
        left.append(perf_counter_ns())

    size = threading.stack_size(STACK)
    try:
        threads = [threading.Thread(target=work) for _ in range(count)]
        for thread in threads:
            thread.start()
    finally:
        threading.stack_size(size)
    while len(arrived) < count:
        sleep(0.001)
    # The last of them are on their way to sleep.
    sleep(0.1)
    start = perf_counter_ns()
    wake()
    for thread in threads:
        thread.join()
    return max(left) - start
