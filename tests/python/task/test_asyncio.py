"""`await task`: the event loop goes on while the task runs, and gets its value or its exception."""

import asyncio

import pytest
import targets

import tarefa


def test_await_gives_the_result(Task):
    async def main():
        return await Task(target=targets.add, args=(1, 2)).start()

    assert asyncio.run(main()) == 3


def test_await_raises_the_exception(Task):
    async def main():
        await Task(target=targets.explode, args=("awaited",)).start()

    with pytest.raises(ValueError, match="awaited"):
        asyncio.run(main())


def test_await_of_an_ended_task(Task):
    task = Task(target=targets.add, args=(5,)).start()
    task.join()

    async def main():
        return await task, await task

    assert asyncio.run(main()) == (5, 5)


def test_the_loop_goes_on_meanwhile(held):
    task, go = held

    async def main():
        waiting = asyncio.ensure_future(task)
        await asyncio.sleep(0.02)
        assert not waiting.done()
        go.set()
        return await waiting

    assert asyncio.run(main()) == "done"


def test_gather_mixes_threads_and_processes():
    async def main():
        kinds = (tarefa.Thread, tarefa.Process) * 3
        return await asyncio.gather(
            *(
                kind(target=targets.pass_through, args=(number,)).start()
                for number, kind in enumerate(kinds)
            )
        )

    assert asyncio.run(main()) == [0, 1, 2, 3, 4, 5]


def test_giving_up_the_wait_leaves_the_task_running(held):
    task, go = held

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(task, 0.05)

    asyncio.run(main())
    assert task.is_alive()
    go.set()
    assert task.result() == "done"


def test_a_killed_process_wakes_the_waiter():
    async def main():
        task = tarefa.Process(target=tarefa.Event().wait).start()
        waiting = asyncio.ensure_future(task)
        await asyncio.sleep(0.05)
        task.kill()
        await waiting

    with pytest.raises(tarefa.WorkerDied):
        asyncio.run(main())


def test_asyncio_wait_takes_a_future_that_is_made_of_the_task(Task):
    async def main():
        task = Task(target=targets.add, args=(1, 2)).start()
        with pytest.raises(TypeError, match="ensure_future"):
            await asyncio.wait([task])
        done, pending = await asyncio.wait([asyncio.ensure_future(task)])
        return [future.result() for future in done], pending

    assert asyncio.run(main()) == ([3], set())


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_so_it_does_with_futures_of_pools(kind):
    async def main(pool):
        future = pool.submit(abs, -3)
        with pytest.raises(TypeError, match="wrap_future"):
            await asyncio.wait([future])
        done, pending = await asyncio.wait([asyncio.wrap_future(future)])
        return [future.result() for future in done], pending

    with tarefa.Pool(1, kind) as pool:
        assert asyncio.run(main(pool)) == ([3], set())


def test_other_ways_of_waiting_take_the_task_itself(Task):
    def start():
        return Task(target=targets.add, args=(1, 2)).start()

    async def main():
        yield await asyncio.gather(start())
        yield await asyncio.wait_for(start(), 60)
        yield await asyncio.shield(start())
        for first in asyncio.as_completed([start()]):
            yield await first

    async def results():
        return [found async for found in main()]

    assert asyncio.run(results()) == [[3], 3, 3, 3]
    loop = asyncio.new_event_loop()
    try:
        assert loop.run_until_complete(start()) == 3
    finally:
        loop.close()
