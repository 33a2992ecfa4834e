"""`configure(initializer=)`, `async def` targets, `input()` and `breakpoint()`."""

import asyncio
import functools

import pytest
from support import run_script

import tarefa


@pytest.fixture
def configured():
    yield tarefa.configure
    tarefa.configure(initializer=None)


def test_it_runs_before_each_target(configured):
    import targets

    seen = tarefa.List()

    def prepare(word):
        seen.append(word)
        targets.prepared = word

    def look():
        import targets

        return getattr(targets, "prepared", None)

    configured(initializer=prepare, initargs=("ready",))
    assert [tarefa.Process(target=look).start().result(30) for _ in range(3)] == ["ready"] * 3
    assert list(seen) == ["ready"] * 3
    assert tarefa.Thread(target=lambda: len(seen)).start().result(30) == 3
    configured(initializer=None)
    assert tarefa.Process(target=look).start().result(30) is None


def test_a_method_of_an_object_that_its_module_knows_by_name(configured):
    """`random.seed` is one of a generator's; in the process it is the process's own."""
    import random

    configured(initializer=random.seed, initargs=(5,))
    draws = [tarefa.Process(target=lambda: random.random()).start().result(30) for _ in range(2)]
    assert draws == [random.Random(5).random()] * 2


def test_tasks_of_tasks_have_it_too(configured):
    seen = tarefa.List()
    configured(initializer=seen.append, initargs=(1,))

    def outer():
        return tarefa.Process(target=int).start().result(20)

    tarefa.Process(target=outer).start().result(30)
    assert list(seen) == [1, 1]


def test_its_failure_is_the_tasks_and_says_whose_it_is(configured):
    def prepare():
        raise ValueError("nothing to prepare with")

    ran = tarefa.Event()
    configured(initializer=prepare)
    task = tarefa.Process(target=ran.set).start()
    with pytest.raises(ValueError, match="nothing to prepare") as caught:
        task.result(30)
    assert any("initializer" in note for note in caught.value.__notes__)
    assert not ran.is_set()


def test_it_finds_the_scripts_globals():
    done = run_script("""
        import tarefa
        table, state = {"a": 1}, {}
        def prepare(): state["n"] = table["a"] + 1
        def f(): return state["n"]
        tarefa.configure(initializer=prepare)
        print(tarefa.Process(target=f).start().result(20))
    """)
    assert done.stdout == "2\n"


def test_what_is_no_initializer(configured):
    with pytest.raises(TypeError, match="callable"):
        configured(initializer=5)
    with pytest.raises(TypeError, match="initargs"):
        configured(initargs=(1,))


# -- async def ------------------------------------------------------------------------------------


async def double(x):
    await asyncio.sleep(0)
    return 2 * x


async def fail():
    raise KeyError("of the coroutine")


class Doubles:
    async def __call__(self, x):
        return 2 * x

    async def method(self, x):
        return 2 * x


@pytest.mark.parametrize("target", [double, functools.partial(double), Doubles(), Doubles().method])
def test_async_targets_run(Task, target):
    assert Task(target=target, args=(21,)).start().result(30) == 42


def test_failures_of_async_targets(Task):
    with pytest.raises(KeyError, match="of the coroutine"):
        Task(target=fail).start().result(30)


def test_an_async_run_of_a_subclass(Task):
    class Own(Task):
        async def run(self):
            await asyncio.sleep(0)
            return "ran"

    assert Own().start().result(30) == "ran"


def test_an_async_target_can_be_interrupted(Task):
    ready = tarefa.Event()

    async def sleep():
        ready.set()
        for _ in range(10_000):
            await asyncio.sleep(0.01)

    task = Task(target=sleep).start()
    ready.wait()
    task.interrupt()
    assert isinstance(task.exception(30), tarefa.TaskInterrupted)


# -- standard input -------------------------------------------------------------------------------


def test_input_says_how():
    error = tarefa.Process(target=input, args=("? ",), name="asks").start().exception(30)
    assert isinstance(error, EOFError)
    assert "process 'asks'" in str(error)
    assert "tarefa.Thread" in str(error)


def test_breakpoint_says_how():
    def stop():
        breakpoint()

    error = tarefa.Process(target=stop).start().exception(30)
    assert isinstance(error, tarefa.StateError)
    assert "tarefa.Thread" in str(error)


def test_breakpoint_and_input_as_the_program_has_chosen(monkeypatch):
    monkeypatch.setenv("PYTHONBREAKPOINT", "0")

    def stop():
        breakpoint()
        return "went on"

    assert tarefa.Process(target=stop).start().result(30) == "went on"

    def given():
        import io
        import sys

        sys.stdin = io.StringIO("a line\n")
        return input()

    assert tarefa.Process(target=given).start().result(30) == "a line"


def test_consoles_say_how():
    def debug():
        import pdb

        pdb.set_trace()

    def talk():
        import code

        code.interact(banner="")

    for target in (debug, talk):
        error = tarefa.Process(target=target).start().exception(30)
        assert isinstance(error, tarefa.StateError)
        assert "tarefa.Thread" in str(error)


def test_getpass_says_how():
    def ask():
        import getpass
        import io

        # Not the terminal of who runs the tests.
        getpass.getpass = getpass.fallback_getpass
        return getpass.getpass(stream=io.StringIO())

    with tarefa.Pool(1, kind="process") as pool:
        of_pool = pool.submit(ask).exception(30)
    for error in (tarefa.Process(target=ask, name="asks").start().exception(30), of_pool):
        assert isinstance(error, EOFError)
        assert "standard input" in str(error)
        assert "tarefa.Thread" in str(error)


def test_another_end_of_input_keeps_its_words():
    def read():
        raise EOFError

    assert str(tarefa.Process(target=read).start().exception(30)) == ""
