"""What of the script cannot be in another process is told by name to a task that needs it."""

import pytest
from support import run_script

SCRIPT = """
import socket, sys, threading
import tarefa

LOCK = threading.Lock()

class Holder:
    lock = LOCK
    def get(self): return 1

class Below(Holder): pass

class Connected:
    end = socket.socketpair()[0]

class Made:
    def method(self, x=LOCK): return 2

def with_default(x=LOCK): return 3

def around(f):
    inner_lock = threading.Lock()
    def inner(*args):
        with inner_lock: return f(*args)
    return inner

@around
def locked(x): return x + 1

def uses_class(): return Holder().get()
def by_another(): return uses_class()
def uses_below(): return Below().get()
def uses_connected(): return Connected.end
def uses_method(): return Made().method()
def uses_default(): return with_default()
def uses_decorated(): return locked(3)
def by_module():
    import __main__
    return __main__.Holder
def by_word(): return eval("locked(3)")
def by_key(): return globals()["Holder"]
def data_by_word(): return eval("LOCK.locked()")
def never_uses(x=0):
    if x: return Holder()
    return "Holder" in globals()
def only_a_word(): return "locked" in ("a", "b")

for name in sys.argv[1:]:
    try:
        print(name, "gave", tarefa.Process(target=globals()[name]).start().result(20))
    except Exception as e:
        print(name, type(e).__name__, e, *getattr(e, "__notes__", ()))
"""

# What each is told: the class of its error, and words that must be there.
TOLD = {
    "uses_class": ("NameError", "'Holder'", "lock", "attribute 'lock'"),
    "by_another": ("NameError", "'Holder'", "lock"),
    "uses_below": ("NameError", "'Below'", "lock"),
    "uses_connected": ("NameError", "'Connected'", "socket"),
    "uses_method": ("NotPicklable", "Made.method", "default", "lock"),
    "uses_default": ("NotPicklable", "'with_default'", "default 'x'", "lock", "'uses_default'"),
    "uses_decorated": ("NotPicklable", "'locked'", "variable 'inner_lock'", "lock"),
    "by_module": ("AttributeError", "'Holder'", "attribute 'lock'"),
    "by_word": ("NameError", "'locked'", "inner_lock"),
    "by_key": ("KeyError", "'Holder'", "attribute 'lock'"),
    "data_by_word": ("NameError", "'LOCK'", "data (lock)"),
    "never_uses": ("gave False",),
    "only_a_word": ("gave False",),
}


def test_what_holds_locks_and_files_is_told_by_name():
    done = run_script(SCRIPT, *TOLD)
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    wrong = {
        name: lines.get(name, done.stderr)
        for name, words in TOLD.items()
        if not all(word in lines.get(name, "") for word in words)
    }
    assert not wrong


def test_it_is_told_after_a_change_of_the_script_too():
    run_script(
        """
        import threading
        import tarefa

        def f(): return Late().get()

        assert tarefa.Process(target=len, args=("abc",)).start().result(20) == 3
        class Late:
            lock = threading.Lock()
            def get(self): return 1
        for _ in range(7):
            try:
                tarefa.Process(target=f).start().result(20)
            except NameError as e:
                assert "'Late'" in str(e) and "attribute 'lock'" in str(e), e
            else:
                raise AssertionError
        class Late:
            def get(self): return 2
        assert tarefa.Process(target=f).start().result(20) == 2
        """
    )


CELLS = """
import gc, sys
import tarefa

CELL = '''
class Cell:
    def __init__(self, x): self.x = x
    def get(self): return self.x + 0 * NUMBER
def f(c): return c.get(), Cell(2).get()
'''

def alive():
    gc.collect()
    return sum(isinstance(o, type) and o.__name__ == "Cell" for o in gc.get_objects())

starts, counts = int(sys.argv[1]), []
for i in range(40):
    exec(CELL.replace("NUMBER", str(i)), globals())
    for j in range(starts):
        assert tarefa.Process(target=f, args=(Cell(1),)).start().result(20) == (1, 2)
    counts.append(alive())
# Those that were in the image are kept for a while, for what is still on its way.
assert starts > 1 or max(counts) <= 5, counts
from tarefa._task import _image
assert len(_image.script().parts) <= 33
"""


@pytest.mark.parametrize("starts", [1, 6])
def test_a_cell_that_is_run_again_and_again_leaves_nothing(starts):
    run_script(CELLS, starts)


def test_what_is_gone_by_now_stops_only_who_uses_it():
    run_script(
        """
        import multiprocessing
        from multiprocessing import shared_memory
        import tarefa

        def call(f): return tarefa.Process(target=f).start().result(20)

        segment = shared_memory.SharedMemory(create=True, size=16)
        beside = shared_memory.ShareableList([1, 2])
        manager = multiprocessing.Manager()
        values = manager.dict(x=0)

        def use():
            segment.buf[0] += 1
            values["x"] += 1
            return segment.buf[0], values["x"]

        def other(): return 1

        for i in range(8):
            assert call(use) == (i + 1, i + 1)
        assert call(other) == 1
        for each in (segment, beside.shm):
            each.close()
            each.unlink()
        manager.shutdown()
        for _ in range(8):
            assert call(other) == 1
        try:
            call(use)
        except (OSError, EOFError):
            pass
        else:
            raise AssertionError
        """
    )


BROKEN = """
import os, sys, types
import tarefa

gone = types.ModuleType("gone")
exec("class Known: pass", gone.__dict__)
sys.modules["gone"] = gone
from gone import Known

class NeedsTerminal:
    def __init__(self): self.size = 80
    def __setstate__(self, state): raise OSError("no terminal here")

class Quits:
    def __init__(self): self.size = 1
    def __setstate__(self, state): sys.exit(3)

class Here:
    def __init__(self): self.size = 5
    def __setstate__(self, state): self.size = int(open("size").read())

screen, quits, known, here = NeedsTerminal(), Quits(), Known(), Here()
mixed = {"a": [screen, 1]}
ring = []
ring.append((ring, mixed))
good = {"n": 1}

class Below(Known): pass
class Held:
    screen = screen
class Plain: pass

def around(f):
    size = NeedsTerminal()
    def inner(*args): return f(*args) + size.size
    return inner

@around
def decorated(x): return x

def with_default(x=screen): return 3

def uses_nothing(): return good["n"]
def only_a_word(): return "mixed" in ("mixed",)
def uses_screen(): return screen.size
def uses_mixed(): return mixed["a"][1]
def uses_ring(): return len(ring)
def uses_quits(): return quits.size
def uses_known(): return known
def uses_module(): return gone
def uses_below(): return Below()
def uses_held(): return Held()
def uses_decorated(): return decorated(1)
def uses_default(): return with_default()
def by_word(): return eval("mixed")
def by_key(): return globals()["mixed"]
def by_import():
    from __main__ import mixed
def by_module():
    import __main__
    return __main__.mixed
def uses_attribute(): return Plain.late
def of_an_object(): return Plain().late
def uses_here(): return eval("here").size

def call(name):
    try:
        told = f"gave {tarefa.Process(target=globals()[name]).start().result(20)}"
    except Exception as e:
        told = " ".join(map(str, (type(e).__name__, e, *getattr(e, "__notes__", ()))))
    print(name, told.replace(chr(10), " "))

for name in sys.argv[1:]:
    if name == "uses_attribute": Plain.late = NeedsTerminal()
    call(name)
call("uses_here")
with open("size", "w") as file: file.write("7")
os.mkdir("elsewhere")
os.chdir("elsewhere")
with open("size", "w") as file: file.write("8")
call("uses_here")
"""

CANNOT_BE_BUILT = {
    "uses_nothing": ("gave 1",),
    "only_a_word": ("gave True",),
    "uses_screen": ("OSError", "no terminal here", "'screen'"),
    "uses_mixed": ("OSError", "no terminal here", "'mixed'"),
    "uses_ring": ("OSError", "no terminal here", "'ring'"),
    "uses_quits": ("NotReadable", "sys.exit()", "'quits'"),
    "uses_known": ("ModuleNotFoundError", "'gone'", "'known'"),
    "uses_module": ("NameError", "'gone'", "ModuleNotFoundError"),
    "uses_below": ("NameError", "'Below'", "ModuleNotFoundError"),
    "uses_held": ("NameError", "'Held'", "OSError: no terminal here"),
    "uses_decorated": ("NameError", "'decorated'", "OSError: no terminal here"),
    "uses_default": ("NameError", "'with_default'", "OSError: no terminal here"),
    "with_default": ("NotReadable", "'with_default'", "OSError: no terminal here"),
    "by_word": ("NameError", "'mixed'", "no terminal here"),
    "by_key": ("KeyError", "'mixed'", "no terminal here"),
    "by_import": ("ImportError", "'mixed'", "no terminal here"),
    "by_module": ("AttributeError", "'mixed'", "no terminal here"),
    "uses_attribute": ("AttributeError", "'Plain.late'", "no terminal here"),
    "of_an_object": ("AttributeError", "'Plain.late'", "no terminal here"),
}


def test_what_cannot_be_built_again_is_missed_by_who_uses_it_alone(tmp_path):
    done = run_script(BROKEN, *CANNOT_BE_BUILT, cwd=tmp_path)
    lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
    told = dict(lines[:-2])
    wrong = {
        name: told.get(name, done.stderr)
        for name, words in CANNOT_BE_BUILT.items()
        if not all(word in told.get(name, "") for word in words)
    }
    assert not wrong
    # What can be built in another folder is there for who has that folder.
    assert "No such file" in lines[-2][1]
    assert lines[-1] == ["uses_here", "gave 8"]
    assert done.stderr == ""


def test_what_comes_later_and_cannot_be_built_is_missed_by_who_uses_it_alone_too():
    run_script(
        """
        import tarefa

        class Fails:
            def __init__(self): self.x = 1
            def __setstate__(self, state): raise OSError("no terminal here")

        def plain(): return 1
        def uses(): return late.x
        def call(f): return tarefa.Process(target=f).start().result(20)

        assert call(plain) == 1
        late = Fails()
        for _ in range(12):
            assert call(plain) == 1
            try:
                call(uses)
            except (OSError, NameError) as e:
                told = str(e) + str(getattr(e, "__notes__", ""))
                assert "no terminal here" in told and "'late'" in told, told
            else:
                raise AssertionError
        """
    )


def test_tasks_of_pools_are_told_too():
    run_script(
        """
        import threading
        import tarefa

        class Holder:
            lock = threading.Lock()

        def uses(): return Holder()

        with tarefa.Pool(1, kind="process") as pool:
            error = pool.submit(uses).exception(20)
        assert type(error) is NameError
        assert "attribute 'lock'" in str(error), error
        """
    )
