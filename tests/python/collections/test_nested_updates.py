"""``update`` of an element inside its own ``update``, and other changes of what is computed."""

import threading

import pytest

import tarefa


def test_an_update_inside_itself_is_refused_and_the_outer_one_goes_on():
    numbers, counts = tarefa.List([1, 5]), tarefa.Dict(a=1)

    def add_one(n):
        with pytest.raises(tarefa.NestedUpdate, match="return the new value"):
            numbers.update(0, lambda n: n + 100)
        with pytest.raises(tarefa.NestedUpdate):
            numbers.update(-2, lambda n: n + 100)
        numbers.update(1, lambda n: n + 10)
        return n + 1

    assert numbers.update(0, add_one) == 2
    assert numbers == [2, 15]

    def count(n):
        with pytest.raises(tarefa.NestedUpdate):
            counts.update_value("a", lambda n: n + 100)
        counts.update_value("b", lambda n: n + 1, 6)
        return n + 1

    assert counts.update_value("a", count) == 2
    assert counts == {"a": 2, "b": 7}


def test_also_through_containers_in_between():
    outer = tarefa.List([1])
    middle = tarefa.Dict({1: outer})
    refused = []

    def inner(found):
        try:
            found.update(0, lambda n: n + 100)
        except tarefa.NestedUpdate as e:
            refused.append(e)
        return found

    def step(n):
        middle.update_value(1, inner)
        return n + 1

    outer.update(0, step)
    assert outer == [2]
    assert len(refused) == 1
    assert isinstance(refused[0], RuntimeError)


def test_another_change_of_the_same_element_ends_it_too():
    numbers = tarefa.List([1, 2, 3])
    for change in (
        lambda: numbers.__setitem__(0, numbers[0] + 10),
        lambda: numbers.insert(0, -len(numbers)),
        numbers.reverse,
    ):
        with pytest.raises(tarefa.NestedUpdate):
            numbers.update(0, lambda n, change=change: change() or n + 1)
    assert not numbers.lock().locked()
    # What comes behind is no change of the element.
    before = len(numbers)
    numbers.update(0, lambda n: numbers.append(9) or n)
    assert len(numbers) == before + 1

    counts = tarefa.Dict(a=1)
    with pytest.raises(tarefa.NestedUpdate):
        counts.update_value("a", lambda n: counts.add("a") and n)
    assert not counts.lock().locked()


class Adds:
    """Changes the dict as something is added to it."""

    def __init__(self, counts):
        self.counts = counts

    def __radd__(self, n):
        self.counts["a"] = n + 1
        return n


def test_an_addition_that_changes_the_dict():
    counts = tarefa.Dict(a=1)
    with pytest.raises(tarefa.NestedUpdate):
        counts.add("a", Adds(counts))


def test_an_exception_inside_leaves_nothing_behind():
    numbers = tarefa.List([1])
    with pytest.raises(ZeroDivisionError):
        numbers.update(0, lambda n: n // 0)
    assert numbers.update(0, lambda n: n + 1) == 2


def count_for(numbers, counts, times):
    for _ in range(times):
        numbers.update(0, lambda n: numbers.append(0) or n + 1)
        counts.update_value("a", lambda n: counts.update(b=1) or n + 1)


def test_others_are_not_taken_for_oneself():
    numbers, counts = tarefa.List([0]), tarefa.Dict(a=0)
    processes = [
        tarefa.Process(target=count_for, args=(numbers, counts, 100)).start() for _ in "ab"
    ]
    threads = [threading.Thread(target=count_for, args=(numbers, counts, 100)) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    for process in processes:
        process.result(50)
    assert numbers[0] == 400
    assert counts["a"] == 400
