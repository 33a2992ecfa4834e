"""The programs in `examples/`: each runs as a person would run it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import run

EXAMPLES = Path(__file__).parents[3] / "examples"


def example(name, *arguments):
    """Run one, and return the lines that it writes."""
    return run([sys.executable, str(EXAMPLES / name), *map(str, arguments)]).stdout.splitlines()


def test_a_web_service_with_a_time_limit():
    assert example("pool/web_service.py") == [
        "100 200 {'primes': 25}",
        "1000000000&seconds=0.3 503 {'error': 'that takes more than 0.3 s'}",
        "many 400 {'error': 'ask for /primes?up_to=1000'}",
    ]


def test_a_batch_over_files(tmp_path):
    for number in range(30):
        (tmp_path / f"{number}.txt").write_text(f"{number % 10}")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "alone").write_text("alone")
    lines = example("pool/batch_files.py", tmp_path)
    assert lines[-1] == "31 files, 11 different contents, 0 not read"
    wanted = [sorted(f"{tens}{n}.txt" for tens in ("", 1, 2)) for n in range(10)]
    assert sorted(sorted(line.split()[2:]) for line in lines[:-1]) == sorted(wanted)


# Runs the cells as a notebook does: in `__main__`, and shows what the last line of each is.
CELLS = """
import ast as _ast, json as _json, sys as _sys

_cells = _json.load(open(_sys.argv[1]))["cells"]
for _source in ("".join(c["source"]) for c in _cells if c["cell_type"] == "code"):
    *_lines, _last = _ast.parse(_source).body
    exec(compile(_ast.Module(_lines, []), "<cell>", "exec"), globals())
    if isinstance(_last, _ast.Expr):
        _found = eval(compile(_ast.Expression(_last.value), "<cell>", "eval"), globals())
        _page = getattr(_found, "_repr_html_", lambda: repr(_found))()
        print(_json.dumps([type(_found).__name__, _page]))
"""


def test_a_notebook():
    path = EXAMPLES / "trace" / "notebook.ipynb"
    lines = run([sys.executable, "-c", CELLS, str(path)]).stdout.splitlines()
    shown = dict(map(json.loads, lines))
    assert list(shown) == ["list", "PoolStats", "Timeline", "TaskTable", "DeadlockReport"]
    assert shown["list"] == repr([n * n for n in range(12)])
    assert "<table" in shown["PoolStats"]
    assert "<svg" in shown["Timeline"]
    assert "square of 2" in shown["TaskTable"]
    assert "no deadlock" in shown["DeadlockReport"]


def test_tests_in_isolation():
    path = EXAMPLES / "task" / "in_isolation.py"
    plain = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-c", "/dev/null"]
    found = subprocess.run(
        [sys.executable, "-m", "pytest", *plain, str(path)], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "6 passed" in found.stdout


def test_a_selector_loop():
    assert example("channel/selector_loop.py") == [
        "one: 1 words",
        "one two: 2 words",
        "one two three: 3 words",
    ]


def test_a_daemon():
    lines = example("task/daemon.py")
    assert lines[:3] == ["one: done", "crash: done, at the second time", "two: done"]
    assert lines[3:] == ["the service died of SIGKILL", "the daemon is there"]


def test_a_log_queue(tmp_path):
    assert example("channel/log_queue.py", tmp_path / "jobs.log") == ["killed: job-2"]
    lines = (tmp_path / "jobs.log").read_text().splitlines()
    for n in range(4):
        told = [line for line in lines if line.startswith(f"job-{n} ")]
        assert told[0] == f"job-{n} INFO job {n} begins"
        second = "ERROR job 2 is about to be killed" if n == 2 else f"INFO job {n} ends"
        assert told[1:] == [f"job-{n} {second}"]


def test_a_shared_cache():
    assert example("collections/shared_cache.py") == [
        "asked 500 times, computed 25 times",
        "the longest way has 23 steps",
    ]


def test_a_pipeline_over_arrays():
    pytest.importorskip("numpy")
    lines = example("channel/numpy_pipeline.py", 3)
    columns = [re.fullmatch(r"frame (\d): brightest at column (\d+), light 400", x) for x in lines]
    assert [match.groups() for match in columns] == [("0", "0"), ("1", "10"), ("2", "20")]


def test_crashes_are_kept_apart():
    assert example("task/crash_isolation.py") == [
        "fine: FINE",
        "bad pointer: crashed with SIGSEGV",
        "too much: wanted too much memory",
        "no end: took too long",
        "fine again: FINE AGAIN",
    ]


def test_the_program_of_the_lesson():
    lines = example("collections/minha_lista.py", "process", "shared")
    assert "4000" in " ".join(lines)
