"""While the program itself is stopped, or interrupted as its first process starts."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from support import assert_nothing_left, marked_environment, run_script

STOPPED = """
import os, signal, threading, time
from pathlib import Path
import tarefa

lock, event, queue = tarefa.Lock(), tarefa.Event(), tarefa.Queue()

def state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]

def victim(): event.wait()

def conduct(root, pid):
    os.kill(root, signal.SIGSTOP)
    while state(root) != "T":
        time.sleep(0.01)
    try:
        told = []
        os.kill(pid, signal.SIGKILL)
        # Limits of time hold.
        told.append(lock.acquire(timeout=0.05))
        told.append(event.wait(0.05))
        try:
            queue.get(timeout=0.05)
        except tarefa.Empty:
            told.append("empty")
        # So does Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        main = threading.main_thread().ident
        for wait in (lock.acquire, event.wait, queue.get):
            timer = threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT))
            timer.start()
            try:
                wait()
            except KeyboardInterrupt:
                told.append("interrupted")
            timer.join()
        # Objects and tasks of others do what they do.
        told.append(len(tarefa.List([1, 2])))
        told.append(state(root))
        return told
    finally:
        os.kill(root, signal.SIGCONT)

with lock:
    dies = tarefa.Process(target=victim).start()
    waits = tarefa.Process(target=conduct, args=(os.getpid(), dies.pid)).start()
    told = waits.result(30)
    assert told == [False, False, "empty", *["interrupted"] * 3, 2, "T"], told
    # His death is told when it goes on.
    assert isinstance(dies.exception(30), tarefa.WorkerDied)
assert tarefa.Process(target=len, args=("abc",)).start().result(30) == 3
"""


def test_while_the_root_is_stopped_time_limits_and_ctrl_c_hold_and_deaths_are_told_afterwards():
    run_script(STOPPED)


INTERRUPTED = """
import time
import tarefa

def work(): return 1

try:
    print("ready", flush=True)
    tarefa.Process(target=work).start().result(30)
    time.sleep(30)
except KeyboardInterrupt:
    print("interrupted", flush=True)
# The next start works, whatever was made of the first.
assert tarefa.Process(target=work).start().result(30) == 1
print("went on", flush=True)
raise KeyboardInterrupt
"""


@pytest.mark.parametrize("delay", [0, 0.01, 0.03, 0.06, 0.1, 0.2, 0.4])
def test_ctrl_c_while_the_first_process_starts(tmp_path, delay):
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(INTERRUPTED))
    for _ in range(5):
        out, err, status = _interrupted_after(delay, script)
        # Python's import system has callbacks of weak references, and what a signal's handler
        # raises in one of those it prints and drops, in any program.
        if "Exception ignored in: <function _get_module_lock" not in err:
            break
    assert out == "interrupted\nwent on\n", (out, err)
    assert err.count("Traceback") == 1, err
    assert status == -signal.SIGINT


def _interrupted_after(delay, script):
    mark, env = marked_environment()
    with subprocess.Popen(
        [sys.executable, script],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as program:
        assert program.stdout.readline() == "ready\n"
        time.sleep(delay)
        # As a terminal does: to all that are in the group by now.
        os.killpg(program.pid, signal.SIGINT)
        out, err = program.communicate(timeout=50)
    assert_nothing_left(mark)
    return out, err, program.returncode
