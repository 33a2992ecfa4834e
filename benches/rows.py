"""The rows of the table, one function each. `quick` takes fewer samples, of the same things."""

import importlib.util
import statistics
import subprocess
import sys
import threading
from time import perf_counter_ns, sleep

import rows_locks
import rows_queues
from measure import Peer, paired, private_bytes, row, spares_ready, timed, wait_until

import tarefa

ROWS = rows_locks.ROWS | rows_queues.ROWS


def figure(function):
    ROWS[function.__name__.replace("_", "-")] = function
    return function


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


def appends(make, count):
    """Nanoseconds for each append of an int to a new list, in a plain loop."""
    append = make().append
    start = perf_counter_ns()
    for number in range(count):
        append(number)
    return (perf_counter_ns() - start) / count


def reads(numbers, count):
    start = perf_counter_ns()
    for index in range(count):
        numbers[index]
    return (perf_counter_ns() - start) / count


@figure
def append_list(quick):
    count = 100_000
    values = paired(
        lambda: appends(tarefa.List, count), lambda: appends(list, count), 5 if quick else 40
    )
    return [row("List.append(int)", "list.append", "ns", 1, values, 4)]


@figure
def read_list(quick):
    count = 100_000
    shared, plain = tarefa.List(range(count)), list(range(count))
    values = paired(lambda: reads(shared, count), lambda: reads(plain, count), 5 if quick else 40)
    return [row("List[i]", "list[i]", "ns", 1, values, 5)]


@figure
def append_manager(quick):
    with Peer("manager-append") as theirs:
        values = paired(
            lambda: appends(tarefa.List, 20_000), lambda: theirs(300), 5 if quick else 30
        )
    return [row("List.append(int)", "Manager().list().append", "ns", 1, values, 1 / 500)]


@figure
def append_two(quick):
    """What an append costs a process with another appending to the same list, and alone."""
    count = 50_000 if quick else 200_000

    def fill(numbers, ready, go, count):
        from time import perf_counter_ns

        append = numbers.append
        ready.append(1)
        go.wait()
        start = perf_counter_ns()
        for number in range(count):
            append(number)
        return (perf_counter_ns() - start) / count

    lost = 0

    def run(processes):
        nonlocal lost
        numbers, ready, go = tarefa.List(), tarefa.List(), tarefa.Event()
        tasks = [
            tarefa.Process(target=fill, args=(numbers, ready, go, count)).start()
            for _ in range(processes)
        ]
        wait_until(lambda: len(ready) == processes)
        go.set()
        costs = [task.result() for task in tasks]
        lost += processes * count - len(numbers)
        return statistics.mean(costs)

    values = paired(lambda: run(2), lambda: run(1), 4 if quick else 12)
    what, peer = "two processes append to one list, per append", "one process alone"
    return [row(what, peer, "ns", 1, values, 4, note=f"{lost} appends lost")]


def dict_rows(peer, name, limits, ours_count, theirs_count, count):
    """Setting and getting int values of str keys of a `Dict`, beside a peer's."""
    from peers import dict_gets, dict_sets

    rows = []
    for what, make, at_most in zip(("set", "get"), (dict_sets, dict_gets), limits, strict=True):
        measure = make(tarefa.Dict())
        with Peer(f"dict-{what}-{peer}") as theirs:
            theirs(100)
            values = paired(
                lambda measure=measure: measure(ours_count),
                lambda theirs=theirs: theirs(theirs_count),
                count,
            )
        doing = {"set": "[str] = int", "get": "[str]"}[what]
        rows.append(row(f"Dict{doing}", f"{name}{doing}", "ns", 1, values, at_most))
    return rows


@figure
def dict_dict(quick):
    return dict_rows("dict", "dict", (6, 6), 20_000, 20_000, 5 if quick else 40)


@figure
def dict_manager(quick):
    limits = (1 / 250, 1 / 250)
    return dict_rows("manager", "Manager().dict()", limits, 20_000, 300, 5 if quick else 30)


@figure
def dict_ultradict(quick):
    if importlib.util.find_spec("UltraDict") is None:
        missing = "UltraDict is not installed (pip install UltraDict): its rows are left out"
        print(missing, file=sys.stderr)
        return []
    return dict_rows("ultradict", "UltraDict", (1 / 10, 0.6), 20_000, 2000, 5 if quick else 30)


@figure
def dict_eight(quick):
    """Eight processes at one `Dict`, each adding to one count and to counts of its own."""
    count = 5_000 if quick else 20_000

    def work(shared, me, ready, go, count):
        ready.append(1)
        go.wait()
        for number in range(count):
            shared.add("all")
            shared[me, number % 50] = number
            shared.get("all")

    lost = 0

    def run(processes):
        nonlocal lost
        shared, ready, go = tarefa.Dict(), tarefa.List(), tarefa.Event()
        each = count // processes
        tasks = [
            tarefa.Process(target=work, args=(shared, me, ready, go, each)).start()
            for me in range(processes)
        ]
        wait_until(lambda: len(ready) == processes)
        start = perf_counter_ns()
        go.set()
        for task in tasks:
            task.join()
        cost = (perf_counter_ns() - start) / (3 * each * processes)
        lost += each * processes - shared["all"]
        return cost

    values = paired(lambda: run(8), lambda: run(1), 4 if quick else 12)
    what, peer = "eight processes at one Dict, per operation of all", "one process alone"
    return [row(what, peer, "ns", 1, values, 2, note=f"{lost} additions lost")]


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


@figure
def append_many(quick):
    """Ten million appends (quick: one million): the time of each, and the memory they take."""
    many = 1_000_000 if quick else 10_000_000
    used = 0

    def measure_many():
        nonlocal used
        numbers = tarefa.List()
        before = tarefa._engine.diagnostics()["arena_used"]
        cost = appends(lambda: numbers, many)
        used = tarefa._engine.diagnostics()["arena_used"] - before
        return cost

    def measure_few():
        return statistics.median(appends(tarefa.List, 1000) for _ in range(200))

    values = paired(measure_many, measure_few, 2 if quick else 4)
    stored = 8 * many
    sizes = [[used], [stored]]
    return [
        row(f"append, each of {many:,}", "append, each of 1,000", "ns", 1, values, 1.2),
        row(f"arena memory of {many:,} ints", "8 bytes for each", "MiB", 1 / (1 << 20), sizes, 1.5),
    ]


def adds(add, count):
    start = perf_counter_ns()
    for _ in range(count):
        add(1)
    return (perf_counter_ns() - start) / count


@figure
def value_add(quick):
    """An atomic add, against ``with v.get_lock(): v.value += 1`` of multiprocessing."""
    value = tarefa.Value("i")
    with Peer("mp-value-add") as theirs:
        values = paired(
            lambda: adds(value.add, 100_000), lambda: theirs(20_000), 5 if quick else 40
        )
    assert value.value % 100_000 == 0
    peer = "multiprocessing.Value += 1 under its lock"
    return [row("Value.add(1)", peer, "ns", 1, values, 1 / 6)]


@figure
def value_add_two(quick):
    """What an add costs a process while another adds to the same value, against the lock's way."""
    count = 50_000 if quick else 200_000

    def add(value, ready, go, count):
        from time import perf_counter_ns

        add = value.add
        ready.append(1)
        go.wait()
        start = perf_counter_ns()
        for _ in range(count):
            add(1)
        return (perf_counter_ns() - start) / count

    lost = 0

    def run():
        nonlocal lost
        value, ready, go = tarefa.Value("q"), tarefa.List(), tarefa.Event()
        args = (value, ready, go, count)
        tasks = [tarefa.Process(target=add, args=args).start() for _ in range(2)]
        wait_until(lambda: len(ready) == 2)
        go.set()
        costs = [task.result() for task in tasks]
        lost += 2 * count - value.value
        return statistics.mean(costs)

    with Peer("mp-value-add-two") as theirs:
        values = paired(run, lambda: theirs(20_000), 4 if quick else 12)
    what, peer = "two processes add to one Value, per add", "the same under multiprocessing's lock"
    return [row(what, peer, "ns", 1, values, 1 / 6, note=f"{lost} adds lost")]
