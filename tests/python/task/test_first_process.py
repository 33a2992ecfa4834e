"""A program's first processes are made before the zygote has come to all that is for later ones."""

import signal
import textwrap
from pathlib import Path

from support import run_script


def out(source, *arguments, **rest):
    return run_script(textwrap.dedent(source), *arguments, **rest)


def test_it_is_as_any_other():
    done = out("""
        import dataclasses, logging, sys, tarefa
        @dataclasses.dataclass
        class Point:
            x: int
        def first(point):
            logging.basicConfig(format="%(processName)s %(message)s", stream=sys.stdout, force=True)
            logging.warning("here")
            inner = tarefa.Process(target=lambda: Point(2)).start().result()
            return point, inner, (lambda: 3)
        task = tarefa.Process(target=first, args=(Point(1),), name="alone").start()
        one, two, three = task.result()
        print(one, two, three())
    """)
    assert done.stdout == "alone here\nPoint(x=1) Point(x=2) 3\n"
    assert done.stderr == ""


def test_multiprocessing_knows_it_whenever_it_is_imported():
    done = out("""
        import tarefa
        def asked():
            import multiprocessing
            me, other = multiprocessing.current_process(), multiprocessing.parent_process()
            return me.name, bytes(me.authkey), other.name, other.pid
        def before():
            # Whoever imports it late, by whatever way, is told as well.
            import logging
            record = logging.makeLogRecord({})
            fresh = logging.LogRecord("a", 10, "f", 1, "m", (), None)
            inner = tarefa.Process(target=asked, name="inner").start().result()
            return fresh.processName, inner, asked()
        import os
        name, inner, me = tarefa.Process(target=before, name="first").start().result()
        assert name == "first", name
        assert me[0] == "first" and me[2:] == ("MainProcess", os.getpid()), me
        assert inner[0] == "inner" and inner[2] == "first", inner
        assert inner[1] == me[1] and len(me[1]) == 32
        assert tarefa.Process(target=asked).start().result()[1] == me[1]
        import multiprocessing
        key = bytes(multiprocessing.current_process().authkey)
        assert tarefa.Process(target=asked).start().result()[1] == key
    """)
    assert done.stderr == ""


def test_what_finds_modules_is_as_the_program_has_it():
    done = out("""
        import sys, tarefa, threading, time
        def first():
            class Hook:
                asked = []
                def __init__(self, other=None): self.other = other
                def find_spec(self, name, path=None, target=None):
                    Hook.asked.append(name)
                    return None if self.other is None else self.other.find_spec(name, path, target)
            # Others import while it is told, by finders of theirs; and what fails is tried again.
            sys.meta_path.append(Hook())
            sys.meta_path[:] = [Hook(finder) for finder in sys.meta_path]
            failed, over = [], threading.Event()
            def imports(name):
                while not over.is_set():
                    sys.modules.pop(name, None)
                    try:
                        __import__(name)
                    except ImportError as e:
                        failed.append(repr(e))
            names = ("colorsys", "bisect", "_bisect", "stringprep", "nturl2path")
            threads = [
                threading.Thread(target=imports, args=(name,), daemon=True) for name in names
            ]
            for thread in threads: thread.start()
            import itertools
            count, itertools.count = itertools.count, None
            try:
                import multiprocessing
            except TypeError:
                pass
            else:
                raise AssertionError("it was to fail")
            itertools.count = count
            import logging, multiprocessing
            time.sleep(0.05)
            over.set()
            for thread in threads: thread.join()
            assert "logging" in Hook.asked and "multiprocessing.process" in Hook.asked
            return failed, multiprocessing.current_process().name
        print(tarefa.Process(target=first, name="first").start().result())
        def finders():
            return [type(f).__module__ for f in sys.meta_path if type(f).__module__ != "builtins"]
        while "tarefa._task._of_multiprocessing" in tarefa.Process(target=finders).start().result():
            time.sleep(0.01)
    """)
    assert done.stdout == "([], 'first')\n"
    assert done.stderr == ""


def test_many_at_once_before_anything_is_warm():
    done = out("""
        import tarefa
        class Thing:
            def __init__(self, n): self.n = n
        def double(thing): return Thing(thing.n * 2)
        tasks = [tarefa.Process(target=double, args=(Thing(i),)).start() for i in range(12)]
        print(sum(task.result().n for task in tasks))
        print(tarefa.Process(target=double, args=(Thing(1),)).start().result().n)
    """)
    assert done.stdout == "132\n2\n"
    assert done.stderr == ""


def test_spares_come_though_nobody_starts_a_process():
    done = out("""
        import sys, tarefa, time
        tarefa.configure(spares=2)
        tarefa.Process(target=int)
        while tarefa._engine.diagnostics()["spares"] < 2:
            time.sleep(0.01)
        def rehearsed():
            there = sys.modules
            return len(there["tarefa._task._warm_up"]._stand_ins), "traceback" in there
        # The first spares are there before that.
        while not (found := tarefa.Process(target=rehearsed).start().result())[1]:
            time.sleep(0.01)
        print(*found)
    """)
    assert done.stdout == "3 True\n"
    assert done.stderr == ""


def test_a_module_of_the_script_that_cannot_be_imported_disturbs_no_other(tmp_path):
    """The zygote imports modules by names that a program's folder may have, too."""
    (tmp_path / "dataclasses.py").write_text("raise RuntimeError('not this one')\n")
    done = out(
        f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import tarefa, time
        tarefa.configure(spares=1)
        def f(): return 1
        print(tarefa.Process(target=f).start().result())
        while tarefa._engine.diagnostics()["spares"] < 1:
            time.sleep(0.01)
        print(tarefa.Process(target=f).start().result())
        """
    )
    assert done.stdout == "1\n1\n"
    assert done.stderr == ""


def test_a_zygote_that_is_killed_while_it_warms_up():
    done = out(f"""
        import os, tarefa
        def parent(): return os.getppid()
        zygotes = set()
        for _ in range(5):
            zygote = tarefa.Process(target=parent).start().result()
            zygotes.add(zygote)
            try:
                os.kill(zygote, {int(signal.SIGKILL)})
            except ProcessLookupError:
                pass  # a spare of the one before had the task, and saw it as it went
        print(len(zygotes), tarefa.Process(target=int).start().result())
    """)
    assert done.stdout.split()[1] == "0", done.stdout
    assert done.stderr == ""


def test_what_few_tasks_need_is_there_once_one_has_needed_it():
    """Each fork copies the tables of all that the zygote has loaded."""
    done = out("""
        import sys, tarefa, time
        tarefa.configure(spares=0)
        def has():
            return "cloudpickle" in sys.modules
        def fails():
            # An exception of a class that is made as the task runs.
            raise type("Odd", (Exception,), {})("odd")
        print(tarefa.Process(target=has).start().result())
        plain = tarefa.Process(target=int, args=("x",)).start().exception()
        print(type(plain).__name__, tarefa.Process(target=has).start().result())
        print(tarefa.Process(target=fails).start().exception())
        while not tarefa.Process(target=has).start().result():
            time.sleep(0.01)
    """)
    assert done.stdout == "False\nValueError False\nodd\n"
    assert done.stderr == ""


def test_processes_from_before_a_large_global_are_given_no_task():
    done = out(
        """
        import os, sys, tarefa
        sys.path.append(sys.argv[1])
        from support import eventually
        from tarefa import _engine
        def zygote():
            return os.getppid()
        def size():
            return len(data)
        def spares():
            with open(f"/proc/{parent}/task/{parent}/children") as file:
                return {int(pid) for pid in file.read().split()}
        def are_ready():
            found = _engine.diagnostics()
            return found["spares"] == found["spares_wanted"] == len(spares())
        parent = tarefa.Process(target=zygote).start().result()
        eventually(are_ready)
        before = spares()
        data = os.urandom(3_000_000)
        tasks = [tarefa.Process(target=size).start() for _ in range(3)]
        assert [task.result() for task in tasks] == [3_000_000] * 3
        assert before.isdisjoint(task.pid for task in tasks)
        eventually(lambda: before.isdisjoint(spares()))
    """,
        str(Path(__file__).parent.parent),
    )
    assert done.stderr == ""
