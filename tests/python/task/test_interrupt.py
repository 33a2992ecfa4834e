"""`interrupt()` and Ctrl-C.

Whatever a task does, Interrupted reaches it; handled, it goes on; unhandled, it is a state.
"""

import contextlib
import os
import signal
import sys
import threading
import time

import pytest
import targets
from support import eventually, run_script

import tarefa
from tarefa import Interrupted, State, TaskInterrupted


def started(Task, target, *args):
    """Start a task that says when it is about to do what it is to be interrupted in."""
    ready = tarefa.Event()
    task = Task(target=target, args=(ready, *args)).start()
    ready.wait()
    return task


def in_event(ready):
    never = tarefa.Event()
    ready.set()
    never.wait()


def in_event_with_timeout(ready):
    never = tarefa.Event()
    ready.set()
    never.wait(1000)


def in_lock(ready):
    lock = tarefa.Lock()
    lock.acquire()
    ready.set()
    lock.acquire()


def in_busy_loop(ready):
    ready.set()
    while True:
        pass


def in_sleep(ready):
    ready.set()
    time.sleep(1)
    time.sleep(1000)


def in_join(ready):
    other = tarefa.Thread(target=time.sleep, args=(1,), daemon=True)
    other.start()
    ready.set()
    other.join()
    while True:
        time.sleep(0.01)


SITUATIONS = [in_event, in_event_with_timeout, in_lock, in_busy_loop, in_sleep, in_join]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_unhandled_it_is_a_state(Task, situation):
    task = started(Task, situation)
    task.interrupt()
    task.join()
    assert task.state is State.INTERRUPTED
    assert not task.is_alive()
    with pytest.raises(TaskInterrupted):
        task.result()


@pytest.mark.parametrize("situation", SITUATIONS)
def test_handled_the_task_goes_on(Task, situation):
    def handle(ready, situation):
        try:
            situation(ready)
        except Interrupted:
            return "went on"

    task = started(Task, handle, situation)
    task.interrupt()
    assert task.result() == "went on"
    assert task.state is State.FINISHED


def test_a_process_is_woken_from_its_sleep():
    def sleep(ready):
        ready.set()
        time.sleep(10_000)

    task = started(tarefa.Process, sleep)
    task.interrupt()
    task.join()
    assert task.state is State.INTERRUPTED


def test_none_is_lost_on_the_way_into_a_wait():
    """The moment differs each time, from before the wait to well inside it."""

    def wait(ready):
        never = tarefa.Event()
        ready.set()
        never.wait()

    for tenth_us in range(0, 5000, 30):
        task = started(tarefa.Process, wait)
        end = time.perf_counter_ns() + 100 * tenth_us
        while time.perf_counter_ns() < end:
            pass
        task.interrupt()
        task.join()
        assert task.state is State.INTERRUPTED


def test_it_is_a_keyboard_interrupt(Task):
    def handle(ready):
        try:
            in_event(ready)
        except KeyboardInterrupt as error:
            return type(error).__name__

    task = started(Task, handle)
    task.interrupt()
    assert task.result() == "Interrupted"
    assert issubclass(Interrupted, KeyboardInterrupt)


def test_a_loop_that_swallows_every_exception_is_interrupted_all_the_same(Task):
    def stubborn(ready):
        ready.set()
        while True:
            with contextlib.suppress(Exception):
                time.sleep(0.01)

    task = started(Task, stubborn)
    task.interrupt()
    task.join()
    assert task.state is State.INTERRUPTED


def test_it_can_come_again_and_again(Task):
    times = 20

    def patient(ready, seen, times):
        ready.set()
        for _ in range(times):
            try:
                tarefa.Event().wait()
            except Interrupted:
                seen.append("interrupted")
        return "enough"

    seen = tarefa.List()
    task = started(Task, patient, seen, times)
    for count in range(1, times + 1):
        eventually(lambda: task.context().waits_in == "tarefa")
        task.interrupt()
        eventually(lambda seen_now=count: len(seen) == seen_now)
    assert task.result() == "enough"
    assert seen == ["interrupted"] * times


def test_a_lock_taken_with_with_is_given_back(Task):
    def keep(ready, lock):
        with lock:
            in_event(ready)

    lock = tarefa.Lock()
    task = started(Task, keep, lock)
    assert lock.locked()
    task.interrupt()
    task.join()
    assert not lock.locked()
    assert lock.acquire(timeout=10)
    lock.release()


def test_a_waiter_interrupted_in_acquire_does_not_hold_the_lock(Task):
    def want(ready, lock):
        ready.set()
        lock.acquire()

    lock = tarefa.Lock()
    with lock:
        task = started(Task, want, lock)
        time.sleep(0.05)
        task.interrupt()
        task.join()
        assert task.state is State.INTERRUPTED
    assert not lock.locked()


def test_before_the_start_it_is_an_error(Task):
    with pytest.raises(tarefa.StateError):
        Task(target=print).interrupt()


def test_of_an_ended_task_it_does_nothing(Task):
    task = Task(target=targets.add, args=(1,)).start()
    task.join()
    task.interrupt()
    assert task.result() == 1


def test_right_after_the_start(Task):
    """Whether it comes before the target runs or in it, the task ends interrupted."""
    tasks = [Task(target=time.sleep, args=(1,)).start() for _ in range(10)]
    for task in tasks:
        task.interrupt()
    for task in tasks:
        task.join()
    assert [task.state for task in tasks] == [State.INTERRUPTED] * 10


def test_a_task_interrupts_itself(Task):
    def me():
        tarefa.current_task().interrupt()
        while True:
            time.sleep(0.01)

    task = Task(target=me).start()
    task.join()
    assert task.state is State.INTERRUPTED


def test_its_own_interrupted_raised_by_hand_is_the_same(Task):
    def raises():
        raise Interrupted

    task = Task(target=raises).start()
    task.join()
    assert task.state is State.INTERRUPTED


def test_only_the_one_meant_is_interrupted(Task):
    tasks = [started(Task, in_event) for _ in range(3)]
    tasks[1].interrupt()
    tasks[1].join()
    assert [task.is_alive() for task in tasks] == [True, False, True]
    for task in tasks:
        task.interrupt()
        task.join()


@pytest.mark.parametrize("wait", ["join", "result", "event", "lock", "wait"])
def test_ctrl_c_wakes_the_main_thread_from_every_wait(held, wait):
    task, _ = held
    lock = tarefa.Lock()
    lock.acquire()
    waits = {
        "join": task.join,
        "result": task.result,
        "event": tarefa.Event().wait,
        "lock": lock.acquire,
        "wait": lambda: tarefa.wait([task]),
    }
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        waits[wait]()
    timer.join()
    assert task.is_alive()


def test_other_signals_run_their_handler_and_the_wait_goes_on(held):
    task, go = held
    seen = []

    def handler(number, frame):
        seen.append(number)
        go.set()

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        assert task.result() == "done"
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_tracer_works_after_a_thread_has_ended(interrupted):
    """Exceptions set for a thread and taken back would keep the evaluation loop busy for ever."""
    done = run_script(
        f"""
        import sys, tarefa, time

        task = tarefa.Thread(target=time.sleep, args=(0.05,)).start()
        if {interrupted}:
            task.interrupt()
        task.join()

        def trace(frame, event, argument):
            return trace

        def count():
            n = 0
            while n < 1000:
                n += 1
            return n

        sys.settrace(trace)
        n = count()
        sys.settrace(None)
        print(n, task.state.name)
        """
    )
    assert done.stdout == ("1000 INTERRUPTED\n" if interrupted else "1000 FINISHED\n")


def test_an_interrupt_as_the_target_returns_reaches_nobody():
    for n in range(200):
        task = tarefa.Thread(target=time.sleep, args=(n * 1e-6,)).start()
        task.interrupt()
        task.join()
        assert task.state in (State.FINISHED, State.INTERRUPTED)
    assert sum(range(1000)) == 499500


class Sinks:
    """Waits in its finalizer, where the interpreter drops what is raised."""

    def __init__(self, ready, go):
        self.ready, self.go = ready, go

    def __del__(self):
        self.ready.set()
        while not self.go.is_set():
            pass


def test_an_interrupt_that_a_finalizer_swallows_comes_again(Task):
    def work(ready, go):
        Sinks(ready, go)
        try:
            tarefa.sleep(10_000)
        except Interrupted:
            return "came again"

    ready, go = tarefa.Event(), tarefa.Event()
    task = Task(target=work, args=(ready, go)).start()
    ready.wait()
    task.interrupt()
    assert task.result() == "came again"


def test_unhandled_it_is_as_if_it_had_come_once(Task):
    def work(ready, go):
        Sinks(ready, go)
        tarefa.sleep(10_000)

    ready, go = tarefa.Event(), tarefa.Event()
    task = Task(target=work, args=(ready, go), name="sunk").start()
    ready.wait()
    task.interrupt()
    task.join()
    assert task.state is State.INTERRUPTED
    with pytest.raises(TaskInterrupted) as caught:
        task.result()
    assert str(caught.value) == f"{Task.__name__.lower()} 'sunk' was interrupted"


class Asks:
    """Asks in its finalizer for the result of another task."""

    def __init__(self, task):
        self.task = task

    def __del__(self):
        self.task.result()


@pytest.mark.parametrize("Other", [tarefa.Thread, tarefa.Process])
def test_the_interrupt_of_another_task_in_a_finalizer_reaches_nobody(Task, Other, monkeypatch):
    def work():
        seen = []
        sys.unraisablehook = lambda unraisable: seen.append(unraisable.exc_type)
        other = Other(target=tarefa.sleep, args=(10_000,)).start()
        other.interrupt()
        other.join()
        Asks(other)
        tarefa.sleep(0.001)
        assert seen == [TaskInterrupted]
        return "went on"

    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    assert Task(target=work).start().result() == "went on"


@pytest.mark.parametrize("hook", [None, "none at all"])
def test_a_program_may_have_no_hook_for_what_is_dropped(Task, monkeypatch, hook):
    if hook is None:
        monkeypatch.setattr(sys, "unraisablehook", None)
    else:
        monkeypatch.delattr(sys, "unraisablehook")
    task = Task(target=tarefa.sleep, args=(10_000,)).start()
    task.interrupt()
    task.join()
    assert task.state is State.INTERRUPTED


def test_what_a_task_was_interrupted_with_says_so(Task):
    task = Task(target=tarefa.sleep, args=(10_000,), name="asleep").start()
    eventually(lambda: task.state is State.RUNNING)
    task.interrupt()
    with pytest.raises(TaskInterrupted, match="'asleep' was interrupted"):
        task.result()


SENDERS = {
    "itself": ("os.kill(os.getpid(), signal.SIGINT)", ""),
    "raise_signal": ("signal.raise_signal(signal.SIGINT)", ""),
    "its starter": ("", "os.kill(task.pid, signal.SIGINT)"),
}


@pytest.mark.parametrize("who", SENDERS)
def test_a_sigint_of_the_programs_own_is_a_keyboard_interrupt(who):
    there, here = SENDERS[who]
    run_script(f"""
        import os, signal, tarefa, time
        ready = tarefa.Event()
        def work():
            try:
                ready.set()
                {there or "pass"}
                time.sleep(1000)
            except KeyboardInterrupt as error:
                return type(error).__name__
        task = tarefa.Process(target=work).start()
        ready.wait()
        {here or "pass"}
        assert task.result() == "KeyboardInterrupt"
    """)


def test_one_of_somebody_else_does_nothing_there():
    run_script("""
        import os, signal, subprocess, sys, tarefa
        ready, go = tarefa.Event(), tarefa.Event()
        def work():
            ready.set()
            go.wait()
            return "went on"
        task = tarefa.Process(target=work).start()
        ready.wait()
        subprocess.run([sys.executable, "-c", f"import os; os.kill({task.pid}, 2)"], check=True)
        go.set()
        assert task.result() == "went on"
    """)
