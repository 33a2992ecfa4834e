"""A small engine on disk, for the checking scripts to look at."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SRC = "crates/tarefa-engine/src"

Check = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Return what writes files of an engine and runs one script over them."""

    def run(script: str, files: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
        for name, text in files.items():
            whole = name.startswith(("scripts/", "crates/"))
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
