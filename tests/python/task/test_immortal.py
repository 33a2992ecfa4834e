"""What the zygote had before it forked is shared by its children, and not counted by CPython."""

import gc
import sys
import weakref

import pytest
from support import eventually, run_script

import tarefa

KNOWN = (3, 12) <= sys.version_info[:2] <= (3, 13)


@pytest.mark.skipif(not KNOWN, reason="immortal objects are known of CPython 3.12 and 3.13")
def test_what_the_zygote_made_is_immortal_in_its_children():
    def counts():
        import threading

        objects = [tarefa.Process, tarefa.Process.start, vars(tarefa), threading.Thread]
        return [sys.getrefcount(one) >= 2**31 for one in objects]

    # The first process is made before the zygote has come to that.
    tarefa.Process(target=int).start().join()
    assert eventually(lambda: tarefa._engine.diagnostics()["spares"] > 0)
    assert all(tarefa.Process(target=counts).start().result())


def test_what_a_task_makes_is_freed_as_ever():
    def make_and_drop():
        class Thing:
            pass

        thing = Thing()
        seen, count = weakref.ref(thing), sys.getrefcount(thing)
        del thing
        cycle = [Thing()]
        cycle.append(cycle)
        other = weakref.ref(cycle[0])
        del cycle
        gc.collect()
        return seen() is None, other() is None, count < 10

    assert tarefa.Process(target=make_and_drop).start().result() == (True, True, True)


def test_what_is_imported_for_tasks_later_is_counted(tmp_path):
    (tmp_path / "a_module_of_ours.py").write_text("data = [object()]\n")
    done = run_script(
        f"""
        import sys, tarefa
        sys.path.insert(0, {str(tmp_path)!r})
        tarefa.preload(["a_module_of_ours"])

        def count():
            import a_module_of_ours
            return sys.getrefcount(a_module_of_ours.data) < 1000

        print(tarefa.Process(target=count).start().result())
        """
    )
    assert done.stdout == "True\n"
