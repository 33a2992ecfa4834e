"""`tarefa top`: a running program on the screen, in a pseudo-terminal."""

import json
import os
import re
import signal
import subprocess
import sysconfig
import time
from pathlib import Path

import pytest
from pseudo_terminal import Terminal
from support import Running, eventually, run

import tarefa

pytestmark = pytest.mark.once("the command is Rust's, and reads shared memory")

COMMAND = str(Path(sysconfig.get_path("scripts"), "tarefa"))
UTF8 = {"LC_ALL": "C.UTF-8"}
HERE = str(os.getpid())


def top(*arguments, env=None, **rest):
    command = [COMMAND, "top", HERE, "--every", "0.1", *arguments]
    return Terminal(command, env={**UTF8, **(env or {})}, **rest)


def asked_once():
    """This process has the file that its stacks go to before anything is counted."""
    keep = tarefa.Lock()

    def answers():
        seen = json.loads(run([COMMAND, "stacks", HERE, "--json"], env=UTF8).stdout)
        return seen["processes"][0]["threads"][0]["stack"]

    eventually(answers)
    del keep


_asked_once = pytest.fixture(scope="module", autouse=True)(asked_once)


def hold(ready, go):
    ready.set()
    go.wait()


def sleep_long(ready, go):
    ready.set()
    time.sleep(60)


def spin(ready, go):
    ready.set()
    while not go.is_set():
        sum(range(100))


def hold_lock(ready, go, lock):
    with lock:
        ready.set()
        go.wait()


def take_lock(ready, go, lock):
    ready.set()
    with lock:
        pass


class Tasks:
    """Tasks that run until the end of the `with`: kind, target, name, arguments."""

    def __init__(self, *wanted):
        self.wanted = wanted

    def __enter__(self):
        self.go, self.tasks = tarefa.Event(), []
        for kind, target, name, *rest in self.wanted:
            ready = tarefa.Event()
            task = kind(target=target, args=(ready, self.go, *rest), name=name).start()
            ready.wait()
            self.tasks.append(task)
        return self.tasks

    def __exit__(self, *_):
        self.go.set()
        for task in self.tasks:
            if isinstance(task, tarefa.Process):
                task.kill()
            task.exception()


def row(lines, name):
    return next(i for i, line in enumerate(lines) if re.search(rf"\b{name}\b", line))


def test_tasks_are_shown_sorted_and_filtered():
    with (
        Tasks(
            (tarefa.Process, spin, "ivo"),
            (tarefa.Process, sleep_long, "eva"),
            (tarefa.Thread, hold, "rui"),
        ),
        top() as terminal,
    ):
        lines = terminal.shows("ivo", "└ rui", "in sleep_long", "waits for Event", "in spin")
        assert f"tarefa top {HERE}" in lines[0]
        assert "3 tasks in " in lines[1]
        # By CPU at first.
        eventually(lambda: row(terminal.lines(), "ivo") < row(terminal.lines(), "eva"))
        terminal.send("ss")
        lines = terminal.shows("by name")
        assert row(lines, "eva") < row(lines, "ivo")
        terminal.send("r")
        eventually(lambda: row(terminal.lines(), "ivo") < row(terminal.lines(), "eva"))
        terminal.send("/EVA\r")
        eventually(lambda: not any("ivo" in line for line in terminal.lines()))
        terminal.send("?")
        terminal.shows("any key goes back")
        terminal.send("xq")
        terminal.ended()
        assert terminal.is_restored()


def test_locks_queues_and_pools():
    lock, queue = tarefa.Lock(), tarefa.Queue(maxsize=5)
    for i in range(3):
        queue.put(i)
    name = f"Lock {lock.object_id[1]}"
    with (
        Tasks(
            (tarefa.Process, hold_lock, "ana", lock),
            (tarefa.Process, take_lock, "eva", lock),
        ),
        tarefa.Pool(1) as pool,
    ):
        sleeper = pool.submit(time.sleep, 60)
        with top() as terminal:
            terminal.send("\t")
            terminal.shows(
                f"{name}  held by ana  1 waits: eva", "3 of 5 in it", "1 of 1 workers busy"
            )
            terminal.send("\x03")
            terminal.ended()
        seen = json.loads(run([COMMAND, "top", HERE, "--json"], env=UTF8).stdout)
        held = next(it for it in seen["locks"] if it["object"] == name)
        assert (held["owners"], held["waiters"]) == (["ana"], ["eva"])
        assert {"length": 3, "maxsize": 5}.items() <= max(
            seen["queues"], key=lambda it: it["maxsize"] == 5
        ).items()
        (found,) = seen["pools"]
        assert (found["workers"], found["busy"], found["begun"]) == (1, 1, 1)
        assert not seen["deadlock"]
        sleeper.cancel(kill=True)


def test_a_task_is_interrupted_and_one_killed():
    with (
        Tasks(
            (tarefa.Process, sleep_long, "eva"),
            (tarefa.Process, sleep_long, "ana"),
            (tarefa.Thread, hold, "rui"),
        ) as (eva, ana, _),
        top() as terminal,
    ):
        terminal.shows("eva", "ana")
        terminal.send("/eva\rk")
        terminal.shows(f"kill eva ({eva.pid})? y/n")
        terminal.send("n")
        terminal.shows("q quit")
        assert eva.is_alive()
        terminal.send("i")
        terminal.shows(f"interrupt eva ({eva.pid})? y/n")
        terminal.send("y")
        terminal.shows("eva interrupted")
        assert isinstance(eva.exception(), tarefa.TaskInterrupted)
        terminal.send("\x1b")
        terminal.shows("└ rui")
        terminal.send("/rui\rky")
        terminal.shows("a thread cannot be ended alone")
        terminal.send("\x1b")
        terminal.shows("ana")
        terminal.send("/ana\rky")
        terminal.shows("ana killed")
        died = ana.exception()
        assert isinstance(died, tarefa.WorkerDied)
        assert died.signal == signal.SIGKILL
        terminal.send("\x03")
        terminal.ended()
        assert terminal.is_restored()


def test_a_program_that_ends_while_it_is_looked_at():
    program = """
        import tarefa, time
        keep = tarefa.Lock()
        print("here", flush=True)
        time.sleep(60)
    """
    with Running(program) as running:
        assert running.line() == "here"
        command = [COMMAND, "top", str(running.process.pid), "--every", "0.1"]
        with Terminal(command, env=UTF8) as terminal:
            terminal.shows("main program")
            running.process.kill()
            assert f"program {running.process.pid} has ended" in terminal.ended()
            assert terminal.is_restored()


def test_a_narrow_terminal_and_another_size():
    with (
        Tasks((tarefa.Process, hold, "ana"), (tarefa.Thread, hold, "rui")),
        top(columns=40, rows=12) as terminal,
    ):
        lines = terminal.shows("ana", "rui")
        assert max(map(len, lines)) <= 40
        assert len(lines) <= 12
        terminal.resize(120, 40)
        lines = terminal.shows("MEMORY", "ana", "k kill")
        assert len(lines) == 40
        terminal.resize(20, 5)
        terminal.shows("tarefa top")
        terminal.signal()
        terminal.ended(128 + signal.SIGTERM)
        assert terminal.is_restored()


def test_a_locale_without_unicode_and_portuguese():
    with (
        Tasks((tarefa.Process, hold, "função"), (tarefa.Thread, hold, "rui")),
        top("--lang=pt", env={"LC_ALL": "C"}) as terminal,
    ):
        terminal.shows("funcao", "ESTADO", "espera por Event", "? ajuda")
        terminal.send("q")
        assert terminal.ended().isascii()


def test_without_a_terminal_it_says_so():
    keep = tarefa.Lock()
    done = run([COMMAND, "top", HERE], code=2, env=UTF8)
    assert done.stderr.startswith("tarefa: top needs a terminal;")
    assert f"tarefa ps {HERE}" in done.stderr
    told = run([COMMAND, "top", HERE, "--lang=pt"], code=2, env=UTF8).stderr
    assert told.startswith("tarefa: top precisa de um terminal;")
    assert "no process 999999999" in run([COMMAND, "top", "999999999"], code=2, env=UTF8).stderr
    assert '"0"' in run([COMMAND, "top", HERE, "--every", "0"], code=2, env=UTF8).stderr
    del keep


def test_nobody_is_asked_where_nobody_wants_it():
    with Tasks((tarefa.Process, sleep_long, "eva")):
        seen = json.loads(run([COMMAND, "top", HERE, "--json", "--no-stacks"], env=UTF8).stdout)
        (eva,) = [it for it in seen["tasks"] if it["name"] == "eva"]
        assert eva["stands"] == ""
        asked = json.loads(run([COMMAND, "top", HERE, "--json"], env=UTF8).stdout)
        (eva,) = [it for it in asked["tasks"] if it["name"] == "eva"]
        assert eva["stands"].endswith("in sleep_long") or eva["stands"] == "no answer"


def test_a_killed_observer_leaves_nothing():
    with Tasks((tarefa.Process, spin, "ivo"), (tarefa.Thread, hold, "rui")):
        for i in range(4):
            with top() as terminal:
                terminal.shows("ivo") if i % 2 else time.sleep(0.01 * i)
                terminal.signal(signal.SIGKILL)
        killed = terminal.process.pid

        def cleaned_up():
            seen = json.loads(run([COMMAND, "memory", HERE, "--json"], env=UTF8).stdout)
            return killed not in {it["pid"] for it in seen["owners"]}

        eventually(cleaned_up)
        text = subprocess.run(
            [COMMAND, "stacks", HERE], capture_output=True, text=True, check=True
        ).stdout
        assert "ivo" in text
