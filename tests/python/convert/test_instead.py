"""Objects of one process alone are refused with the name of what to use instead."""

import asyncio
import concurrent.futures
import queue
import threading

import pytest

import tarefa

OURS = {
    "Lock": threading.Lock,
    "RLock": threading.RLock,
    "Event": threading.Event,
    "Condition": threading.Condition,
    "Semaphore": threading.Semaphore,
    "BoundedSemaphore": threading.BoundedSemaphore,
    "Barrier": lambda: threading.Barrier(2),
    "Queue": queue.Queue,
    "SimpleQueue": queue.SimpleQueue,
    "LifoQueue": queue.LifoQueue,
    "PriorityQueue": queue.PriorityQueue,
}


class Holder:
    def __init__(self, held):
        self.held = held


class Slots:
    __slots__ = ("held",)

    def __init__(self, held):
        self.held = held


def refusal(call):
    with pytest.raises(tarefa.NotPicklable) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize("name", OURS)
def test_ours_is_named(name):
    made = OURS[name]()
    for held in (made, [made], {"a": (made,)}, Holder(made)):
        text = refusal(lambda held=held: tarefa.Process(target=print, args=(held,)).start())
        assert f"use tarefa.{name}," in text, text
    assert f"use tarefa.{name}," in refusal(lambda: tarefa.List([{"a": made}]))
    assert f"use tarefa.{name}," in refusal(lambda: tarefa.Queue().put(made))
    assert f"use tarefa.{name}," in refusal(lambda: tarefa.Process(target=lambda: made).start())


def test_where_nobody_sees_which_part_it_is():
    text = refusal(lambda: tarefa.Process(target=print, args=(Slots(threading.Lock()),)).start())
    assert "use tarefa.Lock," in text


async def _of_asyncio():
    return asyncio.get_running_loop().create_future(), asyncio.current_task()


OTHERS = {
    "a local": (threading.local, "contextvars.ContextVar"),
    "a thread": (threading.Thread, "the function and its arguments"),
    "an executor": (concurrent.futures.ThreadPoolExecutor, "tarefa.Pool"),
    "a future": (concurrent.futures.Future, "its result()"),
    "a future of asyncio": (lambda: asyncio.run(_of_asyncio())[0], "its result"),
    "a task of asyncio": (lambda: asyncio.run(_of_asyncio())[1], "what it returns"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_to_hand_over_in_its_place(name):
    make, words = OTHERS[name]
    text = refusal(lambda: tarefa.Process(target=print, args=([make()],)).start())
    assert "hand over" in text, text
    assert words in text, text


def test_an_object_of_ours_is_not_taken_for_one_of_these():
    class Mine(tarefa.Event):
        pass

    assert tarefa.Process(target=type, args=(Mine(),)).start().result(30).__name__ == "Mine"
