"""Tasks as tables: as text, for notebooks, and row by row."""

import os
import signal
import xml.etree.ElementTree as ET

import pytest

import tarefa


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def leave():
    os._exit(3)


def cells(html):
    """Return the rows of a table of a page."""
    return [["".join(cell.itertext()) for cell in row] for row in ET.fromstring(html).iter("tr")]


def test_a_row_for_each_task():
    ready, go = tarefa.Event(), tarefa.Event()

    def wait_for(ready, go):
        ready.set()
        go.wait()

    new = tarefa.Thread(target=print, name="new")
    runs = tarefa.Process(target=wait_for, args=(ready, go), name="runs").start()
    done = tarefa.Thread(target=pow, args=(2, 3), name="done").start()
    killed = tarefa.Process(target=die, name="killed").start()
    left = tarefa.Process(target=leave, name="left").start()
    ready.wait()
    for task in (done, killed, left):
        task.join()
    assert isinstance(killed.exception(), tarefa.WorkerDied)
    assert isinstance(left.exception(), tarefa.WorkerDied)
    tasks = [new, runs, done, killed, left]
    table = tarefa.table(tasks)
    go.set()
    runs.join()
    assert [(row.name, row.kind, row.state.name) for row in table] == [
        ("new", "thread", "NEW"),
        ("runs", "process", "RUNNING"),
        ("done", "thread", "FINISHED"),
        ("killed", "process", "KILLED"),
        ("left", "process", "KILLED"),
    ]
    assert [row.ended_by for row in table] == [None, None, None, "SIGKILL", "exit 3"]
    assert [row.pid for row in table] == [None, runs.pid, os.getpid(), killed.pid, left.pid]
    assert table[0].wall is table[0].cpu is table[0].memory is None
    assert all(row.wall > 0 for row in table[1:])
    assert table[1].memory > 0
    lines = str(table).splitlines()
    assert lines[0].split() == ["name", "kind", "pid", "state", "time", "processor", "memory"]
    assert set(lines[1]) == {"-"}
    assert lines[5].split()[:5] == ["killed", "process", str(killed.pid), "killed", "(SIGKILL)"]
    assert len(lines) == 2 + len(tasks)
    assert repr(table) == str(table)
    assert (len(table), table[-1].name) == (5, "left")
    rows = cells(table._repr_html_())
    assert rows[0] == lines[0].split()
    assert [row[3] for row in rows[1:]][-2:] == ["killed (SIGKILL)", "killed (exit 3)"]


def test_tasks_that_run_are_those_of_a_table_of_its_own():
    go = tarefa.Event()
    task = tarefa.Thread(target=go.wait, name="one").start()
    assert "one" in [row.name for row in tarefa.table()]
    go.set()
    task.join()
    assert "one" not in [row.name for row in tarefa.table()]
    assert str(tarefa.table([])).startswith("name")


def test_a_name_stays_in_its_cell():
    name = "a<b>&\n\x1b[1m"
    task = tarefa.Thread(target=print, name=name)
    assert len(str(tarefa.table([task])).splitlines()) == 3
    assert "\x1b" not in str(tarefa.table([task]))
    assert "a&lt;b&gt;&amp;" in task._repr_html_()


def test_a_class_of_ones_own_is_named():
    class Worker(tarefa.Thread):
        pass

    assert tarefa.table([Worker(target=print)])[0].kind == "Worker"


def test_what_is_no_task_is_refused():
    with pytest.raises(TypeError, match="takes threads and processes"):
        tarefa.table([1])


def test_tasks_are_pictures_with_a_bar_for_each():
    import xml.etree.ElementTree as ET

    fine = tarefa.Thread(target=len, args=("a",), name="a<b>\x00").start()
    fine.join()
    new = tarefa.Process(target=len, args=("a",), name="new")
    text = "".join(ET.fromstring(tarefa.table([fine, new])._repr_svg_()).itertext())
    for said in ("a<b>", "new", fine.state.name.lower()):
        assert said in text.lower()
    assert "a<b>" in "".join(ET.fromstring(fine._repr_svg_()).itertext())
    assert "no tasks" in tarefa.table([])._repr_svg_()
