"""The check of the package's rooms: imports run one way, in no circle, and come in by one way."""

import pytest

SCRIPT = "check_layers.py"
PACKAGE = "python/tarefa"
EXTENSION = "crates/tarefa-python/src"


def package(files):
    return {"lib.rs": "", **{f"{PACKAGE}/{name}": code for name, code in files.items()}}


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"_task/_thread.py": "from tarefa._sync._event import Event"}, id="down"),
        pytest.param({"_task/_a.py": "from tarefa._task import _b", "_task/_b.py": ""}, id="own"),
        pytest.param({"_sync/_lock.py": "from tarefa import _engine"}, id="the extension"),
        pytest.param({"_sync/_lock.py": "from tarefa._engine import LockCore"}, id="a core"),
        pytest.param(
            {
                "__init__.py": "from tarefa._task._a import A\nfrom tarefa import _hooks",
                "_hooks.py": "from tarefa._sync import _b",
                "_task/_a.py": "",
                "_sync/_b.py": "",
            },
            id="beside the rooms",
        ),
        pytest.param(
            {
                "_sync/_lock.py": "from typing import TYPE_CHECKING\n"
                "if TYPE_CHECKING:\n    from tarefa._task._base import Task",
                "_task/_base.py": "from tarefa._sync import _lock",
            },
            id="for types",
        ),
        pytest.param({"_sync/_lock.py": '"""See ``tarefa._task._base``."""'}, id="a docstring"),
        pytest.param({"_task/_a.py": 'BOOT = "from tarefa._hooks import f"'}, id="the way in"),
        pytest.param({"_sync/_a.py": "import os\nfrom collections import abc"}, id="others"),
        pytest.param(
            {
                "__init__.py": "",
                "__main__.py": "from tarefa._tour._a import main",
                "_tour/__init__.py": "",
                "_tour/_a.py": "import tarefa\nfrom tarefa._tour import _b",
                "_tour/_b.py": "from tarefa import Process",
            },
            id="a program",
        ),
        pytest.param({"_sync/__init__.py": "", "_sync/_a.py": ""}, id="an empty room"),
    ],
)
def test_accepts(check, files):
    done = check(SCRIPT, package(files))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{PACKAGE}: imports run one way, " in done.stdout


@pytest.mark.parametrize(
    ("name", "code", "line", "words"),
    [
        ("_sync/_lock.py", "\nfrom tarefa._task import _base", 2, "_sync may not import"),
        ("_tour/_a.py", "from tarefa._sync._lock import Lock", 1, "_tour is a program"),
        ("_trace/_a.py", "def f():\n    from tarefa._tour import _a", 2, "_trace may not import"),
        ("_sync/_lock.py", "from .._task._base import Task", 1, "_sync may not import"),
        ("_convert/_a.py", "def f():\n    from tarefa._sync import _lock", 2, "may not import"),
        ("_convert/_a.py", "def f():\n    import tarefa._sync._lock", 2, "may not import"),
        (
            "_convert/_a.py",
            "if TYPE_CHECKING:\n    pass\nelse:\n    from tarefa._sync import _lock",
            4,
            "may not import",
        ),
        ("_pool/_a.py", "from tarefa._trace import _b", 1, "imports run one way"),
        ("_task/_a.py", "import tarefa", 1, "may not import tarefa: name the room"),
        ("_task/_a.py", "from tarefa import List", 1, "may not import tarefa: name the room"),
        ("_task/_a.py", "from tarefa import _hooks", 1, "may not import tarefa._hooks"),
        ("_misc/_a.py", "", 1, "_misc is no room"),
        ("_extra.py", "", 1, "_extra stands beside the rooms"),
        ("_sync/__init__.py", "from tarefa._sync import _lock", 1, "__init__.py is empty"),
        ("_task/_a.py", "\nfrom tarefa import", 2, "it was not looked at"),
        ("_task/_a.py", 'import_module("tarefa._sync._lock")', 1, "is named in a text"),
        ("_task/_a.py", 'x = f"from tarefa._task import {name}"', 1, "is named in a text"),
    ],
)
def test_refuses(check, name, code, line, words):
    files = {"_hooks.py": "", "_sync/_lock.py": "", "_task/_base.py": "", "_trace/_b.py": ""}
    done = check(SCRIPT, package({**files, name: code}))
    assert done.returncode == 1
    assert f"{PACKAGE}/{name}:{line}: " in done.stderr
    assert words in done.stderr


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(
            {"_task/_a.py": "from tarefa._task import _b", "_task/_b.py": "import tarefa._task._a"},
            id="two",
        ),
        pytest.param(
            {
                "_task/_a.py": "from tarefa._task._b import f",
                "_task/_b.py": "def f():\n    from ._c import g",
                "_task/_c.py": "from . import _a",
            },
            id="three, in a function",
        ),
    ],
)
def test_a_circle_is_told(check, files):
    done = check(SCRIPT, package(files))
    assert done.returncode == 1
    assert f"{PACKAGE}: a circle: _task/_a.py:1 imports _task/_b.py, " in done.stderr


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ('PyModule::import(py, "tarefa._hooks")?', None),
        ('#[pyclass(frozen, module = "tarefa._engine")]', None),
        ('/// See `tarefa._task`: "tarefa._task".', None),
        ('let is_own = name == "tarefa" || name.starts_with("tarefa.");', None),
        ('PyModule::import(py, "tarefa._task._zygote")?', "tarefa._task._zygote"),
        ('PyModule::import(py, "tarefa")?', "tarefa"),
        ('const NAME: &str = "tarefa._sync";', "tarefa._sync"),
    ],
)
def test_the_extension_imports_the_hooks_only(check, code, named):
    done = check(SCRIPT, package({}) | {f"{EXTENSION}/a.rs": f"\nfn f() {{ {code} }}\n"})
    if named is None:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 1
        assert f"{EXTENSION}/a.rs:2: the extension names {named}: " in done.stderr


def test_a_package_that_is_not_there_fails(check):
    done = check(SCRIPT, {"lib.rs": "", f"{PACKAGE}/__init__.py": None})
    assert "nothing was checked" in done.stderr
