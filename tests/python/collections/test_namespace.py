"""`Namespace`: attributes that are shared."""

import copy
import pickle

import pytest

import tarefa


def test_attributes():
    space = tarefa.Namespace(a=1, b=[2])
    space.c = "x"
    assert (space.a, space.b, space.c) == (1, [2], "x")
    del space.a
    with pytest.raises(AttributeError, match="a"):
        _ = space.a
    with pytest.raises(AttributeError, match="a"):
        del space.a
    assert not hasattr(space, "a")
    assert getattr(space, "a", 5) == 5
    assert space.snapshot() == {"b": [2], "c": "x"}
    assert repr(space) == "tarefa.Namespace(b=[2], c='x')"
    assert {"b", "c", "lock", "snapshot"} <= set(dir(space))
    assert space
    assert tarefa.Namespace()


def test_names_come_before_methods():
    space = tarefa.Namespace(lock=1, snapshot=2)
    space.walk = space.read = space.clear = space.object_id = space._KIND = 3
    assert (space.lock, space.snapshot, space.walk, space.object_id) == (1, 2, 3, 3)
    assert repr(space).startswith("tarefa.Namespace(lock=1")
    assert "walk" in dir(space)
    assert space == space
    again = pickle.loads(pickle.dumps(space))
    again.lock = 7
    assert space.lock == 7
    del space.lock
    with space.lock():
        pass


def test_pythons_own_names_are_not_to_be_had():
    space = tarefa.Namespace()
    with pytest.raises(AttributeError):
        space.__class__ = int
    with pytest.raises(AttributeError):
        _ = space.__mine__
    with pytest.raises(TypeError):
        hash(space)
    with pytest.raises(TypeError):
        tarefa.Namespace({"a": 1})


def test_equality():
    assert tarefa.Namespace(a=1) == tarefa.Namespace(a=1)
    assert tarefa.Namespace(a=1) != tarefa.Namespace(a=2)
    assert tarefa.Namespace(a=1) != {"a": 1}


def test_it_is_shared(Task):
    def change(space):
        space.seen = space.x + 1
        space.inner.append("from the task")
        del space.x

    space = tarefa.Namespace(x=1, inner=tarefa.List())
    Task(target=change, args=(space,)).start().result()
    assert space.seen == 2
    assert not hasattr(space, "x")
    assert space.inner == ["from the task"]


def test_operations_are_grouped(Task):
    def count(space):
        for _ in range(300):
            with tarefa.Namespace.lock(space):
                space.n += 1

    space = tarefa.Namespace(n=0)
    tasks = [Task(target=count, args=(space,)).start() for _ in range(3)]
    for task in tasks:
        task.result()
    assert space.n == 900


def test_a_cycle_is_shown_once():
    space, other = tarefa.Namespace(), tarefa.Namespace()
    space.other, other.space = other, space
    assert repr(space) == "tarefa.Namespace(other=tarefa.Namespace(space=tarefa.Namespace(...)))"
    del other.space


def test_copies():
    space = tarefa.Namespace(a=[1])
    for other in (copy.copy(space), copy.deepcopy(space)):
        other.a = 2
    assert space.a == [1]
