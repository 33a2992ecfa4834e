"""`await tarefa.run(f)`: who gives the call up ends it, and waits for its end."""

import asyncio
import gc
import os
import signal
import time
import warnings

import pytest
import targets
from support import eventually, is_alive

import tarefa

KINDS = pytest.mark.parametrize("kind", [tarefa.Process, tarefa.Thread, "process", "thread"])


def waits(began, pid):
    """Wait until it is interrupted."""
    pid.append(os.getpid())
    began.set()
    time.sleep(600)


def ignores(began, pid, go):
    """Go on whatever happens."""
    pid.append(os.getpid())
    began.set()
    while not go.is_set():
        try:
            go.wait()
        except tarefa.Interrupted:
            continue


async def begun(began):
    while not began.is_set():
        await asyncio.sleep(0.005)


@KINDS
def test_the_result(kind):
    async def main():
        return await tarefa.run(targets.add, 1, 2, kind=kind)

    assert asyncio.run(main()) == 3


@KINDS
def test_the_exception(kind):
    with pytest.raises(ValueError, match="boom"):
        asyncio.run(tarefa.run(targets.explode, kind=kind))


def test_a_process_unless_it_is_said():
    assert asyncio.run(tarefa.run(os.getpid)) != os.getpid()
    assert asyncio.run(tarefa.run(os.getpid, kind=tarefa.Thread)) == os.getpid()


@pytest.mark.parametrize("kind", [tarefa.Process, tarefa.Thread])
def test_a_time_limit(kind):
    event = tarefa.Event()
    with pytest.raises(tarefa.TimeLimitExceeded):
        asyncio.run(tarefa.run(event.wait, kind=kind, time_limit=0.05))


def test_a_name():
    async def main():
        return await tarefa.run(lambda: tarefa.current_task().name, name="mine")

    assert asyncio.run(main()) == "mine"


def test_several_at_once():
    async def main():
        kinds = ("thread", "process") * 3
        calls = [tarefa.run(targets.pass_through, n, kind=kinds[n]) for n in range(6)]
        return await asyncio.gather(*calls)

    assert asyncio.run(main()) == list(range(6))


@pytest.mark.parametrize("kind", [tarefa.Process, tarefa.Thread])
def test_a_cancelled_call_has_ended(kind):
    began, pid = tarefa.Event(), tarefa.List()

    def sleeps(began, pid):
        pid.append(os.getpid())
        began.set()
        tarefa.sleep(600)

    async def main():
        call = asyncio.create_task(tarefa.run(sleeps, began, pid, kind=kind))
        await begun(began)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert tarefa.active_tasks() == []

    asyncio.run(main())
    if kind is tarefa.Process:
        assert not is_alive(pid[0])


def test_a_call_that_is_out_of_time_has_ended():
    began, pid = tarefa.Event(), tarefa.List()

    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(tarefa.run(waits, began, pid), 0.5)
        assert tarefa.active_tasks() == []

    asyncio.run(main())


def test_a_process_that_ignores_it_is_killed():
    began, pid, go = tarefa.Event(), tarefa.List(), tarefa.Event()

    async def main():
        call = asyncio.create_task(tarefa.run(ignores, began, pid, go, grace=0.1))
        await begun(began)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not is_alive(pid[0])

    asyncio.run(main())


def test_a_second_cancellation_has_no_more_patience():
    began, pid, go = tarefa.Event(), tarefa.List(), tarefa.Event()

    async def main():
        call = asyncio.create_task(tarefa.run(ignores, began, pid, go, grace=600))
        await begun(began)
        call.cancel()
        await asyncio.sleep(0.05)
        assert not call.done()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not is_alive(pid[0])

    asyncio.run(main())


def test_a_thread_that_ignores_it_is_left_with_a_warning():
    began, pid, go = tarefa.Event(), tarefa.List(), tarefa.Event()

    async def main():
        call = asyncio.create_task(
            tarefa.run(ignores, began, pid, go, kind=tarefa.Thread, grace=0.05, name="stubborn")
        )
        await begun(began)
        call.cancel()
        said = pytest.warns(RuntimeWarning, match="thread 'stubborn'.*goes on")
        with said, pytest.raises(asyncio.CancelledError):
            await call
        assert [task.name for task in tarefa.active_tasks()] == ["stubborn"]

    asyncio.run(main())
    go.set()
    eventually(lambda: not tarefa.active_tasks())


def test_a_shield_leaves_it_alone():
    began, pid, go = tarefa.Event(), tarefa.List(), tarefa.Event()

    async def main():
        call = asyncio.ensure_future(tarefa.run(ignores, began, pid, go))
        outer = asyncio.ensure_future(wait_for_it(call))
        await begun(began)
        outer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer
        assert len(tarefa.active_tasks()) == 1
        go.set()
        return await call

    async def wait_for_it(call):
        await asyncio.shield(call)

    assert asyncio.run(main()) is None


def test_the_last_awaiter_ends_it():
    began, pid = tarefa.Event(), tarefa.List()

    async def main():
        call = tarefa.run(waits, began, pid)

        async def awaits():
            await call

        one, other = asyncio.create_task(awaits()), asyncio.create_task(awaits())
        await begun(began)
        one.cancel()
        with pytest.raises(asyncio.CancelledError):
            await one
        assert is_alive(pid[0])
        assert not other.done()
        other.cancel()
        with pytest.raises(asyncio.CancelledError):
            await other
        assert not is_alive(pid[0]) or tarefa.active_tasks() == []

    asyncio.run(main())


def test_all_awaiters_get_the_result():
    async def main():
        call = tarefa.run(targets.add, 3, 4)

        async def awaits():
            return await call

        return await asyncio.gather(awaits(), awaits(), awaits())

    assert asyncio.run(main()) == [7, 7, 7]


def test_a_task_group_that_fails_ends_it():
    began, pid = tarefa.Event(), tarefa.List()

    async def fails():
        await begun(began)
        raise LookupError("group")

    async def both():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(tarefa.run(waits, began, pid))
            tasks.create_task(fails())

    async def main():
        with pytest.raises(BaseExceptionGroup) as caught:
            await both()
        assert isinstance(caught.value.exceptions[0], LookupError)
        assert tarefa.active_tasks() == []

    asyncio.run(main())


def test_a_killed_process():
    async def main():
        await tarefa.run(signal.raise_signal, signal.SIGKILL)

    with pytest.raises(tarefa.WorkerDied):
        asyncio.run(main())


def test_one_that_was_never_awaited():
    with pytest.warns(RuntimeWarning, match="never awaited"):
        tarefa.run(int)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tarefa.run(int).close()


def test_one_that_is_cancelled_before_its_first_step(Task):
    began = tarefa.Event()

    async def cancel_at_once(wait_for):
        call = tarefa.run(began.set, kind=Task)
        if wait_for:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call, 0)
        else:
            task = asyncio.create_task(call)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for wait_for in (False, True):
            asyncio.run(cancel_at_once(wait_for))
        gc.collect()
    assert [str(warning.message) for warning in told] == []
    assert not began.is_set()


@pytest.mark.parametrize(
    ("arguments", "named", "error"),
    [
        ((3,), {}, TypeError),
        ((int,), {"kind": "fiber"}, TypeError),
        ((int,), {"kind": int}, TypeError),
        ((int,), {"grace": -1}, ValueError),
        ((int,), {"grace": "5"}, TypeError),
        ((int,), {"grace": None}, TypeError),
        ((int,), {"grace": float("nan")}, ValueError),
        ((int,), {"grace": 1e10}, OverflowError),
        ((int,), {"time_limit": 0}, ValueError),
        ((int,), {"kind": tarefa.Thread, "memory_limit": 1 << 30}, ValueError),
    ],
)
def test_bad_arguments(arguments, named, error):
    with pytest.raises(error):
        tarefa.run(*arguments, **named)
