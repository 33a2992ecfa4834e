"""A task has the starter's surroundings as they are at `start()`, however old the zygote is."""

import contextvars
import decimal
import logging
import os
import random
import sys

import pytest
import targets
from support import run_script

import tarefa

COLOUR = contextvars.ContextVar("COLOUR", default="none")


def result(Task, target, *args, **rest):
    return Task(target=target, args=args, **rest).start().result()


def test_environment_variables(Task, monkeypatch):
    monkeypatch.setenv("TAREFA_TEST_NEW", "é=1")
    assert result(Task, lambda: os.environ["TAREFA_TEST_NEW"]) == "é=1"
    monkeypatch.setenv("TAREFA_TEST_NEW", "changed")
    assert result(Task, os.getenv, "TAREFA_TEST_NEW") == "changed"
    monkeypatch.delenv("TAREFA_TEST_NEW")
    assert result(Task, os.getenv, "TAREFA_TEST_NEW") is None


def test_environment_variables_reach_programs_of_the_task(monkeypatch):
    monkeypatch.setenv("TAREFA_TEST_NEW", "deep")

    def ask():
        import subprocess

        return subprocess.run(
            ["sh", "-c", "echo $TAREFA_TEST_NEW"], capture_output=True, text=True, check=True
        ).stdout

    assert result(tarefa.Process, ask) == "deep\n"


def test_what_a_process_changes_stays_there(monkeypatch):
    monkeypatch.setenv("TAREFA_TEST_NEW", "parent")
    result(tarefa.Process, os.environ.__setitem__, "TAREFA_TEST_NEW", "child")
    assert os.environ["TAREFA_TEST_NEW"] == "parent"
    assert result(tarefa.Process, os.getenv, "TAREFA_TEST_NEW") == "parent"


def test_the_working_directory(Task, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert result(Task, os.getcwd) == str(tmp_path)
    monkeypatch.undo()
    assert result(Task, os.getcwd) == os.getcwd()


def test_the_module_path(Task, monkeypatch, tmp_path):
    (tmp_path / "so_aqui.py").write_text("def f():\n    return 'found'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import so_aqui

    assert result(Task, so_aqui.f) == "found"
    assert result(Task, lambda: sys.path) == sys.path
    del sys.modules["so_aqui"]


def test_context_variables(Task):
    token = COLOUR.set("blue")
    try:
        task = Task(target=COLOUR.get)
        assert task.start().result() == "blue"
    finally:
        COLOUR.reset(token)
    assert result(Task, COLOUR.get) == "none"


def test_context_variables_set_in_a_task_stay_there(Task):
    result(Task, COLOUR.set, "red") if Task is tarefa.Thread else result(
        Task, lambda: COLOUR.set("red") and None
    )
    assert COLOUR.get() == "none"


def test_a_context_variable_that_does_not_pickle_is_left_out():
    variable = contextvars.ContextVar("unpicklable")
    token = variable.set(lambda: (yield))
    other = variable.set(n for n in range(2))
    try:
        assert result(tarefa.Process, targets.add, 1, 2) == 3
    finally:
        variable.reset(other)
        variable.reset(token)


@pytest.mark.parametrize("loaded", ["", "import multiprocessing", "sys.modules['mine'] = main"])
def test_a_context_variable_of_the_script(loaded):
    script = f"""
        import contextvars, sys, tarefa
        main = sys.modules["__main__"]
        {loaded}
        variable = contextvars.ContextVar("variable", default=0)
        def read(): return variable.get()
        def ask(given): return given.get()
        def results():
            yield tarefa.Process(target=variable.get).start().result()
            yield tarefa.Process(target=read).start().result()
            yield tarefa.Process(target=ask, args=(variable,)).start().result()
            with tarefa.Pool(1) as pool:
                yield pool.submit(variable.get).result()
                yield pool.submit(read).result()
                yield pool.submit(ask, variable).result()
        print(*results())
        variable.set(7)
        print(*results())
    """
    assert run_script(script).stdout == "0 0 0 0 0 0\n7 7 7 7 7 7\n"


def lower_precision(precision=4):
    before = decimal.getcontext().prec
    decimal.getcontext().prec = precision
    return (
        before,
        str(decimal.Decimal(1) / 3),
        list(filter(None, decimal.getcontext().flags.values())),
    )


def test_a_task_changes_its_own_decimal_context_alone(Task):
    with decimal.localcontext(prec=9) as mine:
        mine.flags[decimal.Inexact] = True
        assert result(Task, lower_precision)[:2] == (9, "0.3333")
        assert decimal.getcontext().prec == 9
        assert result(Task, lambda: decimal.getcontext().flags[decimal.Inexact]) is False
        task = Task(target=lower_precision)
        task.start()
        mine.prec = 12  # too late for the task
        assert task.result()[0] == 9


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_so_do_those_of_a_group(kind):
    with decimal.localcontext(prec=9) as mine:
        with tarefa.TaskGroup(limit=1, kind=kind) as group:
            tasks = [group.start(lower_precision, n) for n in (3, 4, 5)]
            mine.prec = 12
        assert [task.result()[0] for task in tasks] == [9, 9, 9]
        assert mine.prec == decimal.getcontext().prec == 12


def test_decimal_is_not_loaded_for_that():
    script = """
        import sys, contextvars, tarefa
        contextvars.ContextVar("some").set(1)
        tarefa.Thread(target=int).start().result()
        with tarefa.Pool(1, kind="thread") as pool:
            pool.submit(int).result()
        print("decimal" in sys.modules)
    """
    assert run_script(script).stdout == "False\n"


def test_logging_shows_the_tasks_name(Task):
    def log():
        record = logging.getLogger("x").makeRecord("x", logging.INFO, "f", 1, "m", (), None)
        return record.processName, record.threadName

    names = result(Task, log, name="trabalho")
    assert names[0 if Task is tarefa.Process else 1] == "trabalho"


def test_random_differs_in_each_process():
    tasks = [
        tarefa.Process(target=lambda: (random.random(), os.urandom(8))).start() for _ in range(5)
    ]
    results = [task.result() for task in tasks]
    assert len({number for number, _ in results}) == 5
    assert random.random() not in {number for number, _ in results}


def test_numpys_random_differs_in_each_process():
    pytest.importorskip("numpy")

    def draw():
        import numpy as np

        return float(np.random.rand())

    tasks = [tarefa.Process(target=draw).start() for _ in range(4)]
    assert len({task.result() for task in tasks}) == 4


def test_numpy_preloaded_differs_in_each_process():
    pytest.importorskip("numpy")
    done = run_script("""
        import numpy as np, tarefa
        tarefa.preload(["numpy"])
        ps = [tarefa.Process(target=lambda: np.random.rand()).start() for _ in range(4)]
        print(len({float(p.result()) for p in ps}))
    """)
    assert done.stdout == "4\n"


def test_a_seed_set_in_the_task_holds(Task):
    def draw():
        random.seed(5)
        return random.random()

    assert result(Task, draw) == random.Random(5).random()


def test_hashes_of_text_agree():
    """Among all processes of a program, whichever zygote they come from."""
    done = run_script("""
        import os, signal, tarefa
        def look(): return hash("tarefa"), os.environ.get("PYTHONHASHSEED")
        first = tarefa.Process(target=look).start().result()
        tarefa.configure(spares=0)
        os.kill(tarefa._engine.diagnostics()["zygote_pid"], signal.SIGKILL)
        second = tarefa.Process(target=look).start().result()
        assert first == second and first[1] is None, (first, second)
        print("all well")
    """)
    assert done.stdout == "all well\n"


def test_hashes_of_text_agree_with_the_programs_own_where_it_was_given_a_seed():
    source = """
        import tarefa
        print(tarefa.Process(target=hash, args=("tarefa",)).start().result() == hash("tarefa"))
    """
    assert run_script(source, env={"PYTHONHASHSEED": "7"}).stdout == "True\n"


def test_the_interpreters_flags(Task):
    assert result(
        Task, lambda: (sys.flags.optimize, sys.flags.utf8_mode, sys.executable, sys.prefix)
    ) == (
        sys.flags.optimize,
        sys.flags.utf8_mode,
        sys.executable,
        sys.prefix,
    )


def test_flags_of_a_script():
    done = run_script(
        """
        import sys, tarefa
        def flags():
            of = sys.flags
            return of.optimize, of.dont_write_bytecode, of.utf8_mode, sys.warnoptions
        here, there = flags(), tarefa.Process(target=flags).start().result()
        assert here == there, (here, there)
        print("same")
        """,
        flags=("-O", "-B", "-W", "error::ResourceWarning", "-X", "utf8"),
    )
    assert done.stdout == "same\n"


def test_sys_argv_and_main_are_the_scripts():
    done = run_script(
        """
        import sys, tarefa
        print(*tarefa.Process(target=lambda: sys.argv[1:]).start().result())
        """,
        "um",
        "dois",
    )
    assert done.stdout == "um dois\n"


def test_the_signal_handlers_of_the_starter_do_not_run_in_a_process():
    done = run_script("""
        import os, signal, tarefa
        signal.signal(signal.SIGTERM, lambda *_: print("handler of the script"))
        def die(): os.kill(os.getpid(), signal.SIGTERM)
        t = tarefa.Process(target=die).start(); t.join()
        print(t.exitcode)
    """)
    assert done.stdout == "-15\n"
