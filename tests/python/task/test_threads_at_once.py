"""Threads that run at the same instant, as they do where there is no GIL, at the same objects."""

import random
import sys
import sysconfig

import pytest
from support import run_script

import tarefa

THREADS, ROUNDS = 4, 300


def together(work, *arguments):
    """Run `work(number, *arguments)` in several threads that begin at once; their results."""
    barrier = tarefa.Barrier(THREADS)

    def run(number):
        barrier.wait()
        return work(number, *arguments)

    tasks = [tarefa.Thread(target=run, args=(number,)).start() for number in range(THREADS)]
    return [task.result() for task in tasks]


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this interpreter has a GIL"
)
def test_the_gil_stays_off():
    def is_on():
        return sys._is_gil_enabled()

    done = run_script("import sys, tarefa; print(sys._is_gil_enabled())")
    assert done.stdout == "False\n"
    assert tarefa.Process(target=is_on).start().result() is False


def test_nothing_of_any_container_is_lost():
    numbers, words, seen = tarefa.List(), tarefa.Dict(), tarefa.Set()
    count, total, lock = tarefa.Counter(), tarefa.Value("q"), tarefa.Lock()
    plain = [0]

    def work(me):
        for i in range(ROUNDS):
            numbers.append((me, i))
            words[me, i] = {"i": [i]}
            words.add("all")
            seen.add(i)
            count.update([me])
            total.add(1)
            with lock:
                plain[0] += 1

    together(work)
    everything = {(me, i) for me in range(THREADS) for i in range(ROUNDS)}
    assert sorted(numbers) == sorted(everything)
    assert words.pop("all") == len(everything)
    assert dict(words) == {(me, i): {"i": [i]} for me, i in everything}
    assert seen == set(range(ROUNDS))
    assert all(count[me] == ROUNDS for me in range(THREADS))
    assert total.value == plain[0] == len(everything)


def test_one_list_is_changed_in_every_way_at_once():
    shared = tarefa.List(range(50))

    def work(me):
        chance = random.Random(me)
        for _ in range(ROUNDS):
            act = chance.randrange(7)
            try:
                if act == 0:
                    shared.append(bytearray(b"x" * chance.randrange(2000)))
                elif act == 1:
                    shared.insert(chance.randrange(40), "a" * chance.randrange(2000))
                elif act == 2:
                    shared.pop(chance.randrange(40))
                elif act == 3:
                    shared[3:9] = [None] * chance.randrange(12)
                elif act == 4:
                    del shared[5:9]
                elif act == 5:
                    assert all(x is None or len(repr(x)) < 2100 for x in shared)
                else:
                    shared[chance.randrange(40)] = tarefa.Event()
            except IndexError:
                shared.extend(range(30))

    together(work)
    assert len(shared.snapshot()) == len(shared)


def test_an_object_is_encoded_while_others_change_it():
    items, text, raw = [0] * 1000, {"a": 1}, bytearray(5000)
    shared = tarefa.List()

    def work(me):
        for i in range(ROUNDS):
            if me == 0:
                items[i] = "x" * i
                text[str(i)] = i
                raw[i] = 255
            elif me == 1:
                items.append(i)
                items.pop()
            else:
                shared.append(list(items))
                shared.append(raw)
                got = shared.pop()
                assert isinstance(got, (bytearray, list))

    together(work)


def test_tasks_are_made_interrupted_and_counted_by_all():
    def work(me):
        for i in range(ROUNDS // 10):
            kind = tarefa.Process if i % 5 == 0 else tarefa.Thread
            ready = tarefa.Event()
            task = kind(target=lambda ready: (ready.set(), tarefa.sleep(1000)), args=(ready,))
            task.start()
            ready.wait()
            assert task in tarefa.active_tasks()
            task.interrupt()
            task.join()
            assert task.state is tarefa.State.INTERRUPTED
        return me

    assert together(work) == list(range(THREADS))


def test_pickled_handles_are_attached_to_by_all():
    import pickle

    shared = tarefa.Dict(value=tarefa.List())

    def work(me):
        for i in range(ROUNDS):
            copy = pickle.loads(pickle.dumps([shared, shared["value"]]))
            copy[1].append((me, i))
            assert copy[0] == shared

    together(work)
    assert len(shared["value"]) == THREADS * ROUNDS
