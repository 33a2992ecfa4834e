"""What one build of tarefa takes by itself: see `compare`, which has two of them take turns.

A program of its own, which imports little: what a script imports its processes have too, and each
fork copies the tables of it.
"""

import sys
from time import perf_counter_ns

LEAST_OF = 5


def timed(call, count):
    """Nanoseconds of each of `count` calls."""
    start = perf_counter_ns()
    for _ in range(count):
        call()
    return (perf_counter_ns() - start) / count


def nothing():
    pass


def rows():
    """What a build takes by itself: a function of no arguments by its row's name."""
    import statistics
    import subprocess

    import tarefa
    from benches import collections, contention, meeting, peers, sync

    def together(thing, how, count):
        results = contention.contend(sync.start(tarefa.Process), thing, how, 2, count)
        return statistics.mean(results)

    def least(call):
        return lambda: min(call() for _ in range(LEAST_OF))

    def start_join(kind):
        task = kind(target=nothing)
        task.start()
        task.join()

    def spares(count):
        def once():
            tarefa.configure(spares=count)
            ready = tarefa._engine.diagnostics
            while count and ready()["spares"] < count:
                pass
            return timed(lambda: start_join(tarefa.Process), 1 if count else 4)

        return once

    def interpreter(source):
        def once():
            start = perf_counter_ns()
            subprocess.run([sys.executable, "-c", source], check=True)
            return perf_counter_ns() - start

        return once

    lock, semaphore, value = tarefa.Lock(), tarefa.Semaphore(), tarefa.Value("i")
    numbers, events = tarefa.List(range(50_000)), (tarefa.Event(), tarefa.Event())
    barrier = tarefa.Barrier(2)
    sets, gets = peers.dict_sets(tarefa.Dict()), peers.dict_gets(tarefa.Dict())
    first = "import tarefa; tarefa.Process(target=int).start().result()"
    return {
        "lock": lambda: sync.pairs(lock),
        "with-lock": lambda: sync.withs(lock),
        "rlock": lambda: sync.pairs(tarefa.RLock()),
        "semaphore": lambda: sync.pairs(semaphore),
        "lock-handed": least(lambda: together(lock, contention.handed, 1000)),
        "event-seen": least(lambda: together(events, meeting.answered, 1000)),
        "barrier-round": least(lambda: together(barrier, meeting.rounds, 1000)),
        "list-append": lambda: collections.appends(tarefa.List, 50_000),
        "list-read": lambda: collections.reads(numbers, 50_000),
        "dict-set": lambda: sets(20_000),
        "dict-get": lambda: gets(20_000),
        "value-add": lambda: collections.adds(value.add, 50_000),
        "thread-start": lambda: timed(lambda: start_join(tarefa.Thread), 50),
        "process-spare": least(spares(4)),
        "process-no-spare": least(spares(0)),
        "process-result": least(lambda: timed(tarefa.Process(target=int).start().result, 1)),
        "import": interpreter("import tarefa"),
        "first-process": interpreter(first),
    }


def main():
    """Take the figure that each line of standard input names."""
    taken = rows()
    print(" ".join(taken), flush=True)
    for line in sys.stdin:
        print(taken[line.strip()](), flush=True)


if __name__ == "__main__":
    main()
