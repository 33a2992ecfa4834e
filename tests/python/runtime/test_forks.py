"""What the child of a plain `os.fork()` has of shared objects."""

import time

import pytest
from support import eventually, run_script

FORKS = """
import os, sys, tarefa, time
MAKE = {
    "List": lambda: tarefa.List([1, 2]), "Dict": lambda: tarefa.Dict({1: 2}),
    "Set": lambda: tarefa.Set([1]), "Value": lambda: tarefa.Value("i", 7),
    "Queue": tarefa.Queue, "Event": tarefa.Event, "Lock": tarefa.Lock,
    "Array": lambda: tarefa.Array("i", [1, 2]), "Condition": tarefa.Condition, "Pipe": tarefa.Pipe,
}

def use(kind, it):
    if kind == "Queue":
        it.put(3)
        return it.get(timeout=5)
    if kind == "Event":
        it.set()
        return it.is_set()
    if kind in ("Lock", "Condition"):
        with it:
            return True
    if kind == "Value":
        return it.value
    if kind == "Pipe":
        it[0].send(4)
        return it[1].recv()
    return list(it)

def many():
    return [make() for make in MAKE.values() for _ in range(30)]
"""


@pytest.mark.parametrize(
    "kind",
    ["List", "Dict", "Set", "Value", "Queue", "Event", "Lock", "Array", "Condition", "Pipe"],
)
def test_what_a_fork_inherited_is_its_own_though_its_parent_has_dropped_it(kind):
    """Before the child's first call, and others have been made in its place."""
    run_script(
        FORKS
        + """
it = MAKE[sys.argv[1]]()
want = use(sys.argv[1], MAKE[sys.argv[1]]())
pid = os.fork()
if pid == 0:
    import signal
    signal.alarm(30)
    time.sleep(0.3)
    ok = use(sys.argv[1], it) == want
    os._exit(0 if ok else 1)
del it
others = many()
assert os.waitpid(pid, 0) == (pid, 0)
for other in others:
    if type(other) is tarefa.List:
        assert list(other) == [1, 2]
""",
        kind,
    )


def test_the_fork_of_a_daemon_starts_processes_as_that_does(tmp_path):
    told = tmp_path / "told"
    run_script(
        """
import os, sys, tarefa, time
shared = tarefa.List([1])
tarefa.Process(target=int).start().join()
for _ in range(2):
    if os.fork():
        os._exit(0)
    os.setsid()
time.sleep(0.5)
found = [tarefa.Process(target=lambda: len(shared)).start().result(20)]
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        try:
            shared.append(tarefa.Process(target=lambda: len(shared)).start().result(20))
        except BaseException as e:
            shared.append(str(e))
        os._exit(0)
    os.waitpid(pid, 0)
with open(sys.argv[1] + ".new", "w") as f:
    f.write(repr((found, list(shared))))
os.rename(sys.argv[1] + ".new", sys.argv[1])
""",
        told,
        code=None,
    )
    eventually(told.exists)
    time.sleep(0.2)
    assert told.read_text() == "([1], [1, 1, 2])"


@pytest.mark.parametrize("first", ["fork", "task"])
def test_a_fork_of_one_that_is_gone_has_what_that_had(first, tmp_path):
    told = tmp_path / "told"
    run_script(
        FORKS
        + """
def middle(name):
    it, parent = tarefa.List([1]), os.getpid()
    if os.fork() == 0:
        while os.getppid() == parent:
            time.sleep(0.01)
        time.sleep(0.5)
        others = many()
        it.append(2)
        with open(name, "w") as f:
            f.write(repr((list(it), [list(o) for o in others if type(o) is tarefa.List][0])))
        os._exit(0)

if __name__ == "__main__":
    tarefa.List()
    if sys.argv[2] == "task":
        tarefa.Process(target=middle, args=(sys.argv[1],)).start().join()
    else:
        pid = os.fork()
        if pid == 0:
            middle(sys.argv[1])
            os._exit(0)
        os.waitpid(pid, 0)
    until = time.monotonic() + 30
    while not os.path.exists(sys.argv[1]) and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.1)
""",
        told,
        first,
    )
    assert told.read_text() == "([1, 2], [1, 2])"
