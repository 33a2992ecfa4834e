"""Thread and Process are one interface.

Constructor, start, join, result, states, names. Run over both kinds.
"""

import gc
import os
import select
import threading
import time
import traceback
import weakref
from multiprocessing.connection import wait as connection_wait

import pytest
import targets
from support import eventually

import tarefa
from tarefa import State


def test_the_constructor_takes_the_standard_library_arguments_in_its_order(Task):
    task = Task(None, targets.add, "soma", (1, 2), {"c": 3}, daemon=True)
    assert (task.name, task.daemon, task.state) == ("soma", True, State.NEW)
    task.start()
    assert task.result() == 6


def test_the_constructor_takes_keywords_and_any_sequence(Task):
    task = Task(target=targets.add, args=[1], kwargs={"b": 2}).start()
    assert task.result() == 3


def test_arguments_are_those_of_the_start(Task):
    task = Task(target=targets.pass_through, args=({"a": [1, (2, None)], "b": b"\0"},)).start()
    assert task.result() == {"a": [1, (2, None)], "b": b"\0"}


class Called:
    def __call__(self, *others):
        return len(others)


def test_what_it_was_made_of_goes_with_its_caller(Task):
    """A handle that is kept keeps neither target nor arguments."""
    target, argument = Called(), Called()
    gone = [weakref.ref(target), weakref.ref(argument)]
    task = Task(target=target, args=(argument,))
    del target, argument
    assert all(ref() is not None for ref in gone)
    task.start()
    assert task.result() == 1
    gc.collect()
    eventually(lambda: [ref() for ref in gone] == [None, None])
    assert task.result() == 1


def test_without_a_target_a_task_does_nothing(Task):
    task = Task().start()
    assert task.result() is None
    assert task.state is State.FINISHED


def test_group_is_reserved(Task):
    with pytest.raises((AssertionError, ValueError, TypeError)):
        Task("group", print)


def test_start_returns_the_task(Task):
    task = Task(target=targets.add, args=(1,))
    assert task.start() is task
    task.join()


def test_run_in_the_caller_runs_the_target_here(Task):
    seen = []
    Task(target=seen.append, args=(1,)).run()
    assert seen == [1]


@pytest.mark.parametrize("counter", [targets.ThreadCounter, targets.Counter])
def test_a_subclass_overrides_run(counter):
    numbers = tarefa.List()
    task = counter(numbers, 5)
    task.start()
    task.join()
    assert numbers == [0, 1, 2, 3, 4]
    assert task.state is State.FINISHED
    assert task.name == "counter"


def test_a_subclass_made_in_a_function_works_too(Task):
    class Doubles(Task):
        def run(self):
            self.out.append(super().run())

        def keep(self, out):
            self.out = out
            return self

    out = tarefa.List()
    task = Doubles(target=targets.add, args=(20, 1)).keep(out).start()
    task.join()
    assert task.state is State.FINISHED
    assert len(out) == 1


def test_an_error_in_an_overridden_run_is_the_tasks_error(Task):
    class Fails(Task):
        def run(self):
            raise LookupError("in run")

    task = Fails().start()
    with pytest.raises(LookupError, match="in run"):
        task.result()


def test_lambdas_closures_methods_and_partials_are_targets(Task):
    import functools

    outside = 20
    for target in (lambda: outside + 22, functools.partial(targets.add, 40, 2), [42].pop):
        assert Task(target=target).start().result() == 42


def test_default_names_say_the_kind_and_differ(Task):
    first, second = Task(), Task()
    assert first.name != second.name
    assert first.name.startswith(Task.__name__)


def test_a_name_can_be_given_and_changed_and_is_seen_inside(Task):
    def who():
        return tarefa.current_task().name

    task = Task(target=who, name="um")
    assert task.name == "um"
    task.name = "dois"
    task.start()
    assert task.result() == "dois"


def test_daemon_is_off_by_default_and_fixed_at_the_start(Task, held):
    task, _ = held
    assert task.daemon is False
    assert Task(daemon=True).daemon is True
    unstarted = Task()
    unstarted.daemon = True
    assert unstarted.daemon is True
    with pytest.raises(RuntimeError):
        task.daemon = True


def test_the_states_of_a_life(held):
    task, go = held
    assert task.state is State.RUNNING
    assert task.is_alive()
    go.set()
    task.join()
    assert task.state is State.FINISHED
    assert not task.is_alive()


def test_before_the_start_there_is_nothing_to_see(Task):
    task = Task(target=print)
    assert task.state is State.NEW
    assert not task.is_alive()
    assert task.ident is None
    assert task.exitcode is None


def test_a_failed_task_is_failed(Task):
    task = Task(target=targets.explode).start()
    assert isinstance(task.exception(), ValueError)
    assert task.state is State.FAILED
    assert task.exitcode == 1


def test_a_finished_task_has_exit_code_zero(Task):
    task = Task(target=targets.add, args=(1,)).start()
    task.join()
    assert task.exitcode == 0


def test_a_running_task_has_no_exit_code(held):
    task, _ = held
    assert task.exitcode is None


def test_every_state_has_a_name():
    assert [state.name for state in State] == [
        "NEW",
        "STARTING",
        "RUNNING",
        "FINISHED",
        "FAILED",
        "INTERRUPTED",
        "KILLED",
    ]


def test_a_process_that_leaves_without_an_outcome_was_killed():
    task = tarefa.Process(target=os._exit, args=(7,)).start()
    assert isinstance(task.exception(), tarefa.WorkerDied)
    assert task.state is State.KILLED
    assert task.exitcode == 7


def test_sys_exit_is_an_end_and_not_a_death(Task):
    import sys

    task = Task(target=lambda: sys.exit(0)).start()
    task.join()
    assert task.state in (State.FINISHED, State.FAILED)
    assert not task.is_alive()


def test_join_with_a_timeout_just_returns(held):
    task, go = held
    assert task.join(0.02) is None
    assert task.join(0) is None
    assert task.is_alive()
    go.set()
    assert task.join(timeout=30) is None
    assert not task.is_alive()


def test_join_can_be_repeated_and_shared(Task, held):
    task, go = held
    came = []
    joiners = [threading.Thread(target=lambda: came.append(task.join())) for _ in range(3)]
    for joiner in joiners:
        joiner.start()
    go.set()
    for joiner in joiners:
        joiner.join()
    task.join()
    assert came == [None, None, None]
    assert task.result() == "done"


def test_a_task_started_in_one_thread_is_joined_in_another(Task):
    made = []
    thread = threading.Thread(
        target=lambda: made.append(Task(target=targets.add, args=(1, 1)).start())
    )
    thread.start()
    thread.join()
    assert made[0].result() == 2


def test_result_waits_and_can_be_asked_again(held):
    task, go = held
    with pytest.raises(tarefa.TaskTimeout):
        task.result(0.02)
    with pytest.raises(TimeoutError):
        task.exception(timeout=0)
    go.set()
    assert task.result() == task.result(0) == "done"
    assert task.exception() is None


@pytest.mark.parametrize(
    "value",
    [None, True, -(2**70), 0.5, "é\ud800", b"x" * 3_000_000, [1, {"a": (2,)}], {1, 2}],
    ids=lambda v: type(v).__name__,
)
def test_results_come_back_whole(Task, value):
    back = Task(target=targets.pass_through, args=(value,)).start().result()
    assert back == value
    assert type(back) is type(value)


def test_a_thread_gives_its_very_result():
    thing = object()
    assert tarefa.Thread(target=lambda: thing).start().result() is thing


def test_result_raises_the_exception_itself(Task):
    task = Task(target=targets.explode, args=("bang",)).start()
    with pytest.raises(ValueError, match=r"^bang$") as caught:
        task.result()
    assert caught.value.args == ("bang",)


def test_an_exception_shows_where_in_the_task_it_was_raised(Task):
    error = Task(target=targets.explode).start().exception()
    text = "".join(traceback.format_exception(error))
    assert "in explode" in text
    assert "targets.py" in text


def test_an_exception_of_a_process_has_the_remote_traceback_as_its_cause():
    error = tarefa.Process(target=targets.explode, name="far").start().exception()
    assert "in explode" in str(error.__cause__)
    assert "targets.py" in str(error.__cause__)


def test_the_causes_of_an_exception_are_in_its_text(Task):
    def both():
        try:
            targets.explode("first")
        except ValueError as error:
            raise RuntimeError("second") from error

    error = Task(target=both).start().exception()
    text = "".join(traceback.format_exception(error))
    assert isinstance(error, RuntimeError)
    assert "first" in text
    assert "second" in text


def test_an_exception_that_does_not_unpickle_arrives_as_its_text(Task):
    def fail():
        raise targets.TwoArguments("left", "right")

    error = Task(target=fail).start().exception()
    assert "TwoArguments" in type(error).__name__ + str(error)
    assert "left" in str(error)


def test_an_exception_that_does_not_pickle_arrives_as_its_text():
    def fail():
        error = ValueError("has a lock")
        error.lock = threading.Lock()
        raise error

    error = tarefa.Process(target=fail).start().exception()
    assert "has a lock" in str(error)
    assert "ValueError" in type(error).__name__ + str(error)


def test_a_result_that_does_not_pickle_is_said_so():
    error = tarefa.Process(target=threading.Lock).start().exception()
    assert isinstance(error, tarefa.NotPicklable)
    assert "lock" in str(error)


def test_a_result_that_does_not_unpickle_is_an_error_and_not_a_hang():
    error = tarefa.Process(target=targets.NoUnpickle).start().exception()
    assert "cannot be built" in str(error) + str(error.__cause__)


def test_ident_native_id_and_pid(held, Task):
    task, _ = held
    assert isinstance(task.ident, int)
    assert isinstance(task.native_id, int)
    assert os.path.exists(f"/proc/{task.pid}/task/{task.native_id}")
    assert (task.pid == os.getpid()) is (Task is tarefa.Thread)


def test_ident_and_pid_are_what_the_task_sees(Task):
    def who():
        return os.getpid(), threading.get_native_id()

    task = Task(target=who).start()
    pid, native_id = task.result()
    assert (task.pid, task.native_id) == (pid, native_id)


def test_the_sentinel_becomes_readable_at_the_end(held):
    task, go = held
    assert select.select([task.sentinel], [], [], 0) == ([], [], [])
    assert task.sentinel > 255  # not one of those that programs close by habit
    go.set()
    assert select.select([task.sentinel], [], [], 40)[0] == [task.sentinel]
    assert connection_wait([task.sentinel], timeout=40) == [task.sentinel]
    assert not task.is_alive()


def test_terminate(held, Task):
    task, _ = held
    task.terminate()
    task.join()
    assert task.state is (State.INTERRUPTED if Task is tarefa.Thread else State.KILLED)
    if Task is tarefa.Process:
        assert task.exitcode == -15


def test_kill(held, Task):
    task, _ = held
    task.kill()
    task.join()
    if Task is tarefa.Thread:
        assert task.state is State.INTERRUPTED
    else:
        assert (task.state, task.exitcode) == (State.KILLED, -9)


def test_the_end_of_an_ended_task_is_no_error(Task):
    task = Task(target=targets.add, args=(1,)).start()
    task.join()
    for method in (task.interrupt, task.terminate, task.kill):
        method()
    assert (task.state, task.result()) == (State.FINISHED, 1)


def test_a_running_task_cannot_be_closed_an_ended_one_can(held):
    task, go = held
    with pytest.raises((tarefa.StateError, ValueError)):
        task.close()
    go.set()
    task.join()
    task.close()
    task.close()
    assert not task.is_alive()


def test_repr_says_kind_name_and_state(held, Task):
    task, go = held
    assert Task.__name__ in repr(task)
    assert "held" in repr(task)
    assert "started" in repr(task)
    go.set()
    task.join()
    assert "stopped" in repr(task)


def test_many_at_once(Task):
    tasks = [Task(target=targets.add, args=(number, 1)) for number in range(40)]
    for task in tasks:
        task.start()
    assert [task.result() for task in tasks] == list(range(1, 41))


def test_one_after_another(Task):
    for number in range(60):
        assert Task(target=targets.pass_through, args=(number,)).start().result() == number


def test_a_dropped_task_goes_on(Task):
    seen = tarefa.List()
    Task(target=seen.append, args=(1,)).start()
    eventually(lambda: len(seen))
    assert seen == [1]


def test_thread_is_a_real_thread():
    go = tarefa.Event()
    task = tarefa.Thread(target=go.wait).start()
    assert isinstance(task, threading.Thread)
    assert task in threading.enumerate()
    go.set()
    task.join()
    assert task not in threading.enumerate()


def test_a_process_has_data_of_its_own_and_a_thread_has_not(Task):
    seen = []
    Task(target=seen.append, args=(1,)).start().join()
    assert seen == ([1] if Task is tarefa.Thread else [])


def test_processes_run_side_by_side(Task):
    """Two tasks that need each other alive at once: neither ends before the other has begun."""
    one, two = tarefa.Event(), tarefa.Event()

    def meet(mine, yours):
        mine.set()
        return yours.wait()

    tasks = [Task(target=meet, args=pair).start() for pair in ((one, two), (two, one))]
    assert [task.result() for task in tasks] == [True, True]


def test_wall_time_goes_by_while_a_task_sleeps(Task):
    before = time.monotonic()
    Task(target=time.sleep, args=(0.1,)).start().join()
    assert time.monotonic() - before >= 0.1


@pytest.mark.parametrize(
    "name",
    ["", "x", "é" * 15, "n" * 31, "n" * 32, "nome " * 200, "a\0b", "\udc80", "x\ud800" * 99, "\n"],
)
def test_any_text_is_a_name(Task, name):
    task = Task(target=lambda: tarefa.current_task().name, name=name or None)
    if name:
        assert task.name == name
        assert name in repr(task) or repr(name) in repr(task)
    assert task.start().result() == task.name
    task = Task(target=lambda: tarefa.current_task().name, name=name or None)
    task.name = name + "!"
    assert task.start().result() == task.name == name + "!"


def test_a_result_that_is_there_is_had_without_waiting(Task):
    for _ in range(100):
        task = Task(target=int, args=("7",)).start()
        while task.state is not State.FINISHED:
            pass
        assert task.result(0) == 7
        task.join(0)
        if Task is tarefa.Thread:
            assert not task.is_alive()


@pytest.mark.parametrize("how", ["os.abort()", "os._exit(3)", "os.kill(os.getpid(), 9)", "1"])
def test_a_sentinel_that_is_ready_is_a_process_that_has_ended(how):
    for ask in (
        lambda t: not t.is_alive(),
        lambda t: t.exitcode is not None,
        lambda t: t.state.is_final,
        lambda t: t.join(0) is None and not t.is_alive(),
        lambda t: t.exception(0) is not t,
    ) * 3:
        task = tarefa.Process(target=lambda: exec(how, {"os": os})).start()
        select.select([task.sentinel], [], [])
        assert ask(task)
        task.exception()
