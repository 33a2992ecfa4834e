"""The rows of lists, dicts and values."""

import importlib.util
import statistics
import sys
from time import perf_counter_ns

import tarefa
from benches.measure import Peer, figures, paired, row, wait_until
from benches.peers import dict_gets, dict_sets

ROWS, figure = figures()


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
