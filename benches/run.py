"""Python's figures, each beside its peer in the same run.

    python -m benches.run                 every row, to the terminal and to benches/RESULTS.md
    python -m benches.run --quick         fewer samples, the terminal only
    python -m benches.run --rows append   only rows whose name has this in it, the terminal only
    python -m benches.run --list          the rows' names

Each row runs in an interpreter of its own. A figure that is missed is shown as missed; the run does
not fail.
"""

import os
import sys

if not __package__:
    # Run as a file: modules in its folder have the names of some in the standard library.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

import argparse
import json
import subprocess
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

from benches import collections, sync, task
from benches.measure import ROOT, Row, machine

RESULTS = Path(__file__).with_name("RESULTS.md")
ROWS = task.ROWS | sync.ROWS | collections.ROWS


def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def ratio(value):
    return f"{value:.2f} x" if value >= 0.1 else f"1/{1 / value:,.0f}"


def target(row):
    if row.limit_of == "ours":
        return f"{row.at_most:g} {row.unit}"
    if row.at_most >= 0.1:
        return f"{row.at_most:g} x"
    return str(Fraction(row.at_most).limit_denominator(1000))


def cells(row):
    return [
        row.what,
        row.peer,
        f"{number(row.ours)} {row.unit}",
        f"{number(row.theirs)} {row.unit}",
        ratio(row.ratio),
        ratio(row.pair_ratio),
        target(row),
        "yes" if row.holds else "NO",
        row.note,
    ]


HEADINGS = [
    "what",
    "against",
    "tarefa",
    "the other",
    "ratio of medians",
    "median of ratios",
    "at most",
    "holds",
    "note",
]


def table(rows):
    lines = [HEADINGS, *map(cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def measure(name, quick):
    """Run one row in an interpreter of its own; a row that fails is told and left out."""
    command = [
        sys.executable,
        "-m",
        "benches.run",
        "--child",
        name,
        *(["--quick"] if quick else []),
    ]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        print(
            f"{name}: failed with exit code {done.returncode}; what it said is above",
            file=sys.stderr,
        )
        return []
    return [Row(**values) for values in json.loads(done.stdout.splitlines()[-1])]


def main():
    parser = argparse.ArgumentParser(
        description="Measure tarefa's Python figures beside their peers."
    )
    parser.add_argument(
        "--rows", default="", metavar="PART", help="only rows whose name has PART in it"
    )
    parser.add_argument("--quick", action="store_true", help="fewer samples; writes no file")
    parser.add_argument("--list", action="store_true", help="print the rows' names")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps([row.as_dict() for row in ROWS[options.child](options.quick)]))
        return
    names = [name for name in ROWS if options.rows in name]
    if options.list:
        print("\n".join(names))
        return
    if not names:
        parser.error(f"no row has {options.rows!r} in its name; --list prints them")
    rows = []
    for position, name in enumerate(names, 1):
        print(f"\r[{position}/{len(names)}] {name:<32}", end="", file=sys.stderr, flush=True)
        rows += measure(name, options.quick)
    print("\r" + " " * 50, file=sys.stderr)
    heading = f"{machine()}, {datetime.now(UTC):%Y-%m-%d}"
    print(heading + "\n\n" + table(rows))
    missed = [row.what for row in rows if not row.holds]
    print(
        f"\n{len(rows) - len(missed)} of {len(rows)} figures hold"
        + (": not " + "; ".join(missed) if missed else ".")
    )
    if not (options.quick or options.rows):
        RESULTS.write_text(
            "# Python figures\n\n"
            f"{heading}. Written by `benches/run.py`; how they are taken: `benches/measure.py`.\n"
            "A figure holds when the median of the pairs' ratios is within the bound.\n\n"
            + table(rows)
            + "\n"
        )


if __name__ == "__main__":
    main()
