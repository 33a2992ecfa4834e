"""A small tree on disk, for the checking scripts to look at."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SRC = "crates/tarefa-engine/src"

# What is there unless a test says otherwise.
THERE = {
    "python/tarefa/__init__.py": "",
    "crates/tarefa/src/lib.rs": "",
    "crates/tarefa-cli/src/lib.rs": "",
    "crates/tarefa-python/src/lib.rs": "",
}

Check = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Return what writes files of an engine and runs one script over them.

    Names that begin with a folder of the tree are that folder's. A package and fronts are there;
    None as a file's text leaves the file out.
    """

    def run(
        script: str, files: dict[str, str | None], *options: str
    ) -> subprocess.CompletedProcess[str]:
        for name, text in (THERE | files).items():
            if text is None:
                continue
            whole = name.startswith(("scripts/", "crates/", "python/"))
            path = tmp_path / (name if whole else f"{SRC}/{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return subprocess.run(
            [sys.executable, str(SCRIPTS / script), "--root", str(tmp_path), *options],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
