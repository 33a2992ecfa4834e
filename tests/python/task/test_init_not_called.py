"""A subclass that has forgotten `super().__init__()` is told so, by whatever is asked of it."""

import dataclasses
import gc

import pytest

import tarefa


class OfProcess(tarefa.Process):
    def __init__(self, n):
        self.n = n

    def run(self):
        return self.n


class OfThread(tarefa.Thread):
    def __init__(self, n):
        self.n = n

    def run(self):
        return self.n


class OfTimer(tarefa.Timer):
    def __init__(self, n):
        self.n = n


class OfPool(tarefa.Pool):
    def __init__(self, n):
        self.n = n


class OfExecutor(tarefa.ProcessPoolExecutor):
    def __init__(self, n):
        self.n = n


class OfGroup(tarefa.TaskGroup):
    def __init__(self, n):
        self.n = n


TASKS = (
    lambda task: task.start(),
    lambda task: task.join(),
    lambda task: task.join(1),
    lambda task: task.result(),
    lambda task: task.exception(0),
    lambda task: task.is_alive(),
    lambda task: task.interrupt(),
    lambda task: task.terminate(),
    lambda task: task.kill(),
    lambda task: task.close(),
    lambda task: task.usage(),
    lambda task: task.context(),
    lambda task: task.add_done_callback(print),
    lambda task: task.name,
    lambda task: setattr(task, "time_limit", 1),
    lambda task: task.pid,
    lambda task: task.native_id,
    lambda task: task.exitcode,
    lambda task: task.state,
    lambda task: task.sentinel,
    lambda task: task.time_limit,
    lambda task: tarefa.wait([task]),
)
POOLS = (
    lambda pool: pool.submit(abs, 1),
    lambda pool: pool.map(abs, [1]),
    lambda pool: pool.imap(abs, [1]),
    lambda pool: pool.starmap(pow, [(1, 2)]),
    lambda pool: pool.apply_async(abs, (1,)),
    lambda pool: pool.stats(),
    lambda pool: pool.close(),
    lambda pool: pool.join(),
    lambda pool: pool.terminate(),
    lambda pool: pool.shutdown(),
    lambda pool: pool.name,
)


@pytest.mark.parametrize(
    ("cls", "base"), [(OfProcess, "Process"), (OfThread, "Thread"), (OfTimer, "T")]
)
@pytest.mark.parametrize("ask", TASKS)
def test_a_task(cls, base, ask):
    with pytest.raises(RuntimeError, match=rf"{base}\w*\.__init__\(\) was not called") as caught:
        ask(cls(3))
    assert "_tarefa" not in str(caught.value)
    assert "super().__init__()" in str(caught.value)


@pytest.mark.parametrize("cls", [OfPool, OfExecutor])
@pytest.mark.parametrize("ask", POOLS)
def test_a_pool(cls, ask):
    with pytest.raises(RuntimeError, match=r"\w+\.__init__\(\) was not called"):
        ask(cls(3))


def test_a_group():
    with pytest.raises(RuntimeError, match=r"TaskGroup\.__init__\(\) was not called"):
        OfGroup(3).start(print)


@pytest.mark.parametrize("cls", [OfProcess, OfThread, OfTimer, OfPool, OfExecutor, OfGroup])
def test_repr_says_so_and_the_end_says_nothing(cls, capfd):
    made = cls(3)
    assert repr(made).startswith(f"<{cls.__name__}: ")
    assert "__init__() was not called" in repr(made)
    del made
    gc.collect()
    assert capfd.readouterr().err == ""


def test_a_class_whose_init_is_made_later():
    @dataclasses.dataclass(repr=False)
    class Record(tarefa.Process):
        n: int

    with pytest.raises(RuntimeError, match=r"Process\.__init__\(\) was not called"):
        Record(3).start()


def test_one_that_is_called_late_enough_makes_a_task_of_it(Task):
    class Late(Task):
        def __init__(self, n):
            self.n = n
            super().__init__()

        def run(self):
            return self.n

    class Later(Late):
        pass

    assert [cls(4).start().result() for cls in (Late, Later)] == [4, 4]


def test_an_attribute_that_is_simply_missing_is_as_ever():
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = tarefa.Process(target=print).nothing_of_the_kind
    assert not hasattr(OfProcess(3), "nothing_of_the_kind")
