"""The interpreter's own tests of locks and threads pass on tarefa's classes."""

import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "cpython" / "run.py"


@pytest.mark.watchdog(400)
@pytest.mark.parametrize("group", ["locks", "threads"])
def test_the_interpreters_own_tests(group, tmp_path):
    ran = subprocess.run(
        [sys.executable, str(RUN), group], capture_output=True, text=True, cwd=tmp_path
    )
    if f"skipped, {group}" in ran.stdout:
        pytest.skip(ran.stdout.splitlines()[0])
    assert ran.returncode == 0, ran.stdout + ran.stderr
