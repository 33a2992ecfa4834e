"""A shared dict under several tasks at once, containers inside containers, and groups."""

import random
import threading

import pytest
import targets  # noqa: F401

import tarefa

EACH = 1500


def mixed(count):
    return [(tarefa.Thread, tarefa.Process)[number % 2] for number in range(count)]


@pytest.mark.parametrize(
    "kinds",
    [[tarefa.Thread] * 4, [tarefa.Process] * 3, mixed(4)],
    ids=["4T", "3P", "TPTP"],
)
def test_each_keeps_its_keys(kinds):
    """Each task has keys of its own, and a model of them; the union is the dict at the end."""
    shared = tarefa.Dict()

    def work(shared, me, each):
        dice, model = random.Random(me), {}
        for _ in range(each):
            key = (me, f"{me}-{dice.randrange(60)}")[dice.random() < 0.9]
            choice = dice.random()
            if choice < 0.4:
                shared[key] = model[key] = dice.choice([dice.random(), "x" * dice.randrange(300)])
            elif choice < 0.5:
                assert shared.pop(key, None) == model.pop(key, None)
            elif choice < 0.6:
                some = {f"{me}-{dice.randrange(60)}": n for n in range(dice.randrange(40))}
                shared.update(some)
                model.update(some)
            elif choice < 0.7:
                assert shared.setdefault(key, 5) == model.setdefault(key, 5)
            else:
                assert shared.get(key) == model.get(key)
                assert (key in shared) == (key in model)
        return model

    tasks = [
        kind(target=work, args=(shared, number, EACH)).start() for number, kind in enumerate(kinds)
    ]
    union = {}
    for task in tasks:
        union.update(task.result())
    assert shared == union
    assert len(shared) == len(union)


def test_no_addition_is_lost(Task):
    shared = tarefa.Dict()

    def add(shared, each):
        for number in range(each):
            shared.add("all")
            shared.add(("some", number % 7), 0.5)
            shared.update_value("list", lambda old: [*old[-3:], old[-1] + 1], [0])

    tasks = [Task(target=add, args=(shared, 400)).start() for _ in range(4)]
    for task in tasks:
        task.result()
    assert shared["all"] == 1600
    assert sum(shared["some", n] for n in range(7)) == 800
    assert shared["list"][-1] == 1600


def test_setdefault_is_given_once(Task):
    shared = tarefa.Dict()

    def take(shared, me):
        return [shared.setdefault(number, me) for number in range(300)]

    tasks = [Task(target=take, args=(shared, me)).start() for me in range(4)]
    results = [task.result() for task in tasks]
    assert results == [list(shared.values())] * 4


def test_each_pair_is_popped_once(Task):
    shared, taken = tarefa.Dict.fromkeys(range(2000)), tarefa.List()

    def take(shared, taken):
        mine = []
        while True:
            try:
                mine.append(shared.popitem()[0])
            except KeyError:
                break
        taken.extend(mine)

    tasks = [Task(target=take, args=(shared, taken)).start() for _ in range(3)]
    for task in tasks:
        task.result()
    assert sorted(taken) == list(range(2000))
    assert shared == {}


def test_an_update_is_seen_as_a_whole(Task):
    shared = tarefa.Dict.fromkeys(range(50), 0)
    stop = tarefa.Event()

    def change(shared, stop):
        number = 0
        while not stop.is_set():
            number += 1
            shared.update(dict.fromkeys(range(50), number))
            shared.update(dict.fromkeys(range(50), str(number)))

    task = Task(target=change, args=(shared, stop)).start()
    for _ in range(400):
        assert len(set(shared.snapshot().values())) == 1
        # In one pass, so each value is no older than the one before.
        first, second = shared[0], shared[49]
        assert int(first) <= int(second)
    stop.set()
    task.result()
    assert len(shared) == 50


def test_iterating_while_others_change(Task):
    shared = tarefa.Dict((f"stays {n}", n) for n in range(700))
    stop = tarefa.Event()

    def change(shared, stop):
        number = 0
        while not stop.is_set():
            number += 1
            shared[f"comes and goes {number % 3000}"] = "x" * (number % 90)
            shared.pop(f"comes and goes {(number * 7) % 3000}", None)

    task = Task(target=change, args=(shared, stop)).start()
    for _ in range(15):
        seen = list(shared)
        assert len(seen) == len(set(seen))
        assert [key for key in seen if key.startswith("stays")] == [
            f"stays {n}" for n in range(700)
        ]
        for key, value in reversed(shared.items()):
            assert key == f"stays {value}" or set(value) <= {"x"}
    stop.set()
    task.result()


def test_changes_inside_are_seen_by_all(Task):
    def change(shared):
        shared["list"].append(2)
        shared["dict"]["b"] = shared["dict"]
        shared["dict"]["b"]["c"] = 3
        shared["set"].add("x")

    shared = tarefa.Dict(
        list=tarefa.List([1]),
        dict=tarefa.Dict(a=1),
        set=tarefa.Set(),
        deep=[{"event": tarefa.Event()}],
    )
    with pytest.raises(ValueError, match="itself"):
        Task(target=change, args=(shared,)).start().result()

    def change_rightly(shared):
        shared["list"].append(2)
        shared["dict"]["c"] = 3
        shared["set"].add("x")
        shared["deep"][0]["event"].set()

    Task(target=change_rightly, args=(shared,)).start().result()
    assert shared["list"] == [1, 2, 2]
    assert shared["dict"] == {"a": 1, "c": 3}
    assert shared["set"] == {"x"}
    assert shared["deep"][0]["event"].is_set()


@pytest.mark.parametrize("read", ["get", "len", "in", "iter", "snapshot", "missing", "list"])
def test_nobody_sees_the_middle_of_a_group(Task, read):
    shared, numbers = tarefa.Dict(a=0, b=0), tarefa.List([0, 0])
    go, stop = tarefa.Event(), tarefa.Event()

    def change(shared, numbers, go, stop):
        while not stop.is_set():
            with shared.lock(), numbers.lock():
                shared["a"] += 1
                shared["extra"] = 1
                numbers.append(1)
                go.set()
                shared["b"] += 1
                del shared["extra"]
                numbers.pop()

    task = Task(target=change, args=(shared, numbers, go, stop)).start()
    go.wait()
    for _ in range(200):
        if read == "get":
            first, second = shared["a"], shared["b"]
            assert first <= second
        elif read == "len":
            assert len(shared) == 2
        elif read == "in":
            assert "extra" not in shared
        elif read == "iter":
            assert list(shared) == ["a", "b"]
        elif read == "snapshot":
            shot = shared.snapshot()
            assert shot["a"] == shot["b"]
        elif read == "missing":
            assert shared.get("extra") is None
        else:
            assert len(numbers) == 2
            assert numbers[-1] == 0
    stop.set()
    task.result()


def test_a_group_is_recursive_and_lets_go_when_it_fails():
    shared = tarefa.Dict()

    def fail():
        with shared.lock(), shared.lock():
            shared["a"] = 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    done = []
    thread = threading.Thread(target=lambda: done.append(shared["a"]))
    thread.start()
    thread.join()
    assert done == [1]


def test_a_wait_for_a_group_can_be_interrupted(Task):
    shared, going = tarefa.Dict(), tarefa.Event()

    def wait(shared, going):
        going.set()
        shared["a"] = 1

    with shared.lock():
        task = Task(target=wait, args=(shared, going)).start()
        going.wait()
        task.interrupt()
        task.join()
        assert task.state is tarefa.State.INTERRUPTED
        assert shared == {}


def test_a_death_in_a_group(Task):
    def die(shared):
        import os
        import signal

        shared.lock().acquire()
        shared["a"] = 1
        os.kill(os.getpid(), signal.SIGKILL)

    shared = tarefa.Dict()
    task = tarefa.Process(target=die, args=(shared,)).start()
    task.join()
    shared["b"] = 2
    assert shared == {"a": 1, "b": 2}
    with pytest.raises(tarefa.OwnerDied):
        shared.lock().acquire()
    with shared.lock():
        shared.clear()


def test_memory_comes_back():
    before = tarefa._engine.diagnostics()["arena_used"]
    shared = tarefa.Dict()
    for number in range(3000):
        shared[number] = "x" * 1000
        shared[str(number)] = tarefa.List([number])
        shared[(number,)] = number
    for number in range(0, 3000, 2):
        del shared[number], shared[str(number)], shared[(number,)]
    shared.clear()
    grown = tarefa._engine.diagnostics()["arena_used"] - before
    assert grown < 1 << 20
