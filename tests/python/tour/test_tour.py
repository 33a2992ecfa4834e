"""The tour: each statement of the lesson, measured, told in both languages, and saved."""

import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import termios
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from support import run, run_script

from tarefa._tour import _command, _language, _work
from tarefa._tour._experiment import Experiment, Figure, Outcome, number
from tarefa._tour._language import Text
from tarefa._tour._picture import Bars, Table, Timeline

# What holds wherever it is measured, and whoever else has the cores.
CERTAIN = ("program", "lists", "interrupting", "counting")
UTF8 = {"LC_ALL": "C.UTF-8"}
# The tour with less to do, so that it takes a quarter of the time: the same experiments, of which
# those that compare times have less to compare.
QUICK = """
import os, sys
from tarefa._tour import _choosing, _command, _cores, _cost, _gil, _memory, _programs

if __name__ == "__main__":
    if sys.argv[1] == "one core":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    _cores._SECONDS = _gil._SECONDS = 0.1
    _cores._ROUNDS = _gil._ROUNDS = 100_000
    _gil._CALL = 0.05
    _choosing._TASKS, _choosing._TRIES = 20, 1
    _memory._TIMES = 5_000
    _programs._PHASE = 0.05
    _cost._STANDARD = _cost._STANDARD.replace('("fork", 20)', '("fork", 5)')
    sys.exit(_command.main(sys.argv[2:]))
"""


def quick_tour(cores, *arguments, code=0):
    return run_script(QUICK, cores, *arguments, code=code, env=UTF8)


def tour(*arguments, code=0, env=None):
    command = [sys.executable, "-m", "tarefa", "tour", *arguments]
    return run(command, code=code, env={**UTF8, **(env or {})})


class Page(HTMLParser):
    """Counts what a page has, and what it wants from elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.wanted = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.wanted += [value for name, value in attrs if name in ("src", "href")]


def test_the_whole_tour(tmp_path):
    folder = tmp_path / "new" / "folder"
    done = quick_tour("all cores", "--json", "--save", folder, code=None)
    report = json.loads(done.stdout)
    found = report["experiments"]
    assert [it["name"] for it in found] == [it.key for it in _command.EXPERIMENTS]
    assert [it["number"] for it in found] == list(range(1, len(found) + 1))
    assert done.returncode == (0 if report["holds"] else 1)
    for it in found:
        assert it["figures"], it
        assert it["holds"] or it["because"], it
        assert it["holds"] or it["name"] not in CERTAIN, it
    page = folder / "index.html"
    pictures = sorted(folder.glob("*.svg"))
    assert report["saved"] == [*map(str, pictures), str(page)]
    for picture in pictures:
        assert ET.parse(picture).getroot().tag.endswith("svg")
    text = page.read_text()
    assert (Page(text).tags.count("svg"), Page(text).wanted) == (len(found), [])
    assert all(f'id="{it["name"]}"' in text for it in found)


@pytest.mark.parametrize("language", ["en", "pt"])
def test_what_is_told(language):
    experiments = [it for it in _command.EXPERIMENTS if it.key in CERTAIN]
    done = tour(*CERTAIN, "--lang", language)
    for it in experiments:
        assert it.title.of(language) in done.stdout
        assert it.lesson.of(language).split(",")[0][:40] in done.stdout
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.stdout
    every = _command._ALL.format(held=4, all=4, seconds=0).of(language).split("(")[0]
    assert lines[-1].startswith(every)
    assert done.stderr == ""


def test_one_core_is_why_tasks_do_not_run_at_once():
    done = quick_tour("one core", "parallelism", code=1)
    assert "does not hold here: this process may use one core only" in done.stdout
    assert "0 of 1 statements hold" in done.stdout


def test_a_locale_without_unicode_gets_ascii():
    assert tour("lists", env={"LC_ALL": "C"}).stdout.isascii()
    told = tour("--list", env={"LC_ALL": "pt_BR.ISO-8859-1"}).stdout
    assert told.isascii()
    assert "num nucleo" in told
    assert tour("lists", "--ascii", "--json", "--lang=pt").stdout.isascii()
    none = dict.fromkeys(("LC_ALL", "LC_CTYPE", "LC_MESSAGES", "LANG"), "")
    assert tour("--list", "--lang=pt", env=none).stdout.isascii()


def test_the_locale_decides_the_language():
    assert "vale aqui" in tour("lists", env={"LC_ALL": "pt_PT.UTF-8"}).stdout
    assert "Um programa" in tour("--list", env={"LC_ALL": "pt_PT.UTF-8"}).stdout
    assert "A program" in tour("--list", env={"LC_ALL": "de_DE.UTF-8"}).stdout
    assert "A program" in tour("--list", "--lang=en", env={"LC_ALL": "pt_PT.UTF-8"}).stdout


def test_the_list():
    rows = json.loads(tour("--list", "--json").stdout)
    assert [row["name"] for row in rows] == [it.key for it in _command.EXPERIMENTS]
    lines = tour("--list").stdout.splitlines()
    assert len(lines) == len(rows)
    assert max(map(len, lines)) <= 80
    assert tour("--list", "5").stdout.split()[:2] == ["5", "lists"]


def test_an_experiment_that_there_is_not():
    done = tour("99", code=2)
    assert "there is no experiment 99" in done.stderr
    assert "não existe a experiência x" in tour("x", "--lang=pt", code=2).stderr


def test_wrong_arguments_are_told_in_our_words():
    for arguments, language, said in (
        (["--foo"], "en", "there is no --foo here"),
        (["--foo"], "pt", "--foo não existe aqui"),
        (["99"], "pt", "não existe a experiência 99"),
    ):
        told = tour(*arguments, f"--lang={language}", code=2).stderr
        assert said in " ".join(told.split())
        assert "usage" not in told
        assert max(map(len, told.splitlines())) <= 80
    wrong = tour("--lang", "xx", code=2, env={"LC_ALL": "pt_BR.UTF-8"}).stderr
    assert "estes argumentos não servem" in wrong
    assert "--ascii" not in tour("--help").stdout


def test_a_place_that_cannot_be_written_is_told_before_anything_is_measured(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for place in (str(file), "/proc/x"):
        done = tour("lists", "--save", place, code=2)
        assert done.stdout == ""
        assert place in done.stderr
        assert "Traceback" not in done.stderr


def test_a_full_disk_is_told():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "tarefa", "tour", "lists"]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=english()
        )
    assert done.returncode == 2
    assert "No space left" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_an_interrupt_ends_it_without_a_traceback():
    command = [sys.executable, "-m", "tarefa", "tour"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(
        command, text=True, start_new_session=True, env=english(), **pipes
    ) as process:
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in errors


def english():
    return {**os.environ, **UTF8}


@pytest.mark.parametrize("language", ["en", "pt"])
def test_a_narrow_terminal_gets_lines_of_whole_words(language):
    told = in_terminal(40, "lists", f"--lang={language}")
    lines = told.splitlines()
    assert max(map(len, lines)) <= 40
    (lists,) = (it for it in _command.EXPERIMENTS if it.key == "lists")
    words = set(told.split())
    assert set(lists.lesson.of(language).split()[1:-1]) <= words


def in_terminal(columns, *arguments):
    """What the tour writes to a terminal of that width, without colours."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environ = {name: value for name, value in english().items() if name != "COLUMNS"}
    environ["NO_COLOR"] = "1"
    command = [sys.executable, "-m", "tarefa", "tour", *arguments]
    with subprocess.Popen(command, stdout=theirs, env=environ) as process:
        os.close(theirs)
        told = b""
        try:
            while part := os.read(ours, 1 << 16):
                told += part
        except OSError:
            pass  # the other side is closed
    os.close(ours)
    assert process.returncode == 0
    return told.decode().replace("\r", "")


def test_nothing_of_it_is_imported_with_the_package():
    look = "import sys, tarefa; print([m for m in sys.modules if m.startswith('tarefa._tour')])"
    assert run([sys.executable, "-c", look]).stdout.strip() == "[]"


def test_an_experiment_that_goes_wrong_is_told_and_the_tour_goes_on(monkeypatch, capfdbinary):
    def goes_wrong():
        raise OSError(24, "Too many open files")

    said = Text("It works", "Funciona")
    broken = Experiment("broken", said, said, goes_wrong)
    fine = Outcome(True, said, (Figure("one", said, 1),), Bars((), ""))
    works = Experiment("works", said, said, lambda: fine)
    monkeypatch.setattr(_command, "EXPERIMENTS", (broken, works))
    assert _command.main(["--lang=en"]) == 1
    told = " ".join(capfdbinary.readouterr().out.decode().split())
    assert "could not be measured: OSError: [Errno 24] Too many open files" in " ".join(
        told.split()
    )
    assert "1 of 2 statements hold" in told


def test_who_runs_at_once():
    rows = [[(0.0, 1.0), (2.0, 3.0)], [(0.5, 2.5)]]
    assert _work.at_once(rows) == (3.0, 1.0)
    assert _work.at_once([[(0.0, 1.0)], [(1.0, 2.0)]]) == (2.0, 0.0)
    assert _work.part_at_once(rows) == 1 / 3
    # One that was never on a core for long enough to be seen.
    assert _work.part_at_once([[(1.0, 1.0)], [(2.0, 2.0)]]) == 0.0
    late = [[(5.0, 6.0), (9.0, 9.5)], [(5.5, 7.5)]]
    assert _work.from_start(late, 2.0) == [[(0.0, 1.0)], [(0.5, 2.0)]]


def test_numbers_as_people_read_them():
    shown = {0: "0", 5: "5", 0.001234: "0.0012", 1.23456: "1.23", 45.678: "45.7", 456.7: "457"}
    shown |= {1234567: "1,234,567", 0.0: "0"}
    assert {value: number(value) for value in shown} == shown
    assert number(1234.5).of("pt") == "1.234"
    text = Text("{n} of {pid}", "{n} de {pid}").format(n=number(1.5), pid=1234)
    assert text == ("1.50 of 1234", "1,50 de 1234")


PICTURES = [
    Timeline([(Text("process <1>", "processo <1>"), [(0.0, 0.1), (0.2, 0.4)])], 0.4),
    Bars([(Text("a & b", "a e b"), 12.0), (Text("none", "nada"), 0)], "ms"),
    Table((Text("name", "nome"), Text("value", "valor")), [("<x>", Text("one", "um"))]),
]


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("language", ["en", "pt"])
def test_pictures(picture, language):
    for width in (40, 76):
        assert max(map(len, picture.lines(language, width))) <= width
    ET.fromstring(picture.svg(language))


def test_a_picture_in_text():
    lines = PICTURES[0].lines("en", 39)
    assert lines[0] == "process <1>        " + "█" * 5 + " " * 5 + "█" * 10
    assert lines[1].split() == ["0", "400", "ms"]
    assert PICTURES[1].lines("en", 30)[0].endswith("█ 12.0 ms")


def test_languages_have_many_spellings():
    for name in ("pt", "pt_BR.UTF-8", "pt-PT", "PT@euro"):
        assert _language.by_name(name) == "pt"
    assert (_language.by_name("C.UTF-8"), _language.by_name("de")) == ("en", None)
    assert _language.ascii_only("são × █ 漢") == "sao x # ?"  # noqa: RUF001


def test_who_reads_no_further_ends_it_without_a_traceback():
    command = [sys.executable, "-m", "tarefa", "tour", *["lists"] * 20]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env={**os.environ, **UTF8}, **pipes) as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert "Traceback" not in errors
    assert process.returncode == 2
