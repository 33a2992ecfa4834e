"""How the figures are taken.

- A row is a pair: ours and its peer, one after the other in the same run, the order swapped each
  time, so that both see the same machine. Shown are the medians, their ratio, and the median of the
  pairs' own ratios.
- A peer that forks lives in an interpreter of its own that never imported tarefa (`Peer`), so that
  its fork copies what a program without tarefa would copy.
- Times are taken by the one who does the work, in nanoseconds.
"""

import os
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter_ns

import tarefa

ROOT = Path(__file__).parents[1]


@dataclass
class Row:
    """One line of the table: what was measured, in `unit`, against what, and the most it may be."""

    what: str
    peer: str
    unit: str
    ours: float
    theirs: float
    ratio: float
    pair_ratio: float
    at_most: float
    samples: int
    note: str = ""
    limit_of: str = "ratio"
    bound: float = field(init=False)

    def __post_init__(self):
        self.bound = {"ratio": self.pair_ratio, "ours": self.ours}[self.limit_of]

    @property
    def holds(self):
        return self.bound <= self.at_most

    def as_dict(self):
        values = asdict(self)
        del values["bound"]
        return values


def paired(ours, theirs, count, *, before=lambda: None):
    """Call both `count` times, alternating, and return their values.

    `before` runs unmeasured before each pair.
    """
    mine, others = [], []
    for turn in range(count):
        before()
        if turn % 2:
            others.append(theirs())
            before()
            mine.append(ours())
        else:
            mine.append(ours())
            others.append(theirs())
    return mine, others


def row(what, peer, unit, scale, values, at_most, **rest):
    """Make a row out of `paired` values; `scale` turns one value into `unit`."""
    mine, others = values
    ours, theirs = statistics.median(mine) * scale, statistics.median(others) * scale
    pair_ratio = statistics.median(a / b for a, b in zip(mine, others, strict=True))
    return Row(
        what, peer, unit, ours, theirs, ours / theirs, pair_ratio, at_most, len(mine), **rest
    )


def figures():
    """The rows of a room, and the decorator that adds one, a function, to them.

    A row's `quick` takes fewer samples, of the same things.
    """
    rows = {}

    def figure(function):
        rows[function.__name__.replace("_", "-")] = function
        return function

    return rows, figure


def timed(call):
    start = perf_counter_ns()
    call()
    return perf_counter_ns() - start


def wait_until(condition, seconds=10.0):
    """Wait for a condition that belongs to the set-up, not to the measurement.

    False when it never comes.
    """
    end = perf_counter_ns() + int(seconds * 1e9)
    pause = tarefa.Event()
    while not condition():
        if perf_counter_ns() > end:
            return False
        pause.wait(0.0005)
    return True


def spares_ready(count=1):
    return lambda: tarefa._engine.diagnostics()["spares"] >= count


class Peer:
    """An interpreter without tarefa that does one thing as often as asked, and says the time."""

    def __init__(self, which):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benches.peers", which],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        self(1)
        return self

    def __call__(self, times=1):
        self._process.stdin.write(f"{times}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the peer ended early")
        return float(line)

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()


def private_bytes(pid):
    """Memory of `pid` that it shares with nobody."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line.split(" ")[0])
    return sum(int(fields[name].split()[0]) for name in ("Private_Clean", "Private_Dirty")) * 1024


def machine():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    python = ".".join(map(str, sys.version_info[:3]))
    linux = os.uname().release.split("-")[0]
    model = models[0] if models else os.uname().machine
    return f"CPython {python}, Linux {linux}, {tarefa.cpu_count()} processors, {model}"
