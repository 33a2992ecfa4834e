"""A shared list under several tasks at once, lists inside lists, and the memory they use."""

import contextlib
import gc
import random
import time

import pytest
import targets
from support import eventually, rehearsed

import tarefa

EACH = 4000


def number_of(task, count):
    return task * 1_000_000 + count


def mixed(count):
    return [(tarefa.Thread, tarefa.Process)[number % 2] for number in range(count)]


@pytest.mark.parametrize(
    "kinds",
    [[tarefa.Thread] * 4, [tarefa.Process] * 2, [tarefa.Process] * 4, mixed(4)],
    ids=["4T", "2P", "4P", "TPTP"],
)
def test_no_append_is_lost_and_each_task_keeps_its_order(kinds):
    numbers = tarefa.List()

    def fill(numbers, task, each):
        for count in range(each):
            numbers.append(task * 1_000_000 + count)

    tasks = [
        kind(target=fill, args=(numbers, task, EACH)).start() for task, kind in enumerate(kinds)
    ]
    for task in tasks:
        task.result()
    assert len(numbers) == len(kinds) * EACH
    found = list(numbers)
    for task in range(len(kinds)):
        assert [number for number in found if number // 1_000_000 == task] == [
            number_of(task, count) for count in range(EACH)
        ]


def test_elements_of_every_size_arrive_whole(Task):
    things = tarefa.List()

    def fill(things, seed):
        sizes = random.Random(seed)
        for _ in range(300):
            size = sizes.choice([0, 1, 7, 8, 9, 100, 4095, 4096, 70_000])
            things.append(bytes([size % 251]) * size)

    tasks = [Task(target=fill, args=(things, seed)).start() for seed in range(3)]
    for task in tasks:
        task.result()
    found = list(things)
    assert len(found) == 900
    assert all(thing == bytes([len(thing) % 251]) * len(thing) for thing in found)


def test_each_element_is_popped_once(Task):
    numbers, taken = tarefa.List(range(3000)), tarefa.List()

    def take(numbers, taken):
        while True:
            try:
                taken.append(numbers.pop())
            except IndexError:
                return

    tasks = [Task(target=take, args=(numbers, taken)).start() for _ in range(3)]
    for task in tasks:
        task.result()
    assert sorted(taken) == list(range(3000))
    assert numbers == []


def test_iteration_while_another_appends(Task):
    numbers = tarefa.List()

    def fill(numbers):
        for number in range(5000):
            numbers.append(number)

    task = Task(target=fill, args=(numbers,)).start()
    while task.is_alive():
        seen = list(numbers)
        assert seen == list(range(len(seen)))
    task.result()
    assert numbers == list(range(5000))


def test_readers_never_see_half_an_element(Task):
    things = tarefa.List(["a" * 2000])
    stop = tarefa.Event()

    def change(things, stop):
        letter = 0
        while not stop.is_set():
            letter = (letter + 1) % 26
            things[0] = chr(97 + letter) * (10 + 131 * letter)

    task = Task(target=change, args=(things, stop)).start()
    for _ in range(3000):
        text = things[0]
        assert len(set(text)) == 1
    stop.set()
    task.result()
    assert len(things) == 1


def test_sorting_loses_nothing_that_others_append(Task):
    numbers = tarefa.List()

    def fill(numbers, start):
        for number in range(start, start + 2000):
            numbers.append(number)

    tasks = [Task(target=fill, args=(numbers, start)).start() for start in (0, 10_000)]
    while any(task.is_alive() for task in tasks):
        try:
            numbers.sort(reverse=True)
        except ValueError:
            continue  # as a list says: modified during sort
    for task in tasks:
        task.result()
    assert sorted(numbers) == [*range(2000), *range(10_000, 12_000)]


def test_inserts_deletes_and_slices_of_several_tasks_keep_the_list_whole(Task):
    numbers = tarefa.List(range(50))

    def churn(numbers, seed):
        dice = random.Random(seed)
        for step in range(400):
            if dice.random() < 0.5:
                numbers.insert(dice.randrange(60), ("new", seed, step))
            else:
                with contextlib.suppress(IndexError):
                    del numbers[dice.randrange(40)]
            numbers[5:6] = [("put", seed, step)]

    tasks = [Task(target=churn, args=(numbers, seed)).start() for seed in range(3)]
    for task in tasks:
        task.result()
    found = list(numbers)
    assert len(found) == len(numbers)
    assert all(
        isinstance(thing, int) or (isinstance(thing, tuple) and len(thing) == 3) for thing in found
    )


def test_the_list_is_one_list_for_all(Task):
    numbers = tarefa.List([1, 2, 3])

    def change(numbers):
        numbers[0] = "um"
        del numbers[1]
        numbers.extend([4, 5])
        numbers.reverse()
        return list(numbers)

    assert Task(target=change, args=(numbers,)).start().result() == [5, 4, 3, "um"]
    assert numbers == [5, 4, 3, "um"]


def test_tarefa_objects_inside_are_references():
    inner, lock, event = tarefa.List(), tarefa.Lock(), tarefa.Event()
    outer = tarefa.List([inner, {"lock": lock, "more": [event]}])
    outer[0].append(1)
    assert inner == [1]
    with lock:
        assert outer[1]["lock"].locked()
    outer[1]["more"][0].set()
    assert event.is_set()


def test_an_inner_object_lives_as_long_as_the_outer():
    outer = tarefa.List([tarefa.List([1]), {"deep": tarefa.List([2])}])
    gc.collect()
    outer[0].append(10)
    assert outer[0] == [1, 10]
    assert outer[1]["deep"] == [2]


def test_an_object_made_in_a_task_outlives_it(Task):
    def make(outer):
        outer.append(tarefa.List(["made inside"]))

    outer = tarefa.List()
    Task(target=make, args=(outer,)).start().join()
    assert outer[0] == ["made inside"]


def test_an_object_returned_by_a_task_outlives_it(Task):
    made = Task(target=lambda: tarefa.List([1, 2])).start().result()
    made.append(3)
    assert made == [1, 2, 3]


def test_objects_go_when_nobody_holds_them():
    rehearsed()
    gc.collect()
    outer = tarefa.List([tarefa.List([tarefa.Lock()]) for _ in range(50)])
    # What ran before this may be among them, and go at any time.
    there = tarefa._engine.diagnostics()["objects"]
    assert there >= 101
    outer.clear()
    del outer
    gc.collect()
    eventually(lambda: tarefa._engine.diagnostics()["objects"] <= there - 101)


def test_memory_is_given_back():
    gc.collect()
    before = tarefa._engine.diagnostics()["arena_used"]
    things = tarefa.List(b"z" * (1 << 20) for _ in range(40))
    assert tarefa._engine.diagnostics()["arena_used"] >= before + (40 << 20)
    del things
    gc.collect()
    assert tarefa._engine.diagnostics()["arena_used"] <= before + (1 << 20)


def test_an_element_replaced_again_and_again_does_not_grow_the_arena():
    things = tarefa.List([b""])
    for size in range(200):
        things[0] = b"q" * (size * 37)
    gc.collect()
    before = tarefa._engine.diagnostics()["arena_used"]
    for _ in range(20):
        for size in range(200):
            things[0] = b"q" * (size * 37)
    assert tarefa._engine.diagnostics()["arena_used"] <= before + (1 << 20)


def test_a_killed_appender_leaves_a_whole_list():
    numbers = tarefa.List()

    def fill(numbers):
        for number in range(10**9):
            numbers.append(number)

    for _ in range(5):
        numbers.clear()
        task = tarefa.Process(target=fill, args=(numbers,)).start()
        while not len(numbers):
            time.sleep(0.001)
        time.sleep(0.02)
        task.kill()
        task.join()
        found = list(numbers)
        assert found == list(range(len(found)))
        numbers.append("more")
        assert numbers[-1] == "more"


def test_the_reference_of_a_killed_process_is_returned():
    rehearsed()
    gc.collect()
    before = tarefa._engine.diagnostics()["objects"]
    ready = tarefa.Event()
    lock = tarefa.Lock()
    task = tarefa.Process(target=targets.hold_lock, args=(lock, ready)).start()
    ready.wait()
    task.kill()
    task.join()
    with pytest.raises(tarefa.OwnerDied):
        lock.acquire()
    del task, lock, ready
    gc.collect()
    eventually(lambda: tarefa._engine.diagnostics()["objects"] <= before)
