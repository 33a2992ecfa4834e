"""What is of a script's `__main__` against what is not: `python -m benches.scripts NAME COUNT`.

Prints a pair of nanoseconds a line.
"""

import sys
from dataclasses import dataclass
from time import perf_counter_ns

import tarefa
from benches import peers
from benches.measure import paired, spares_ready, wait_until


@dataclass
class Point:
    x: int
    y: float
    name: str


def nothing():
    pass


def a_point():
    return Point(1, 2.0, "three")


def a_tuple():
    return 1, 2.0, "three"


def start_result(target):
    """How long start and result take; a spare is ready, and the one before has left."""

    def once():
        start = perf_counter_ns()
        tarefa.Process(target=target).start().result()
        return perf_counter_ns() - start

    return once


def before():
    wait_until(spares_ready(4))
    tarefa.sleep(0.005)


PAIRS = {"function": (nothing, peers.nothing), "dataclass": (a_point, a_tuple)}

if __name__ == "__main__":
    tarefa.configure(spares=4)
    ours, theirs = map(start_result, PAIRS[sys.argv[1]])
    paired(ours, theirs, 10)
    for pair in zip(*paired(ours, theirs, int(sys.argv[2]), before=before), strict=True):
        print(*pair)
