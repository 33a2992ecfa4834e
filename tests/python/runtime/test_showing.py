"""How objects show themselves: the forms of the standard library, long ones cut short."""

import inspect
import pydoc
import re
import signal

import pytest

import tarefa


def numbers(n):
    return list(range(n))


@pytest.mark.parametrize(
    ("make", "start", "end"),
    [
        (lambda n: tarefa.List(numbers(n)), "tarefa.List([0, 1, 2, ", "])"),
        (lambda n: tarefa.Set(numbers(n)), "tarefa.Set({0, 1, 2, ", "})"),
        (
            lambda n: tarefa.Dict({i: -i for i in numbers(n)}),
            "tarefa.Dict({0: 0, 1: -1, 2: -2, ",
            "})",
        ),
        (
            lambda n: tarefa.Counter({i: 5000 - i for i in numbers(n)}),
            "tarefa.Counter({0: 5000, 1: 4999, 2: 4998, ",
            "})",
        ),
        (lambda n: tarefa.Array("i", numbers(n)), "tarefa.Array('i', [0, 1, 2, ", "])"),
        (lambda n: tarefa.Dict(dict.fromkeys(numbers(n), 0)).keys(), "DictKeys([0, 1, 2, ", "])"),
        (
            lambda n: tarefa.Namespace(**{f"n{i}": i for i in numbers(n)}),
            "tarefa.Namespace(n0=0, n1=1, n2=2, ",
            ")",
        ),
    ],
)
def test_more_than_a_thousand_items_are_cut_short(make, start, end):
    # As NumPy does: a thousand are shown, of more the three at each end.
    whole, cut = repr(make(1000)), repr(make(1001))
    assert whole.startswith(start)
    assert whole.endswith(end)
    assert "..." not in whole
    assert whole.count(",") >= 999
    assert cut.startswith(start + "..., ")
    assert len(cut) < 150
    assert "1000" in cut


def test_items_that_numpy_shows():
    np = pytest.importorskip("numpy")
    many = tarefa.Array(np.dtype([("x", "f8"), ("id", "i4")]), 2000)
    assert repr(many).count("(0.0, 0)") == 6
    assert repr(many).endswith("], shape=(2000,))")


@pytest.mark.parametrize(
    ("make", "form"),
    [
        (tarefa.Lock, r"<unlocked tarefa\.Lock object \d+ at 0x[0-9a-f]+>"),
        (tarefa.RLock, r"<unlocked tarefa\.RLock object \d+ at 0x[0-9a-f]+>"),
        (tarefa.Event, r"<tarefa\.Event at 0x[0-9a-f]+, object \d+: unset>"),
        (tarefa.Semaphore, r"<tarefa\.Semaphore at 0x[0-9a-f]+, object \d+: value=1>"),
        (
            lambda: tarefa.BoundedSemaphore(3),
            r"<tarefa\.BoundedSemaphore at 0x[0-9a-f]+, object \d+: value=3/3>",
        ),
        (lambda: tarefa.Barrier(2), r"<tarefa\.Barrier at 0x[0-9a-f]+, object \d+: waiters=0/2>"),
        (
            tarefa.Condition,
            r"<unlocked tarefa\.Condition object \d+ at 0x[0-9a-f]+, waiters=0>",
        ),
        (tarefa.RWLock, r"<tarefa\.RWLock at 0x[0-9a-f]+, object \d+: unlocked>"),
        (
            lambda: tarefa.Namespace(object_id=5).lock(),
            r"<unlocked tarefa\.ObjectLock of Namespace at 0x[0-9a-f]+, object \d+>",
        ),
        (
            lambda: tarefa.Value("i").get_lock(),
            r"<unlocked tarefa\.ObjectLock of \w+ at 0x[0-9a-f]+, object \d+>",
        ),
        (lambda: tarefa.Process(name="p"), r"<Process name='p' parent=\d+ initial>"),
        (
            lambda: tarefa.Process(name="p", daemon=True),
            r"<Process name='p' parent=\d+ initial daemon>",
        ),
        (lambda: tarefa.Thread(name="t"), r"<Thread\(t, initial\)>"),
        (lambda: tarefa.Thread(name="t", daemon=True), r"<Thread\(t, initial daemon\)>"),
    ],
)
def test_the_standard_form(make, form):
    assert re.fullmatch(form, repr(make())), repr(make())


def test_a_subclass_is_shown_by_its_name():
    class Stack(tarefa.List):
        pass

    class Mine(tarefa.Lock):
        pass

    class Flag(tarefa.Event):
        pass

    assert repr(Stack([1])) == "Stack([1])"
    assert "test_showing" in repr(Mine())
    assert "Mine object" in repr(Mine())
    assert "Flag at 0x" in repr(Flag())


def test_processes_in_all_states():
    go = tarefa.Event()
    task = tarefa.Process(target=go.wait, name="p").start()
    assert re.fullmatch(rf"<Process name='p' pid={task.pid} parent=\d+ started>", repr(task))
    go.set()
    task.join()
    ended = rf"<Process name='p' pid={task.pid} parent=\d+ stopped exitcode=0>"
    assert re.fullmatch(ended, repr(task))

    def fail():
        raise ValueError

    task = tarefa.Process(target=fail, name="p").start()
    assert isinstance(task.exception(), ValueError)
    task.join()  # it may have its exception before its end
    assert " failed exitcode=1>" in repr(task)
    task = tarefa.Process(target=signal.raise_signal, args=(signal.SIGKILL,)).start()
    assert isinstance(task.exception(), tarefa.WorkerDied)
    task.join()
    assert " killed exitcode=-SIGKILL>" in repr(task)


def test_threads_in_all_states():
    go = tarefa.Event()
    task = tarefa.Thread(target=go.wait, name="t").start()
    assert repr(task) == f"<Thread(t, started {task.ident})>"
    go.set()
    task.join()
    assert repr(task) == f"<Thread(t, stopped {task.ident})>"


def one_and_one_derived():
    for cls, arguments in (
        (tarefa.Queue, ()),
        (tarefa.JoinableQueue, ()),
        (tarefa.SimpleQueue, ()),
        (tarefa.LifoQueue, ()),
        (tarefa.PriorityQueue, ()),
        (tarefa.Lock, ()),
        (tarefa.Program, ("true",)),
        (tarefa.TaskGroup, ()),
        (tarefa.Pool, (1, "thread")),
        (tarefa.ThreadPoolExecutor, (1,)),
    ):
        yield pytest.param(cls, arguments, id=cls.__name__)


@pytest.mark.parametrize(("cls", "arguments"), list(one_and_one_derived()))
def test_a_class_is_shown_with_its_own_module(cls, arguments):
    derived = type(cls)("Derived", (cls,), {"__module__": "somebodys"})
    for kind, name in ((cls, f"tarefa.{cls.__name__}"), (derived, "somebodys.Derived")):
        thing = kind(*arguments)
        try:
            assert name in repr(thing)
            assert ("tarefa." in repr(thing)) is (kind is cls)
        finally:
            if isinstance(thing, tarefa.Pool):
                thing.shutdown()


PUBLIC = sorted(name for name in tarefa.__all__ if inspect.isclass(getattr(tarefa, name)))


@pytest.mark.parametrize("name", PUBLIC)
def test_help_names_nothing_internal(name):
    text = pydoc.plaintext.document(getattr(tarefa, name))
    # From CPython 3.13 on it says behind a method where its function was written.
    text = re.sub(r" from (?:tarefa\._|namedtuple_)[\w.]+$", "", text, flags=re.MULTILINE)
    found = re.findall(r".*(?:tarefa\._\w+|_engine|\b(?!OnCore)\w+Core\b).*", text)
    # Who makes a timeline does not call the class.
    assert not [line for line in found if "core: 'TimelineCore'" not in line]


@pytest.mark.parametrize("name", PUBLIC)
def test_messages_about_arguments_name_the_class(name):
    cls = getattr(tarefa, name)
    methods = [getattr(cls, it) for it in dir(cls)]
    owners = {getattr(it, "__qualname__", "").partition(".")[0] for it in methods}
    assert not [owner for owner in owners - {"OnCore"} if owner.endswith("Core")]
