"""`tarefa run`: a program with limits, which the command becomes."""

import signal
import sys
import sysconfig
from pathlib import Path

import pytest
from support import eventually, is_alive, run

COMMAND = str(Path(sysconfig.get_path("scripts"), "tarefa"))
UTF8 = {"LC_ALL": "C.UTF-8"}


def tarefa_run(*arguments, code=0, **rest):
    return run([COMMAND, "run", *arguments], code=code, env=UTF8, **rest)


def python(source):
    return [sys.executable, "-c", source]


def test_the_program_is_in_its_place():
    show = "import os, sys; print(sys.argv[1:], input(), os.getpid() == int(sys.argv[1]) or 'not')"
    done = tarefa_run(*python(show), "0", "--lang", "pt", "-x", stdin="hello\n")
    assert done.stdout == "['0', '--lang', 'pt', '-x'] hello not\n"
    assert done.stderr == ""
    assert tarefa_run(*python("raise SystemExit(7)"), code=7).stdout == ""
    assert tarefa_run("--", "echo", "--", "-n").stdout == "-- -n\n"


def test_what_cannot_be_executed():
    assert "no such thing" in tarefa_run("no such thing", code=127).stderr
    assert "/etc/passwd" in tarefa_run("/etc/passwd", code=126).stderr
    assert "PROGRAM" in tarefa_run(code=2).stderr


def test_a_program_whose_time_is_up_is_ended():
    done = tarefa_run("--limit-time", "0.2", "sleep", "50", code=-signal.SIGTERM)
    assert "sleep (pid " in done.stderr
    assert "has run for its limit of 0.2 s and is ended" in done.stderr
    told = run([COMMAND, "--lang=pt", "run", "--limit-time=0.2", "sleep", "50"], code=-15, env=UTF8)
    assert "rodou até o seu limite de 0.2 s" in told.stderr


def test_a_limit_on_time_is_for_what_the_program_has_started_as_well(tmp_path):
    file = tmp_path / "pids"
    source = f"sleep 1000 & setsid sleep 1000 & jobs -p > {file}; wait"
    tarefa_run("--limit-time", "1", "sh", "-c", source, code=-signal.SIGTERM)
    pids = [int(pid) for pid in file.read_text().split()]
    assert len(pids) == 2
    eventually(lambda: not any(is_alive(pid) for pid in pids))


def test_a_program_that_ends_in_time_notices_nothing():
    # It has no child that it has not made.
    show = "import os\ntry: os.wait()\nexcept ChildProcessError: print('no child')"
    done = tarefa_run("--limit-time", "50", *python(show))
    assert (done.stdout, done.stderr) == ("no child\n", "")
    assert tarefa_run("--limit-time=50", *python("raise SystemExit(3)"), code=3).stderr == ""


def test_memory_is_limited():
    take = "x = bytearray({} << 20); print(len(x))"
    done = tarefa_run("--limit-memory", "200M", *python(take.format(400)), code=1)
    assert "MemoryError" in done.stderr
    assert tarefa_run("--limit-memory=800M", *python(take.format(400))).stdout == "419430400\n"


def test_reports_of_long_waits():
    wait = """
import tarefa
lock = tarefa.Lock()
lock.acquire()
print(lock.acquire(timeout=0.8))
"""
    done = tarefa_run("--report-after", "0.1", *python(wait))
    assert done.stdout == "False\n"
    assert "tarefa: waits that last long: main program" in done.stderr


@pytest.mark.parametrize(
    "wrong", [["--limit-time", "0"], ["--limit-time=soon"], ["--limit-memory=-1"], ["--nothing"]]
)
def test_wrong_arguments(wrong):
    done = tarefa_run(*wrong, "true", code=2)
    assert done.stderr.startswith("tarefa: ")
    assert wrong[0].split("=")[0] in done.stderr


def test_pools_that_name_no_kind_have_that_one():
    show = (
        "import tarefa; pools = tarefa.Pool(1), tarefa.Pool(1, 'process'); "
        "print(*(pool.kind for pool in pools), *tarefa.map(int, '12'))"
    )
    assert tarefa_run("--kind", "thread", *python(show)).stdout == "thread process 1 2\n"
    assert tarefa_run(*python(show)).stdout == "process process 1 2\n"
    said = tarefa_run("--kind", "fork", "true", code=2).stderr
    assert "process" in said
    assert "auto" in said


def test_a_kind_that_is_none_is_told():
    done = run(python("import tarefa; tarefa.Pool(1)"), code=1, env={**UTF8, "TAREFA_KIND": "fork"})
    assert "TAREFA_KIND must be process, thread or auto, not" in done.stderr
