"""`time_limit`, `memory_limit`: what runs too long ends, what takes too much is MemoryError."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
import traceback

import pytest
from support import eventually, is_alive, run_script

import tarefa
from tarefa import (
    MemoryLimitExceeded,
    State,
    TaskInterrupted,
    TimeLimitExceeded,
    TimeLimitInterrupt,
    WorkerDied,
)

MEBIBYTE = 1 << 20


# What is cut off, on both kinds.


def in_sleep():
    time.sleep(10_000)


def in_busy_loop():
    while True:
        pass


def in_event():
    tarefa.Event().wait()


def in_tarefa_sleep():
    tarefa.sleep(10_000)


SITUATIONS = [in_sleep, in_busy_loop, in_event, in_tarefa_sleep]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_past_its_time_limit_a_task_is_interrupted(Task, situation):
    before = time.monotonic()
    task = Task(target=situation, name="longa", time_limit=0.3).start()
    with pytest.raises(TimeLimitExceeded) as caught:
        task.result()
    assert time.monotonic() - before >= 0.3
    assert task.state is State.INTERRUPTED
    assert task.exitcode == 1
    text = str(caught.value)
    assert "'longa'" in text
    assert "ran longer than its time limit of 0.3 s" in text
    assert task.usage().wall >= 0.3


def test_it_is_an_interrupt(Task):
    def handle():
        try:
            time.sleep(10_000)
        except KeyboardInterrupt as error:
            return type(error).__name__, str(error), isinstance(error, tarefa.Interrupted)

    task = Task(target=handle, name="longa", time_limit=1).start()
    kind, text, is_interrupt = task.result()
    assert (kind, is_interrupt) == ("TimeLimitInterrupt", True)
    assert "'longa' ran longer than its time limit of 1 s" in text


def test_what_it_returns_in_the_grace_counts(Task):
    def clean_up():
        try:
            time.sleep(10_000)
        except TimeLimitInterrupt:
            time.sleep(0.2)
            return "partial"

    task = Task(target=clean_up, time_limit=1).start()
    assert task.result() == "partial"
    assert task.state is State.FINISHED
    assert task.exitcode == 0


def test_what_it_raises_in_the_grace_counts(Task):
    def clean_up():
        try:
            time.sleep(10_000)
        except TimeLimitInterrupt as error:
            raise ValueError("half done") from error

    task = Task(target=clean_up, time_limit=1).start()
    with pytest.raises(ValueError, match="half done"):
        task.result()
    assert task.state is State.FAILED


def test_within_its_limit_nothing_happens(Task):
    tasks = [Task(target=time.sleep, args=(0.01,), time_limit=3600).start() for _ in range(20)]
    assert [task.result() for task in tasks] == [None] * 20
    for task in tasks:
        task.join()  # its exit functions may run still
    assert all(task.state is State.FINISHED for task in tasks)


def test_an_end_at_the_very_moment_is_told_as_what_it_was(Task):
    def almost(seconds):
        time.sleep(seconds)
        return "done"

    ends = set()
    for n in range(60):
        limit = 0.02
        task = Task(target=almost, args=(limit + (n % 20 - 10) / 5000,), time_limit=limit).start()
        error = task.exception()
        ends.add(task.state)
        if task.state is State.FINISHED:
            assert error is None
            assert task.result() == "done"
        else:
            assert task.state is State.INTERRUPTED
            assert isinstance(error, TimeLimitExceeded)
    assert ends <= {State.FINISHED, State.INTERRUPTED}


def test_many_limits_each_at_its_time(Task):
    started = time.monotonic()
    limits = [0.2 + n * 0.05 for n in (3, 1, 7, 0, 5, 2, 6, 4)]
    tasks = [Task(target=in_sleep, time_limit=limit).start() for limit in limits]
    for task, limit in zip(tasks, limits, strict=True):
        assert isinstance(task.exception(), TimeLimitExceeded)
        assert time.monotonic() - started >= limit
        assert task.usage().wall >= limit


def test_an_interrupt_of_somebody_else_is_not_the_limits(Task):
    ready = tarefa.Event()

    def wait(ready):
        ready.set()
        time.sleep(10_000)

    task = Task(target=wait, args=(ready,), time_limit=3600).start()
    ready.wait()
    task.interrupt()
    error = task.exception()
    assert type(error) is TaskInterrupted


def test_a_limit_is_shown_and_set_before_the_start(Task):
    task = Task(target=in_event, name="curta")
    assert task.time_limit is None
    assert task.memory_limit is None
    assert "limit" not in repr(task)
    task.time_limit = 1.5
    assert task.time_limit == 1.5
    assert "time limit 1.5 s" in repr(task)
    task.time_limit = None
    assert task.time_limit is None
    task.time_limit = 0.2
    task.start()
    with pytest.raises(tarefa.StateError, match="before start"):
        task.time_limit = 5
    with pytest.raises(TimeLimitExceeded):
        task.result()
    assert task.time_limit == 0.2


def test_the_task_sees_its_own_limit(Task):
    task = Task(target=lambda: tarefa.current_task().time_limit, time_limit=77).start()
    assert task.result() == 77


@pytest.mark.parametrize("bad", [0, -1, -0.5, math.nan, -math.inf, -(10**400)])
def test_a_time_limit_that_is_none(Task, bad):
    with pytest.raises(ValueError, match="time_limit must be a number of seconds above 0"):
        Task(target=in_event, time_limit=bad)
    task = Task(target=in_event)
    with pytest.raises(ValueError, match="time_limit"):
        task.time_limit = bad
    assert task.time_limit is None


@pytest.mark.parametrize("bad", ["1", b"1", True, [], (1,), object()])
def test_a_time_limit_of_another_type(Task, bad):
    with pytest.raises(TypeError, match="time_limit must be a number of seconds"):
        Task(target=in_event, time_limit=bad)


@pytest.mark.parametrize("bad", [threading.TIMEOUT_MAX + 1, 1e300, math.inf, 10**400])
def test_a_time_limit_too_large_for_any_clock(Task, bad):
    with pytest.raises(OverflowError, match=r"time_limit is too large: .* None sets no limit"):
        Task(target=in_event, time_limit=bad)
    task = Task(target=in_event)
    with pytest.raises(OverflowError, match="time_limit"):
        task.time_limit = bad
    assert task.time_limit is None
    for keyword in ("time_limit", "grace"):
        with pytest.raises(OverflowError, match=keyword):
            tarefa.run(in_event, kind=Task, **{keyword: bad})
    kind = "process" if Task is tarefa.Process else "thread"
    for keyword in ("time_limit", "initializer_time_limit"):
        with pytest.raises(OverflowError, match=keyword):
            tarefa.Pool(1, kind, initializer=int, **{keyword: bad})
    with tarefa.Pool(1, kind) as pool, pytest.raises(OverflowError, match="time_limit"):
        pool.options(time_limit=bad)


def test_very_long_and_very_short(Task):
    task = Task(target=lambda: 1, time_limit=threading.TIMEOUT_MAX)
    task.memory_limit = None
    assert task.start().result() == 1
    task = Task(target=in_sleep, time_limit=1e-12).start()
    assert isinstance(task.exception(), TimeLimitExceeded)


def test_await_and_wait_see_it(Task):
    import asyncio

    async def ask():
        return await Task(target=in_sleep, time_limit=0.2).start()

    with pytest.raises(TimeLimitExceeded):
        asyncio.run(ask())
    task = Task(target=in_sleep, time_limit=0.2).start()
    assert tarefa.wait([task]).done == {task}
    assert isinstance(task.exception(), TimeLimitExceeded)


# A process that goes on is killed.


def swallow_all():
    while True:
        try:
            while True:
                time.sleep(0.5)
        except BaseException:
            pass


def test_a_process_that_swallows_the_interrupt_is_killed():
    task = tarefa.Process(target=swallow_all, name="teimosa", time_limit=1).start()
    with pytest.raises(WorkerDied) as caught:
        task.result()
    text = str(caught.value)
    assert "'teimosa'" in text
    assert str(task.pid) in text
    assert "ran longer than its time limit of 1 s" in text
    assert "SIGKILL" in text
    assert (task.state, task.exitcode) == (State.KILLED, -9)
    assert (caught.value.pid, caught.value.exitcode) == (task.pid, -9)
    assert task.usage().wall >= 3


def test_a_process_in_native_code_is_killed():
    def ignore_signals():
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        time.sleep(10_000)

    task = tarefa.Process(target=ignore_signals, time_limit=1).start()
    assert "time limit" in str(task.exception())
    assert isinstance(task.exception(), WorkerDied)


def test_a_stopped_process_is_killed():
    task = tarefa.Process(target=in_busy_loop, time_limit=0.5).start()
    eventually(lambda: task.state is State.RUNNING)
    os.kill(task.pid, signal.SIGSTOP)
    assert isinstance(task.exception(), WorkerDied)
    assert "time limit" in str(task.exception())


def test_a_killed_process_takes_its_own_tasks_along():
    pids = tarefa.List()

    def parent(pids):
        for _ in range(2):
            child = tarefa.Process(target=swallow_all).start()
            pids.append(child.pid)
        swallow_all()

    task = tarefa.Process(target=parent, args=(pids,), time_limit=5).start()
    assert isinstance(task.exception(), WorkerDied)
    assert len(pids) == 2
    eventually(lambda: not any(is_alive(pid) for pid in pids))


def test_another_death_is_not_blamed_on_the_limit():
    task = tarefa.Process(target=lambda: os.kill(os.getpid(), 9), time_limit=3600).start()
    assert "time limit" not in str(task.exception())
    task = tarefa.Process(target=in_event, time_limit=3600).start()
    task.kill()
    assert "kill()" in str(task.exception())

    def exit_in_the_grace():
        try:
            time.sleep(10_000)
        except KeyboardInterrupt:
            os._exit(3)

    task = tarefa.Process(target=exit_in_the_grace, time_limit=1).start()
    text = str(task.exception())
    assert "code 3" in text
    assert "had been interrupted" in text
    assert "limit of 1 s" in text


def test_the_tasks_that_it_waits_for_count_too():
    def leave_one():
        tarefa.Process(target=in_sleep).start()
        return "mine"

    task = tarefa.Process(target=leave_one, time_limit=3).start()
    assert task.result() == "mine"


def test_a_thread_is_interrupted_again():
    seen = []

    def stubborn():
        while len(seen) < 2:
            try:
                time.sleep(10_000)
            except KeyboardInterrupt as error:
                seen.append(type(error))
        return "gave in"

    task = tarefa.Thread(target=stubborn, time_limit=1).start()
    assert task.result() == "gave in"
    assert seen == [TimeLimitInterrupt] * 2


def test_no_thread_is_interrupted_after_its_target():
    for _ in range(30):
        task = tarefa.Thread(target=time.sleep, args=(0.0095,), time_limit=0.01).start()
        task.exception()
        task.join()
    names = [t.name for t in threading.enumerate()]
    assert "tarefa-clock" not in names


# Whoever started it, and whatever has become of the zygote.


def test_the_starter_is_not_the_root(Task):
    def starter(kind):
        task = kind(target=in_sleep, name="neta", time_limit=0.2).start()
        error = task.exception()
        return type(error).__name__, str(error)

    kind, text = tarefa.Process(target=starter, args=(Task,)).start().result()
    assert kind == "TimeLimitExceeded"
    assert "'neta' ran longer than its time limit of 0.2 s" in text


def test_the_limit_of_a_grandchild_that_goes_on():
    def starter():
        return str(tarefa.Process(target=swallow_all, time_limit=1).start().exception())

    assert "time limit of 1 s" in tarefa.Process(target=starter).start().result()


def test_without_spares():
    done = run_script(
        """
        import tarefa, time
        tarefa.configure(spares=0)
        task = tarefa.Process(target=time.sleep, args=(1000,), time_limit=0.2).start()
        print(type(task.exception()).__name__)
        """
    )
    assert done.stdout == "TimeLimitExceeded\n"


def test_the_zygote_was_replaced():
    done = run_script(
        """
        import os, tarefa, time

        def swallow():
            while True:
                try:
                    time.sleep(1000)
                except BaseException:
                    pass

        ready = tarefa.Event()
        tasks = [
            tarefa.Process(target=f, args=a, time_limit=1.5).start()
            for f, a in ((time.sleep, (1000,)), (swallow, ()))
        ]
        zygote = tarefa._engine.diagnostics()["zygote_pid"]
        os.kill(zygote, 9)
        # The first may run in processes that were ready.
        while tarefa._engine.diagnostics()["zygote_pid"] in (None, zygote):
            assert tarefa.Process(target=lambda: 1).start().result() == 1
        for task in tasks:
            print(type(task.exception()).__name__, "time limit of 1.5 s" in str(task.exception()))
        """
    )
    assert done.stdout == "TimeLimitExceeded True\nWorkerDied True\n"


def test_the_thread_that_started_it_has_ended():
    tasks = []

    def start():
        tasks.append(tarefa.Process(target=in_sleep, time_limit=0.3).start())

    starter = threading.Thread(target=start)
    starter.start()
    starter.join()
    assert isinstance(tasks[0].exception(), TimeLimitExceeded)


def test_it_ends_with_a_starter_that_died():
    pids = tarefa.List()

    def starter(pids):
        pids.append(tarefa.Process(target=swallow_all, time_limit=3600).start().pid)
        os.kill(os.getpid(), 9)

    tarefa.Process(target=starter, args=(pids,)).start().join()
    eventually(lambda: not is_alive(pids[0]))


def test_in_a_forked_child_and_at_the_programs_end():
    done = run_script(
        """
        import os, tarefa, time
        print(type(tarefa.Thread(target=time.sleep, args=(9e3,), time_limit=0.1)
            .start().exception()).__name__, flush=True)
        if os.fork() == 0:
            for kind in (tarefa.Thread, tarefa.Process):
                task = kind(target=time.sleep, args=(9e3,), time_limit=0.1).start()
                print(type(task.exception()).__name__, flush=True)
            os._exit(0)
        os.wait()
        tarefa.Thread(target=time.sleep, args=(9e3,), time_limit=0.3, daemon=True).start()
        tarefa.Thread(target=time.sleep, args=(9e3,), time_limit=0.1).start()
        tarefa.Process(target=time.sleep, args=(9e3,), time_limit=0.1).start()
        """
    )
    assert done.stdout.split() == ["TimeLimitExceeded"] * 3


def test_a_program_ends_with_its_task():
    marker = f"{3600 + os.getpid() / 1e8:.8f}"
    command = tarefa.Program("sleep", marker)
    task = tarefa.Process(target=command, time_limit=0.5).start()
    assert isinstance(task.exception(), TimeLimitExceeded)

    def runs():
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
        return f"sleep {marker}" in listed

    eventually(lambda: not runs())


# Memory.


def take_bytearray(mebibytes):
    return len(bytearray(mebibytes * MEBIBYTE))


def take_list(mebibytes):
    numbers = []
    for n in range(mebibytes * MEBIBYTE // 8):
        numbers.append(float(n))
    return len(numbers)


def take_numpy(mebibytes):
    import numpy as np

    return int(np.ones(mebibytes * MEBIBYTE // 8).sum())


def take_many(mebibytes):
    return len([bytes(1000) for _ in range(mebibytes * 1024)])


def take_mmap(mebibytes):
    import mmap

    with mmap.mmap(-1, mebibytes * MEBIBYTE, flags=mmap.MAP_PRIVATE) as mapped:
        return len(mapped)


TAKERS = [take_bytearray, take_list, take_numpy, take_many]


@pytest.mark.parametrize("take", TAKERS)
def test_past_its_memory_limit_a_process_gets_memory_error(take):
    task = tarefa.Process(
        target=take, args=(400,), name="gulosa", memory_limit=200 * MEBIBYTE
    ).start()
    with pytest.raises(MemoryError) as caught:
        task.result()
    error = caught.value
    assert isinstance(error, MemoryLimitExceeded)
    assert isinstance(error, tarefa.TarefaError)
    task.join()  # who has the result does not wait for the end
    assert task.state is State.FAILED
    text = str(error)
    assert "'gulosa'" in text
    assert str(task.pid) in text
    assert "200 MiB" in text
    assert isinstance(error.__cause__, MemoryError)
    text = "".join(traceback.format_exception(error))
    assert take.__name__ in text, "the traceback says where"


@pytest.mark.parametrize("take", TAKERS)
def test_within_its_memory_limit_all_is_well(take):
    assert tarefa.Process(target=take, args=(40,), memory_limit="400M").start().result() > 0


def test_a_refused_mapping_is_an_error_too():
    task = tarefa.Process(target=take_mmap, args=(400,), memory_limit="100M").start()
    assert isinstance(task.exception(), OSError)


def test_the_target_can_handle_it_and_go_on():
    def careful():
        try:
            return take_bytearray(1000)
        except MemoryError:
            return take_bytearray(10)

    task = tarefa.Process(target=careful, memory_limit="100M").start()
    assert task.result() == 10 * MEBIBYTE


def test_shared_memory_does_not_count():
    shared = tarefa.List()

    def fill(shared):
        for _ in range(60):
            shared.append(bytes(MEBIBYTE))
        return len(shared)

    assert tarefa.Process(target=fill, args=(shared,), memory_limit="30M").start().result() == 60
    shared.clear()


def test_its_result_may_be_as_large_as_what_it_has():
    def make():
        return bytes(60 * MEBIBYTE)

    assert len(tarefa.Process(target=make, memory_limit="100M").start().result()) == 60 * MEBIBYTE


def test_its_arguments_count():
    big = bytes(50 * MEBIBYTE)
    task = tarefa.Process(target=len, args=(big,), memory_limit="20M").start()
    assert isinstance(task.exception(), MemoryLimitExceeded)


def test_the_next_task_has_no_limit():
    tarefa.Process(target=take_bytearray, args=(1,), memory_limit="20M").start().result()
    assert tarefa.Process(target=take_bytearray, args=(200,)).start().result()


def test_the_tasks_that_it_starts_have_their_own():
    def parent():
        return tarefa.Process(target=take_bytearray, args=(200,)).start().result()

    assert tarefa.Process(target=parent, memory_limit="60M").start().result() == 200 * MEBIBYTE


def test_an_abort_for_want_of_memory_names_the_limit():
    def abort():
        try:
            bytearray(1000 * MEBIBYTE)
        except MemoryError:
            os.abort()

    task = tarefa.Process(target=abort, memory_limit="50M").start()
    error = task.exception()
    assert isinstance(error, WorkerDied)
    assert "memory limit is 50 MiB" in str(error)


def test_a_memory_error_without_a_limit_stays_what_it_is():
    def fail():
        raise MemoryError("just so")

    error = tarefa.Process(target=fail).start().exception()
    assert type(error) is MemoryError


def test_a_full_arena_is_not_the_memory_limit():
    def fail():
        raise tarefa.ArenaFull("no room")

    error = tarefa.Process(target=fail, memory_limit="1G").start().exception()
    assert type(error) is tarefa.ArenaFull


def test_a_program_has_the_limit():
    take = "x = bytearray(300 << 20); print('took it')"
    for size, code in (("100M", 1), ("1G", 0)):
        program = tarefa.Program(sys.executable, "-c", take, capture=True)
        done = tarefa.Process(target=program, memory_limit=size).start().result()
        assert (done.returncode, b"MemoryError" in done.stderr) == (code, code == 1)


def test_both_limits():
    def grow():
        while True:
            try:
                take_bytearray(1000)
            except MemoryError:
                time.sleep(0.01)

    task = tarefa.Process(target=grow, time_limit=0.3, memory_limit="64M")
    assert "time limit 0.3 s" in repr(task)
    assert "memory limit 64 MiB" in repr(task)
    assert isinstance(task.start().exception(), TimeLimitExceeded)


@pytest.mark.parametrize(
    ("size", "found"),
    [(1 << 20, 1 << 20), ("512M", 512 << 20), ("2 GiB", 2 << 30), ("65536", 65536)],
)
def test_sizes(size, found):
    task = tarefa.Process(target=in_event, memory_limit=size)
    assert task.memory_limit == found
    task.memory_limit = None
    assert task.memory_limit is None


@pytest.mark.parametrize("bad", [0, -1, "0", "much", "", "-5M", "1.5G", 1 << 70, "99999999999T"])
def test_a_memory_limit_that_is_none(bad):
    with pytest.raises(ValueError, match="memory_limit must be a number of bytes above 0"):
        tarefa.Process(target=in_event, memory_limit=bad)
    task = tarefa.Process(target=in_event)
    with pytest.raises(ValueError, match="memory_limit"):
        task.memory_limit = bad


@pytest.mark.parametrize("bad", [1.5, True, b"5M", [], object()])
def test_a_memory_limit_of_another_type(bad):
    with pytest.raises(TypeError, match="memory_limit must be"):
        tarefa.Process(target=in_event, memory_limit=bad)


def test_a_thread_has_no_memory_of_its_own():
    with pytest.raises(ValueError, match=r"cannot have a memory_limit.*tarefa\.Process"):
        tarefa.Thread(target=in_event, memory_limit="5M")
    task = tarefa.Thread(target=in_event, memory_limit=None)
    with pytest.raises(ValueError, match="cannot have a memory_limit"):
        task.memory_limit = 5
    task.memory_limit = None


def test_a_subclass_can_have_limits():
    class Limited(tarefa.Process):
        def __init__(self):
            super().__init__(time_limit=0.2, memory_limit="1G")

        def run(self):
            time.sleep(10_000)

    task = Limited().start()
    assert isinstance(task.exception(), TimeLimitExceeded)
