"""What a process does at its end: exit functions, finalizers, logging; and `terminate()`."""

import os
import signal
import time

import pytest
from support import eventually, run_script

import tarefa


def test_exit_functions_and_finalizers_of_a_process_run(tmp_path):
    def work(folder):
        import atexit
        import tempfile
        import weakref

        kept = globals().setdefault("kept", [])

        class Thing:
            pass

        def leave(name):
            with open(os.path.join(folder, name), "w") as file:
                file.write(str(os.getpid()))

        atexit.register(leave, "atexit")
        thing = Thing()
        kept.append(thing)
        weakref.finalize(thing, leave, "finalize")
        inside = tempfile.TemporaryDirectory(dir=folder)
        kept.append(inside)
        return inside.name

    task = tarefa.Process(target=work, args=(str(tmp_path),)).start()
    inside = task.result(30)
    task.join()
    assert (tmp_path / "atexit").read_text() == str(task.pid)
    assert (tmp_path / "finalize").exists()
    assert not os.path.exists(inside)
    assert task.exitcode == 0


@pytest.mark.parametrize("how", ["return 1", "raise ValueError('of the target')", "sys.exit(3)"])
def test_exit_functions_run_however_the_target_ends(how):
    done = run_script(f"""
        import atexit, sys, tarefa
        def f():
            atexit.register(print, "at exit", flush=True)
            print("body")
            {how}
        t = tarefa.Process(target=f).start()
        t.join(); t.exception() if {"return" not in how} else t.result()
    """)
    assert done.stdout == "body\nat exit\n"


def test_exit_functions_run_last_first_and_a_failing_one_is_told():
    done = run_script("""
        import atexit, tarefa
        def f():
            atexit.register(print, "first"); atexit.register(lambda: 1 / 0)
            atexit.register(print, "last")
        t = tarefa.Process(target=f).start(); t.join(); print(t.exitcode)
    """)
    assert done.stdout == "last\nfirst\n0\n"
    assert done.stderr.count("ZeroDivisionError") == 1


def test_what_modules_of_the_zygote_registered_runs_in_each_process(tmp_path):
    """Coverage needs it."""
    (tmp_path / "registers.py").write_text(
        "import atexit, os, weakref\n"
        "class C: pass\n"
        "c = C()\n"
        "weakref.finalize(c, print, 'finalizer of the zygote', flush=True)\n"
        "atexit.register(lambda: print('at exit', flush=True))\n"
    )
    done = run_script(f"""
        import sys; sys.path.insert(0, {str(tmp_path)!r})
        import tarefa
        tarefa.preload(["registers"])
        tarefa.configure(spares=0)
        def f(): import registers
        for _ in range(2): tarefa.Process(target=f).start().join()
        print("end")
    """)
    assert done.stdout == "at exit\nat exit\nend\n"


def test_the_result_is_there_before_the_process_has_ended():
    go, at_end = tarefa.Event(), tarefa.Event()

    def work():
        import atexit

        def last():
            at_end.set()
            go.wait()

        atexit.register(last)
        return "value"

    task = tarefa.Process(target=work).start()
    assert task.result(30) == "value"
    at_end.wait()
    assert task.is_alive()
    assert task.exception(1) is None
    go.set()
    task.join()
    assert not task.is_alive()
    assert task.exitcode == 0
    assert task.result() == "value"


def test_killed_in_its_exit_functions_a_task_keeps_its_result():
    at_end = tarefa.Event()

    def work():
        import atexit

        atexit.register(lambda: (at_end.set(), time.sleep(60)))
        return "value"

    task = tarefa.Process(target=work).start()
    at_end.wait()
    task.kill()
    task.join()
    assert (task.exitcode, task.result()) == (-9, "value")


def test_exit_functions_that_do_not_end_are_left(monkeypatch):
    done = run_script("""
        import atexit, time, tarefa
        from tarefa._task import _at_exit
        def f():
            from tarefa._task import _at_exit
            _at_exit.LIMIT = 0.3
            atexit.register(time.sleep, 60)
            return 5
        t = tarefa.Process(target=f, name="slow").start()
        print(t.result(20)); t.join(); print(t.exitcode, t.state.name)
    """)
    assert done.stdout == "5\n0 FINISHED\n"
    assert "process 'slow'" in done.stderr
    assert "still ran after 0.3 s" in done.stderr


def test_logging_is_shut_down(tmp_path):
    def work(path):
        import logging.handlers

        target = logging.FileHandler(path)
        log = logging.getLogger("of the task")
        log.addHandler(logging.handlers.MemoryHandler(100, target=target))
        log.error("kept until the end")

    path = tmp_path / "log"
    tarefa.Process(target=work, args=(str(path),)).start().join()
    assert path.read_text() == "kept until the end\n"


def test_finalizers_of_multiprocessing():
    done = run_script("""
        import tarefa
        def f():
            from multiprocessing import util
            util.Finalize(None, print, ("finalized",), exitpriority=1)
        tarefa.Process(target=f).start().join()
    """)
    assert done.stdout == "finalized\n"


def spin():
    while True:
        pass


# -- terminate ----------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["sleep", "tarefa", "loop", "asyncio"])
def test_terminate_lets_finally_blocks_run(where):
    ready, steps = tarefa.Event(), tarefa.List()

    def work():
        import asyncio
        import atexit

        atexit.register(steps.append, "at exit")
        never = tarefa.Event()
        ways = {
            "sleep": lambda: time.sleep(60),
            "tarefa": never.wait,
            "loop": spin,
            "asyncio": lambda: asyncio.run(asyncio.sleep(60)),
        }
        try:
            ready.set()
            ways[where]()
        finally:
            steps.append("finally")

    task = tarefa.Process(target=work).start()
    ready.wait()
    task.terminate()
    task.join()
    assert task.exitcode == -signal.SIGTERM
    assert list(steps) == ["finally", "at exit"]
    with pytest.raises(tarefa.WorkerDied):
        task.result()


def test_terminate_at_the_very_moment_of_the_first_sleep():
    for n in range(60):
        ready, steps, never = tarefa.Event(), tarefa.List(), tarefa.Event()

        def work(ready=ready, steps=steps, never=never):
            try:
                ready.set()
                never.wait()
            finally:
                steps.append("finally")

        task = tarefa.Process(target=work).start()
        assert ready.wait(20), (n, repr(task), task.exception(5))
        time.sleep(n % 6 * 2e-5)
        task.terminate()
        task.join()
        assert list(steps) == ["finally"]


def test_a_handler_of_ones_own_at_the_very_moment_of_the_first_sleep():
    for _ in range(20):
        ready, never = tarefa.Event(), tarefa.Event()

        def work(ready=ready, never=never):
            def told(*_):
                raise ValueError("told")

            signal.signal(signal.SIGTERM, told)
            ready.set()
            never.wait()

        task = tarefa.Process(target=work).start()
        ready.wait()
        task.terminate()
        assert "told" in str(task.exception(30))


def test_terminate_ends_one_that_will_not():
    ready = tarefa.Event()

    def work():
        ready.set()
        while True:
            try:
                while True:
                    time.sleep(60)
            except SystemExit:
                continue

    task = tarefa.Process(target=work).start()
    ready.wait()
    task.terminate()
    task.join()
    assert task.exitcode == -signal.SIGTERM
    assert isinstance(task.exception(), tarefa.WorkerDied)


def test_terminate_ends_one_in_a_call_that_never_looks():
    ready = tarefa.Event()

    def work():
        ready.set()
        10**10**8  # in C, for minutes

    task = tarefa.Process(target=work).start()
    ready.wait()
    task.terminate()
    task.join()
    assert task.exitcode == -signal.SIGTERM
    assert isinstance(task.exception(), tarefa.WorkerDied)


def test_a_second_terminate_ends_it_at_once():
    ready, cleaning = tarefa.Event(), tarefa.Event()

    def work():
        try:
            ready.set()
            time.sleep(60)
        finally:
            cleaning.set()
            time.sleep(60)

    task = tarefa.Process(target=work).start()
    ready.wait()
    task.terminate()
    cleaning.wait()
    task.terminate()
    task.join()
    assert task.exitcode == -signal.SIGTERM
    assert isinstance(task.exception(), tarefa.WorkerDied)


def test_terminate_of_one_that_has_just_started():
    tasks = [tarefa.Process(target=time.sleep, args=(60,)).start() for _ in range(8)]
    for task in tasks:
        task.terminate()
    for task in tasks:
        task.join()
        assert task.exitcode == -signal.SIGTERM
        assert isinstance(task.exception(), tarefa.WorkerDied)


def test_a_handler_of_the_targets_own_comes_first():
    ready, got = tarefa.Event(), tarefa.Event()

    def work():
        signal.signal(signal.SIGTERM, lambda *_: got.set())
        ready.set()
        got.wait()
        return "went on"

    task = tarefa.Process(target=work).start()
    ready.wait()
    task.terminate()
    assert task.result(30) == "went on"


def one_that_blocks_sigterm():
    """A task that runs, and does not hear the signal."""
    ready = tarefa.Event()

    def work():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        ready.set()
        time.sleep(60)

    task = tarefa.Process(target=work).start()
    ready.wait()
    return task


def test_terminate_ends_one_that_blocks_the_signal():
    task = one_that_blocks_sigterm()
    task.terminate()
    task.join()
    assert task.exitcode == -signal.SIGKILL
    assert "terminate()" in str(task.exception())


@pytest.mark.parametrize("later", ["nothing", "default", "blocked"])
def test_terminate_ends_one_that_ignores_the_signal(later):
    """Also where it does so no more when the time is over."""
    ready, told = tarefa.Event(), tarefa.Event()

    def work():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ready.set()
        told.wait()
        # What was sent is noted by the program's own thread, just after.
        time.sleep(0.3)
        if later == "default":
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        elif later == "blocked":
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        time.sleep(60)

    task = tarefa.Process(target=work).start()
    ready.wait()
    task.terminate()
    told.set()
    task.join()
    assert task.exitcode == -signal.SIGKILL
    assert "terminate()" in str(task.exception())


def test_terminate_ends_one_that_blocks_all_signals_as_it_cleans_up():
    ready, steps = tarefa.Event(), tarefa.List()

    def work():
        try:
            ready.set()
            time.sleep(60)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            steps.append("finally")
            time.sleep(60)

    task = tarefa.Process(target=work).start()
    ready.wait()
    task.terminate()
    task.join()
    assert task.exitcode == -signal.SIGKILL
    assert list(steps) == ["finally"]


def test_a_handler_that_went_before_ours_again_does_not_keep_it():
    """The interpreter calls ours then, and no time of its own runs."""
    ready = tarefa.Event()

    def work():
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        signal.signal(signal.SIGTERM, before)
        try:
            ready.set()
            time.sleep(60)
        finally:
            time.sleep(60)

    task = tarefa.Process(target=work).start()
    ready.wait()
    task.terminate()
    task.join()
    assert task.exitcode in (-signal.SIGTERM, -signal.SIGKILL)


@pytest.mark.parametrize("how", ["handler", "sigwait"])
def test_one_that_takes_the_signal_itself_has_all_the_time_it_wants(how):
    ready, got, go = tarefa.Event(), tarefa.Event(), tarefa.Event()

    def work():
        if how == "handler":
            signal.signal(signal.SIGTERM, lambda *_: got.set())
            ready.set()
        else:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
            ready.set()
            signal.sigwait([signal.SIGTERM])
            got.set()
        go.wait()
        return "its own end"

    task = tarefa.Process(target=work).start()
    ready.wait()
    task.terminate()
    got.wait()
    # Longer than both looks at it.
    time.sleep(tarefa._engine.GRACE + 2)
    go.set()
    assert task.result(30) == "its own end"


def test_terminate_by_another_process_ends_one_that_blocks_the_signal():
    task = one_that_blocks_sigterm()
    tarefa.Process(target=task.terminate).start().join()
    task.join()
    assert task.exitcode == -signal.SIGKILL


def test_programs_that_a_task_executes_end_of_sigterm():
    def work():
        import subprocess

        child = subprocess.Popen(["sleep", "60"])
        child.terminate()
        return child.wait()

    assert tarefa.Process(target=work).start().result(30) == -signal.SIGTERM


def test_the_zygote_ends_of_sigterm():
    done = run_script("""
        import os, signal, tarefa
        tarefa.Process(target=int).start().join()
        zygote = tarefa._engine.diagnostics()["zygote_pid"]
        os.kill(zygote, signal.SIGTERM)
        import time
        while tarefa._engine.diagnostics()["zygote_pid"] == zygote: time.sleep(.01)
        print(tarefa.Process(target=lambda: 3).start().result(20))
    """)
    assert done.stdout == "3\n"


def test_nothing_is_left_of_a_task_that_was_terminated():
    task = tarefa.Process(target=time.sleep, args=(60,)).start()
    task.terminate()
    task.join()
    assert isinstance(task.exception(), tarefa.WorkerDied)
    eventually(lambda: not os.path.exists(f"/proc/{task.pid}"))


DYING = {
    "os._exit": ("atexit.register(os._exit, 9)", 9),
    "SIGKILL": ("atexit.register(os.kill, os.getpid(), 9)", -9),
}


@pytest.mark.parametrize("how", DYING)
@pytest.mark.parametrize("value", ["10", "None", "[1]"])
def test_one_that_dies_at_its_exit_keeps_its_result_and_nobody_who_asked_is_told(how, value):
    line, code = DYING[how]
    done = run_script(f"""
        import atexit, os, tarefa
        def f():
            {line}
            return {value}
        early = tarefa.Process(target=f).start()
        assert early.result() == {value}
        early.join()
        late = tarefa.Process(target=f).start()
        late.join()
        for task in early, late:
            assert (task.state, task.exitcode) == (tarefa.State.KILLED, {code}), task
            assert task.result() == {value} and task.exception() is None
            assert "killed" in repr(task)
    """)
    assert done.stderr == ""


def test_a_death_at_the_exit_that_nobody_asked_about_is_told():
    done = run_script("""
        import atexit, os, tarefa
        def f():
            atexit.register(os._exit, 9)
            return 10
        task = tarefa.Process(target=f, name="late").start()
        task.join()
        del task
    """)
    assert done.stderr.count("'late' (pid ") == 2
    assert "exited with code 9 at its exit, after its target had ended" in done.stderr
    assert "its result is kept" in done.stderr


def test_a_target_that_raised_and_a_death_at_the_exit():
    done = run_script("""
        import atexit, os, tarefa
        def f():
            atexit.register(os._exit, 9)
            raise ValueError("of the target")
        task = tarefa.Process(target=f).start()
        task.join()
        assert repr(task.exception()) == "ValueError('of the target')", task.exception()
        assert task.exitcode == 9
    """)
    assert done.stderr == ""


def test_a_worker_of_a_pool_that_dies_at_its_exit():
    done = run_script("""
        import atexit, os, tarefa
        def f():
            atexit.register(os._exit, 9)
            return 10
        with tarefa.Pool(1) as pool:
            assert pool.submit(f).result() == 10
    """)
    assert "internal" not in done.stderr
    assert "__traceback__" not in done.stderr


STAGES = {
    "waiting for a thread": "threading.Thread(target=time.sleep, args=(1000,)).start(); tell()",
    "waiting for a task": "tarefa.Process(target=time.sleep, args=(1000,)).start(); tell()",
    "in an exit function": "atexit.register(tell_and_wait)",
    "in a finalizer": "weakref.finalize(f, tell_and_wait)",
    "in the end of logging": "logging.getLogger().addHandler(Slow())",
}


@pytest.mark.parametrize("how", ["terminate", "os.kill", "twice"])
@pytest.mark.parametrize("stage", STAGES)
def test_terminate_at_each_stage_of_the_end(stage, how):
    ways = {
        "terminate": "task.terminate()",
        "os.kill": "os.kill(task.pid, signal.SIGTERM)",
        "twice": "task.terminate(); task.terminate()",
    }
    done = run_script(f"""
        import atexit, logging, os, signal, tarefa, threading, time, weakref
        at = tarefa.Event()
        class Slow(logging.Handler):
            def close(self):
                tell_and_wait()
        def tell(): at.set()
        def tell_and_wait():
            at.set()
            time.sleep(1000)
        def f():
            {STAGES[stage]}
            return 5
        task = tarefa.Process(target=f).start()
        at.wait()
        {"time.sleep(0.2)" if "waiting" in stage else ""}
        {ways[how]}
        task.join()
        assert task.exitcode == -signal.SIGTERM, task
        assert task.state == tarefa.State.KILLED
    """)
    assert "Traceback" not in done.stderr, done.stderr
    # What the program did itself it is not told.
    assert (done.stderr == "") == (how != "os.kill")


def test_terminate_while_it_waits_for_threads_has_its_exit_functions_run():
    notes, begun = tarefa.List(), tarefa.Event()

    def work():
        import atexit
        import threading

        atexit.register(notes.append, "at exit")
        threading.Thread(target=lambda: (begun.set(), time.sleep(1000))).start()
        return 5

    task = tarefa.Process(target=work).start()
    begun.wait()
    task.terminate()
    task.join()
    assert (list(notes), task.exitcode) == (["at exit"], -signal.SIGTERM)
    assert isinstance(task.exception(), tarefa.WorkerDied)
