"""Real work on threads and on processes through the same lines of code.

Reads every Python source file of this interpreter's standard library and computes, per file, the
number of lines, the number of distinct words, and the size a compressor would reach (written out
below in Python, so that it costs processor time and holds the GIL). The work is done three times:
in a plain loop, on `tarefa.Thread` and on `tarefa.Process`. The totals must be the same three
times.

    work waiting                tasks                          answers
    tarefa.List  ── pop() ──▶  Thread or Process x N  ── append() ──▶  tarefa.List

A task takes the next file when it is done with the last, so none idles while there is work.
"""

import argparse
import contextlib
import math
import re
import sys
import sysconfig
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import tarefa

WORD = re.compile(r"\w+")
MINIMUM, LONGEST, WINDOW, DEPTH = 4, 258, 1 << 15, 6


class Counts(NamedTuple):
    files: int = 0
    bytes: int = 0
    lines: int = 0
    words: int = 0
    packed: int = 0

    def plus(self, other):
        return Counts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class Run(NamedTuple):
    how: str
    totals: Counts
    seconds: float
    cpu: float
    peak: int

    @property
    def busy(self):
        """Processors kept busy, on average."""
        return self.cpu / self.seconds


def packed_size(data):
    """Estimate the compressed size of `data` in bytes: LZ77 matches, then an entropy coder.

    Matches are searched for in the last 32 KiB, among the six latest places where the same four
    bytes stand. The entropy coder is not run: its output is as long as the entropy of what it is
    given, to within a byte.
    """
    latest, earlier = {}, [-1] * len(data)
    symbols, extra_bits = Counter(), 0
    at, end = 0, len(data)
    while at < end:
        best, distance = 0, 0
        room = min(LONGEST, end - at)
        if room >= MINIMUM:
            candidate = latest.get(data[at : at + MINIMUM], -1)
            for _ in range(DEPTH):
                if candidate < 0 or at - candidate > WINDOW:
                    break
                if best < room and data[candidate + best] == data[at + best]:
                    length = MINIMUM
                    while length < room and data[candidate + length] == data[at + length]:
                        length += 1
                    if length > best:
                        best, distance = length, at - candidate
                candidate = earlier[candidate]
        if best:
            symbols[256 + best.bit_length()] += 1
            symbols[512 + distance.bit_length()] += 1
            extra_bits += best.bit_length() + distance.bit_length() - 2
        else:
            symbols[data[at]] += 1
            best = 1
        for place in range(at, min(at + best, end - MINIMUM + 1)):
            key = data[place : place + MINIMUM]
            earlier[place] = latest.get(key, -1)
            latest[key] = place
        at += best
    total = symbols.total()
    entropy = sum(count * math.log2(total / count) for count in symbols.values())
    return math.ceil((entropy + extra_bits) / 8)


def examine(path):
    data = Path(path).read_bytes()
    text = data.decode("utf-8", "replace")
    return Counts(
        1, len(data), len(text.splitlines()), len(set(WORD.findall(text))), packed_size(data)
    )


def worker(waiting, answers):
    """One task: take files until none is left."""
    while True:
        try:
            path = waiting.pop()
        except IndexError:
            return
        answers.append(tuple(examine(path)))


def in_a_loop(paths, progress):
    bar = progress.add_task("plain loop", total=len(paths))
    totals = Counts()
    reset_peak()
    clock, cpu = time.perf_counter(), time.thread_time()
    for path in paths:
        totals = totals.plus(examine(path))
        progress.advance(bar)
    cpu = time.thread_time() - cpu
    return Run("plain loop", totals, time.perf_counter() - clock, cpu, peak_memory())


def on_tasks(kind, tasks, paths, progress):
    how = f"{tasks} {'threads' if kind is tarefa.Thread else 'processes'}"
    bar = progress.add_task(how, total=len(paths))
    reset_peak()
    clock = time.perf_counter()
    waiting, answers = tarefa.List(paths), tarefa.List()
    running = [kind(target=worker, args=(waiting, answers)).start() for _ in range(tasks)]
    left = running
    while left:
        _, left = tarefa.wait(left, timeout=0.1, return_when="FIRST_COMPLETED")
        progress.update(bar, completed=len(answers))
    for task in running:
        task.result()  # a task's error is raised here
    seconds = time.perf_counter() - clock
    usages = [task.usage() for task in running]
    peak = peak_memory()
    if kind is tarefa.Process:
        peak += sum(usage.peak_memory for usage in usages)
    totals = Counts()
    for answer in answers:
        totals = totals.plus(answer)
    return Run(
        how, totals, seconds, sum(usage.cpu_user + usage.cpu_system for usage in usages), peak
    )


def reset_peak():
    """Make the kernel forget this process's peak, where it lets us."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024


def what_the_gil_did(plain, threads, processes, tasks):
    """One sentence, out of the measured figures."""
    if tasks == 1:
        return "There was one task, so nothing could run side by side, with the GIL or without it."
    on_threads = (
        f"{tasks} threads kept {threads.busy:.1f} processors busy and reached"
        f" {plain.seconds / threads.seconds:.2f} times the plain loop's speed"
    )
    on_processes = (
        f"{tasks} processes, each with a GIL of its own, kept {processes.busy:.1f} processors busy"
        f" and reached {plain.seconds / processes.seconds:.2f} times"
    )
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return f"This interpreter has no GIL: {on_threads}."
    what = "let one thread run at a time" if threads.busy < 1.25 else "was let go now and then"
    return f"The GIL {what}: {on_threads}; {on_processes}."


def sources(limit, quick):
    """The standard library's files, the largest last: `pop` hands out the largest first."""
    library = Path(sysconfig.get_path("stdlib"))
    paths = [
        p for p in library.rglob("*.py") if not {"site-packages", "dist-packages"} & set(p.parts)
    ]
    paths = [p for p in paths if p.is_file()]
    paths.sort(key=lambda p: (p.stat().st_size, str(p)))
    if quick and limit is None:
        limit = 120
    if limit is not None and limit < len(paths):
        paths = [paths[i * len(paths) // limit] for i in range(limit)]
    return [str(p) for p in paths]


def show(runs, console):
    mebibyte = 1 << 20
    lines = {
        "time": lambda run: f"{run.seconds:.2f} s",
        "CPU used": lambda run: f"{run.cpu:.2f} s",
        "speed-up": lambda run: f"{runs[0].seconds / run.seconds:.2f} x",
        "peak memory": lambda run: f"{run.peak / mebibyte:.0f} MiB",
        "files": lambda run: f"{run.totals.files:,}",
        "lines": lambda run: f"{run.totals.lines:,}",
        "distinct words": lambda run: f"{run.totals.words:,}",
        "size": lambda run: f"{run.totals.bytes:,} bytes",
        "compressed": lambda run: f"{run.totals.packed:,} bytes",
    }
    table = Table(title="The standard library, examined three times", title_justify="left")
    table.add_column("")
    for run in runs:
        table.add_column(run.how, justify="right")
    for name, cell in lines.items():
        table.add_row(name, *map(cell, runs), end_section=name == "peak memory")
    console.print(table)
    console.print("Peak memory of processes is their sum; pages they share count once for each.\n")


def main():
    parser = argparse.ArgumentParser(
        description="Examine the standard library in a loop, on threads, on processes."
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help="only N files, spread over all sizes"
    )
    parser.add_argument("--quick", action="store_true", help="only 120 files: a few seconds")
    parser.add_argument(
        "--tasks",
        type=int,
        metavar="N",
        default=tarefa.cpu_count(),
        help="default: %(default)s, one a processor",
    )
    options = parser.parse_args()
    if options.tasks < 1 or (options.limit is not None and options.limit < 1):
        parser.error("--tasks and --limit take a number of at least 1")
    paths = sources(options.limit, options.quick)
    console = Console()
    columns = (
        TextColumn("{task.description:<13}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        runs = [
            in_a_loop(paths, progress),
            on_tasks(tarefa.Thread, options.tasks, paths, progress),
            on_tasks(tarefa.Process, options.tasks, paths, progress),
        ]
    show(runs, console)
    if any(run.totals != runs[0].totals for run in runs):
        console.print(
            "[bold red]The totals differ:[/] "
            + "; ".join(f"{run.how} {run.totals}" for run in runs)
        )
        return 1
    console.print(what_the_gil_did(*runs, options.tasks))
    return 0


if __name__ == "__main__":
    sys.exit(main())
