"""`tarefa ps`, `locks` and `memory`: a running program, looked at from outside."""

import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import sysconfig
import termios
import xml.etree.ElementTree as ET
from fcntl import ioctl
from pathlib import Path

import pytest
from support import eventually, run, waited_for

import tarefa

COMMAND = str(Path(sysconfig.get_path("scripts"), "tarefa"))
UTF8 = {"LC_ALL": "C.UTF-8"}
HERE = str(os.getpid())


def look(*arguments, code=0, env=None):
    return run([COMMAND, *arguments], code=code, env={**UTF8, **(env or {})}).stdout


def report(*arguments, code=0):
    return json.loads(look(*arguments, "--json", code=code))


def take(lock, ready, other=None, go=None):
    with lock:
        ready.set()
        if go is not None:
            go.wait()
        if other is not None:
            with other:
                pass


def hold(ready, go):
    ready.set()
    go.wait()


class Waiting:
    """Tasks of both kinds that wait until the end of the `with`."""

    def __enter__(self):
        self.go = tarefa.Event()
        self.tasks = []
        for name, kind in (("ana", tarefa.Process), ("rui", tarefa.Thread)):
            ready = tarefa.Event()
            self.tasks.append(kind(target=hold, args=(ready, self.go), name=name).start())
            ready.wait()
        # What says that it is there may still be on its way to its wait.
        waited_for(self.go, len(self.tasks))
        return self.tasks

    def __exit__(self, *_):
        self.go.set()
        for task in self.tasks:
            task.join()


def test_the_programs_that_run():
    with Waiting() as (process, _):
        found = [it for it in report("ps") if it["pid"] == os.getpid()]
        assert len(found) == 1
        assert found[0]["tasks"] == 2
        assert {os.getpid(), process.pid} <= set(found[0]["processes"])
        assert found[0]["root_lives"]
        assert found[0]["shared_bytes"] > 0
        lines = look("ps").splitlines()
        assert max(map(len, lines)) <= 80
        assert any(line.split()[:2] == [HERE, "2"] for line in lines)


def test_the_tasks_of_one():
    with Waiting() as (process, thread):
        seen = {}
        for pid in (HERE, str(process.pid)):
            seen = report("ps", pid)
            assert seen["pid"] == os.getpid()
        tasks = {it["task"]: it for it in seen["processes"] if it["task"]}
        assert tasks["ana"]["pid"] == process.pid
        assert tasks["ana"]["role"] == "task"
        main = seen["processes"][0]
        assert (main["role"], main["pid"]) == ("main", os.getpid())
        assert [it["tid"] for it in main["threads"] if it["task"] == "rui"] == [thread.native_id]
        waits = tasks["ana"]["threads"][0]
        assert re.fullmatch(r"Event \d+", waits["waits_for"][0])
        assert re.search(r"test_looking\.py:\d+ in hold$", waits["place"])
        text = look("ps", HERE)
        # It may still look before it sleeps: the state is the kernel's.
        assert re.search(rf"(?m)^ *{process.pid}  ana +process  \w+ .* waits for Event ", text)
        assert "└ rui" in text
        assert "main program" in text
        in_portuguese = look("--lang=pt", "ps", HERE, env={"LC_ALL": "C"})
        assert in_portuguese.isascii()
        assert "espera por Event" in in_portuguese
        assert max(map(len, text.splitlines())) <= 80


@pytest.fixture
def deadlock():
    """Two tasks that wait for each other's locks."""
    locks, readies = [tarefa.Lock() for _ in "ab"], [tarefa.Event() for _ in "ab"]
    go = tarefa.Event()
    kinds = (tarefa.Process, tarefa.Thread)
    tasks = [
        kind(target=take, args=(locks[i], readies[i], locks[1 - i], go), name=f"task <{i}>").start()
        for i, kind in enumerate(kinds)
    ]
    for ready in readies:
        ready.wait()
    go.set()
    eventually(lambda: bool(tarefa.deadlocks()))
    yield locks
    for task in tasks:
        eventually(lambda task=task: task.kill() or task.join(0.2) or not task.is_alive())
        task.exception()


def test_a_deadlock_is_found(deadlock, tmp_path):
    names = [f"Lock {lock.object_id[1]}" for lock in deadlock]
    picture = tmp_path / "locks.svg"
    seen = json.loads(look("locks", HERE, "--json", "--svg", str(picture), code=1))
    assert seen["deadlock"]
    assert seen["pid"] == os.getpid()
    (cycle,) = seen["cycles"]
    for index in cycle:
        thread = seen["threads"][index]
        other = seen["threads"][cycle[1 - cycle.index(index)]]
        (thing,) = thread["waits"]["for"]
        assert thing["object"] == other["holds"][0]["object"]
        assert thing["held_by"] == [seen["threads"].index(other)]
        assert re.search(r"test_looking\.py:\d+ in take$", thread["place"])
    text = ET.parse(picture).getroot()
    drawn = " ".join(text.itertext())
    assert all(name in drawn for name in names)
    assert "process 'task <0>'" in drawn
    english = look("locks", HERE, code=1)
    assert english.startswith("deadlock: 2 threads wait for one another\n")
    assert all(f"waits for {name} for " in english for name in names)
    portuguese = look("locks", HERE, "--lang", "pt", code=1)
    assert portuguese.startswith("deadlock: 2 threads esperam umas pelas outras\n")
    assert all(f"segura {name} há " in portuguese for name in names)
    assert "programa principal" in portuguese
    assert len(portuguese.splitlines()) == len(english.splitlines())


def test_without_a_deadlock_the_code_is_0():
    with Waiting():
        seen = report("locks", HERE)
        assert (seen["deadlock"], seen["cycles"]) == (False, [])
        names = {thing["object"].split()[0] for t in seen["threads"] for thing in t["waits"]["for"]}
        assert "Event" in names
        assert look("locks", HERE).startswith("no deadlock\nwho waits\n")
        assert look("locks", HERE, "--lang=pt").startswith("não há deadlock\nquem espera\n")


def test_what_the_memory_holds():
    numbers = tarefa.List(range(20_000))
    words = tarefa.List([f"{i:0200}" for i in range(5_000)])
    array = tarefa.Array("d", 500_000)
    of_numbers, of_words = (f"List {it.object_id[1]}" for it in (numbers, words))
    with Waiting() as (process, _):
        seen = report("memory", HERE)
    largest = {it["object"]: it["bytes"] for it in seen["largest"]}
    assert 4_000_000 <= seen["largest"][0]["bytes"] < 4_300_000  # the array
    assert seen["largest"][0]["kind"] == "Array"
    assert 1_000_000 <= largest[of_words] < 2_000_000
    assert 160_000 <= largest[of_numbers] < 400_000
    by_kind = {it["kind"]: it for it in seen["kinds"]}
    assert by_kind["List"]["bytes"] >= largest[of_words] + largest[of_numbers]
    assert by_kind["Array"]["count"] >= 1
    assert sum(it["bytes"] for it in seen["kinds"]) <= seen["claimed"] <= seen["limit"]
    owners = {it["pid"]: it for it in seen["owners"]}
    assert owners[os.getpid()]["bytes"] > 5_000_000
    assert process.pid in owners
    text = look("memory", HERE)
    assert max(map(len, text.splitlines())) <= 80
    assert of_words in text
    assert "\x1b" not in text
    assert "memória compartilhada" in look("memory", HERE, "--lang=pt")
    del array


def test_what_cannot_be_looked_at_is_told():
    for command in ("ps", "locks", "memory"):
        done = run([COMMAND, command, "999999999"], code=2, env=UTF8)
        assert done.stderr.startswith("tarefa: there is no process 999999999;")
    with subprocess.Popen(["sleep", "60"]) as other:
        done = run([COMMAND, "locks", str(other.pid)], code=2, env=UTF8)
        assert f"process {other.pid} (sleep) has no shared object and no task" in done.stderr
        told = run([COMMAND, "locks", str(other.pid), "--lang=pt"], code=2, env=UTF8).stderr
        assert f"o processo {other.pid} (sleep) não tem objeto" in told
        other.kill()
    for wrong in ("0", "-3", "x"):
        assert f'"{wrong}"' in run([COMMAND, "memory", "--", wrong], code=2, env=UTF8).stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only the system's root becomes another user")
def test_another_user_s_program_is_refused_by_name():
    with subprocess.Popen(["sleep", "60"], user=65534) as other:
        # Until it has become sleep it may still look like this process.
        eventually(lambda: Path(f"/proc/{other.pid}/comm").read_text() == "sleep\n")
        done = run([COMMAND, "ps", str(other.pid)], code=2, env=UTF8)
        told = f"process {other.pid} (sleep) belongs to nobody, and you are root: "
        assert told in done.stderr
        other.kill()


def test_observers_that_are_killed_leave_nothing():
    words = tarefa.List(["x" * 100] * 20_000)
    with Waiting():
        before = report("memory", HERE)
        observers = set()
        for i in range(12):
            observer = subprocess.Popen(
                [COMMAND, ("memory", "locks", "ps")[i % 3], HERE],
                stdout=subprocess.DEVNULL,
                env={**os.environ, **UTF8},
            )
            observers.add(observer.pid)
            try:
                observer.wait(0.002 * i)
            except subprocess.TimeoutExpired:
                observer.send_signal(signal.SIGKILL)
            observer.wait()
        after = report("memory", HERE)
    assert after["largest"] == before["largest"]
    # No observer is among its processes.
    pids = {it["pid"] for it in after["owners"]}
    assert observers.isdisjoint(pids)
    assert len(words) == 20_000


def test_members_that_die_while_they_are_looked_at():
    ready = tarefa.Event()
    for i in range(10):
        lock = tarefa.Lock()
        ready.clear()
        task = tarefa.Process(target=take, args=(lock, ready, None, tarefa.Event())).start()
        ready.wait()
        observer = subprocess.Popen(
            [COMMAND, ("locks", "memory", "ps")[i % 3], HERE, "--json"],
            stdout=subprocess.PIPE,
            env={**os.environ, **UTF8},
        )
        task.kill()
        text, _ = observer.communicate()
        assert observer.returncode == 0
        assert json.loads(text)["pid"] == os.getpid()
        task.exception()


def test_a_program_that_has_ended_is_not_there():
    script = "import tarefa, os; keep = tarefa.Lock(); print(os.getpid(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        pid = program.stdout.readline().strip()
        assert report("ps", pid)["pid"] == int(pid)
        program.communicate("\n")
    assert all(it["pid"] != int(pid) for it in report("ps"))
    assert "there is no process" in run([COMMAND, "locks", pid], code=2, env=UTF8).stderr


def in_terminal(*arguments, columns=80):
    """What the command writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {**os.environ, **UTF8, "TERM": "xterm"}
    env.pop("COLUMNS", None)
    env.pop("NO_COLOR", None)
    with subprocess.Popen([COMMAND, *arguments], stdout=theirs, stdin=theirs, env=env) as process:
        os.close(theirs)
        text = b""
        while True:
            try:
                text += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    assert process.returncode == 0
    return text.decode().replace("\r\n", "\n")


def test_a_terminal_has_colours_and_a_width():
    with Waiting():
        text = in_terminal("memory", HERE)
        assert "\x1b[1mby kind\x1b[0m" in text
        wide, narrow = (in_terminal("ps", HERE, columns=c).splitlines() for c in (200, 60))
        assert "test_looking.py" in " ".join(wide)
        assert max(map(len, narrow[:-1])) <= 60
        assert in_terminal("ps", columns=40)


@pytest.mark.parametrize("columns", [40, 60, 80])
@pytest.mark.parametrize("language", ["en", "pt"])
def test_reports_fit_the_terminal(columns, language):
    ends = {"en": r"wait|held|alone", "pt": r"esper|est.|s. ele"}[language]
    with Waiting(), tarefa.Pool(2, name="a pool with a long name") as pool:
        pool.submit(pow, 2, 2).result()
        for command in ("locks", "ps", "memory", "stacks --no-stacks"):
            text = in_terminal(*command.split(), HERE, "--lang", language, columns=columns)
            lines = re.sub(r"\x1b\[\d*m", "", text).splitlines()
            assert max(map(len, lines)) <= columns, (command, text)
            # A word that fits is not broken: the words of the longer line are there.
            if command == "locks":
                assert re.search(ends, text)
                assert "MainThread" in text or "principal" in text
        rows = in_terminal("ps", HERE, "--lang", language, columns=columns).splitlines()
        # A row is a line, whatever there is room for.
        assert len([row for row in rows if "└ rui" in row]) == 1
        assert any(row.split()[0] == HERE for row in rows)


def test_a_worker_without_work_waits_for_work():
    with tarefa.Pool(1, name="idle") as pool:
        pool.submit(pow, 2, 2).result()
        waits = r"process 'idle-1' .*\n +waits for work from Queue \d+ for [\d.]+ s\n"
        eventually(lambda: re.search(waits, look("locks", HERE)))
        text = look("locks", HERE)
        assert "<string>" not in text
        assert "threading.py" not in text
        assert "espera por trabalho" in look("locks", HERE, "--lang", "pt")
        assert "waits for work" in look("ps", HERE)


def test_a_name_is_no_command_to_the_terminal(tmp_path):
    go = tarefa.Event()
    names = ["x<1>\x1b[31m", "y&\n2"]
    tasks = [tarefa.Thread(target=hold, args=(tarefa.Event(), go), name=n).start() for n in names]
    waited_for(go, len(tasks))
    for command in ("locks", "ps", "stacks --no-stacks", "memory"):
        text = look(*command.split(), HERE)
        assert "\x1b" not in text
        assert all(line.isprintable() for line in text.splitlines())
    picture = tmp_path / "locks.svg"
    text = look("locks", HERE, "--svg", str(picture))
    assert "thread 'x<1> [31m'\n" in text
    assert "thread 'y& 2'\n" in text
    ET.parse(picture)
    report = tarefa.deadlocks()
    assert "\x1b" not in str(report) + report._repr_html_() + tarefa.table(tasks)._repr_html_()
    with tarefa.timeline() as timeline:
        tarefa.Thread(target=abs, args=(1,), name=names[0]).start().join()
    written = tmp_path / "it.txt"
    timeline.save(str(written))
    assert "\x1b" not in written.read_text()
    go.set()
    for task in tasks:
        task.join()


def test_portuguese_is_whole():
    with Waiting():
        waits = look("locks", HERE, "--lang", "pt")
        assert "(pid" in waits
        for word in ("process '", "MainThread", "main program", "waits"):
            assert word not in waits
        assert re.search(r"espera por Event \d+ há \d+,\d s", waits)
        memory = look("memory", HERE, "--lang", "pt")
        assert "programa principal" in memory
        assert "main program" not in memory
        assert not re.search(r"\d\.\d", memory)
        assert not re.search(r"\d\.\d\d s", look("ps", HERE, "--lang", "pt"))
        assert "programa principal" in look("ps", HERE, "--lang", "pt")


@pytest.mark.parametrize("pid", ["abc", "0", "99999999999"])
def test_what_is_no_process_s_number_is_told(pid):
    told = run([COMMAND, "ps", pid], code=2, env=UTF8).stderr
    assert "a process's number is wanted" in told
    told = run([COMMAND, "ps", pid, "--lang", "pt"], code=2, env=UTF8).stderr
    assert "quer-se o número de um processo" in told
    assert "invalid" not in told


def test_completions_know_the_commands():
    if shutil.which("bash"):
        text = look("completions", "bash")
        assert all(name in text for name in ("ps", "locks", "memory", "--svg"))
