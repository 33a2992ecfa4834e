"""Queues from asyncio: only the coroutine waits, and one that is cancelled has taken nothing."""

import asyncio
import contextlib
import threading

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
