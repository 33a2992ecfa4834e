"""Python's figures, each beside its peer in the same run.

    python -m benches.run                 every row, to the terminal, to docs/figures.md and
                                          README.md, and to benches/history.jsonl
    python -m benches.run --rust FILE     the Rust rows, from the output of `cargo bench`, likewise
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
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benches import channel, collections, command, pool, sync, tables, task
from benches.measure import ROOT, Row, machine

ROWS = task.ROWS | sync.ROWS | collections.ROWS | channel.ROWS | pool.ROWS | command.ROWS


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


def cells(row):
    figure = replace(tables.of_python(row), note="")
    what, against, ours, theirs, pair_ratio, at_most, holds = figure.cells()
    medians = tables.ratio(row.ratio)
    return [what, against, ours, theirs, medians, pair_ratio, at_most, holds, row.note]


def table(rows):
    lines = [HEADINGS, *map(cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
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


def write_rust(path, today):
    """Write the Rust rows that `path`, the output of `cargo bench`, has after criterion's own."""
    figures = tables.of_rust(path.read_text())
    if not figures:
        sys.exit(f"{path} has no figures: is it the output of `cargo bench -p tarefa`?")
    system = machine().partition(", ")[2]
    tables.write(figures, "rust figures", system, today, tables.commit())
    missed = [figure.name for figure in figures if figure.holds is False]
    print(f"{len(figures)} Rust figures; beyond their bounds: {'; '.join(missed) or 'none'}")


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
    parser.add_argument(
        "--rust", type=Path, metavar="FILE", help="write the Rust rows from cargo bench's output"
    )
    options = parser.parse_args()
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    if options.rust:
        write_rust(options.rust, today)
        return
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
    print(f"{machine()}, {today}\n\n{table(rows)}")
    missed = [row.what for row in rows if not row.holds]
    print(
        f"\n{len(rows) - len(missed)} of {len(rows)} figures hold"
        + (": not " + "; ".join(missed) if missed else ".")
    )
    if not (options.quick or options.rows):
        figures = [tables.of_python(row) for row in rows]
        tables.write(figures, "figures", machine(), today, tables.commit())
        for name in tables.write_five(figures, machine(), today):
            print(f"README.md keeps its five figures: not measured: {name}", file=sys.stderr)


if __name__ == "__main__":
    main()
