"""`kill()` and `terminate()` end a task in whatever state it is, and whatever else goes on."""

import os
import signal
import threading
from pathlib import Path

import pytest
from support import eventually, run_script

import tarefa


def linger():
    threading.Event().wait()


@pytest.mark.parametrize("how", ["kill", "terminate"])
@pytest.mark.parametrize("spares", [0, 2])
def test_right_after_the_start(how, spares):
    run_script(
        f"""
import tarefa, time
tarefa.configure(spares={spares})
for _ in range(30):
    t = tarefa.Process(target=time.sleep, args=(1000,)).start()
    t.{how}()
    t.join(30)
    assert not t.is_alive(), t
    assert t.exitcode in (-9, -15)
"""
    )


@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_while_its_process_is_being_made(how):
    # Another thread starts it, and the zygote does not get on.
    run_script(
        f"""
import os, signal, tarefa, threading, time
tarefa.configure(spares=0)
tarefa.Process(target=int).start().join()
zygote = tarefa._engine.diagnostics()["zygote_pid"]
for _ in range(5):
    os.kill(zygote, signal.SIGSTOP)
    t = tarefa.Process(target=time.sleep, args=(1000,))
    thread = threading.Thread(target=t.start)
    thread.start()
    while t.state != tarefa.State.STARTING:
        time.sleep(0.001)
    time.sleep(0.05)
    t.{how}()
    os.kill(zygote, signal.SIGCONT)
    thread.join()
    t.join(30)
    assert not t.is_alive(), t
    assert t.exitcode in (-9, -15), t.exitcode
    assert "{how}()" in str(t.exception()) or "kill()" in str(t.exception()), t.exception()
"""
    )


def test_while_the_first_process_of_the_program_is_being_made():
    run_script(
        """
import tarefa, threading, time
t = tarefa.Process(target=time.sleep, args=(1000,))
thread = threading.Thread(target=t.start)
thread.start()
while t.state != tarefa.State.STARTING:
    time.sleep(0.0001)
t.kill()
thread.join()
t.join(30)
assert not t.is_alive() and t.exitcode == -9
assert tarefa.Process(target=lambda: 7).start().result() == 7
"""
    )


@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_stopped(how):
    task = tarefa.Process(target=linger).start()
    eventually(lambda: task.state == tarefa.State.RUNNING)
    # Not SIGTSTP: the system keeps it from processes of a group that has no shell.
    os.kill(task.pid, signal.SIGSTOP)
    eventually(
        lambda: Path(f"/proc/{task.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    )
    getattr(task, how)()
    task.join()
    assert task.exitcode == (-9 if how == "kill" else -15)


def test_many_at_once_from_many_threads():
    tasks = [tarefa.Process(target=linger) for _ in range(24)]

    def start(task):
        task.start()

    def kill(task):
        eventually(lambda: task.state != tarefa.State.NEW)
        task.kill()

    threads = [threading.Thread(target=act, args=(t,)) for t in tasks for act in (start, kill)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for task in tasks:
        task.join()
        assert task.exitcode == -9


def test_one_that_never_began_by_another_process():
    # Its starter is a task, and who kills it has a handle only.
    run_script(
        """
import os, signal, tarefa, threading, time
tarefa.configure(spares=0)

def starter(handles, go):
    t = tarefa.Process(target=time.sleep, args=(1000,))
    handles.append(t)
    go.wait()
    t.start()
    t.join()

handles, go = tarefa.List(), tarefa.Event()
s = tarefa.Process(target=starter, args=(handles, go)).start()
while not handles:
    time.sleep(0.01)
t = handles[0]
zygote = tarefa._engine.diagnostics()["zygote_pid"]
os.kill(zygote, signal.SIGSTOP)
go.set()
while t.state != tarefa.State.STARTING:
    time.sleep(0.001)
t.kill()
os.kill(zygote, signal.SIGCONT)
t.join(30)
assert not t.is_alive() and t.exitcode == -9
s.join(30)
assert not s.is_alive()
"""
    )


@pytest.mark.parametrize("spares", [0, 4])
@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_stopped_a_moment_before(how, spares):
    # The stop shows only once the process runs again, which takes the other signal before it.
    run_script(f"""
        import os, signal, tarefa, time
        from tarefa import configure
        configure(spares={spares})
        for n in range(60):
            task = tarefa.Process(target=time.sleep, args=(1000,), daemon=True).start()
            time.sleep(n % 5 * 0.004)
            os.kill(task.pid, signal.SIGSTOP)
            task.{how}()
            task.join()
            assert task.state == tarefa.State.KILLED
    """)
