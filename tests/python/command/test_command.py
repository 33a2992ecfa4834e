"""The command `tarefa`, as `pip install` brings it."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from support import run

import tarefa

pytestmark = pytest.mark.once("the command is Rust's, and reads shared memory")

COMMAND = Path(sysconfig.get_path("scripts"), "tarefa")
UTF8 = {"LC_ALL": "C.UTF-8"}


def command(*arguments, code=0, env=None):
    return run([str(COMMAND), *arguments], code=code, env={**UTF8, **(env or {})})


def test_the_version_is_the_package_s():
    assert command("--version").stdout == f"tarefa {tarefa.__version__}\n"
    assert command("-V").stdout == command("--version").stdout
    through_python = run([sys.executable, "-m", "tarefa", "--version"])
    assert through_python.stdout == command("--version").stdout


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["tour", "-h"], ["map", "-h"], ["top", "--help"], ["run", "-h"], ["trace", "-h"]],
)
@pytest.mark.parametrize("language", ["en", "pt"])
def test_help_fits_a_terminal(arguments, language):
    done = command(*arguments, "--lang", language)
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert ("Uso:" in done.stdout, "Usage:" in done.stdout) == (language == "pt", language == "en")
    assert "OPTIONS" not in done.stdout or language == "en"
    assert (done.stderr, "\x1b" in done.stdout) == ("", False)
    plain = command(*arguments, "--lang", language, env={"LC_ALL": "C"}).stdout
    assert plain.isascii()
    assert list(map(len, plain.splitlines())) == list(map(len, done.stdout.splitlines()))


def test_the_locale_decides_the_language():
    assert "Uso:" in command("--help", env={"LC_ALL": "pt_BR.UTF-8"}).stdout
    assert "Uso:" in command("--help", env={"LC_ALL": "", "LC_MESSAGES": "pt"}).stdout
    assert "Usage:" in command("--help", "--lang=en", env={"LC_ALL": "pt_BR.UTF-8"}).stdout


WRONG = [
    (["docto"], "there is no command docto; did you mean doctor?", "não existe o comando docto"),
    (["--colour"], "there is no --colour here", "--colour não existe aqui"),
    (["tour", "--save"], "wants a value", "precisa de um valor"),
    (["completions"], "is missing", "falta"),
    (["completions", "csh"], '"csh" is no value for', '"csh" não serve como'),
    (["--lang", "de", "tour"], '"de" is no value for --lang', None),
]


@pytest.mark.parametrize(("arguments", "english", "portuguese"), WRONG)
def test_wrong_arguments_are_told_in_words(arguments, english, portuguese):
    done = command(*arguments, code=2)
    assert done.stdout == ""
    assert english in done.stderr
    assert done.stderr.startswith("tarefa: ")
    assert "tarefa --help says more" in done.stderr
    if portuguese:
        told = command(*arguments, code=2, env={"LC_ALL": "pt_BR.UTF-8"}).stderr
        assert portuguese in told
        assert "tarefa --help diz mais" in told


def test_without_arguments_it_says_what_it_can_do():
    done = command(code=2)
    assert done.stdout == ""
    assert "Commands:" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "elvish", "powershell"])
def test_completions(shell):
    text = command("completions", shell).stdout
    assert "tour" in text
    found = shutil.which(shell)
    if found and shell in ("bash", "zsh", "fish"):
        subprocess.run([found, "-n"], input=text, text=True, check=True)


def test_the_manual_page_has_all_commands():
    page = command("man").stdout
    assert page.splitlines()[0].startswith(".ie") or ".TH tarefa" in page
    for name in ("tour", "completions", "man"):
        assert name in page
    assert "visita" in command("man", "--lang=pt").stdout


def test_the_tour_runs_in_the_python_that_it_came_with():
    report = json.loads(command("tour", "lists", "--json").stdout)
    assert report["experiments"][0]["name"] == "lists"
    assert "vale aqui" in command("--lang", "pt", "tour", "5").stdout
    assert command("--lang=pt", "tour", "--list", env={"LC_ALL": "C"}).stdout.isascii()
    assert command("tour", "--list", "--python", sys.executable).stdout.startswith(" 1  program")
    assert "there is no experiment 99" in command("tour", "99", code=2).stderr


@pytest.fixture
def alone(tmp_path):
    """The command where there is no Python."""
    at = shutil.copy(COMMAND, tmp_path / "tarefa")

    def call(*arguments, code=0):
        return run([str(at), *arguments], code=code, env={**UTF8, "PATH": str(tmp_path)})

    return call


RUSTS = {
    "program": 1,
    "states": 2,
    "concurrency": 3,
    "parallelism": 4,
    "lists": 5,
    "races": 7,
    "cost": 11,
    "interrupting": 12,
    "counting": 13,
}


def test_the_tour_without_python_has_what_needs_none(alone):
    rows = json.loads(alone("tour", "--list", "--json").stdout)
    assert {row["name"]: row["number"] for row in rows} == RUSTS
    of_python = json.loads(command("tour", "--list", "--json").stdout)
    # The same statements, by the same names.
    assert all(row in of_python for row in rows)
    shown = alone("--lang", "pt", "tour", "--list").stdout
    assert " 5  lists         Threads veem uma lista só, processos não" in shown
    assert len(shown.splitlines()) == len(RUSTS)


# The others measure what a busy machine may not show.
@pytest.mark.parametrize("name", ["program", "lists", "races", "interrupting"])
def test_an_experiment_without_python(alone, name):
    report = json.loads(alone("tour", name, "--json").stdout)
    [found] = report["experiments"]
    assert found["number"] == RUSTS[name]
    assert report["holds"]
    assert found["holds"]
    assert found["because"] is None
    assert all(figure["value"] >= 0 for figure in found["figures"])


@pytest.mark.parametrize("name", ["states", "concurrency", "parallelism", "cost", "counting"])
def test_an_experiment_without_python_measures(alone, name):
    done = alone("tour", name, "--json", code=None)
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(done.stdout)
    assert report["experiments"][0]["figures"]


def test_the_tour_without_python_as_files(alone, tmp_path):
    shown = alone("--lang", "pt", "tour", "program", "5", "--save", str(tmp_path / "out")).stdout
    assert all(len(line) <= 80 for line in shown.splitlines() if "gravado" not in line)
    assert "✓ vale aqui" in shown
    assert "2 de 2 afirmações valem" in shown
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["01-program.svg", "05-lists.svg", "index.html"]
    for name in names[:2]:
        ET.fromstring((tmp_path / "out" / name).read_text())
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("<section") == page.count("</section>") == 2
    assert not re.search(r"(src|href)=", page)


def test_what_the_tour_without_python_has_not(alone, tmp_path):
    assert "is about Python" in alone("tour", "gil", code=2).stderr
    assert "é sobre Python" in alone("--lang", "pt", "tour", "14", code=2).stderr
    assert "there is no experiment 99" in alone("tour", "99", code=2).stderr
    (tmp_path / "file").touch()
    assert "file" in alone("tour", "program", "--save", str(tmp_path / "file"), code=2).stderr


def test_a_python_without_the_package_is_told(tmp_path):
    missing = str(tmp_path / "nopython")
    for python in (missing, "/bin/false"):
        said = command("tour", "--python", python, code=2).stderr
        assert f"{python} is no Python that has the package" in said


def test_the_doctor():
    done = command("doctor", "--json", code=None)
    found = {it["name"]: it for it in json.loads(done.stdout)}
    assert done.returncode == any(it["level"] == "problem" for it in found.values())
    assert {"cores", "memory", "kernel", "python"} <= set(found)
    cores = tarefa.cpu_count()
    assert found["cores"]["what"].startswith(f"{cores} of ")
    version = sys.version.split()[0]
    assert found["python"]["what"].startswith(f"Python {version} (")
    assert found["python"]["level"] == "fine"
    assert f"tarefa {tarefa.__version__}" in found["python"]["what"]
    for it in found.values():
        assert it["remedy"] or it["level"] == "fine", it
    text = command("doctor", "--lang=pt", code=None).stdout
    assert f"{cores} de " in text
    assert max(map(len, text.splitlines())) <= 80 or len(sys.executable) > 40


def test_what_is_no_python_is_called_so():
    for named in ("/bin/false", "/bin/echo", "/nowhere/python"):
        done = command("doctor", "--python", named, code=1)
        told = " ".join(done.stdout.split())
        assert f"{named} is no Python that has the package tarefa" in told
        assert "force-reinstall" not in told
        assert "→ name one with --python" in told


def test_the_doctor_finds_little():
    program = (
        "import os, resource as r, sys; r.setrlimit(r.RLIMIT_NOFILE, (100, 4096));"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    ask = [sys.executable, "-c", program, str(COMMAND), "doctor", "--json"]
    done = run(ask, code=1, env={**UTF8, "OMP_NUM_THREADS": "3"})
    found = {it["name"]: it for it in json.loads(done.stdout)}
    assert found["descriptors"]["level"] == "problem"
    assert "ulimit -n" in found["descriptors"]["remedy"]
    assert found["cores"]["level"] == "problem"
    assert found["blas"]["what"] == "threads of BLAS: OMP_NUM_THREADS=3"
    missing = run([str(COMMAND), "doctor", "--python", "/nowhere/python"], code=1, env=UTF8)
    assert "/nowhere/python" in missing.stdout


def test_who_reads_no_further_is_not_told_of_it():
    process = subprocess.Popen(
        [str(COMMAND), "completions", "bash"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **UTF8},
    )
    process.stdout.close()
    with process:
        assert process.stderr.read() == b""
