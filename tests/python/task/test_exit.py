"""How a program ends.

Tasks are waited for, daemons are not, and nothing is left (`run_script` checks that).
"""

import pytest
from support import run_script

KINDS = pytest.mark.parametrize("kind", ["Thread", "Process"])


@KINDS
def test_tasks_are_joined_at_exit(kind):
    done = run_script(f"""
        import tarefa, time
        said = tarefa.Event()
        def late():
            said.wait(); time.sleep(.3); print("late but there", flush=True)
        tarefa.{kind}(target=late).start()
        print("end of the script", flush=True)
        said.set()
    """)
    assert done.stdout.splitlines() == ["end of the script", "late but there"]


@KINDS
def test_daemons_are_not_waited_for(kind):
    done = run_script(f"""
        import tarefa, time
        ready = tarefa.Event()
        def for_ever():
            ready.set()
            while True: time.sleep(1)
        tarefa.{kind}(target=for_ever, daemon=True).start()
        ready.wait()
        print("end of the script")
    """)
    assert done.stdout == "end of the script\n"


@KINDS
def test_an_error_in_the_script_still_joins(kind):
    done = run_script(
        f"""
        import tarefa, time
        def late():
            time.sleep(.3); print("late", flush=True)
        tarefa.{kind}(target=late).start()
        raise ValueError("of the script")
        """,
        code=1,
    )
    assert done.stdout == "late\n"
    assert done.stderr.count("Traceback") == 1
    assert "of the script" in done.stderr


@KINDS
def test_the_exit_code_is_the_scripts(kind):
    done = run_script(f"import sys, tarefa\ntarefa.{kind}(target=int).start()\nsys.exit(5)", code=5)
    assert done.stderr == ""


def test_os_exit_ends_everything():
    done = run_script(
        """
        import os, tarefa, time
        ready = tarefa.Event()
        def for_ever():
            ready.set(); time.sleep(1000)
        tarefa.Process(target=for_ever).start()
        ready.wait()
        os._exit(4)
        """,
        code=4,
    )
    assert done.stderr == ""


def test_what_a_process_prints_comes_out():
    done = run_script("""
        import sys, tarefa
        def speak():
            print("to stdout"); print("to stderr", file=sys.stderr); sys.stdout.write("no newline")
        tarefa.Process(target=speak).start().join()
    """)
    assert "to stdout\n" in done.stdout
    assert done.stdout.endswith("no newline")
    assert done.stderr == "to stderr\n"


def test_a_failed_process_whose_error_is_taken_prints_nothing():
    done = run_script("""
        import tarefa
        def fail(): raise ValueError("taken")
        try: tarefa.Process(target=fail).start().result()
        except ValueError as error: print(error)
    """)
    assert (done.stdout, done.stderr) == ("taken\n", "")


def test_a_lines_pieces_are_not_torn():
    done = run_script("""
        import tarefa
        def speak(letter):
            for _ in range(300): print(letter * 150)
        ts = [tarefa.Process(target=speak, args=(letter,)).start() for letter in "abcd"]
        for t in ts: t.join()
    """)
    lines = done.stdout.splitlines()
    assert len(lines) == 1200
    assert all(len(line) == 150 and len(set(line)) == 1 for line in lines)


def test_atexit_and_finally_of_a_process_run_in_the_process():
    done = run_script("""
        import tarefa
        l = tarefa.List()
        def f():
            try: l.append("body")
            finally: l.append("finally")
        tarefa.Process(target=f).start().join()
        assert l == ["body", "finally"], l
        print("ok")
    """)
    assert done.stdout == "ok\n"


def test_atexit_of_the_script_runs_once():
    done = run_script("""
        import atexit, tarefa
        atexit.register(print, "once")
        for _ in range(3): tarefa.Process(target=int).start().join()
    """)
    assert done.stdout.count("once") == 1


def test_imported_and_not_used_it_costs_no_process():
    done = run_script("""
        import os, tarefa
        print(open(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read().split())
    """)
    assert done.stdout == "[]\n"
