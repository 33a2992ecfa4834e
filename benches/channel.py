"""The rows of queues and pipes."""

import queue
import threading

import tarefa
from benches.carrying import asked, asked_by_pipe, streamed
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


def to_process(quick, peer, what, item, unit, scale, count, at_most):
    count = count // 5 if quick else count
    ours = tarefa.Queue()
    with Peer(peer) as theirs:
        values = paired(
            lambda: streamed(start, ours, item, count),
            lambda: theirs(count),
            5 if quick else 20,
        )
    return [row(what, "multiprocessing.Queue", unit, scale, values, at_most)]


@figure
def queue_int(quick):
    what = "Queue, an int from one process to another"
    return to_process(quick, "mp-queue-int", what, 7, "ns", 1, 50_000, 1 / 15)


@figure
def queue_tuple(quick):
    what = "Queue, a small tuple from one process to another"
    return to_process(quick, "mp-queue-tuple", what, PAIR, "ns", 1, 50_000, 1 / 5)


@figure
def queue_megabyte(quick):
    what = "Queue, 1 MiB of bytes from one process to another"
    return to_process(quick, "mp-queue-megabyte", what, MEGABYTE, "µs", 1e-3, 300, 1 / 12)


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
