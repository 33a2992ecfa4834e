"""The rows of tasks: starts, memory, the import of the package."""

import statistics
import subprocess
import sys
import threading
from time import perf_counter_ns, sleep

import tarefa
from benches.measure import (
    ROOT,
    Peer,
    figures,
    paired,
    private_bytes,
    row,
    spares_ready,
    timed,
    wait_until,
)

ROWS, figure = figures()


def nothing():
    pass


def start_join():
    task = tarefa.Process(target=nothing)
    task.start()
    task.join()


def with_a_spare(peer, label, at_most, count, before=wait_until):
    tarefa.configure(spares=4)

    def ready():
        before(spares_ready(4))
        sleep(0.005)  # the last child and its replacement leave the processors

    with Peer(peer) as theirs:
        for _ in range(5):
            start_join()
        values = paired(lambda: timed(start_join), theirs, count, before=ready)
    return [row("Process start + join, a spare ready", label, "µs", 1e-3, values, at_most)]


def without_spares(peer, label, at_most, count, back_to_back):
    tarefa.configure(spares=0)

    def ours():
        start = perf_counter_ns()
        for _ in range(back_to_back):
            start_join()
        return (perf_counter_ns() - start) / back_to_back

    with Peer(peer) as theirs:
        ours()
        values = paired(ours, lambda: theirs(back_to_back), count)
    what = "Process start + join, no spares, back to back"
    return [row(what, label, "µs", 1e-3, values, at_most)]


@figure
def process_thread(quick):
    return with_a_spare("thread", "threading.Thread start + join", 2.5, 40 if quick else 400)


@figure
def process_fork(quick):
    return with_a_spare("fork", "os.fork + os.waitpid", 0.6, 40 if quick else 400)


@figure
def process_without_spares(quick):
    return without_spares("fork", "os.fork + os.waitpid", 1.3, 5 if quick else 30, 20)


@figure
def process_forkserver(quick):
    return without_spares(
        "mp-forkserver", "multiprocessing forkserver", 1 / 40, 5 if quick else 20, 5
    )


@figure
def process_spawn(quick):
    return without_spares("mp-spawn", "multiprocessing spawn", 1 / 100, 5 if quick else 20, 2)


@figure
def process_spare_forkserver(quick):
    label = "multiprocessing forkserver"
    return with_a_spare("mp-forkserver", label, 1 / 40, 10 if quick else 60)


@figure
def process_spare_spawn(quick):
    return with_a_spare("mp-spawn", "multiprocessing spawn", 1 / 100, 10 if quick else 40)


@figure
def thread_thread(quick):
    def run(kind):
        def once():
            task = kind(target=nothing)
            task.start()
            task.join()

        def many():
            for _ in range(20):
                once()

        return lambda: timed(many) / 20

    tarefa.configure(spares=0)
    values = paired(run(tarefa.Thread), run(threading.Thread), 40 if quick else 300)
    return [row("Thread start + join", "threading.Thread", "µs", 1e-3, values, 1.1)]


def program(*arguments):
    """Run a module in an interpreter of its own: the numbers of each line that it prints."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return [[int(number) for number in line.split()] for line in done.stdout.splitlines()]


@figure
def first_process(quick):
    def first(name):
        return lambda: program("benches.first", name)[0][0]

    values = paired(first("tarefa"), first("forkserver"), 8 if quick else 40)
    what = "a program's first Process, from its import to its result"
    return [row(what, "multiprocessing forkserver", "ms", 1e-6, values, 1)]


def of_script(name, quick):
    pairs = program("benches.scripts", name, str(40 if quick else 300))
    return list(zip(*pairs, strict=True))


@figure
def script_function(quick):
    what = "Process start + result, a function of the script"
    values = of_script("function", quick)
    return [row(what, "a function of a module", "µs", 1e-3, values, 1.1)]


@figure
def script_dataclass(quick):
    what = "Process start + result, a dataclass of the script"
    return [row(what, "a tuple", "µs", 1e-3, of_script("dataclass", quick), 1.2)]


@figure
def memory(quick):
    """Private memory of a process that waits: ours in an event, the peers in a sleep."""

    def ours():
        ready, go = tarefa.Event(), tarefa.Event()

        def idle(ready, go):
            ready.set()
            go.wait()

        task = tarefa.Process(target=idle, args=(ready, go))
        task.start()
        ready.wait()
        tarefa.Event().wait(0.3)
        private = private_bytes(task.pid)
        go.set()
        task.join()
        return private

    rows = []
    for method in ("fork", "forkserver"):
        with Peer(f"memory-{method}") as theirs:
            values = paired(ours, theirs, 3 if quick else 10)
        peer = f"multiprocessing {method} child"
        what = "private memory of an idle Process"
        rows.append(row(what, peer, "MiB", 1 / (1 << 20), values, 1.0, limit_of="ours"))
    return rows


@figure
def import_time(quick):
    """Whole interpreters, from start to end."""

    def run(source):
        command = [sys.executable, "-c", source]
        return lambda: timed(lambda: subprocess.run(command, check=True))

    count = 8 if quick else 40
    values = paired(run("import tarefa"), run("import multiprocessing, threading"), count)
    bare = statistics.median(run("pass")() for _ in range(count))
    note = f"of which the bare interpreter takes {bare / 1e6:.1f} ms"
    peer = "import multiprocessing, threading"
    return [row("python -c 'import tarefa'", peer, "ms", 1e-6, values, 2, note=note)]
