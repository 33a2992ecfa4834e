"""A failure that nobody asked for is shown: when the task goes away, or as the program ends."""

import pytest
from support import run_script

BOTH = pytest.mark.parametrize("kind", ["Thread", "Process"])


@BOTH
@pytest.mark.parametrize("keep", ["", "kept = "])
def test_it_is_shown_with_its_traceback(kind, keep):
    done = run_script(f"""
        import tarefa
        def broken(): raise ValueError("nobody asked")
        {keep}tarefa.{kind}(target=broken, name="quebrada").start()
    """)
    assert done.stderr.count("Traceback") == 1, done.stderr
    assert "quebrada" in done.stderr
    assert "in broken" in done.stderr
    assert "ValueError: nobody asked" in done.stderr


@BOTH
def test_it_is_shown_when_the_last_handle_goes(kind):
    done = run_script(f"""
        import gc, sys, time, tarefa
        def broken(): raise ValueError("nobody asked")
        task = tarefa.{kind}(target=broken).start()
        while task.is_alive(): time.sleep(.001)
        tarefa.active_tasks()
        del task
        gc.collect()
        print("later", file=sys.stderr)
    """)
    assert done.stderr.count("Traceback") == 1, done.stderr
    assert done.stderr.index("nobody asked") < done.stderr.index("later")


@BOTH
@pytest.mark.parametrize(
    "ask", ["task.join()", "task.exception()", "tarefa.wait([task])", "asyncio.run(wait(task))"]
)
def test_it_is_not_shown_to_one_who_asked(kind, ask):
    done = run_script(f"""
        import asyncio, time, tarefa
        def broken(): raise ValueError("asked")
        async def wait(task):
            try: await task
            except ValueError: pass
        task = tarefa.{kind}(target=broken).start()
        while task.is_alive(): time.sleep(.001)
        tarefa.active_tasks()
        {ask}
    """)
    assert done.stderr == ""


@BOTH
@pytest.mark.parametrize("target", ["int", "sys.exit", "lambda: sys.exit(3)", "interrupted"])
def test_what_is_no_error_is_not_shown(kind, target):
    done = run_script(f"""
        import sys, tarefa
        def interrupted(): raise tarefa.Interrupted("done")
        tarefa.{kind}(target={target}).start()
    """)
    assert done.stderr == ""


def test_a_death_is_shown_but_not_that_of_a_daemon_at_the_end():
    done = run_script("""
        import os, time, tarefa
        tarefa.Process(target=os.abort, name="caida").start()
        tarefa.Process(target=time.sleep, args=(1000,), daemon=True).start()
    """)
    assert done.stderr.count("nobody asked") == 1, done.stderr
    assert "caida" in done.stderr
    assert "SIGABRT" in done.stderr


def test_a_forked_child_does_not_show_it_again():
    done = run_script("""
        import os, sys, time, tarefa
        def broken(): raise ValueError("nobody asked")
        task = tarefa.Process(target=broken).start()
        while task.is_alive(): time.sleep(.001)
        tarefa.active_tasks()
        child = os.fork()
        if child == 0: sys.exit(0)
        os.waitpid(child, 0)
    """)
    assert done.stderr.count("Traceback") == 1, done.stderr


def test_a_forked_childs_end_leaves_its_parents_tasks_alone():
    done = run_script("""
        import os, sys, time, tarefa
        go, daemon = tarefa.Event(), tarefa.Event()
        tasks = [
            tarefa.Process(target=go.wait).start(),
            tarefa.Process(target=lambda: daemon.wait() and 7, daemon=True).start(),
            tarefa.Thread(target=go.wait).start(),
        ]
        child = os.fork()
        if child == 0: sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        go.set(); daemon.set()
        print([t.result() for t in tasks])
    """)
    assert done.stdout == "[True, 7, True]\n"
