"""What the extension asks the package for is there, and so is a class for each kind of object."""

import pickle
import re
from pathlib import Path

import pytest

import tarefa
from tarefa import _hooks

SOURCES = Path(__file__).parents[3] / "crates/tarefa-python/src"


def named(pattern):
    found = set()
    for path in SOURCES.rglob("*.rs"):
        found.update(re.findall(pattern, path.read_text()))
    assert found
    return sorted(found)


@pytest.mark.parametrize("name", named(r'\bHook::new\("(\w+)"\)'))
def test_hook(name):
    assert getattr(_hooks, name)


@pytest.mark.parametrize("name", named(r'\bnew\(\s*py,\s*"(\w+)"'))
def test_error_that_the_extension_raises(name):
    assert issubclass(getattr(_hooks, name), tarefa.TarefaError)


def test_what_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"tarefa\._hooks.*nothing"):
        _ = _hooks.nothing


@pytest.mark.parametrize(
    "make",
    [
        lambda: tarefa.Array("i", 2),
        lambda: tarefa.RawArray("i", 2),
        lambda: tarefa.Barrier(1),
        lambda: tarefa.BoundedSemaphore(),
        lambda: tarefa.Condition(),
        lambda: tarefa.Counter(),
        lambda: tarefa.Dict(),
        lambda: tarefa.Event(),
        lambda: tarefa.List(),
        lambda: tarefa.Lock(),
        lambda: tarefa.Namespace(),
        lambda: tarefa.Process(),
        lambda: tarefa.RLock(),
        lambda: tarefa.RWLock(),
        lambda: tarefa.RawValue("i"),
        lambda: tarefa.Semaphore(),
        lambda: tarefa.Set(),
        lambda: tarefa.Value("i"),
    ],
)
def test_a_handle_becomes_an_object_of_the_public_class(make):
    made = make()
    again = pickle.loads(pickle.dumps(made))
    assert type(again) is type(made)
    assert tarefa.List([made])[0].__class__ is type(made)


def test_a_thread_of_another_process_is_a_view_of_it():
    def start():
        return tarefa.Thread(target=tarefa.sleep, args=(0,), name="there").start()

    task = tarefa.Process(target=start).start()
    assert task.result().name == "there"
