"""``TaskGroup``, ``as_completed`` and callbacks of tasks."""

import asyncio
import threading
import time
from concurrent.futures import Future

import pytest
from support import eventually

import tarefa


@pytest.fixture(params=["process", "thread"])
def kind(request):
    return request.param


def double(x):
    return 2 * x


def fail(x):
    raise KeyError(x)


def test_tasks_are_joined_on_exit(kind):
    with tarefa.TaskGroup(kind=kind) as group:
        tasks = [group.start(double, n) for n in range(5)]
    assert all(task.state == tarefa.State.FINISHED for task in tasks)
    assert [task.result() for task in tasks] == [0, 2, 4, 6, 8]
    with pytest.raises(tarefa.StateError, match="has ended"):
        group.start(double, 1)


def test_at_most_so_many_at_a_time(kind):
    running, most = tarefa.Value("i", 0), tarefa.Value("i", 0)

    def run(n):
        with running.get_lock():
            running.value += 1
            most.value = max(most.value, running.value)
        time.sleep(0.01)
        with running.get_lock():
            running.value -= 1
        return n

    with tarefa.TaskGroup(limit=2, kind=kind) as group:
        tasks = [group.start(run, n) for n in range(8)]
        # They are started while the body does something else, too.
        eventually(lambda: tasks[5].state == tarefa.State.FINISHED)
    assert [task.result() for task in tasks] == list(range(8))
    assert 1 <= most.value <= 2


def test_a_failure_interrupts_the_rest_and_starts_no_more(kind):
    began = tarefa.Counter()

    def wait(n):
        began[n] += 1
        tarefa.Event().wait(50)

    group = tarefa.TaskGroup(limit=3, kind=kind)
    with pytest.raises(ExceptionGroup) as found, group:  # noqa: PT012
        waiting = [group.start(wait, n) for n in range(2)]
        eventually(lambda: len(began) == 2)
        group.start(fail, "x")
        late = [group.start(wait, n) for n in range(2, 5)]
    assert [type(error) for error in found.value.exceptions] == [KeyError]
    assert all(type(task.exception()) is tarefa.TaskInterrupted for task in waiting)
    assert all(not task.is_alive() for task in late)


def test_what_the_body_raises_ends_the_group(kind):
    with pytest.raises(ExceptionGroup) as found, tarefa.TaskGroup(kind=kind) as group:  # noqa: PT012
        task = group.start(tarefa.Event().wait, 50)
        eventually(lambda: task.state == tarefa.State.RUNNING)
        raise ValueError("of the body")
    assert [type(error) for error in found.value.exceptions] == [ValueError]
    assert not task.is_alive()
    task.exception()
    with pytest.raises(KeyboardInterrupt), tarefa.TaskGroup(kind=kind) as group:  # noqa: PT012
        group.start(double, 1)
        raise KeyboardInterrupt


def test_tasks_that_are_made_already():
    with tarefa.TaskGroup(limit=1) as group:
        a = group.start(tarefa.Thread(target=double, args=(1,)))
        b = group.start(tarefa.Process(target=double, args=(2,)))
        assert "running of 1 at most" in repr(group)
    assert (a.result(), b.result()) == (2, 4)
    with tarefa.TaskGroup() as group, pytest.raises(tarefa.StateError, match="is started"):
        group.start(a)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"limit": 0}, ValueError),
        ({"limit": 1.5}, TypeError),
        ({"limit": True}, TypeError),
        ({"kind": "fiber"}, ValueError),
    ],
)
def test_bad_arguments(arguments, error):
    with pytest.raises(error):
        tarefa.TaskGroup(**arguments)


def test_a_group_is_entered_once():
    group = tarefa.TaskGroup(kind="thread")
    with pytest.raises(tarefa.StateError, match="not entered"):
        group.start(double, 1)
    with group, pytest.raises(TypeError):
        group.start(5)
    with pytest.raises(tarefa.StateError, match="entered before"), group:
        pass


def test_groups_of_many_short_threads():
    with tarefa.TaskGroup(limit=3, kind="thread") as group:
        tasks = [group.start(double, n) for n in range(300)]
    assert [task.result() for task in tasks] == [2 * n for n in range(300)]


def test_async_with(kind):
    async def main():
        async with tarefa.TaskGroup(limit=2, kind=kind) as group:
            tasks = [group.start(double, n) for n in range(5)]
            ticks = [await asyncio.sleep(0, n) for n in range(3)]
        return [task.result() for task in tasks], ticks

    assert asyncio.run(main()) == ([0, 2, 4, 6, 8], [0, 1, 2])


def test_a_failure_ends_what_an_async_body_waits_for(kind):
    async def main():
        with pytest.raises(ExceptionGroup) as found:  # noqa: PT012
            async with tarefa.TaskGroup(kind=kind) as group:
                group.start(tarefa.Event().wait, 50)
                group.start(fail, "x")
                await asyncio.sleep(50)
        assert [type(error) for error in found.value.exceptions] == [KeyError]
        # The cancellation was the group's own, and is over.
        await asyncio.sleep(0.01)
        assert asyncio.current_task().cancelling() == 0

    asyncio.run(main())


def test_an_async_group_that_is_cancelled_from_outside():
    async def inside(group):
        async with group:
            group.start(tarefa.Event().wait, 50)

    async def main():
        group = tarefa.TaskGroup()
        task = asyncio.create_task(inside(group))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_callbacks_of_tasks(Task):
    got = []
    task = Task(target=double, args=(3,))
    with pytest.raises(tarefa.StateError, match="not started"):
        task.add_done_callback(got.append)
    task.start()
    task.add_done_callback(got.append)
    task.add_done_callback(lambda task: got.append(task.result()))
    eventually(lambda: len(got) == 2)
    assert got == [task, 6]
    task.add_done_callback(got.append)
    assert len(got) == 3
    with pytest.raises(TypeError):
        task.add_done_callback(1)


def test_a_callback_that_raises_hits_nobody_else(Task, caplog):
    got = []
    task = Task(target=double, args=(3,)).start()
    task.add_done_callback(lambda _: 1 / 0)
    task.add_done_callback(got.append)
    eventually(lambda: got)
    assert "ZeroDivisionError" in caplog.text
    caplog.clear()


def test_as_completed_of_tasks_and_futures(kind):
    last = tarefa.Event()
    with tarefa.Pool(1, kind) as pool:
        slow = tarefa.Process(target=last.wait, args=(50,)).start()
        quick = tarefa.Thread(target=double, args=(1,)).start()
        future = pool.submit(double, 2)
        order = []
        for done in tarefa.as_completed([slow, quick, future, quick]):
            order.append(done)
            if len(order) == 2:
                last.set()
    assert set(order) == {slow, quick, future}
    assert order[-1] is slow


def test_as_completed_in_time(Task):
    stop = tarefa.Event()
    task = Task(target=stop.wait, args=(50,)).start()
    with pytest.raises(TimeoutError, match="1 of 1"):
        list(tarefa.as_completed([task], timeout=0.05))
    stop.set()
    assert list(tarefa.as_completed([task], timeout=50)) == [task]
    assert list(tarefa.as_completed([])) == []
    with pytest.raises(TypeError, match="takes tasks and futures"):
        tarefa.as_completed([1])
    done = Future()
    done.set_result(1)
    assert list(tarefa.as_completed(iter([done]))) == [done]


def test_threads_that_watch_end():
    task = tarefa.Thread(target=double, args=(1,)).start()
    task.add_done_callback(lambda _: None)
    eventually(lambda: not any("ends of tasks" in t.name for t in threading.enumerate()))
