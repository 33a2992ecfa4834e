"""Two builds of tarefa beside each other: no row may become slower than the bound allows.

    python -m benches.compare BASE                   every row; BASE is another build's interpreter
    python -m benches.compare BASE --rows lock       only rows whose name has this in it
    python -m benches.compare BASE --pairs 60        more pairs of each row

Each build has an interpreter of its own that takes a figure when it is told to, so the two take
turns on one machine, the order swapped each time. Each pair has new interpreters, for where a
process happens to lie in memory makes a lock a third slower or faster for all of its life; what a
row's first figure would have to warm up is not counted. A row is *worse* when the whole 95 %
interval of the median of the pairs' ratios lies above the bound: 1.05, or what `--bound` says. The
interval is that of the sign test: order statistics of the ratios, without an assumption about how
they spread (W. J. Conover, "Practical Nonparametric Statistics", 3rd edition, section 3.2).

Starts and hand-overs are bimodal: a figure of theirs is the least of several. The exit code is 1
when a row is worse.
"""

import argparse
import os
import statistics
import subprocess
import sys
from math import comb
from pathlib import Path

if not __package__:
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

ROOT = Path(__file__).parents[1]
BOUND = 1.05
PAIRS = 30


class Build:
    """An interpreter with one build of tarefa, which takes figures."""

    def __init__(self, python):
        self._process = subprocess.Popen(
            [python, "-m", "benches.compared"],
            cwd=ROOT,
            env={**os.environ, "PYTHONSAFEPATH": "", "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.rows = self._answer().split()

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self._process.args[0]} ended early; what it said is above")
        return line

    def __call__(self, row):
        self._process.stdin.write(row + "\n")
        self._process.stdin.flush()
        return float(self._answer())

    def close(self):
        self._process.stdin.close()
        self._process.wait()


def interval(ratios):
    """The 95 % interval of their median."""
    ordered, count = sorted(ratios), len(ratios)
    below, rank = 0.0, 0
    while rank < count // 2 and (below := below + comb(count, rank) / 2**count) <= 0.025:
        rank += 1
    low = max(rank - 1, 0)
    return ordered[low], ordered[count - 1 - low]


def pair(builds, row, turn):
    """The ratio of one pair, new to old."""
    new, old = builds
    for build in builds:
        build(row)
    if turn % 2:
        theirs = old(row)
        return new(row) / theirs
    ours = new(row)
    return ours / old(row)


def compare(pythons, rows, pairs):
    """The ratios of each row, of as many pairs."""
    ratios = {row: [] for row in rows}
    for turn in range(pairs):
        builds = [Build(python) for python in pythons]
        for row in rows:
            ratios[row].append(pair(builds, row, turn))
        for build in builds:
            build.close()
    return ratios


def main():
    parser = argparse.ArgumentParser(description="Compare this build of tarefa with another.")
    parser.add_argument("base", help="the interpreter of an environment with the other build")
    parser.add_argument("--rows", default="", metavar="PART", help="rows with PART in the name")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"of each row; {PAIRS}")
    parser.add_argument("--bound", type=float, default=BOUND, help=f"{BOUND}")
    options = parser.parse_args()
    one = Build(sys.executable)
    one.close()
    names = [name for name in one.rows if options.rows in name]
    if not names:
        parser.error(f"no row has {options.rows!r} in its name: {', '.join(one.rows)}")
    worse = []
    pythons = (sys.executable, options.base)
    for name, ratios in compare(pythons, names, options.pairs).items():
        low, high = interval(ratios)
        verdict = "worse" if low > options.bound else "holds"
        worse += [name] if low > options.bound else []
        median = statistics.median(ratios)
        print(f"{name:<18} {median:6.3f} x  [{low:.3f}, {high:.3f}]  {verdict}", flush=True)
    print(f"{len(names) - len(worse)} of {len(names)} rows hold at {options.bound} x")
    sys.exit(bool(worse))


if __name__ == "__main__":
    main()
