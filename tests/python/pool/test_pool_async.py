"""Pools in asyncio, the pool that ``tarefa.map`` keeps, and arguments of the standard library's."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from targets import double, fail_at_five

import tarefa


def test_run(pool):
    async def main():
        assert await pool.run(pow, 2, 5) == 32
        assert await asyncio.gather(*(pool.run(double, n) for n in range(9))) == [
            2 * n for n in range(9)
        ]
        with pytest.raises(KeyError):
            await pool.run(fail_at_five, 5)
        return await pool.run(sorted, [1, 2], reverse=True)

    assert asyncio.run(main()) == [2, 1]


def test_amap(pool):
    async def main():
        got = [n async for n in pool.amap(double, range(3000))]
        assert got == [2 * n for n in range(3000)]
        assert [n async for n in pool.amap(pow, [2, 3], [3, 2], chunksize=1)] == [8, 9]
        unordered = [n async for n in pool.amap(double, range(50), ordered=False)]
        assert sorted(unordered) == list(range(0, 100, 2))
        got = [n async for n in pool.amap(fail_at_five, range(8), return_exceptions=True)]
        assert isinstance(got.pop(5), KeyError)
        got = []
        with pytest.raises(KeyError):  # noqa: PT012
            async for n in pool.amap(fail_at_five, range(50)):
                got.append(n)
        assert got == [0, 1, 2, 3, 4]
        assert [n async for n in pool.amap(double, [])] == []

    asyncio.run(main())


def test_amap_of_endless_inputs_and_its_end(pool):
    async def main():
        results = pool.amap(double, itertools.count(), buffersize=20)
        assert [await anext(results) for _ in range(60)] == [2 * n for n in range(60)]
        await results.aclose()
        assert [n async for n in results] == []

    asyncio.run(main())
    assert pool.submit(double, 4).result() == 8


def test_the_loop_goes_on_and_a_wait_can_be_cancelled(pool):
    stop = tarefa.Event()

    async def main():
        results = pool.amap(stop.wait, [50, 50])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(results)
        stop.set()
        assert [n async for n in results] == [True, True]

    asyncio.run(main())


def test_amap_is_closed_while_it_waits(pool):
    stop = tarefa.Event()

    async def main():
        results = pool.amap(stop.wait, [50])
        waiting = asyncio.create_task(anext(results))
        await asyncio.sleep(0.05)
        await results.aclose()
        with pytest.raises(StopAsyncIteration):
            await waiting

    asyncio.run(main())
    stop.set()


def test_bad_input_of_amap_is_told_at_the_call(pool):
    with pytest.raises(TypeError):
        pool.amap(5, [1])
    with pytest.raises(ValueError, match="chunksize"):
        pool.amap(double, [1], chunksize=0)


def run_script(text, code=0):
    # From CPython 3.12 on, a fork beside threads is warned of.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(text)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == code, done.stderr
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


def test_tarefa_map_keeps_a_pool():
    lines = run_script(
        """
        import os
        import tarefa

        pids = set(tarefa.map(lambda _: os.getpid(), range(200), workers=2))
        again = set(tarefa.map(lambda _: os.getpid(), range(200), workers=2))
        print(len(pids | again) <= 2, os.getpid() in pids)
        print(list(tarefa.map(pow, [2, 3], [3, 2])))
        print(list(tarefa.map(lambda _: os.getpid(), [1], kind="thread")) == [os.getpid()])
        print(list(tarefa.map(pow, [2, 3], [3, 2], kind="auto")))
        print(sum(tarefa.map(int, range(1000))))
        if os.fork() == 0:
            print(list(tarefa.map(abs, [-1])), flush=True)
            raise SystemExit
        os.wait()
        print(list(tarefa.map(abs, [-2])))
        """
    )
    assert lines == ["True False", "[8, 9]", "True", "[8, 9]", "499500", "[1]", "[2]"]


def test_tarefa_map_says_what_is_wrong():
    with pytest.raises(ValueError, match="kind"):
        tarefa.map(double, [1], kind="fiber")
    with pytest.raises(ValueError, match="workers"):
        tarefa.map(double, [1], workers=0)


def put(queue, what):
    queue.put(what)


def test_arguments_of_multiprocessing():
    queue = tarefa.Queue()
    with tarefa.Pool(1, put, (queue, "began"), 2) as pool:
        assert list(pool.map(double, [1, 2], chunksize=1)) == [2, 4]
    assert queue.get(timeout=50) == "began"
    with tarefa.Pool(processes=1, maxtasksperchild=1) as pool:
        assert len({pool.submit(os.getpid).result() for _ in range(3)}) == 3
    with tarefa.Pool(1, None, (), None) as pool:
        assert pool.submit(double, 2).result() == 4


@pytest.mark.parametrize(
    ("positional", "named", "words"),
    [
        ((2,), {"processes": 2}, "workers twice"),
        ((), {"processes": 1, "tasks_per_worker": 2, "maxtasksperchild": 2}, "tasks_per_worker"),
        ((1, put), {"initializer": put}, "initializer twice"),
        ((1, put, (), 1, 2, 3), {}, "by position"),
        ((1, "thread", ()), {}, "by its name"),
        ((), {"max_workers": 2}, "write workers="),
        ((), {"mp_context": None}, "leave it out"),
        ((), {"colour": 2}, "no argument 'colour'"),
    ],
)
def test_arguments_that_are_refused(positional, named, words):
    with pytest.raises(TypeError, match=words):
        tarefa.Pool(*positional, **named)


def test_no_processes_are_told():
    with pytest.raises(ValueError, match="workers must be 1 or more"):
        tarefa.Pool(processes=0)


def test_a_death_in_a_map_that_is_awaited():
    def die(n):
        if n == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return n

    async def main():
        with tarefa.Pool(2) as pool:
            results = pool.amap(die, range(6), return_exceptions=True)
            got = [n async for n in results]
            assert isinstance(got.pop(3), tarefa.WorkerDied)
            assert got == [0, 1, 2, 4, 5]
            started = time.monotonic()
            assert await pool.run(double, 4) == 8
            assert time.monotonic() >= started

    asyncio.run(main())
