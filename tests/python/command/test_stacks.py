"""`tarefa stacks`: what all threads of a program do, asked from outside."""

import hashlib
import json
import os
import signal
import subprocess
import sysconfig
import threading
import time
from pathlib import Path

import pytest
from support import Running, eventually, run

import tarefa

COMMAND = str(Path(sysconfig.get_path("scripts"), "tarefa"))
UTF8 = {"LC_ALL": "C.UTF-8"}
HERE = str(os.getpid())


@pytest.fixture(scope="module", autouse=True)
def _asked_once():
    """This process has the file that its stacks go to before anything is counted."""
    keep = tarefa.Lock()
    eventually(lambda: threads()["MainThread"]["stack"])
    del keep


def look(*arguments, code=0, env=None):
    return run([COMMAND, "stacks", *arguments], code=code, env={**UTF8, **(env or {})}).stdout


def threads(pid=HERE, *arguments):
    """All threads of all processes, by the task's name, the thread's or the system's."""
    seen = json.loads(look(str(pid), "--json", *arguments))
    found = {}
    for process in seen["processes"]:
        for thread in process["threads"]:
            is_main = thread["tid"] == process["pid"]
            name = (is_main and process["task"]) or thread["task"] or thread["name"]
            found[name or thread["system_name"]] = thread
    return found


def functions(thread):
    return [frame["function"] for frame in thread["stack"] or ()]


def hold(ready, go):
    ready.set()
    deeper(go)


def deeper(go):
    go.wait()


def sleep_long(ready):
    ready.set()
    time.sleep(60)


def spin(ready, go):
    ready.set()
    while not go.is_set():
        sum(range(100))


def busy_in_c(ready):
    ready.set()
    hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 1 << 30)


def keeps_the_gil(ready):
    ready.set()
    sum(range(1 << 60))


class Tasks:
    """Tasks that run until the end of the `with`."""

    def __init__(self, *wanted):
        self.wanted = wanted

    def __enter__(self):
        self.tasks = []
        for kind, target, name, *arguments in self.wanted:
            ready = tarefa.Event()
            self.tasks.append(kind(target=target, args=(ready, *arguments), name=name).start())
            ready.wait()
        return self.tasks

    def __exit__(self, *_):
        for _, _, _, *arguments in self.wanted:
            for go in arguments:
                go.set()
        for task in self.tasks:
            if isinstance(task, tarefa.Process):
                task.kill()
            task.exception()


def test_all_threads_of_all_processes():
    go = tarefa.Event()
    plain = threading.Thread(target=hold, args=(tarefa.Event(), go), daemon=True)
    plain.start()
    with Tasks(
        (tarefa.Process, hold, "ana", go),
        (tarefa.Thread, hold, "rui", go),
        (tarefa.Process, sleep_long, "eva"),
        (tarefa.Process, spin, "ivo", go),
        (tarefa.Thread, spin, "leo", go),
    ):
        # Who gets no turn for a second has not answered, on a machine with other things to do.
        for name, function in (
            ("ana", "deeper"),
            ("rui", "deeper"),
            ("ivo", "spin"),
            ("leo", "spin"),
            ("eva", "sleep_long"),
            ("MainThread", "test_all_threads_of_all_processes"),
        ):
            eventually(lambda n=name, f=function: f in functions(threads()[n]))
        ana = eventually(lambda: (it := threads()["ana"])["stack"] and it)
        where = next(frame for frame in ana["stack"] if frame["function"] == "deeper")
        assert where["file"] == __file__
        assert where["line"] == deeper.__code__.co_firstlineno + 1
        line = f"{Path(__file__).name}:{where['line']} in deeper"
        text = eventually(lambda: line in (text := look(HERE)) and text)
        assert max(map(len, text.splitlines())) <= 80
        # A thread that has nothing to do with tarefa is one, too.
        assert str(plain.native_id) in text
        go.set()
    plain.join()


def test_what_the_system_says():
    with Tasks((tarefa.Process, sleep_long, "eva")) as (process,):
        knows = Path(f"/proc/{process.pid}/wchan").read_text() not in ("", "0")

        def sleeping():
            it = threads()["eva"]
            return it["state"] == "S" and (it["kernel"] or not knows) and it

        eva = eventually(sleeping)
        assert eva["tid"] == process.pid
        assert eva["system_call"] in (None, "clock_nanosleep", "pselect6", "select")
        assert any(word in (eva["kernel"] or "sleep") for word in ("sleep", "poll", "select"))
        unasked = threads(HERE, "--no-stacks")
        assert unasked["eva"]["stack"] is None
        assert unasked["eva"]["unknown_because"] == "not_asked"


def test_a_member_that_is_stopped_or_busy_is_not_waited_for():
    with Tasks(
        (tarefa.Process, sleep_long, "eva"),
        (tarefa.Process, busy_in_c, "max"),
        (tarefa.Process, keeps_the_gil, "gil"),
    ) as (stopped, *_):
        os.kill(stopped.pid, signal.SIGSTOP)
        eventually(lambda: threads()["eva"]["unknown_because"] == "stopped")
        eventually(lambda: functions(threads()["max"])[:1] == ["busy_in_c"])
        eventually(lambda: functions(threads()["gil"])[:1] == ["keeps_the_gil"])
        assert "(stopped: it answers to nobody)" in look(HERE)
        assert "(parado: não responde a ninguém)" in look(HERE, "--lang=pt")
        os.kill(stopped.pid, signal.SIGCONT)
        eventually(lambda: threads()["eva"]["stack"])


def test_a_thread_that_blocks_signals_is_told_as_such():
    ready, go = threading.Event(), threading.Event()

    def deaf():
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
        ready.set()
        go.wait()

    keep = tarefa.Lock()
    thread = threading.Thread(target=deaf)
    thread.start()
    ready.wait()
    seen = json.loads(look(HERE, "--json"))
    (found,) = [it for it in seen["processes"][0]["threads"] if it["tid"] == thread.native_id]
    assert found["unknown_because"] == "blocks_the_signal"
    go.set()
    thread.join()
    del keep


def test_names_beyond_ascii():
    program = """
        import tarefa
        keep = tarefa.Lock()
        def função():
            print("here", flush=True)
            input()
        função()
    """
    with Running(program) as running:
        assert running.line() == "here"
        pid = str(running.process.pid)

        def main():
            return functions(json.loads(look(pid, "--json"))["processes"][0]["threads"][0])

        eventually(lambda: main() == ["função", "<module>"])
        plain = look(pid, env={"LC_ALL": "C"})
        assert plain.isascii()
        assert "in funcao" in plain


def test_observers_that_are_killed_leave_nothing():
    go = tarefa.Event()
    with Tasks((tarefa.Process, spin, "ivo", go), (tarefa.Process, sleep_long, "eva")):
        for i in range(20):
            observer = subprocess.Popen(
                [COMMAND, "stacks", HERE], stdout=subprocess.DEVNULL, env={**os.environ, **UTF8}
            )
            try:
                observer.wait(0.003 * i)
            except subprocess.TimeoutExpired:
                observer.kill()
            observer.wait()
        # All answer as before.
        eventually(lambda: functions(threads()["eva"])[:1] == ["sleep_long"])
        eventually(lambda: "spin" in functions(threads()["ivo"]))
        go.set()


def test_members_that_die_while_they_are_asked():
    go = tarefa.Event()
    for i in range(8):
        with Tasks((tarefa.Process, spin, "ivo", go)) as (task,):
            observer = subprocess.Popen(
                [COMMAND, "stacks", HERE, "--json"],
                stdout=subprocess.PIPE,
                env={**os.environ, **UTF8},
            )
            time.sleep(0.004 * i)
            task.kill()
            text, _ = observer.communicate()
            assert observer.returncode == 0
            assert json.loads(text)["pid"] == os.getpid()


def test_two_observers_at_once_and_the_program_itself():
    go = tarefa.Event()
    with Tasks((tarefa.Process, spin, "ivo", go), (tarefa.Process, sleep_long, "eva")) as tasks:
        observers = [
            subprocess.Popen(
                [COMMAND, "stacks", HERE, "--json"],
                stdout=subprocess.PIPE,
                env={**os.environ, **UTF8},
            )
            for _ in range(4)
        ]
        for _ in range(5):
            eventually(lambda: "sleep_long" in str(tasks[1].context().stack))
        for observer in observers:
            text, _ = observer.communicate()
            names = {it["task"] for it in json.loads(text)["processes"]}
            assert {"ivo", "eva"} <= names
        go.set()


def test_what_is_wrong_is_told():
    done = run([COMMAND, "stacks", "999999999"], code=2, env=UTF8)
    assert done.stderr.startswith("tarefa: there is no process 999999999;")
    assert "PID" in run([COMMAND, "stacks"], code=2, env=UTF8).stderr
