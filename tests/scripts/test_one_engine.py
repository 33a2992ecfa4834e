"""The crate, the command and the extension share one build of the engine.

Cargo builds a package anew for each set of features that it, or what it needs, is asked for with;
pyo3 asks for some of syn that the others would not. One build more takes a minute of `make run`.
"""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def features(package):
    """Of each package in the tree of one, its features."""
    cargo = os.environ.get("CARGO", "cargo")
    asked = [cargo, "tree", "--locked", "-e", "normal,build", "--prefix", "none"]
    found = subprocess.run(
        [*asked, "-p", package, "-f", "{p};{f}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.removesuffix(" (*)").split(";") for line in found.stdout.splitlines()]
    return {name.split(" (")[0]: of for name, of in (line for line in lines if len(line) == 2)}


@pytest.mark.parametrize("package", ["tarefa", "tarefa-cli"])
def test_what_the_engine_needs_is_built_alike_for_all(package):
    extension, other = features("tarefa-python"), features(package)
    assert any(name.startswith("syn ") for name in features("tarefa-engine"))
    for name in features("tarefa-engine"):
        assert other[name] == extension[name], f"{name} is built twice: see syn in Cargo.toml"
