"""`WorkerDied` says in which line of Python a process was broken, or where it was seen last."""

import contextlib
import ctypes
import faulthandler
import os
import signal
import sys
import threading
import time

import pytest
from support import eventually, run_script

import tarefa
from tarefa import WorkerDied


def read_nothing():
    return ctypes.string_at(0)  # here it breaks


def raise_signal(number):
    os.kill(os.getpid(), number)  # here it raises


def line_of(mark):
    with open(__file__) as source:
        return next(n for n, line in enumerate(source, 1) if line.endswith(f"# {mark}\n"))


def died(target, *args, **options):
    error = tarefa.Process(target=target, args=args, **options).start().exception()
    assert type(error) is WorkerDied
    return error


FAULTS = ["SIGABRT", "SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGTRAP", "SIGSYS", "SIGXCPU"]


@pytest.mark.parametrize("name", FAULTS)
def test_of_a_fault(name):
    error = died(raise_signal, getattr(signal, name))
    assert error.exitcode == -getattr(signal, name)
    assert error.last_line.endswith(
        f"/test_last_line.py:{line_of('here it raises')} in raise_signal"
    )
    assert error.last_seen is None
    assert str(error).endswith(f"; its last line was {error.last_line}")


def test_of_code_that_touches_memory_that_is_not_there():
    error = died(read_nothing)
    assert error.exitcode == -signal.SIGSEGV
    assert "ctypes/__init__.py:" in error.last_line


def test_of_an_abort_in_a_thread_of_the_process():
    def target():
        thread = threading.Thread(target=raise_signal, args=(signal.SIGABRT,))
        thread.start()
        thread.join()

    # The signal is the process's: any of its threads may get it, and each has a line.
    assert died(target).last_line


def test_of_a_stack_that_overflows():
    def target():
        sys.setrecursionlimit(10**9)
        nested = None
        for _ in range(10**6):
            nested = [nested]
        repr(nested)  # recursion in C, in as many steps

    error = tarefa.Process(target=target).start().exception()
    if type(error) is WorkerDied:  # in some versions it is a RecursionError
        assert " in target" in error.last_line


def test_of_one_that_is_broken_while_it_runs_python():
    def target(ready):
        ready.set()
        while True:
            sum(n * n for n in range(10))

    for _ in range(5):
        ready = tarefa.Event()
        task = tarefa.Process(target=target, args=(ready,)).start()
        ready.wait()
        time.sleep(0.01)
        os.kill(task.pid, signal.SIGABRT)
        error = task.exception()
        assert error.exitcode == -signal.SIGABRT
        assert error.last_line is None or " in target" in error.last_line or "genexpr" in str(error)


def test_a_fork_of_its_own_is_not_it():
    def target():
        child = os.fork()
        if child == 0:
            os.abort()
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGABRT
        os.kill(os.getpid(), signal.SIGKILL)

    assert died(target).last_line is None


def test_faulthandler_of_the_program_writes_as_ever(tmp_path):
    def target(path):
        with open(path, "w") as file:
            faulthandler.enable(file)
            raise_signal(signal.SIGABRT)

    error = died(target, str(tmp_path / "dump"))
    assert error.exitcode == -signal.SIGABRT
    assert " in raise_signal" in error.last_line
    assert "in raise_signal" in (tmp_path / "dump").read_text()


def test_faulthandler_of_the_interpreter_writes_as_ever():
    done = run_script(
        """
        import os, signal, tarefa
        def broken(): os.kill(os.getpid(), signal.SIGABRT)
        error = tarefa.Process(target=broken).start().exception()
        print(error.exitcode, error.last_line.endswith(":3 in broken"))
        """,
        flags=("-X", "faulthandler"),
    )
    assert done.stdout == "-6 True\n"
    assert "Fatal Python error: Aborted" in done.stderr


def test_a_handler_of_the_programs_own_comes_first():
    def target():
        signal.signal(signal.SIGABRT, lambda *_: seen.append(1))
        seen = []
        os.kill(os.getpid(), signal.SIGABRT)
        time.sleep(0.01)
        return seen

    assert tarefa.Process(target=target).start().result() == [1]


# Where nobody can look before the end.


def waits(event, ready):
    ready.set()
    event.wait()  # here it waits


def test_of_one_that_was_killed_where_it_waited():
    ready = tarefa.Event()
    task = tarefa.Process(target=waits, args=(tarefa.Event(), ready)).start()
    ready.wait()
    eventually(lambda: task.context().waits_in == "tarefa")
    os.kill(task.pid, signal.SIGKILL)
    error = task.exception()
    assert error.last_line is None
    assert error.last_seen.endswith(f"/test_last_line.py:{line_of('here it waits')} in waits")
    assert str(error).endswith(f"; it was last seen at {error.last_seen}")


def test_of_one_that_went_on_past_its_time_limit():
    def target():
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                time.sleep(1000)

    error = died(target, time_limit=0.2)
    assert error.last_line is None
    assert error.last_seen.endswith(" in target")


def test_of_one_of_which_nothing_is_known():
    error = died(os._exit, 3)
    assert error.last_line is error.last_seen is None
    assert "last" not in str(error)


def test_a_long_path_is_cut_at_its_beginning(tmp_path):
    folder = tmp_path / ("x" * 200)
    folder.mkdir()
    path = folder / "end.py"
    path.write_text("import os\ndef broken(): os.kill(os.getpid(), 6)\n")
    done = run_script(
        f"""
        import sys, tarefa
        sys.path.insert(0, {str(folder)!r})
        import end
        print(tarefa.Process(target=end.broken).start().exception().last_line)
        """
    )
    assert done.stdout.endswith("xx/end.py:2 in broken\n")
