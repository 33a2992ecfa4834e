"""An event's descriptor: readable while the flag is up, whoever raised it."""

import asyncio
import os
import select
import sys
import threading
from multiprocessing import connection

import pytest
from support import eventually

import tarefa
from tarefa import _hooks


def is_up(event):
    """What the kernel says, without asking the event."""
    return bool(select.select([event._descriptor._shown.fd], [], [], 0)[0])


def test_it_shows_what_this_process_does_at_once():
    event = tarefa.Event()
    fd = event.fileno()
    assert fd == event.fileno()
    for _ in range(100):
        assert not is_up(event)
        event.set()
        event.set()
        assert is_up(event)
        event.clear()
    event.set()
    assert connection.wait([event], 10) == [event]
    assert select.select([event], [], [], 10)[0] == [event]


def test_it_shows_what_others_do():
    event, go = tarefa.Event(), tarefa.Event()
    event.fileno()

    def turn():
        for _ in range(20):
            go.wait()
            go.clear()
            event.clear() if event.is_set() else event.set()

    task = tarefa.Process(target=turn).start()
    for i in range(20):
        go.set()
        eventually(lambda i=i: is_up(event) == (i % 2 == 0))
    task.result(30)


def test_threads_raise_and_lower_it_while_another_looks():
    event = tarefa.Event()
    event.fileno()
    stop = threading.Event()

    def raise_and_lower():
        while not stop.is_set():
            event.set()
            event.clear()

    threads = [threading.Thread(target=raise_and_lower) for _ in range(2)]
    processes = [tarefa.Process(target=raise_for, args=(event,)).start() for _ in range(2)]
    for thread in threads:
        thread.start()
    for process in processes:
        process.result(30)
    stop.set()
    for thread in threads:
        thread.join()
    event.clear()
    eventually(lambda: not is_up(event))
    tarefa.Process(target=event.set).start().result(30)
    eventually(lambda: is_up(event))
    tarefa.Process(target=event.clear).start().result(30)
    eventually(lambda: not is_up(event))


def raise_for(event):
    for _ in range(3000):
        event.set()
        event.clear()


def test_a_killed_process_leaves_it_true():
    event = tarefa.Event()
    event.fileno()
    for _ in range(10):
        process = tarefa.Process(target=raise_for_ever, args=(event,)).start()
        tarefa.sleep(0.02)
        process.kill()
        process.join()
        eventually(lambda: is_up(event) == event.is_set())
        event.clear()


def raise_for_ever(event):
    while True:
        event.set()
        event.clear()


def test_an_event_loop_is_called():
    event = tarefa.Event()

    async def main():
        loop, seen = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(event.fileno(), seen.set)
        task = tarefa.Process(target=event.set).start()
        await asyncio.wait_for(seen.wait(), 30)
        loop.remove_reader(event.fileno())
        await task

    asyncio.run(main())


def test_a_fork_makes_its_own():
    event = tarefa.Event()
    fd = event.fileno()
    pid = os.fork()
    if not pid:
        event.set()
        os._exit(0 if event.fileno() != fd and is_up(event) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    eventually(lambda: is_up(event))
    other = tarefa.Process(target=event.fileno).start()
    assert other.result(30) > 2


def test_it_goes_with_the_handle():
    fd = tarefa.Event().fileno()
    eventually(lambda: not os.path.exists(f"/proc/self/fd/{fd}"))


def test_a_child_of_a_fork_waits_for_no_lock_of_the_thread():
    event = tarefa.Event()
    event.fileno()
    with event._descriptor._shown.lock:
        pid = os.fork()
        if not pid:
            # The lock is the parent's thread's here; another thread of this process asks.
            done = []

            def act():
                event.set()
                event.clear()
                done.append(event.fileno())

            thread = threading.Thread(target=act, daemon=True)
            thread.start()
            thread.join(20)
            os._exit(0 if done else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_its_thread_ends_with_the_handle_whatever_else_waits():
    def shown():
        return [t for t in threading.enumerate() if t.name == "tarefa-descriptor"]

    before = len(shown())
    events = [tarefa.Event() for _ in range(20)]
    for event in events:
        event.fileno()
        tarefa.Thread(target=event.wait, daemon=True, args=(3,)).start()
    assert len(shown()) == before + 20
    for event in events:
        event._descriptor.close()
    eventually(lambda: len(shown()) == before)
    for event in events:
        event.set()
    tarefa.wait(tarefa.active_tasks(), 30)


@pytest.mark.parametrize("error", [TimeoutError, KeyboardInterrupt, SystemExit])
def test_what_a_handler_raises_while_it_is_shown_comes_after_that(monkeypatch, error):
    """A program's own for SIGALRM, say."""
    event = tarefa.Event()
    event.fileno()

    def handler():
        raise error("of the program")

    monkeypatch.setattr(_hooks, "refresh_descriptors", lambda _: handler(), raising=False)
    with pytest.raises(error, match="of the program"):  # noqa: PT012 - it comes at the next chance
        event.set()
        for _ in range(100_000):
            pass
    monkeypatch.undo()
    assert event.is_set()


def test_an_interrupt_of_a_thread_while_it_is_shown_comes_after_that(monkeypatch):
    event = tarefa.Event()
    event.fileno()

    def interrupted(_):
        raise tarefa.Interrupted

    def target():
        event.set()
        for _ in range(100_000):
            pass

    monkeypatch.setattr(_hooks, "refresh_descriptors", interrupted, raising=False)
    with pytest.raises(tarefa.TaskInterrupted):
        tarefa.Thread(target=target).start().result(30)
    monkeypatch.undo()
    assert event.is_set()


def test_what_goes_wrong_with_us_while_it_is_shown_is_told(monkeypatch):
    event = tarefa.Event()
    event.fileno()
    ours = {"__name__": "tarefa._test"}
    exec("def refresh(_): raise OSError('of ours')", ours)
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda it: told.append(str(it.exc_value)))
    monkeypatch.setattr(_hooks, "refresh_descriptors", ours["refresh"], raising=False)
    event.set()
    monkeypatch.undo()
    assert told == ["of ours"]
