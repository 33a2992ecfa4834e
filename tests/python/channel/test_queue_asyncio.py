"""Queues from asyncio: only the coroutine waits, and one that is cancelled has taken nothing."""

import asyncio
import contextlib
import os
import threading
import time

import pytest
from support import eventually

import tarefa


def watchers():
    return [t for t in threading.enumerate() if t.name == "tarefa-queue-watch"]


@pytest.fixture(autouse=True)
def _no_thread_stays():
    yield
    eventually(lambda: not watchers())


def test_aget_and_aput(Task):
    def echo(q, back):
        for item in q:
            back.put(item)

    async def main():
        q, back = tarefa.Queue(2), tarefa.Queue()
        task = Task(target=echo, args=(q, back)).start()
        for i in range(50):
            await q.aput(i)
            await q.aput("text")
        got = [await back.aget() for _ in range(100)]
        q.shutdown()
        await task
        return got

    assert asyncio.run(main()) == [x for i in range(50) for x in (i, "text")]


def test_the_loop_goes_on():
    async def main():
        q = tarefa.Queue()
        waits = asyncio.create_task(q.aget())
        for _ in range(5):
            await asyncio.sleep(0.01)
        assert not waits.done()
        q.put("late")
        return await waits

    assert asyncio.run(main()) == "late"


def test_a_cancelled_wait_loses_nothing():
    async def main():
        q = tarefa.Queue()
        got, sent = [], 0
        while sent < 300:
            waits = asyncio.create_task(q.aget())
            await asyncio.sleep(0)
            q.put(sent)
            sent += 1
            if sent % 3 == 0:
                await asyncio.sleep(0)
            waits.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                got.append(await waits)
        while not q.empty():
            got.append(await q.aget())
        return got

    assert asyncio.run(main()) == list(range(300))


def test_a_cancelled_put_puts_nothing():
    async def main():
        q = tarefa.Queue(1)
        await q.aput(0)
        waits = asyncio.create_task(q.aput(1))
        await asyncio.sleep(0.02)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        assert q.get() == 0
        assert q.empty()

    asyncio.run(main())


def test_a_put_waits_for_as_many_bytes_as_it_needs():
    async def main():
        q = tarefa.Queue(max_bytes=1000)
        q.put(b"x" * 600)
        waits = asyncio.create_task(q.aput(b"y" * 600))
        await asyncio.sleep(0.05)
        assert not waits.done()
        assert q.get() == b"x" * 600
        await waits
        assert q.get() == b"y" * 600

    asyncio.run(main())


def test_several_wait_at_once():
    async def main():
        q = tarefa.Queue()
        waiting = [asyncio.create_task(q.aget()) for _ in range(5)]
        await asyncio.sleep(0.01)
        q.put_many(range(5))
        return sorted(await asyncio.gather(*waiting))

    assert asyncio.run(main()) == list(range(5))


def test_the_end_of_a_queue_ends_waits():
    async def main():
        q = tarefa.Queue()
        waits = asyncio.create_task(q.aget())
        await asyncio.sleep(0.01)
        q.shutdown()
        with pytest.raises(tarefa.ShutDown):
            await waits

    asyncio.run(main())


async def turns(n=30):
    """What is ready in the loop runs, and coroutines that look have looked."""
    for _ in range(n):
        await asyncio.sleep(0)


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


def test_a_cancelled_wait_leaves_its_wake_up_to_others(Task):
    """The loop is busy when the item comes, and then the coroutine is gone."""

    def pass_on(q, back):
        for item in q:
            back.put(item)

    async def main():
        q, back = tarefa.Queue(), tarefa.Queue()
        waits = asyncio.create_task(q.aget())
        await until(watchers)
        await asyncio.sleep(0.01)
        task = Task(target=pass_on, args=(q, back)).start()
        q.put("first")
        time.sleep(0.05)
        waits.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            back.put(await waits)
        assert back.get() == "first"
        q.shutdown()
        task.join()

    for _ in range(5):
        asyncio.run(main())


def test_one_whose_loop_is_busy_keeps_nobody_else():
    """The first that waits is told, and its loop does not come to it."""
    q, got = tarefa.Queue(), []
    waits, goes = threading.Event(), threading.Event()

    def busy():
        async def main():
            waiting = asyncio.create_task(q.aget())
            await until(watchers)
            waits.set()
            goes.wait()
            waiting.cancel()

        asyncio.run(main())

    async def main():
        thread = threading.Thread(target=busy)
        thread.start()
        waits.wait()
        waiting = asyncio.create_task(q.aget())
        await turns()
        q.put(1)
        got.append(await waiting)
        goes.set()
        thread.join()

    asyncio.run(main())
    assert got == [1]


def test_close_ends_waits_by_that_handle():
    async def main():
        q = tarefa.Queue(1)
        full = tarefa.Queue(1)
        full.put(0)
        waits = [asyncio.create_task(q.aget()), asyncio.create_task(full.aput(1))]
        await turns()
        q.close()
        full.close()
        for waiting in waits:
            with pytest.raises(ValueError, match="closed"):
                await waiting

    asyncio.run(main())


def test_waits_for_room_of_any_size_have_one_thread():
    async def main():
        q = tarefa.Queue(1)
        q.put(0)
        waits = [asyncio.create_task(q.aput("x" * n)) for n in range(100)]
        await turns()
        assert len(watchers()) == 1
        got = []
        while len(got) < 101:
            got.append(await q.aget())
        await asyncio.gather(*waits)
        return got

    got = asyncio.run(main())
    assert sorted(len(x) for x in got[1:]) == list(range(100))


def test_the_child_of_a_fork_waits():
    async def main():
        q = tarefa.Queue()
        waits = asyncio.create_task(q.aget())
        await until(watchers)
        pid = os.fork()
        if pid == 0:
            ended = 1
            try:
                puts = threading.Timer(0.05, q.put, ("of the child",))
                puts.start()
                loop = asyncio.new_event_loop()
                asyncio.events._set_running_loop(None)
                loop.run_until_complete(q.aget())
                # It may have had the parent's message, which waits for this one then.
                puts.join()
                ended = 0
            finally:
                os._exit(ended)
        # The parent waits, too, so it is one of them that has it.
        q.put("another")
        await waits
        assert await asyncio.to_thread(os.waitpid, pid, 0) == (pid, 0)

    asyncio.run(main())


def test_a_loop_that_was_closed_keeps_nobody():
    q = tarefa.Queue()
    loop = asyncio.new_event_loop()
    left = loop.create_task(q.aget())
    loop.run_until_complete(turns())
    loop.close()

    async def main():
        waits = asyncio.create_task(q.aget())
        await turns()
        q.put(1)
        return await waits

    assert asyncio.run(main()) == 1
    del left


def test_a_thread_that_cannot_be_had_is_an_error(monkeypatch):
    def refuses(self):
        raise RuntimeError("can't start new thread")

    async def main():
        q = tarefa.Queue()
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuses)
            with pytest.raises(RuntimeError, match="new thread"):
                await q.aget()
        waits = asyncio.create_task(q.aget())
        await turns()
        q.put(1)
        return await waits

    assert asyncio.run(main()) == 1
