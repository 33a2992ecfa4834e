"""`wait`, `current_task`, `active_tasks`, `cpu_count`."""

import contextlib
import os
import resource
import threading

import pytest
import targets
from support import run_script

import tarefa


@pytest.fixture
def three(Task):
    """Three tasks, each held by an event of its own; the second fails once it goes."""
    goes = [tarefa.Event() for _ in range(3)]

    def hold(go, number):
        go.wait()
        if number == 1:
            raise ValueError("the second")
        return number

    tasks = [Task(target=hold, args=(go, number)).start() for number, go in enumerate(goes)]
    yield tasks, goes
    for go in goes:
        go.set()
    for task in tasks:
        task.exception()


def test_all_completed(three):
    tasks, goes = three
    for go in goes:
        go.set()
    done, not_done = tarefa.wait(tasks)
    assert done == set(tasks)
    assert not_done == set()


def test_the_answer_has_names(three):
    tasks, _ = three
    answer = tarefa.wait(tasks, timeout=0)
    assert answer.done == set()
    assert answer.not_done == set(tasks)


def test_a_timeout_returns_what_there_is(three):
    tasks, goes = three
    goes[0].set()
    tasks[0].join()
    done, not_done = tarefa.wait(tasks, 0.05)
    assert done == {tasks[0]}
    assert not_done == set(tasks[1:])


def test_first_completed(three):
    tasks, goes = three
    goes[2].set()
    done, not_done = tarefa.wait(tasks, return_when="FIRST_COMPLETED")
    assert tasks[2] in done
    assert done | not_done == set(tasks)


def test_first_completed_of_tasks_that_have_ended(three):
    tasks, goes = three
    goes[0].set()
    tasks[0].join()
    assert tarefa.wait(tasks, return_when="FIRST_COMPLETED").done == {tasks[0]}


def test_first_exception_waits_past_a_success(three):
    tasks, goes = three
    goes[0].set()
    tasks[0].join()
    assert tarefa.wait(tasks, timeout=0.05, return_when="FIRST_EXCEPTION").not_done == set(
        tasks[1:]
    )
    goes[1].set()
    done, not_done = tarefa.wait(tasks, return_when="FIRST_EXCEPTION")
    assert tasks[1] in done
    assert tasks[2] in not_done


def test_first_exception_without_one_is_all(three):
    tasks, goes = three
    goes[0].set()
    goes[2].set()
    done, not_done = tarefa.wait([tasks[0], tasks[2]], return_when="FIRST_EXCEPTION")
    assert (done, not_done) == ({tasks[0], tasks[2]}, set())


def test_a_killed_process_completes_and_is_an_exception():
    tasks = [tarefa.Process(target=tarefa.Event().wait).start() for _ in range(2)]
    tasks[0].kill()
    done, not_done = tarefa.wait(tasks, return_when="FIRST_EXCEPTION")
    assert (done, not_done) == ({tasks[0]}, {tasks[1]})
    tasks[1].kill()
    tasks[1].join()


def test_nothing_to_wait_for():
    for when in ("ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"):
        assert tarefa.wait([], return_when=when) == (set(), set())


def test_any_iterable_of_either_kind_with_repeats():
    tasks = [
        kind(target=targets.add, args=(1,)).start() for kind in (tarefa.Thread, tarefa.Process)
    ]
    assert tarefa.wait(task for task in tasks * 2).done == set(tasks)


def test_inside_a_task(Task):
    def outer():
        inner = [tarefa.Thread(target=int).start(), tarefa.Process(target=int).start()]
        return len(tarefa.wait(inner).done)

    assert Task(target=outer).start().result() == 2


def test_current_task_is_the_one_that_runs(Task):
    def me():
        task = tarefa.current_task()
        return type(task).__name__, task.name, task.ident, task.state.name, task.is_alive()

    task = Task(target=me, name="eu").start()
    assert task.result() == (Task.__name__, "eu", task.ident, "RUNNING", True)


def test_outside_any_task_there_is_none():
    assert tarefa.current_task() is None
    seen = []
    thread = threading.Thread(target=lambda: seen.append(tarefa.current_task()))
    thread.start()
    thread.join()
    assert seen == [None]


def test_active_tasks_are_those_started_and_not_ended(held):
    task, go = held
    assert task in tarefa.active_tasks()
    go.set()
    task.join()
    assert task not in tarefa.active_tasks()


def test_cpu_count_honours_affinity():
    assert 1 <= tarefa.cpu_count() <= len(os.sched_getaffinity(0))
    done = run_script("""
        import os, tarefa
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        print(tarefa.cpu_count())
    """)
    assert done.stdout.strip() == "1"


@pytest.mark.parametrize("when", ["FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"])
def test_more_tasks_than_one_call_of_the_system_sleeps_on(when):
    gates = [tarefa.Event() for _ in range(2)]

    def stay(gate, fail):
        gate.wait(30)
        if fail:
            raise ValueError("as it should")

    tasks = [tarefa.Thread(target=stay, args=(gates[1], False)).start() for _ in range(160)]
    # Neither among the first nor among the last of those that one call sleeps on.
    early = tarefa.Thread(target=stay, args=(gates[0], when == "FIRST_EXCEPTION")).start()
    tasks.insert(140, early)
    before = resource.getrusage(resource.RUSAGE_THREAD)
    assert not tarefa.wait(tasks, timeout=0.5, return_when=when).done
    after = resource.getrusage(resource.RUSAGE_THREAD)
    # Asleep, and not looking again and again.
    assert after.ru_nvcsw - before.ru_nvcsw < 15
    if when == "ALL_COMPLETED":
        gates[1].set()
    opener = threading.Timer(0.05, gates[0].set)
    opener.start()
    waited = tarefa.wait(tasks, timeout=30, return_when=when)
    opener.join()
    assert early in waited.done
    gates[1].set()
    assert not tarefa.wait(tasks, timeout=30).not_done
    with contextlib.suppress(ValueError):
        early.result()
