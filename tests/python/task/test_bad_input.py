"""Bad input is a clear error at the call, of a class of its own, and the runtime goes on."""

import contextlib
import gc
import operator
import pickle
import subprocess
import sys
import textwrap
import threading
from base64 import b64decode, b64encode

import pytest
import targets
from support import run_script

import tarefa


@pytest.fixture(autouse=True)
def _the_runtime_goes_on(_nothing_left):
    yield
    for kind in (tarefa.Thread, tarefa.Process):
        assert kind(target=targets.add, args=(1, 1)).start().result() == 2


def test_every_error_is_a_tarefa_error_and_the_built_in_one():
    expected = {
        "WorkerDied": (),
        "OwnerDied": (),
        "StartError": (OSError, RuntimeError),
        "StateError": (RuntimeError,),
        "TaskTimeout": (TimeoutError,),
        "HandleGone": (ReferenceError,),
        "NotPicklable": (TypeError, pickle.PicklingError),
        "ArenaFull": (MemoryError,),
        "TooManyThreads": (RuntimeError,),
        "ProgramFailed": (subprocess.CalledProcessError,),
    }
    for name, built_in in expected.items():
        error = getattr(tarefa, name)
        assert issubclass(error, (tarefa.TarefaError)), name
        assert all(issubclass(error, base) for base in built_in), name


@pytest.mark.parametrize("target", [3, "print", ["print"], object()])
def test_a_target_that_is_not_callable(Task, target):
    with pytest.raises(TypeError, match=r"(?i)callable") as caught:
        Task(target=target)
    assert type(target).__name__ in str(caught.value) or repr(target) in str(caught.value)


@pytest.mark.parametrize("wrong", [{"args": 5}, {"kwargs": 5}, {"kwargs": [1, 2]}, {"unknown": 1}])
def test_arguments_of_a_wrong_type(Task, wrong):
    with pytest.raises(TypeError):
        Task(target=print, **wrong)


def test_an_argument_that_does_not_pickle_is_named_with_its_place():
    task = tarefa.Process(target=print, args=(1, {"a": [0, threading.Lock()]}))
    with pytest.raises(tarefa.NotPicklable) as caught:
        task.start()
    text = str(caught.value)
    assert "args[1]" in text
    assert "'a'" in text
    assert "lock" in text


def test_a_keyword_argument_that_does_not_pickle_is_named():
    task = tarefa.Process(target=print, kwargs={"saida": sys.__stdout__})
    with pytest.raises(tarefa.NotPicklable) as caught:
        task.start()
    assert "saida" in str(caught.value)
    assert "TextIOWrapper" in str(caught.value)


@pytest.mark.parametrize("deep", [False, True])
def test_an_attribute_of_a_subclass_that_does_not_pickle_is_named_with_its_class(deep):
    class Worker(tarefa.Process):
        def __init__(self):
            super().__init__()
            self.parts = [0, threading.Lock()] if deep else threading.Lock()

        def run(self):
            return 1

    with pytest.raises(tarefa.NotPicklable) as caught:
        Worker().start()
    text = str(caught.value)
    assert "Worker.parts[1] (lock" in text if deep else "Worker.parts (lock" in text
    assert "_SubclassRun" not in text


@pytest.mark.parametrize("wrong", ["soon", [1], b"1"])
def test_a_timeout_that_is_no_number_is_said_to_be_none(Task, wrong):
    go = tarefa.Event()
    task = Task(target=go.wait).start()
    for wait in (task.join, task.result, task.exception):
        with pytest.raises(TypeError, match="timeout must be a number of seconds"):
            wait(wrong)
    go.set()
    pool = tarefa.Pool(1, "thread")
    with pool, pytest.raises(TypeError, match="timeout must be a number of seconds"):
        pool.map(int, [1], timeout=wrong)


def test_any_truth_is_a_daemon_flag(Task):
    for flag in ("yes", 1, 0, "", False):
        assert Task(target=int, daemon=flag).daemon is bool(flag)
        task = Task(target=int)
        task.daemon = flag
        assert task.daemon is bool(flag)


def test_a_task_that_calls_the_built_in_exit_is_called_by_its_name():
    script = """
        import tarefa
        with tarefa.Pool(1, "thread") as pool:
            print(pool.submit(exit, 3).exception())
    """
    assert run_script(script).stdout == "task exit(3) called sys.exit(3)\n"


def test_an_argument_that_refuses_to_pickle_is_named_with_its_reason():
    with pytest.raises(tarefa.NotPicklable, match="this one stays at home") as caught:
        tarefa.Process(target=print, args=(targets.NoPickle(),)).start()
    assert "args[0]" in str(caught.value)


def test_a_target_that_does_not_pickle_is_named():
    lock = threading.Lock()
    with pytest.raises(tarefa.NotPicklable) as caught:
        tarefa.Process(target=lambda: lock).start()
    assert "target" in str(caught.value)


def test_a_thread_takes_what_does_not_pickle():
    lock = threading.Lock()
    assert tarefa.Thread(target=targets.pass_through, args=(lock,)).start().result() is lock


def test_an_argument_that_does_not_unpickle_fails_the_task():
    task = tarefa.Process(target=print, args=(targets.NoUnpickle(),)).start()
    error = task.exception()
    assert "cannot be built" in str(error)
    assert task.state is tarefa.State.FAILED


def test_a_second_start(held):
    task, go = held
    with pytest.raises(tarefa.StateError):
        task.start()
    go.set()
    task.join()
    with pytest.raises(RuntimeError):
        task.start()


def test_before_the_start(Task):
    task = Task(target=print, name="parada")
    for method in (task.join, task.result, task.exception, task.terminate, task.kill, task.context):
        with pytest.raises(tarefa.StateError, match="start"):
            method()


def test_join_of_oneself(Task):
    def myself():
        tarefa.current_task().join()

    task = Task(target=myself, name="espelho").start()
    error = task.exception()
    assert isinstance(error, tarefa.StateError)
    assert "espelho" in str(error)


@pytest.mark.parametrize("timeout", [-1, -0.001, float("-inf"), 0])
def test_a_negative_timeout_is_none_at_all(held, timeout):
    # As in threading, multiprocessing and concurrent.futures.
    task, _ = held
    assert task.join(timeout) is None
    for ask in (task.result, task.exception):
        with pytest.raises(tarefa.TaskTimeout):
            ask(timeout)
    assert tarefa.wait([task], timeout).not_done == {task}
    assert task.is_alive()


@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        (float("nan"), ValueError),
        (float("inf"), OverflowError),
        (threading.TIMEOUT_MAX * 2, OverflowError),
        (10**400, OverflowError),
        ("1", TypeError),
        (b"1", TypeError),
        ([1], TypeError),
    ],
)
def test_a_timeout_that_is_none(held, timeout, error):
    task, _ = held
    for ask in (task.join, task.result, task.exception, lambda t: tarefa.wait([task], t)):
        with pytest.raises(error):
            ask(timeout)
    assert task.is_alive()


def test_a_negative_timeout_of_a_lock():
    lock = tarefa.Lock()
    with pytest.raises(ValueError, match="timeout"):
        lock.acquire(timeout=-2)
    assert not lock.locked()


@pytest.mark.parametrize("timeout", ["1", [], 1j])
def test_a_timeout_that_is_no_number(held, timeout):
    task, _ = held
    for call in (
        task.join,
        task.result,
        tarefa.Event().wait,
        lambda t: tarefa.Lock().acquire(timeout=t),
    ):
        with pytest.raises(TypeError):
            call(timeout)
    assert task.is_alive()


def test_a_handle_of_a_runtime_that_is_gone():
    done = run_script("""
        import base64, pickle, tarefa
        print(base64.b64encode(pickle.dumps(tarefa.List([1]))).decode())
    """)
    handle = b64decode(done.stdout)
    with pytest.raises(tarefa.HandleGone) as caught:
        pickle.loads(handle).append(1)
    assert isinstance(caught.value, ReferenceError)


@pytest.mark.parametrize("kind", ["List", "Lock", "Event"])
def test_a_handle_of_an_object_that_is_gone(kind):
    thing = getattr(tarefa, kind)()
    handle = pickle.dumps(thing)
    del thing
    gc.collect()
    method = {"List": "clear", "Lock": "acquire", "Event": "set"}[kind]
    with pytest.raises(tarefa.HandleGone):
        getattr(pickle.loads(handle), method)()


def test_a_damaged_handle():
    handle = bytearray(pickle.dumps(tarefa.List()))
    for place in range(len(handle) // 2, len(handle) - 2):
        damaged = bytes(handle[:place]) + bytes([handle[place] ^ 0xFF]) + bytes(handle[place + 1 :])
        with contextlib.suppress(Exception):
            len(pickle.loads(damaged))
    assert tarefa.List([1]) == [1]


def test_an_attach_by_another_user():
    import os

    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    numbers = tarefa.List([1])
    source = """
        import base64, os, pickle, sys, tarefa
        os.setgroups([]); os.setresgid(65533, 65533, 65533); os.setresuid(65533, 65533, 65533)
        try:
            pickle.loads(base64.b64decode(sys.argv[1])).append(2)
        except tarefa.TarefaError as error:
            print(type(error).__name__, error)
        else:
            print("attached")
    """
    handle = b64encode(pickle.dumps(numbers)).decode()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source), handle],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert "user" in done.stdout, done.stdout + done.stderr
    assert numbers == [1]


def test_an_index_out_of_range():
    numbers = tarefa.List([1, 2])
    for index in (2, -3, 10**30):
        with pytest.raises(IndexError):
            numbers[index]
        with pytest.raises(IndexError):
            numbers[index] = 0
        with pytest.raises(IndexError):
            del numbers[index]
        with pytest.raises(IndexError):
            numbers.pop(index)
    with pytest.raises(IndexError, match="empty"):
        tarefa.List().pop()
    assert numbers == [1, 2]


def test_a_value_that_is_not_there():
    numbers = tarefa.List([1])
    for call in (lambda: numbers.remove(2), lambda: numbers.index(2), lambda: numbers.index(1, 1)):
        with pytest.raises(ValueError, match="not in"):
            call()
    assert numbers == [1]


WRONG = {
    "index by str": lambda numbers: numbers["0"],
    "index by float": lambda numbers: numbers[1.0],
    "set by str": lambda numbers: numbers.__setitem__("0", 1),
    "delete by None": lambda numbers: numbers.__delitem__(None),
    "append nothing": lambda numbers: numbers.append(),
    "append two": lambda numbers: numbers.append(1, 2),
    "extend by int": lambda numbers: numbers.extend(1),
    "+= int": lambda numbers: numbers.__class__.__iadd__(numbers, 1),
    "+ tuple": lambda numbers: operator.add(numbers, (1,)),
    "* str": lambda numbers: numbers * "2",
    "of an int": lambda numbers: tarefa.List(5),
    "sort key": lambda numbers: numbers.sort(key=3),
    "sort mixed": lambda numbers: tarefa.List([1, "a"]).sort(),
    "< int": lambda numbers: numbers < 5,
    "slice of str": lambda numbers: numbers["a":"b"],
    "slice to an int": lambda numbers: numbers.__setitem__(slice(0, 1), 5),
    "hash": hash,
    "insert at str": lambda numbers: numbers.insert("0", 1),
    "pop at str": lambda numbers: numbers.pop("0"),
}


@pytest.mark.parametrize("operation", WRONG.values(), ids=WRONG)
def test_a_wrong_type_in_an_operation(operation):
    numbers = tarefa.List([1, 2])
    with pytest.raises(TypeError):
        operation(numbers)
    assert numbers == [1, 2]


def test_a_slice_of_a_wrong_length():
    numbers = tarefa.List(range(6))
    with pytest.raises(ValueError, match=r"size 2 .* size 3"):
        numbers[::2] = [1, 2]
    with pytest.raises(ValueError, match="zero"):
        numbers[::0]
    assert numbers == [0, 1, 2, 3, 4, 5]


def test_an_element_that_does_not_pickle_leaves_the_list_whole():
    numbers = tarefa.List([1])
    for change in (
        lambda: numbers.append(threading.Lock()),
        lambda: numbers.insert(0, threading.Lock()),
        lambda: numbers.__setitem__(0, threading.Lock()),
        lambda: numbers.extend([2, threading.Lock()]),
    ):
        with pytest.raises(tarefa.NotPicklable, match="lock"):
            change()
        assert numbers[0] == 1
    assert numbers[:1] == [1]


def test_an_element_that_does_not_unpickle_harms_only_its_reader():
    things = tarefa.List([1])
    things.append(targets.NoUnpickle())
    things.append(3)
    with pytest.raises(ValueError, match="cannot be built"):
        things[1]
    assert (things[0], things[2], len(things)) == (1, 3, 3)


def test_releasing_a_lock_that_is_not_held():
    lock = tarefa.Lock()
    with pytest.raises(RuntimeError):
        lock.release()
    with lock:
        assert lock.locked()


def test_wait_with_wrong_arguments(Task):
    with pytest.raises(TypeError):
        tarefa.wait([1, 2])
    with pytest.raises(TypeError):
        tarefa.wait(5)
    with pytest.raises(ValueError, match="return_when"):
        tarefa.wait([], return_when="SOMETIMES")
    with pytest.raises(tarefa.StateError):
        tarefa.wait([Task(target=print)])


def test_configure_and_preload_with_wrong_arguments():
    with pytest.raises(ValueError, match="spares"):
        tarefa.configure(spares=-1)
    with pytest.raises(TypeError):
        tarefa.configure(spares="many")
    with pytest.raises(TypeError):
        tarefa.preload("json")
    with pytest.raises(TypeError):
        tarefa.preload([3])


def test_a_program_of_nothing():
    with pytest.raises(TypeError):
        tarefa.Program()
    with pytest.raises(TypeError):
        tarefa.Program(3)
