"""`tarefa trace` and `tarefa run --trace`: timelines of programs, from outside."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import perfetto_rules
import pytest
from support import Running, eventually, run

import tarefa
from tarefa._engine import is_traced

pytestmark = pytest.mark.once("what records and writes timelines is Rust's")

COMMAND = str(Path(sysconfig.get_path("scripts"), "tarefa"))
UTF8 = {"LC_ALL": "C.UTF-8"}

WORKING = """
import time
import tarefa

def nap(seconds):
    time.sleep(seconds)
    return seconds

if __name__ == "__main__":
    with tarefa.Pool(2, name="ants") as pool:
        print("ready", flush=True)
        while True:
            list(pool.map(nap, [0.001] * 10))
"""

ENDING = """
import os, signal, subprocess, sys, time
import tarefa

def nap(seconds):
    time.sleep(seconds)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    task = tarefa.Process(target=nap, args=(0.01,), name="first").start()
    task.join()
    dead = tarefa.Process(target=die, name="dead").start()
    dead.join()
    assert isinstance(dead.exception(), tarefa.WorkerDied)
    with tarefa.Pool(2, "thread", name="ants") as pool:
        list(pool.map(nap, [0.001] * 5))
    if len(sys.argv) > 1:
        subprocess.run([sys.executable, sys.argv[0]], check=True)
    print("done")
    sys.exit(3)
"""


def command(*arguments, code=0, env=None):
    return run([COMMAND, *map(str, arguments)], code=code, env={**UTF8, **(env or {})})


@pytest.fixture
def ending(tmp_path):
    path = tmp_path / "ending.py"
    path.write_text(ENDING)
    return path


@pytest.mark.parametrize("how", [[], ["--sampled"]])
def test_a_program_that_runs(how, tmp_path):
    with Running(WORKING) as program:
        program.line()
        pid = program.process.pid
        file = tmp_path / "it.json"
        # On a machine that is busy with other work not one call may fall into a short time.
        for seconds in (0.3, 3, 30):
            done = command("trace", pid, "--seconds", seconds, "-o", file, *how)
            calls = perfetto_rules.slices(file, "call")
            if calls:
                break
        assert f"{file}: " in done.stdout
        assert "sampled" in done.stdout if how else "on a core" in done.stdout
        assert {event["name"] for event in calls} == {"nap"}
        assert {event["args"]["worker"] for event in calls} <= {"ants-1", "ants-2"}
        workers = perfetto_rules.slices(file, "process")
        assert {event["args"]["ended"] for event in workers} == {"running"}
        # It goes on, and writes nothing down.
        page = tmp_path / "it.html"
        for seconds in (0.1, 3, 30):
            seconds = f"--seconds={seconds}"
            done = command("--lang", "pt", "trace", pid, seconds, "--output", page, "--json", *how)
            said = json.loads(done.stdout)
            if said["slices"] >= 2:
                break
        assert said["file"] == str(page)
        assert said["lost"] == 0
        assert said["slices"] >= 2
        assert "Quem rodou o quê quando" in page.read_text()


def test_the_program_ends_meanwhile(tmp_path):
    with Running(WORKING) as program:
        program.line()
        file = tmp_path / "it.json"
        observer = subprocess.Popen(
            [COMMAND, "trace", str(program.process.pid), "--seconds", "1000", "-o", str(file)],
            stdout=subprocess.PIPE,
            env={**os.environ, **UTF8},
        )
        eventually(lambda: is_observed(program.process.pid))
        program.process.kill()
        said, _ = observer.communicate(timeout=50)
        assert observer.returncode == 0
        assert str(file) in said.decode()
        perfetto_rules.load(file)


LASTING = """
import time
import tarefa

if __name__ == "__main__":
    started = tarefa.Event()

    def nap():
        started.set()
        time.sleep(1000)

    with tarefa.Pool(1, name="ants") as pool:
        call = pool.submit(time.sleep, 1000)
        while not call.running():
            time.sleep(0.001)
        task = tarefa.Process(target=time.sleep, args=(1000,), name="long").start()
        thread = tarefa.Thread(target=nap, name="nap").start()
        started.wait()
        print("ready", flush=True)
        task.join()
"""


def test_what_dies_with_its_program_lasts_until_then(tmp_path):
    with Running(LASTING) as program:
        program.line()
        file = tmp_path / "it.json"
        observer = subprocess.Popen(
            [COMMAND, "trace", str(program.process.pid), "--seconds", "1000", "-o", str(file)],
            stdout=subprocess.PIPE,
            env={**os.environ, **UTF8},
        )
        eventually(lambda: is_observed(program.process.pid))
        begun = time.monotonic()
        later = tarefa.Thread(target=time.sleep, args=(0.2,)).start()
        later.join()
        program.process.kill()
        observer.communicate(timeout=50)
        lasted = time.monotonic() - begun
    found = {e["name"]: e for kind in ("process", "thread") for e in slices(file, kind)}
    assert {"long", "nap"} <= found.keys()
    for it in found.values():
        assert 0 < it["dur"] / 1e6 <= lasted + 50
        # As long as it was looked at, which was some time.
        assert it["dur"] >= 200_000
        assert it["args"]["ended"] in ("SIGKILL", "ended with its process", "exited with 0")
    assert found["nap"]["args"]["ended"] in ("SIGKILL", "ended with its process")


def slices(file, kind):
    return perfetto_rules.slices(file, kind)


def test_a_limit_ends_a_program_and_its_slices_last_until_then(tmp_path):
    program = tmp_path / "long.py"
    program.write_text(LASTING)
    file = tmp_path / "it.json"
    command("run", "--limit-time", "2", "--trace", file, sys.executable, program, code=128 + 15)
    found = [e for kind in ("process", "thread") for e in slices(file, kind)]
    assert found
    assert all(e["dur"] > 1_000 for e in found), found


def test_a_killed_observer_leaves_the_file_that_was_there(tmp_path):
    tarefa.Event()
    file = tmp_path / "it.json"
    file.write_text("old")
    observer = subprocess.Popen(
        [COMMAND, "trace", str(os.getpid()), "--seconds", "1000", "-o", str(file)]
    )
    eventually(is_traced)
    observer.kill()
    observer.wait()
    eventually(lambda: not is_traced())
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["it.json"]


def test_a_file_is_replaced_with_its_mode_and_others_are_written_in_place(tmp_path):
    file = tmp_path / "it.txt"
    file.write_text("old")
    file.chmod(0o640)
    command("run", "--trace", file, "true")
    assert "nothing ran" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o640
    device = tmp_path / "device.txt"
    device.symlink_to("/dev/stdout")
    assert "nothing ran" in command("run", "--trace", device, "true").stdout
    assert "/proc/it.txt" in command("run", "--trace", "/proc/it.txt", "echo", "ran", code=2).stderr


def test_a_program_without_tasks_is_told(tmp_path):
    for language, said in (("en", "nothing was recorded"), ("pt", "nada foi gravado")):
        done = command(
            "--lang", language, "run", "--trace", tmp_path / "it.svg", "sh", "-c", "exit 5", code=5
        )
        assert said in done.stderr


def test_texts_have_the_letters_of_reports_and_tooltips_the_language(ending, tmp_path):
    file = tmp_path / "it.txt"
    plain = {"LC_ALL": "C"}
    program = [sys.executable, str(ending)]
    command("--lang", "pt", "run", "--trace", file, *program, code=3, env=plain)
    assert file.read_text().isascii()
    with Running(LASTING) as program:
        program.line()
        page = tmp_path / "it.html"
        pid = program.process.pid
        command("--lang", "pt", "trace", pid, "--seconds", "0.1", "-o", page)
        text = page.read_text()
    assert ", rodando</title>" in text
    assert ", running</title>" not in text


def is_observed(pid):
    """Whether a guest is among the members of that program."""
    done = subprocess.run(
        [COMMAND, "ps", str(pid), "--json"],
        capture_output=True,
        env={**os.environ, **UTF8},
        check=False,
    )
    return b'"guest"' in done.stdout


def test_a_signal_ends_the_recording_and_not_the_file(tmp_path):
    tarefa.Event()  # this process is the program
    file = tmp_path / "it.svg"
    observer = subprocess.Popen(
        [COMMAND, "trace", str(os.getpid()), "--seconds", "1000", "-o", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    eventually(is_traced)
    tarefa.Thread(target=len, args=("a",), name="short").start().join()
    observer.send_signal(signal.SIGINT)
    observer.communicate(timeout=50)
    assert observer.returncode == 0
    assert "short" in "".join(ET.parse(file).getroot().itertext())
    eventually(lambda: not is_traced())


def test_a_killed_observer_leaves_nothing(tmp_path):
    tarefa.Event()
    observer = subprocess.Popen(
        [COMMAND, "trace", str(os.getpid()), "--seconds", "1000", "-o", tmp_path / "it.json"]
    )
    eventually(is_traced)
    tarefa.Thread(target=len, args=("a",)).start().join()
    observer.kill()
    observer.wait()
    eventually(lambda: not is_traced())


def test_a_program_from_its_beginning(ending, tmp_path):
    file = tmp_path / "it.json"
    done = command("run", "--trace", file, sys.executable, ending, code=3)
    assert (done.stdout, done.stderr) == ("done\n", "")
    tasks = {e["args"]["worker"]: e for e in perfetto_rules.slices(file, "process")}
    assert tasks["first"]["args"]["ended"] == "returned"
    assert tasks["first"]["dur"] >= 10_000
    assert tasks["dead"]["args"]["ended"] == "SIGKILL"
    calls = perfetto_rules.slices(file, "call")
    assert [e["name"] for e in calls] == ["nap"] * 5


def test_programs_that_it_starts_are_followed(ending, tmp_path):
    file = tmp_path / "it.json"
    program = [sys.executable, ending, "again"]
    assert command("run", "--sampled", "--trace", file, *program, code=1).returncode == 1
    names = [e["args"]["worker"] for e in perfetto_rules.slices(file, "process")]
    assert sorted(names) == ["dead", "dead", "first", "first"]


def test_with_limits_and_without_anything_of_ours(tmp_path):
    file = tmp_path / "it.txt"
    limits = ["--limit-time", "50", "--limit-memory=1G", "--report-after=20"]
    done = command(
        "run", *limits, "--trace", file, "sh", "-c", "echo $TAREFA_REPORT_AFTER; exit 4", code=4
    )
    assert done.stdout == "20\n"
    assert "nothing ran" in file.read_text()
    assert "nothing was recorded" in done.stderr
    done = command("run", "--trace", file, "--limit-time=0.2", "sleep", "50", code=128 + 15)
    assert "has run for its limit of 0.2 s" in done.stderr
    assert command("run", "--trace", file, "no such thing", code=127).stderr


def test_wrong_arguments(tmp_path):
    pid = os.getpid()
    for wrong in (
        ["trace", pid],
        ["trace", pid, "-o", tmp_path / "it.png"],
        ["trace", pid, "-o", tmp_path / "it.json", "--seconds", "0"],
        ["trace", "-o", tmp_path / "it.json"],
        ["trace", pid, "-o", tmp_path / "no folder" / "it.json"],
        ["run", "--trace", tmp_path / "it", "true"],
        ["run", "--sampled", "true"],
        ["run", "--trace", tmp_path / "no folder" / "it.json", "true"],
    ):
        assert command(*wrong, code=2).stderr.startswith("tarefa: ")
    assert not is_traced()
    done = command("--lang=pt", "trace", 1 << 22, "-o", tmp_path / "it.json", code=2)
    assert "não existe o processo" in done.stderr
