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
