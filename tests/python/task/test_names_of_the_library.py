"""A folder whose scripts have names of the standard library: what nobody imports does not run."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import tarefa, time

def its_random():
    import random
    return getattr(random, "mine", None)

if {uses}:
    assert tarefa.Process(target=its_random).start().result(30) == "mine"
for _ in range(3):
    # More than there are spares: the zygote forks some of them.
    tasks = [tarefa.Process(target=int).start() for _ in range(8)]
    assert [task.result(30) for task in tasks] == [0] * 8
    time.sleep(0.3)
print("done")
"""


def run_beside(folder, modules, uses=False):
    for name, source in modules.items():
        Path(folder, f"{name}.py").write_text(source)
    program = Path(folder, "program.py")
    program.write_text(PROGRAM.format(uses=uses))
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.once("which names are the library's is decided alike on all")
@pytest.mark.parametrize(
    "name", ["random", "socket", "select", "signal", "pickle", "multiprocessing", "bisect"]
)
@pytest.mark.parametrize(
    "source",
    ["import time; time.sleep(1000)", "print('it ran', flush=True)", "raise SystemExit(3)"],
    ids=["sleeps", "prints", "ends"],
)
def test_a_script_that_nobody_imports_does_not_run(tmp_path, name, source):
    assert run_beside(tmp_path, {name: source}) == "done\n"


def test_a_task_that_imports_one_has_that_of_the_folder(tmp_path):
    assert run_beside(tmp_path, {"random": "mine = 'mine'"}, uses=True) == "done\n"
