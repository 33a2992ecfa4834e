"""The rows of queues and pipes."""

import importlib.util
import queue
import threading

import tarefa
from benches import queue_crowd
from benches.carrying import asked, asked_by_pipe, asked_rarely, streamed
from benches.measure import Peer, figures, paired, row

ROWS, figure = figures()

PAIR = (1, 2.5)
MEGABYTE = b"x" * (1 << 20)


def start(target, args):
    return tarefa.Process(target=target, args=args).start()


def start_thread(target, args):
    task = threading.Thread(target=target, args=args)
    task.start()
    return task


def to_process(quick, peer, what, item, unit, scale, count, at_most, than="multiprocessing.Queue"):
    count = count // 5 if quick else count
    ours = tarefa.Queue()
    with Peer(peer) as theirs:
        values = paired(
            lambda: streamed(start, ours, item, count),
            lambda: theirs(count),
            5 if quick else 20,
        )
    return [row(what, than, unit, scale, values, at_most)]


def has(package):
    """Whether a peer is there: a row without its peer is left out, and the table says so."""
    found = importlib.util.find_spec(package) is not None
    if not found:
        print(f"channel: without {package}, which is not installed, its rows are left out")
    return found


@figure
def queue_int(quick):
    what = "Queue, an int from one process to another"
    rows = to_process(quick, "mp-queue-int", what, 7, "ns", 1, 50_000, 1 / 15)
    if has("faster_fifo"):
        rows += to_process(quick, "ff-queue-int", what, 7, "ns", 1, 50_000, 1 / 10, "faster-fifo")
    return rows


@figure
def queue_tuple(quick):
    what = "Queue, a small tuple from one process to another"
    return to_process(quick, "mp-queue-tuple", what, PAIR, "ns", 1, 50_000, 1 / 5)


@figure
def queue_megabyte(quick):
    what = "Queue, 1 MiB of bytes from one process to another"
    rows = to_process(quick, "mp-queue-megabyte", what, MEGABYTE, "µs", 1e-3, 300, 1 / 12)
    if has("faster_fifo"):
        how = (MEGABYTE, "µs", 1e-3, 300, 1 / 4, "faster-fifo")
        rows += to_process(quick, "ff-queue-megabyte", what, *how)
    return rows


@figure
def queue_array(quick):
    if not has("numpy"):
        return []
    import numpy as np

    what = "Queue, a NumPy array of 64 MiB from one process to another"
    return to_process(quick, "mp-queue-array", what, np.ones(8 << 20), "ms", 1e-6, 20, 1 / 8)


@figure
def queue_shared_array(quick):
    if not has("numpy"):
        return []
    import numpy as np

    shared = tarefa.share(np.ones(8 << 20))
    count = 4_000 if quick else 20_000
    ours = tarefa.Queue()
    rows = []
    for what, item in (("of 64 MiB", shared), ("of 64 MiB, a slice", shared[100:200])):
        values = paired(
            lambda item=item: streamed(start, ours, item, count),
            lambda: streamed(start, ours, PAIR, count),
            5 if quick else 20,
        )
        what = f"Queue, a shared array {what} from one process to another"
        rows.append(row(what, "a small tuple", "ns", 1, values, 3))
    return rows


@figure
def queue_grid(quick):
    if not has("faster_fifo"):
        return []
    rows = []
    for cell in queue_crowd.CELLS:
        producers, consumers = map(int, cell.split("x"))
        count = 10_000 if quick else 50_000

        def ours(producers=producers, consumers=consumers, count=count):
            of = {"max": queue_crowd.BATCH}
            return queue_crowd.grid(start, tarefa.Queue(), producers, consumers, of, count)

        with Peer(f"ff-grid-{cell}") as theirs:
            values = paired(ours, lambda n=count, peer=theirs: peer(n), 3 if quick else 10)
        what = f"Queue, ints, {producers} producers and {consumers} consumers with get_many"
        rows.append(row(what, "faster-fifo", "ns", 1, values, 1))
    return rows


@figure
def queue_longest_wait(quick):
    count = 50 if quick else 200
    with Peer("mp-queue-longest") as theirs:
        values = paired(
            lambda: queue_crowd.longest_wait(start, tarefa.Queue(), 16, count),
            lambda: theirs(count),
            3 if quick else 10,
        )
    what = "Queue, the longest wait of a get among 16 consumers"
    return [row(what, "multiprocessing.Queue", "ms", 1e-6, values, 0.5)]


@figure
def queue_idle(quick):
    with Peer("mp-queue-idle") as theirs:
        values = paired(
            lambda: queue_crowd.idle_cost(start, tarefa.Queue(), 0.5), theirs, 3 if quick else 10
        )
    what = "Queue, processor time of a consumer that waits, for each second"
    return [row(what, "multiprocessing.Queue", "ms", 1e-6, values, 1, limit_of="ours")]


@figure
def queue_int_threads(quick):
    count = 20_000 if quick else 100_000
    rows = []
    for label, peer, at_most in (
        ("queue.Queue", queue.Queue(), 1.0),
        ("queue.SimpleQueue", queue.SimpleQueue(), 1.5),
    ):
        ours = tarefa.Queue()
        values = paired(
            lambda ours=ours: streamed(start_thread, ours, 7, count),
            lambda peer=peer: streamed(start_thread, peer, 7, count),
            5 if quick else 20,
        )
        rows.append(row("Queue, an int from thread to thread", label, "ns", 1, values, at_most))
    return rows


@figure
def queue_round_trip(quick):
    count = 5_000 if quick else 20_000
    there, back = tarefa.Queue(), tarefa.Queue()
    with Peer("mp-pipe-round-trip") as theirs:
        values = paired(
            lambda: asked(start, there, back, count), lambda: theirs(count), 5 if quick else 20
        )
    what = "Queues, an int to another process and back, both busy"
    return [row(what, "multiprocessing.Pipe", "µs", 1e-3, values, 1 / 10)]


@figure
def queue_round_trip_after_a_pause(quick):
    count = 20 if quick else 100
    there, back = tarefa.Queue(), tarefa.Queue()
    with Peer("mp-pipe-rarely") as theirs:
        values = paired(lambda: asked_rarely(start, there, back, count), lambda: theirs(count), 5)
    what = "Queues, an int to another process and back, after a pause of 10 ms"
    return [row(what, "multiprocessing.Pipe", "µs", 1e-3, values, 1)]


@figure
def pipe_round_trip(quick):
    count = 5_000 if quick else 20_000
    mine, other = tarefa.Pipe()
    with Peer("mp-pipe-round-trip") as theirs:
        values = paired(
            lambda: asked_by_pipe(start, mine, other, count),
            lambda: theirs(count),
            5 if quick else 20,
        )
    what = "Pipe, an int to another process and back, both busy"
    return [row(what, "multiprocessing.Pipe", "µs", 1e-3, values, 1 / 10)]
