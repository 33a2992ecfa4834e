"""Items from one task to another: what the rows of channels and their peers do alike."""

from time import perf_counter_ns, sleep

WARM_UP = 200


def send(queue, item, count):
    put = queue.put
    for _ in range(count):
        put(item)


def streamed(start, queue, item, count):
    """Nanoseconds for each of `count` items that another task puts while this one takes them."""
    warm_up = min(WARM_UP, count)
    task = start(send, (queue, item, warm_up + count))
    get = queue.get
    for _ in range(warm_up):
        get()
    before = perf_counter_ns()
    for _ in range(count):
        get()
    took = perf_counter_ns() - before
    task.join()
    return took / count


def answer(there, back, count):
    for _ in range(count):
        back.put(there.get())


def asked(start, there, back, count):
    """Nanoseconds of each round trip of an int to another task."""
    warm_up = min(WARM_UP, count)
    task = start(answer, (there, back, warm_up + count))
    return timed(task, there, back, warm_up, count)


def asked_by_pipe(start, mine, theirs, count):
    """The same through a pipe, of which the other task has one end."""
    warm_up = min(WARM_UP, count)
    task = start(pipe_answer, (theirs, warm_up + count))
    end = PipeEnd(mine)
    return timed(task, end, end, warm_up, count)


def timed(task, there, back, warm_up, count):
    """Nanoseconds of each of `count` round trips to a task that answers."""
    for _ in range(warm_up):
        there.put(1)
        back.get()
    before = perf_counter_ns()
    for _ in range(count):
        there.put(1)
        back.get()
    took = perf_counter_ns() - before
    task.join()
    return took / count


class PipeEnd:
    """An end of a pipe with the methods of a queue."""

    def __init__(self, connection):
        self.put, self.get = connection.send, connection.recv


def asked_rarely(start, there, back, count):
    """Nanoseconds of each round trip, 10 ms after the one before."""
    task = start(answer, (there, back, count))
    took = 0
    for _ in range(count):
        sleep(0.01)
        before = perf_counter_ns()
        there.put(1)
        back.get()
        took += perf_counter_ns() - before
    task.join()
    return took / count


def pipe_answer(connection, count):
    end = PipeEnd(connection)
    answer(end, end, count)
