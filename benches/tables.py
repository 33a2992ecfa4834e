"""The tables of docs/figures.md and README.md, and the history of all runs.

The pages hold each table between two comments, `<!-- name -->` and `<!-- /name -->`; what stands
between them is written here and nowhere else. Nothing here needs tarefa.
"""

import json
import re
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
FIGURES = ROOT / "docs" / "figures.md"
HISTORY = ROOT / "benches" / "history.jsonl"

# What README.md shows of the table, by its first two columns: what a newcomer exchanges for what,
# and what it costs.
FIVE = (
    ("Process start + join, a spare ready", "multiprocessing forkserver"),
    ("Lock handed between two processes, by turns, each time", "multiprocessing.Lock"),
    ("Event.set until a waiting process has seen it", "multiprocessing.Event"),
    ("List.append(int)", "Manager().list().append"),
    ("List.append(int)", "list.append"),
)

# The most that a ratio of `cargo bench -p tarefa` may be, by the name that it prints.
RUST_BOUNDS = {
    "process, start and join, spare ready / C fork and wait": 1.5,
    "process, start and join, spare ready / procspawn": 1 / 12,
    "thread, start and join / std::thread": 1.5,
    "Lock, a pair / parking_lot::Mutex": 2,
    "map of 1 µs closures, two threads / rayon": 2,
    "a task's round trip, two processes / procspawn's pool": 1 / 10,
    "u64 between processes / ipc-channel": 1 / 15,
    "u64 between processes / iceoryx2": 1,
    "u64 between threads / crossbeam-channel": 4,
}

HEADINGS = ("what", "against", "tarefa", "the other", "ratio", "at most", "holds")
FIVE_HEADINGS = HEADINGS[:5]

_TIME = r"\d[\d.]*(?:ns|µs|ms|s)"
_RUST_ROW = re.compile(
    rf"^(?P<name>\S.*?)\s+(?P<ours>{_TIME})\s+(?P<theirs>{_TIME})\s+(?P<ratio>[\d.]+) x$",
    re.MULTILINE,
)


def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def ratio(value):
    return f"{value:.2f} x" if value >= 0.1 else f"1/{1 / value:,.0f}"


def bound(value, unit="x"):
    if value is None:
        return ""
    if unit != "x" or value >= 0.5:
        return f"{value:g} {unit}"
    part = Fraction(value).limit_denominator(1000)
    return str(part) if part.numerator == 1 else f"{value:g} x"


@dataclass
class Figure:
    """One row of a page's table: texts, and the ratio that the history keeps."""

    what: str
    against: str
    ours: str
    theirs: str
    ratio: float
    at_most: str
    holds: bool | None
    note: str = ""

    @property
    def name(self):
        return f"{self.what} / {self.against}"

    def cells(self):
        what = f"{self.what} ({self.note})" if self.note else self.what
        holds = {True: "yes", False: "NO", None: ""}[self.holds]
        return (
            what,
            self.against,
            self.ours,
            self.theirs,
            ratio(self.ratio),
            self.at_most,
            holds,
        )


def of_python(row):
    """Make a figure of a `measure.Row`."""
    unit = row.unit if row.limit_of == "ours" else "x"
    return Figure(
        row.what,
        row.peer,
        f"{number(row.ours)} {row.unit}",
        f"{number(row.theirs)} {row.unit}",
        row.pair_ratio,
        bound(row.at_most, unit),
        row.holds,
        row.note,
    )


def of_rust(text):
    """Make figures of what the benchmarks of the crate print after criterion's own."""
    figures = []
    for found in _RUST_ROW.finditer(text):
        name, times = found["name"], float(found["ratio"])
        what, _, against = name.partition(" / ")
        at_most = RUST_BOUNDS.get(name)
        holds = None if at_most is None else times <= at_most
        ours, theirs = (_spaced(found[key]) for key in ("ours", "theirs"))
        figures.append(Figure(what, against, ours, theirs, times, bound(at_most), holds))
    return figures


def _spaced(duration):
    digits = re.match(r"[\d.]+", duration).group()
    return f"{number(float(digits))} {duration[len(digits) :]}"


def markdown(headings, lines):
    rows = [headings, ["---"] * len(headings), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in rows)


def put(page, name, text):
    """Replace what `page` has between the comments of this name."""
    before, after = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    whole = page.read_text()
    if whole.count(before) != 1 or whole.count(after) != 1:
        raise ValueError(f"{page} has no single pair of comments {before.strip()} ... {after}")
    start, end = whole.index(before) + len(before), whole.index(after)
    page.write_text(f"{whole[:start]}\n{text}\n\n{whole[end:]}")


def write(figures, name, machine, date, commit):
    """Write one language's table into docs/figures.md, and append the run to the history."""
    head = f"Measured on {machine}; {date}, commit {commit or 'unknown'}."
    table = markdown(HEADINGS, [figure.cells() for figure in figures])
    put(FIGURES, name, f"{head}\n\n{table}")
    # So many digits that what is shown of them is what is shown of the ratio.
    ratios = {figure.name: float(f"{figure.ratio:.8g}") for figure in figures}
    record = {"table": name, "date": date, "commit": commit, "machine": machine, "ratios": ratios}
    with HISTORY.open("a") as history:
        history.write(json.dumps(record, ensure_ascii=False) + "\n")


def write_five(figures, machine, date):
    """Write README.md's five; return the names of those that were not measured, if any."""
    by_name = {(figure.what, figure.against): figure for figure in figures}
    missing = [" / ".join(key) for key in FIVE if key not in by_name]
    if not missing:
        lines = [by_name[key].cells()[: len(FIVE_HEADINGS)] for key in FIVE]
        head = f"Times, and tarefa's by the other's, on {machine}; {date}."
        put(README, "five figures", f"{head}\n\n{markdown(FIVE_HEADINGS, lines)}")
    return missing


def commit():
    """Return the commit that is measured, with `-dirty` if the tree differs; None without git."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() or None
