"""A program's first process: from its import to its result, as `python -m benches.first tarefa`.

Prints nanoseconds. The peer is `forkserver`, multiprocessing's, with the result through a pipe.
"""

# Before any import but those of every program.
from time import perf_counter_ns

_START = perf_counter_ns()

import sys  # noqa: E402


def answer():
    return 42


def answer_to(pipe):
    pipe.send(42)


def with_tarefa():
    import tarefa

    if tarefa.Process(target=answer).start().result() != 42:
        raise SystemExit(1)
    return perf_counter_ns() - _START


def with_forkserver():
    import multiprocessing

    context = multiprocessing.get_context("forkserver")
    mine, others = context.Pipe()
    process = context.Process(target=answer_to, args=(others,))
    process.start()
    if mine.recv() != 42:
        raise SystemExit(1)
    found = perf_counter_ns() - _START
    process.join()
    return found


if __name__ == "__main__":
    print({"tarefa": with_tarefa, "forkserver": with_forkserver}[sys.argv[1]]())
