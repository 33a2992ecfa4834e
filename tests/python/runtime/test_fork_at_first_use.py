"""A fork while other threads use something of the library for the first time: the child has all."""

import sys
from subprocess import PIPE, run

import pytest

SCRIPT = """
import importlib
import os
import pkgutil
import signal
import sys
import threading

import tarefa

# A module that another thread imports at the fork is locked in the child: that is Python's own.
for module in pkgutil.walk_packages(tarefa.__path__, "tarefa."):
    if not module.name.endswith(("__main__", "_joblib")):
        importlib.import_module(module.name)
for name in tarefa.__all__:
    getattr(tarefa, name)
event = tarefa.Event()


def uses():
    queue = tarefa.Queue()
    queue.put({"a": {1, 2}})
    assert queue.get() == {"a": {1, 2}}
    mapping = tarefa.Dict()
    mapping["x"] = (1, object)
    assert mapping["x"] == (1, object)
    items = tarefa.List([1, "a", None, range(3)])
    items.append({})
    assert list(items) == [1, "a", None, range(3), {}]
    assert not event.is_set()


go = threading.Event()


def first():
    go.wait()
    uses()


threads = [threading.Thread(target=first) for _ in range(4)]
for thread in threads:
    thread.start()
sys.setswitchinterval(1e-5)
go.set()
children = []
for _ in range(12):
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        uses()
        os._exit(0)
    children.append(pid)
for thread in threads:
    thread.join()
print([os.waitpid(pid, 0)[1] for pid in children])
"""


@pytest.mark.parametrize("turn", range(4))
def test_a_child_has_what_others_were_just_looking_up(turn):
    done = run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        stdout=PIPE,
        text=True,
        timeout=50,
        check=True,
    )
    assert done.stdout == f"{[0] * 12}\n"
