"""The tables of figures are as `benches/run.py` wrote them, on both pages and in the history."""

import json
import re
import sys

import pytest
from pages import ROOT

sys.path.insert(0, str(ROOT))

from benches import tables

TABLES = ("figures", "rust figures")
HISTORY = [json.loads(line) for line in tables.HISTORY.read_text().splitlines()]


def between(page, name):
    return re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", page.read_text(), re.DOTALL)[1]


def rows(page, name):
    lines = [line for line in between(page, name).splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return cells[0], [dict(zip(cells[0], line, strict=True)) for line in cells[2:]]


def key(row):
    return re.sub(r" \(.*\)$", "", row["what"]), row["against"]


def test_the_five_of_the_readme_are_in_the_table():
    headings, five = rows(tables.README, "five figures")
    assert headings == list(tables.FIVE_HEADINGS)
    assert [key(row) for row in five] == list(tables.FIVE)
    whole = {key(row): row for row in rows(tables.FIGURES, "figures")[1]}
    last = [run for run in HISTORY if run["table"] == "figures"][-1]
    assert f"on {last['machine']}; {last['date']}." in between(tables.README, "five figures")
    for row in five:
        assert row == {name: whole[key(row)][name] for name in headings}


@pytest.mark.parametrize("name", TABLES)
def test_the_table_is_the_last_run_of_the_history(name):
    headings, figures = rows(tables.FIGURES, name)
    assert headings == list(tables.HEADINGS)
    last = [run for run in HISTORY if run["table"] == name][-1]
    shown = {" / ".join(key(row)): row["ratio"] for row in figures}
    assert shown == {name: tables.ratio(value) for name, value in last["ratios"].items()}
    head = between(tables.FIGURES, name)
    assert f"Measured on {last['machine']}; {last['date']}, commit {last['commit']}." in head


def test_the_history_says_when_where_and_what():
    for run in HISTORY:
        assert set(run) == {"table", "date", "commit", "machine", "ratios"}
        assert run["table"] in TABLES
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", run["date"])
        assert run["ratios"]
    dates = [run["date"] for run in HISTORY]
    assert dates == sorted(dates)


@pytest.mark.parametrize("name", tables.RUST_BOUNDS)
def test_a_bound_is_of_a_figure_that_is_measured(name):
    sources = "".join(
        path.read_text()
        for folder in ("crates/tarefa/benches", "benches/rust/src")
        for path in (ROOT / folder).glob("**/*.rs")
    )
    assert f'"{name}"' in sources


# How the tables are written.


@pytest.fixture
def pages(tmp_path, monkeypatch):
    for name in ("README", "FIGURES"):
        page = tmp_path / f"{name}.md"
        page.write_text(getattr(tables, name).read_text())
        monkeypatch.setattr(tables, name, page)
    monkeypatch.setattr(tables, "HISTORY", tmp_path / "history.jsonl")
    return tmp_path


def figure(what, against, ratio=0.5, **rest):
    return tables.Figure(what, against, "1 ns", "2 ns", ratio, "1 x", ratio <= 1, **rest)


def test_what_stood_between_the_comments_is_replaced(pages):
    around = tables.FIGURES.read_text().replace(between(tables.FIGURES, "figures"), "")
    figures = [figure("a", "b", note="nothing lost"), figure("c", "d", 1 / 40)]
    for _ in range(2):
        tables.write(figures, "figures", "a machine", "2026-01-02", "abc")
    whole = between(tables.FIGURES, "figures")
    assert "Measured on a machine; 2026-01-02, commit abc." in whole
    assert "| a (nothing lost) | b | 1 ns | 2 ns | 0.50 x | 1 x | yes |" in whole
    assert "| c | d | 1 ns | 2 ns | 1/40 | 1 x | yes |" in whole
    assert tables.FIGURES.read_text().replace(whole, "") == around
    runs = [json.loads(line) for line in tables.HISTORY.read_text().splitlines()]
    assert len(runs) == 2
    assert runs[0]["ratios"] == {"a / b": 0.5, "c / d": 0.025}


def test_the_five_are_written_together_or_not_at_all(pages):
    before = tables.README.read_text()
    figures = [figure(*name) for name in tables.FIVE]
    assert tables.write_five(figures[1:], "a machine", "2026-01-02") == [" / ".join(tables.FIVE[0])]
    assert tables.README.read_text() == before
    more = [figure("other", "than these"), *figures]
    assert tables.write_five(more, "a machine", "2026-01-02") == []
    assert len(rows(tables.README, "five figures")[1]) == 5


def test_a_page_without_the_comments_is_an_error(pages):
    tables.FIGURES.write_text("# Figures\n")
    with pytest.raises(ValueError, match="no single pair of comments <!-- figures -->"):
        tables.write([], "figures", "a machine", "2026-01-02", None)


def test_rust_figures_are_read_from_what_the_benchmarks_print():
    text = """
task/process            time:   [224.05 µs 226.11 µs 228.49 µs]

                                                                tarefa        peer     ratio
process, start and join, spare ready / procspawn              241.00µs      1.70ms    0.14 x
Lock, a pair / parking_lot::Mutex                              13.28ns      9.00ns    1.48 x
something new / its peer                                        1.50s    750.00ms    2.00 x
"""
    figures = tables.of_rust(text)
    assert [figure.cells() for figure in figures] == [
        (
            "process, start and join, spare ready",
            "procspawn",
            "241 µs",
            "1.7 ms",
            "0.14 x",
            "1/12",
            "NO",
        ),
        ("Lock, a pair", "parking_lot::Mutex", "13.3 ns", "9 ns", "1.48 x", "2 x", "yes"),
        ("something new", "its peer", "1.5 s", "750 ms", "2.00 x", "", ""),
    ]
