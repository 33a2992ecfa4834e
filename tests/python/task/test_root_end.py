"""Nobody outlives the root, whatever he did, and whoever ends with it."""

import os
import signal
import subprocess
import sys
import time

import pytest
from support import eventually, is_alive, marked, marked_environment

import tarefa

PROGRAM = """
import os, signal, sys, time, tarefa

def work(ready):
    HOW
    ready.set()
    while True:
        time.sleep(1000)

ready = tarefa.Event()
t = tarefa.Process(target=work, args=(ready,)).start()
ready.wait()
zygote = tarefa._engine.diagnostics()["zygote_pid"]
print(t.pid, flush=True)
END
os.kill(os.getpid(), 9)
"""
# A filter that answers prctl with EPERM: load the number, compare, return.
REFUSE_PRCTL = """
import ctypes, struct

def refuse_prctl():
    libc = ctypes.CDLL(None)
    machine = os.uname().machine
    number = {"x86_64": 157, "aarch64": 167}[machine]
    code = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050001)]
    code.append((0x06, 0, 0, 0x7FFF0000))
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *c) for c in code))
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    filtering = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(program))
    assert libc.syscall({"x86_64": 317, "aarch64": 277}[machine], 1, 0, filtering) == 0
"""
BLOCK = "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())"
SETUID = "os.setgid(65534); os.setuid(65534)"
CLOSE = "os.closerange(3, 1 << 16)"
WAYS = {
    "nothing": "pass",
    "changed its user": SETUID,
    "blocked all signals": BLOCK,
    "ignores signals": "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 3, 15, *range(34, 65))]",
    "closed all descriptors": CLOSE,
    "closed all, and opened others": CLOSE + "; [os.open('/dev/null', 0) for _ in range(99)]",
    "a session of its own": "os.setsid()",
    "prctl refused": "refuse_prctl()",
    "changed its user and blocked all signals": SETUID + ";" + BLOCK,
    "is stopped": "ready.set(); os.kill(os.getpid(), 19)",
}
ENDS = {
    "root": "",
    "root and zygote": "os.kill(zygote, 9)",
    "zygote, and later the root": "os.kill(zygote, 9); time.sleep(0.3)",
    "zygote stopped": "os.kill(zygote, 19)",
}


def end_of(source):
    """Run a program that prints the number of a task of its; that, and all else of it, must end."""
    mark, environment = marked_environment()
    done = subprocess.run(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, env=environment
    )
    pid = int(done.stdout)
    try:
        assert done.returncode == -signal.SIGKILL
        eventually(lambda: not is_alive(pid) and not list(marked(mark)), seconds=10)
    finally:
        for left in marked(mark):
            os.kill(left, signal.SIGKILL)
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("how", WAYS)
def test_a_task_ends_with_the_program(how, end):
    if SETUID in WAYS[how] and os.getuid():
        pytest.skip("as root alone may")
    source = PROGRAM.replace("HOW", WAYS[how]).replace("END", ENDS[end])
    end_of(source.replace("def work", REFUSE_PRCTL + "\ndef work", 1))


@pytest.mark.parametrize("end", ENDS)
def test_all_end_where_the_program_itself_may_not_ask_for_signals(end):
    # The zygote and its children are as the program is: no signal at the parent's end anywhere.
    source = PROGRAM.replace("HOW", "pass").replace("END", ENDS[end])
    source = source.replace("ready = tarefa", "refuse_prctl()\nready = tarefa", 1)
    end_of(source.replace("def work", REFUSE_PRCTL + "\ndef work", 1))


def test_spares_end_with_the_program():
    end_of(
        PROGRAM.replace("HOW", "pass").replace(
            "END", "tarefa._engine.set_spares(3); time.sleep(1); os.kill(zygote, 9)"
        )
    )


def test_a_fork_of_the_program_keeps_no_task():
    # It has copies of the program's descriptors, but of one.
    source = PROGRAM.replace("HOW", "pass")
    source = source.replace("END", "if not os.fork():\n    time.sleep(3)\n    os._exit(0)")
    mark, environment = marked_environment()
    program = subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, env=environment
    )
    pid = int(program.stdout.readline())
    program.wait()
    eventually(lambda: not is_alive(pid), seconds=2)
    assert list(marked(mark))
    eventually(lambda: not list(marked(mark)))
    program.stdout.close()


FORKS = {
    "a fork": "os.fork() == 0",
    "a fork of a fork": "os.fork() == 0 and os.fork() == 0",
    "one that closed all descriptors": "os.fork() == 0 and [os.closerange(3, 1 << 16)]",
    "a daemon": "os.fork() == 0 and [os.setsid()] and os.fork() == 0",
}


@pytest.mark.parametrize("task_ends", [False, True])
@pytest.mark.parametrize("how", FORKS)
def test_what_a_task_forks_ends_with_the_program(how, task_ends):
    """Without using tarefa itself, and whether or not its parent has ended before."""
    # Who has closed all descriptors says its number by a file.
    source = f"""
import os, signal, sys, time, tarefa

def work(path):
    if {FORKS[how]}:
        {BLOCK}
        with open(path + "~", "w") as file:
            file.write(str(os.getpid()))
        os.rename(path + "~", path)
        time.sleep(1000)
        os._exit(0)
    if {task_ends}:
        os._exit(0)
    time.sleep(1000)

path = "/tmp/fork-%d" % os.getpid()
t = tarefa.Process(target=work, args=(path,)).start()
while not os.path.exists(path):
    time.sleep(0.001)
print(open(path).read(), flush=True)
os.unlink(path)
if {task_ends}:
    t.join()
    time.sleep(0.1)
os.kill(os.getpid(), 9)
"""
    end_of(source)


def test_a_fork_of_a_task_ends_with_root_and_zygote():
    end_of(
        """
import os, signal, sys, time, tarefa

def work():
    pid = os.fork()
    if pid == 0:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        time.sleep(1000)
    return pid

print(tarefa.Process(target=work).start().result(), flush=True)
os.kill(tarefa._engine.diagnostics()["zygote_pid"], 9)
os.kill(os.getpid(), 9)
"""
    )


def test_programs_that_a_task_has_executed_are_nobodys_to_end():
    mark, environment = marked_environment()
    source = """
import os, subprocess, tarefa

def work():
    return subprocess.Popen(["sleep", "1000"], stdout=subprocess.DEVNULL).pid

print(tarefa.Process(target=work).start().result(), flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, env=environment
    )
    pid = int(done.stdout)
    try:
        eventually(lambda: list(marked(mark)) == [pid])
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_fork_of_a_task_goes_on_when_the_task_has_ended():
    def work():
        parent = os.getpid()
        if os.fork() == 0:
            while os.getppid() == parent:
                time.sleep(0.001)
            told.append(os.getppid())
            os._exit(0)

    told = tarefa.List()
    tarefa.Process(target=work).start().join()
    eventually(lambda: len(told) == 1)
    assert told[0] == tarefa._engine.diagnostics()["zygote_pid"]
