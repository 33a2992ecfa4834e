"""Killed while it works.

A task, the zygote, the root; Ctrl-C in a terminal; a module that starts threads.
"""

import errno
import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import textwrap

import pytest
import targets
from support import (
    Running,
    assert_nothing_left,
    eventually,
    is_alive,
    marked_environment,
    run_script,
)

import tarefa
from tarefa import State, WorkerDied


@pytest.mark.parametrize(
    ("die", "text", "exitcode"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "SIGKILL", -9),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), "SIGTERM", -15),
        (lambda: __import__("ctypes").string_at(0), "SIGSEGV", -11),
        (os.abort, "SIGABRT", -6),
        (lambda: os._exit(7), "7", 7),
        (lambda: os._exit(0), "0", 0),
    ],
    ids=["SIGKILL", "SIGTERM", "SIGSEGV", "SIGABRT", "exit 7", "exit 0"],
)
def test_a_death_is_an_error_with_pid_and_cause(die, text, exitcode):
    task = tarefa.Process(target=die, name="morta").start()
    with pytest.raises(WorkerDied) as caught:
        task.result()
    assert text in str(caught.value)
    assert str(task.pid) in str(caught.value)
    assert "morta" in str(caught.value)
    assert (task.state, task.exitcode) == (State.KILLED, exitcode)


def test_killed_from_outside_while_it_waits():
    task = tarefa.Process(target=tarefa.Event().wait).start()
    eventually(lambda: task.pid)
    os.kill(task.pid, signal.SIGKILL)
    assert isinstance(task.exception(), WorkerDied)
    assert not task.is_alive()


def test_many_killed_at_once():
    tasks = [tarefa.Process(target=tarefa.Event().wait).start() for _ in range(16)]
    for task in tasks:
        task.kill()
    assert all(isinstance(task.exception(), WorkerDied) for task in tasks)


def test_killed_right_after_the_start():
    for _ in range(20):
        task = tarefa.Process(target=targets.add, args=(1,)).start()
        task.kill()
        task.join()
        assert task.state in (State.KILLED, State.FINISHED)


def test_a_stopped_process_can_be_killed():
    task = tarefa.Process(target=tarefa.Event().wait).start()
    os.kill(task.pid, signal.SIGSTOP)
    task.kill()
    assert isinstance(task.exception(), WorkerDied)


def test_the_memory_of_the_dead_is_in_the_text():
    def grow_and_die():
        block = b"x" * (80 << 20)
        os.kill(os.getpid(), signal.SIGKILL)
        return block

    error = tarefa.Process(target=grow_and_die).start().exception()
    assert re.search(r"\d+(\.\d+)? ?[KMG]i?B", str(error)), error


def test_the_zygote_dies_tasks_go_on_and_the_next_start_makes_a_new_one():
    done = run_script("""
        import os, signal, time, tarefa
        ready, go, l = tarefa.Event(), tarefa.Event(), tarefa.List()
        def hold():
            ready.set(); go.wait(); l.append("went on"); return 1
        p = tarefa.Process(target=hold).start(); ready.wait()
        first = tarefa._engine.diagnostics()["zygote_pid"]
        os.kill(first, signal.SIGKILL); time.sleep(.3)
        assert p.is_alive(), p.state
        assert tarefa.Process(target=lambda: 2).start().result() == 2
        second = tarefa._engine.diagnostics()["zygote_pid"]
        assert second != first, (first, second)
        go.set()
        assert p.result() == 1 and l == ["went on"]
        print("all well")
    """)
    assert "all well" in done.stdout


def test_the_zygote_dies_again_and_again():
    done = run_script("""
        import os, signal, tarefa
        killed = set()
        while len(killed) < 6:
            n = len(killed)
            assert tarefa.Process(target=lambda: n).start().result() == n
            # None while there is none: the task ran in a process that was ready.
            pid = tarefa._engine.diagnostics()["zygote_pid"]
            if pid and pid not in killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        assert tarefa.Process(target=lambda: 9).start().result() == 9
        print("all well")
    """)
    assert "all well" in done.stdout


def test_a_task_orphaned_by_its_zygote_can_still_be_killed_and_its_death_seen():
    done = run_script("""
        import os, signal, time, tarefa
        ready = tarefa.Event()
        def hold(): ready.set(); time.sleep(1000)
        p = tarefa.Process(target=hold).start(); ready.wait()
        os.kill(tarefa._engine.diagnostics()["zygote_pid"], signal.SIGKILL); time.sleep(.1)
        p.kill()
        assert isinstance(p.exception(), tarefa.WorkerDied)
        assert p.state.name == "KILLED"
        print("all well")
    """)
    assert "all well" in done.stdout


def test_a_task_starts_tasks_when_the_zygote_is_dead():
    done = run_script("""
        import os, signal, tarefa
        ready, go = tarefa.Event(), tarefa.Event()
        def outer():
            ready.set(); go.wait()
            return tarefa.Process(target=lambda: 5).start().result()
        p = tarefa.Process(target=outer).start(); ready.wait()
        os.kill(tarefa._engine.diagnostics()["zygote_pid"], signal.SIGKILL)
        go.set()
        assert p.result() == 5
        print("all well")
    """)
    assert "all well" in done.stdout


def test_the_root_dies_and_everything_ends():
    source = """
        import tarefa, time
        ready = tarefa.List()
        def inner(): ready.append(1); time.sleep(1000)
        def outer():
            t = tarefa.Process(target=inner).start(); ready.append(1); t.join()
        ps = [tarefa.Process(target=outer).start() for _ in range(3)]
        while len(ready) < 6: time.sleep(.01)
        known = tarefa._engine.diagnostics()
        print(*[p.pid for p in ps], *known["pids"], flush=True)
        time.sleep(1000)
    """
    with Running(source) as script:
        pids = [int(pid) for pid in script.line().split()]
        assert len(pids) >= 4
        script.process.kill()
        script.process.wait()
        eventually(lambda: not any(map(is_alive, pids)), seconds=5)
        assert_nothing_left(script.mark)


def test_a_root_that_ends_by_a_signal_leaves_nothing():
    source = """
        import tarefa, time
        ready = tarefa.Event()
        def hold(): ready.set(); time.sleep(1000)
        tarefa.Process(target=hold).start(); ready.wait()
        print("ready", flush=True); time.sleep(1000)
    """
    with Running(source) as script:
        assert script.line() == "ready"
        script.process.terminate()
        assert script.process.wait() == -signal.SIGTERM
        assert_nothing_left(script.mark)


class Terminal:
    """A script with a terminal of its own, so that Ctrl-C is the key and not a call."""

    def __init__(self, folder, source):
        path = folder / "program.py"
        path.write_text(textwrap.dedent(source))
        self.mark, environment = marked_environment()
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, str(path)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.text = ""

    def read_until(self, wanted):
        """Read on until `wanted` is there; None: to the end."""
        while wanted is None or wanted not in self.text:
            try:
                piece = os.read(self.master, 65536)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                piece = b""
            if not piece:
                assert wanted is None, f"it ended early:\n{self.text}"
                break
            self.text += piece.decode(errors="replace")
        return self.text

    def ctrl_c(self):
        os.write(self.master, b"\x03")

    def end(self):
        os.close(self.master)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def terminal(tmp_path):
    opened = []

    def start(source):
        opened.append(Terminal(tmp_path, source))
        return opened[-1]

    yield start
    for one in opened:
        one.end()
        assert_nothing_left(one.mark)


@pytest.mark.parametrize(
    "work",
    ["time.sleep(.05)", "pass", "tarefa.Event().wait()"],
    ids=["sleeping", "busy", "waiting"],
)
def test_ctrl_c_in_a_terminal_is_one_traceback_and_nothing_left(terminal, work):
    started = terminal(f"""
        import time, tarefa
        ready = tarefa.List()
        def work():
            ready.append(1)
            while True: {work}
        ts = [T(target=work).start() for T in (tarefa.Thread, tarefa.Process) for _ in range(2)]
        while len(ready) < 4: time.sleep(.01)
        print("re" "ady", flush=True)
        for t in ts: t.join()
    """)
    started.read_until("ready")
    started.ctrl_c()
    text = started.read_until(None)
    assert started.process.wait() != 0
    assert text.count("Traceback (most recent call last)") == 1, text
    assert "KeyboardInterrupt" in text
    assert_nothing_left(started.mark)


def test_ctrl_c_that_the_script_handles_leaves_its_tasks_running(terminal):
    started = terminal("""
        import time, tarefa
        go, ready = tarefa.Event(), tarefa.List()
        def hold():
            ready.append(1); go.wait(); return "whole"
        ts = [T(target=hold).start() for T in (tarefa.Thread, tarefa.Process)]
        while len(ready) < 2: time.sleep(.01)
        try:
            print("re" "ady", flush=True)
            ts[0].join(); time.sleep(1000)
        except KeyboardInterrupt: print("handled", [t.is_alive() for t in ts], flush=True)
        go.set()
        print(*[t.result() for t in ts], flush=True)
    """)
    started.read_until("ready")
    started.ctrl_c()
    text = started.read_until(None)
    assert "handled [True, True]" in text
    assert "whole whole" in text
    assert started.process.wait() == 0


@pytest.mark.parametrize(
    "wait",
    ["lock.acquire()", "event.wait()", "thread.join()", "process.join()", "tarefa.wait([thread])"],
)
@pytest.mark.parametrize("name", ["SIGINT", "SIGALRM", "SIGTERM"])
def test_a_signal_that_another_thread_gets_ends_the_main_threads_wait(wait, name):
    done = run_script(f"""
        import os, signal, tarefa, threading, time
        def handler(*_): raise KeyError("it came")
        signal.signal(signal.{name}, handler)
        lock, event, going = tarefa.Lock(), tarefa.Event(), threading.Event()
        thread = tarefa.Thread(target=event.wait, daemon=True).start()
        process = tarefa.Process(target=event.wait, daemon=True).start()
        def hold_and_send():
            # Started with the signal blocked; the main thread never gets it.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.{name}])
            with lock:
                going.set(); time.sleep(.3)
                os.kill(os.getpid(), signal.{name}); time.sleep(1000)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.{name}])
        threading.Thread(target=hold_and_send, daemon=True).start()
        going.wait()
        try:
            {wait}
        except KeyError as e:
            print(e, flush=True)
        event.set()
    """)
    assert done.stdout == "'it came'\n"


def test_a_handler_that_calls_the_one_before_it_is_called_once():
    done = run_script("""
        import faulthandler, os, signal, tarefa
        signal.signal(signal.SIGTERM, lambda *_: print("handled", flush=True))
        for _ in range(2):
            tarefa.Event().wait(.05)
            faulthandler.register(signal.SIGTERM, chain=True)
        tarefa.Event().wait(.05)
        os.kill(os.getpid(), signal.SIGTERM)
        tarefa.Event().wait(.05)
        print("goes on")
    """)
    assert done.stdout == "handled\ngoes on\n"
    assert "most recent call first" in done.stderr


def test_a_preloaded_module_that_starts_threads_is_named_and_left_out(tmp_path):
    (tmp_path / "com_thread.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
    )
    (tmp_path / "sem_thread.py").write_text("VALOR = 3\n")
    done = run_script(
        """
        import sys, tarefa
        sys.path.insert(0, sys.argv[1])
        tarefa.preload(["com_thread", "sem_thread"])
        def loaded(): return "com_thread" in sys.modules, "sem_thread" in sys.modules
        for _ in range(2):
            print(*tarefa.Process(target=loaded).start().result())
        """,
        tmp_path,
    )
    assert done.stdout == "False True\n" * 2
    assert "com_thread" in done.stderr
    assert "thread" in done.stderr.replace("com_thread", "")


@pytest.mark.parametrize(
    "body",
    ["raise RuntimeError('at import')", "import no_such_module_here", "import os; os._exit(3)"],
)
def test_a_preloaded_module_that_fails_is_named_and_left_out(tmp_path, body):
    (tmp_path / "quebrado.py").write_text(body)
    done = run_script(
        """
        import sys, tarefa
        sys.path.insert(0, sys.argv[1])
        tarefa.preload(["quebrado"])
        print(tarefa.Process(target=lambda: 1 + 1).start().result())
        """,
        tmp_path,
    )
    assert done.stdout == "2\n"
    assert "quebrado" in done.stderr


def test_who_is_killed_for_the_hard_limit_on_processor_time_has_that_as_its_cause():
    done = run_script("""
        import resource, tarefa
        def spin():
            while True: pass
        tarefa.Process(target=int).start().join()
        resource.setrlimit(resource.RLIMIT_CPU, (2, 2))
        print(tarefa.Process(target=spin).start().exception())
    """)
    assert "was ended by SIGKILL" in done.stdout
    assert "it used more processor time than the system lets it (ulimit -t)" in done.stdout
