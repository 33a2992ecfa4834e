"""Names that programs bring along from `threading`, `multiprocessing` and `concurrent.futures`."""

import concurrent.futures
import importlib
import multiprocessing
import os
import pkgutil
import select
import subprocess
import sys
import threading
import time

import pytest
from support import run_script

import tarefa

OURS = {*tarefa.__all__, "enumerate", "map"}
THREADING = {n for n in {*dir(threading), *threading.__all__} if not n.startswith("_")}
MULTIPROCESSING = {n for n in dir(multiprocessing) if not n.startswith("_")}
MULTIPROCESSING |= {m.name for m in pkgutil.iter_modules(multiprocessing.__path__)}
FUTURES = {*concurrent.futures.__all__, "BrokenProcessPool", "BrokenThreadPool"}
STANDARD = sorted(THREADING | MULTIPROCESSING | FUTURES)


MISSING = [name for name in STANDARD if not hasattr(tarefa, name)]


@pytest.mark.parametrize("name", STANDARD)
def test_each_name_is_there_or_says_what_to_use(name):
    if name in OURS or name.endswith("_all_threads"):
        assert getattr(tarefa, name) is not None
        exec(f"from tarefa import {name}", {})
        return
    with pytest.raises(AttributeError, match=f"no '{name}': ....") as attribute:
        getattr(tarefa, name)
    with pytest.raises(ImportError, match=f"no '{name}': ....") as imported:
        exec(f"from tarefa import {name}", {})
    assert str(imported.value) == str(attribute.value)
    with pytest.raises(ModuleNotFoundError, match=f"no '{name}': ....") as module:
        importlib.import_module(f"tarefa.{name}")
    assert str(module.value) == str(attribute.value)
    assert not hasattr(tarefa, name)


@pytest.mark.parametrize("name", MISSING)
def test_what_is_said_names_things_that_exist(name):
    with pytest.raises(AttributeError) as said:
        getattr(tarefa, name)
    for word in str(said.value).replace("(", " ").replace(")", " ").split():
        if word.startswith("tarefa."):
            found = tarefa
            for part in word.strip(".,:;").split(".")[1:]:
                found = getattr(found, part)


def test_a_name_that_nobody_has():
    with pytest.raises(AttributeError, match="no attribute 'Queueue'"):
        _ = tarefa.Queueue
    with pytest.raises(ImportError, match="cannot import name 'Queueue'"):
        exec("from tarefa import Queueue", {})


def test_a_star_brings_no_built_in_names():
    names: dict[str, object] = {}
    exec("from tarefa import *", names)
    assert "enumerate" not in names
    assert names["Timer"] is tarefa.Timer


def test_the_names_are_not_imported_before_they_are_used():
    code = "import sys, tarefa; print('tarefa._task._standard' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


def test_what_threading_says():
    for name in (
        "current_thread",
        "main_thread",
        "enumerate",
        "active_count",
        "get_ident",
        "get_native_id",
        "local",
        "settrace",
        "setprofile",
        "gettrace",
        "getprofile",
        "stack_size",
        "TIMEOUT_MAX",
    ):
        assert getattr(tarefa, name) == getattr(threading, name)


def test_a_thread_is_found():
    go = tarefa.Event()
    task = tarefa.Thread(target=go.wait).start()
    assert task in tarefa.enumerate()
    go.set()
    task.join()
    assert tarefa.Thread(target=tarefa.current_thread).start().result() is not None


def test_tracing_reaches_threads():
    seen = []

    def trace(frame, event, argument):
        seen.append(frame.f_code.co_name)

    def traced():
        return 1

    tarefa.settrace(trace)
    try:
        assert tarefa.Thread(target=traced).start().result() == 1
    finally:
        tarefa.settrace(None)
    assert "traced" in seen


def test_the_processes_of_the_program_itself():
    me = tarefa.current_process()
    assert me is tarefa.current_process()
    assert (me.name, me.pid, me.ident, me.daemon) == (
        "MainProcess",
        os.getpid(),
        os.getpid(),
        False,
    )
    assert me.is_alive()
    assert me.exitcode is None
    assert me.authkey == multiprocessing.current_process().authkey
    assert "MainProcess" in repr(me)
    with pytest.raises(tarefa.StateError, match="itself"):
        me.join()
    assert tarefa.parent_process() is None
    assert tarefa.active_children() == []


def test_the_processes_of_a_task():
    def look():
        me, parent = tarefa.current_process(), tarefa.parent_process()
        assert me is tarefa.current_task() is tarefa.current_process()
        assert parent is tarefa.parent_process()
        assert parent.is_alive()
        assert not select.select([parent.sentinel], [], [], 0)[0]
        parent.join(0)
        return me.name, me.pid, parent.name, parent.pid

    task = tarefa.Process(target=look, name="p").start()
    assert task.result() == ("p", task.pid, "MainProcess", os.getpid())


def test_the_processes_of_a_task_of_a_task():
    def inner():
        parent = tarefa.parent_process()
        return type(parent).__name__, parent.name, parent.pid, parent.is_alive()

    def outer():
        child = tarefa.Process(target=inner, name="in").start()
        return child.result(), os.getpid(), tarefa.active_children() == []

    found, pid, none_left = tarefa.Process(target=outer, name="out").start().result()
    assert found == ("Process", "out", pid, True)
    assert none_left


def test_multiprocessing_tells_a_task_the_same():
    """A library that asks it whether this is the program itself is told the truth."""

    def look():
        from multiprocessing import process

        parent = process.parent_process()
        assert parent.is_alive()
        assert "MainProcess" in repr(parent)
        parent.join(0)
        return process.current_process().name, parent.name, parent.pid

    assert tarefa.Process(target=look, name="p").start().result() == (
        "p",
        "MainProcess",
        os.getpid(),
    )
    assert multiprocessing.parent_process() is None


def test_active_children():
    go = tarefa.Event()
    tasks = [tarefa.Process(target=go.wait).start() for _ in range(2)]
    thread = tarefa.Thread(target=go.wait).start()
    assert set(tarefa.active_children()) == set(tasks)
    go.set()
    for task in (*tasks, thread):
        task.join()
    assert tarefa.active_children() == []


def test_a_timer_calls():
    before = time.monotonic()
    timer = tarefa.Timer(0.05, max, (1, 2), {"key": lambda x: -x}).start()
    assert timer.result() == 1
    assert time.monotonic() - before >= 0.05
    assert timer.finished.is_set()


def test_a_timer_that_is_cancelled():
    called = []
    timer = tarefa.Timer(600, called.append, [1])
    timer.start()
    timer.cancel()
    assert timer.result() is None
    assert called == []


def test_a_timer_that_is_interrupted():
    timer = tarefa.Timer(600, print).start()
    timer.interrupt()
    with pytest.raises(tarefa.TaskInterrupted):
        timer.result()


def test_a_program_that_changes_its_import_only():
    source = """
        import tarefa as threading
        import tarefa as multiprocessing

        def work(n, out):
            out[n] = (multiprocessing.current_process().name, threading.current_thread().name)

        out = multiprocessing.Dict()
        tasks = [multiprocessing.Process(target=work, args=(0, out), name="p")]
        tasks += [threading.Thread(target=work, args=(1, out), name="t")]
        for t in tasks:
            t.start()
        for t in tasks:
            t.join()
        print(out[0], out[1], threading.main_thread().name, len(multiprocessing.active_children()))
    """
    result = run_script(source)
    assert result.stdout == "('p', 'MainThread') ('MainProcess', 't') MainThread 0\n"


def test_what_dir_shows():
    assert {n for n in dir(tarefa) if not n.startswith("__")} == OURS
    for name in OURS:
        assert getattr(tarefa, name) is not None
