"""What all classes of shared objects have: weak references, subclasses that stay what they are."""

import copy
import ctypes
import gc
import inspect
import json
import pickle
import pydoc
import threading
import weakref

import pytest

import tarefa


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int), ("value", ctypes.c_double))


class Stack(tarefa.List):
    def push(self, x):
        self.append(x)


class Table(tarefa.Dict):
    pass


class Bag(tarefa.Set):
    pass


class Tally(tarefa.Counter):
    pass


class Space(tarefa.Namespace):
    pass


class MyLock(tarefa.Lock):
    pass


class MyRLock(tarefa.RLock):
    pass


class MyRWLock(tarefa.RWLock):
    pass


class MySemaphore(tarefa.Semaphore):
    pass


class MyBounded(tarefa.BoundedSemaphore):
    pass


class MyEvent(tarefa.Event):
    pass


class MyCondition(tarefa.Condition):
    pass


class MyBarrier(tarefa.Barrier):
    pass


class MyValue(tarefa.Value):
    pass


class MyRawValue(tarefa.RawValue):
    pass


class MyArray(tarefa.Array):
    pass


class MyRawArray(tarefa.RawArray):
    pass


class MyQueue(tarefa.Queue):
    pass


class MyLifoQueue(tarefa.LifoQueue):
    pass


MAKERS = {
    "List": lambda: Stack([1, 2]),
    "Dict": lambda: Table(a=1),
    "Set": lambda: Bag([1]),
    "Counter": lambda: Tally("aab"),
    "Namespace": lambda: Space(a=1),
    "Lock": MyLock,
    "RLock": MyRLock,
    "RWLock": MyRWLock,
    "Semaphore": lambda: MySemaphore(2),
    "BoundedSemaphore": lambda: MyBounded(2),
    "Event": MyEvent,
    "Condition": MyCondition,
    "Barrier": lambda: MyBarrier(2),
    "Value": lambda: MyValue("i", 3),
    "RawValue": lambda: MyRawValue("i", 3),
    "Value of a structure": lambda: MyValue(Point, 1, 2.5),
    "Value with a lock": lambda: MyValue("i", 3, lock=tarefa.Lock()),
    "Array": lambda: MyArray("i", [1, 2]),
    "RawArray": lambda: MyRawArray("i", [1, 2]),
    "Array of structures": lambda: MyArray(Point, 2),
    "Queue": MyQueue,
    "LifoQueue": lambda: MyLifoQueue(5),
}
OURS = {
    "List": lambda: tarefa.List([1]),
    "Dict": tarefa.Dict,
    "Set": tarefa.Set,
    "Counter": tarefa.Counter,
    "Namespace": tarefa.Namespace,
    "Lock": tarefa.Lock,
    "RLock": tarefa.RLock,
    "RWLock": tarefa.RWLock,
    "a side": lambda: tarefa.RWLock().read(),
    "Semaphore": tarefa.Semaphore,
    "BoundedSemaphore": tarefa.BoundedSemaphore,
    "Event": tarefa.Event,
    "Condition": tarefa.Condition,
    "Barrier": lambda: tarefa.Barrier(2),
    "Value": lambda: tarefa.Value("i"),
    "RawValue": lambda: tarefa.RawValue("i"),
    "Array": lambda: tarefa.Array("i", 2),
    "RawArray": lambda: tarefa.RawArray("i", 2),
    "an object's lock": lambda: tarefa.List().lock(),
    "Queue": tarefa.Queue,
    "PriorityQueue": tarefa.PriorityQueue,
    "Connection": lambda: tarefa.Pipe()[0],
    "Process": tarefa.Process,
    "Thread": tarefa.Thread,
    "Program": lambda: tarefa.Program("true"),
}
COPIED = ("List", "Dict", "Set", "Counter", "Namespace", "Value", "RawValue", "Array", "RawArray")


@pytest.fixture(params=MAKERS)
def mine(request):
    shared = MAKERS[request.param]()
    if not isinstance(shared, tarefa.Namespace):
        shared.label = ["mine"]
    return shared


def label_of(shared):
    return None if isinstance(shared, tarefa.Namespace) else shared.label


def look(shared):
    """In a task: its class, its attribute, its number."""
    return type(shared).__name__, isinstance(shared, MAKERS_CLASSES), label_of(shared)


MAKERS_CLASSES = tuple(
    c for c in list(globals().values()) if isinstance(c, type) and c.__module__ == __name__
)


@pytest.mark.parametrize("make", OURS.values(), ids=OURS)
def test_weak_references(make):
    shared = make()
    gone = []
    weak = weakref.ref(shared, gone.append)
    assert weak() is shared
    del shared
    gc.collect()
    assert weak() is None
    assert gone == [weak]


def test_a_subclass_is_what_it_is_in_a_process(mine):
    found = tarefa.Process(target=look, args=(mine,)).start().result()
    assert found == (type(mine).__name__, True, label_of(mine))


def test_a_subclass_is_what_it_is_from_a_process(mine):
    def same(x):
        return x

    again = tarefa.Process(target=same, args=(mine,)).start().result()
    assert type(again).__mro__ == type(mine).__mro__
    assert label_of(again) == label_of(mine)


def test_a_subclass_is_what_it_is_as_an_element(mine):
    things, table = tarefa.List([mine]), tarefa.Dict(a=mine)
    for again in (things[0], table["a"], things.snapshot()[0]):
        assert type(again) is type(mine)
        assert label_of(again) == label_of(mine)


def test_a_subclass_is_what_it_is_when_pickled(mine):
    for again in (pickle.loads(pickle.dumps(mine)), pickle.loads(pickle.dumps((mine, 1), 2))[0]):
        assert type(again) is type(mine)
        assert label_of(again) == label_of(mine)


def test_a_subclass_is_what_it_is_when_copied(mine):
    shallow, deep = copy.copy(mine), copy.deepcopy(mine)
    assert type(shallow) is type(mine)
    assert type(deep) is type(mine)
    if not isinstance(mine, tarefa.Namespace):
        assert shallow.label is mine.label
        assert deep.label == mine.label
        assert deep.label is not mine.label


@pytest.mark.parametrize("kind", [MyQueue, MyLifoQueue])
def test_a_subclass_of_a_queue_is_what_it_is(kind):
    def look(queue):
        return type(queue).__name__, isinstance(queue, kind), queue.note, queue.maxsize, queue.get()

    mine = kind(3)
    mine.note = ["mine"]
    mine.fileno()
    mine.put(1)
    found = tarefa.Process(target=look, args=(mine,)).start().result()
    assert found == (kind.__name__, True, ["mine"], 3, 1)
    for again in (tarefa.List([mine])[0], pickle.loads(pickle.dumps(mine)), copy.copy(mine)):
        assert type(again) is kind
        assert again == mine
        assert again.note == ["mine"]


def test_copies_of_containers_are_others():
    for name in COPIED:
        one = MAKERS[name]()
        other = copy.copy(one)
        object_id = tarefa.List.object_id if name == "List" else type(one).object_id
        assert object_id.__get__(one) != object_id.__get__(other)


def test_the_content_of_a_subclass_is_shared_and_its_attributes_are_not():
    stack = Stack()
    stack.label = "ours"

    def use(stack):
        stack.push(7)
        stack.label = "theirs"
        return stack.label

    assert tarefa.Process(target=use, args=(stack,)).start().result() == "theirs"
    assert stack == [7]
    assert stack.label == "ours"


def test_a_subclass_whose_constructor_takes_other_arguments():
    class Bounded(tarefa.List):
        def __init__(self, most, *items):
            super().__init__(items)
            self.most = most

    bounded = Bounded(3, "a", "b")
    for again in (
        copy.copy(bounded),
        copy.deepcopy(bounded),
        bounded.copy(),
        pickle.loads(tarefa.Process(target=dump, args=(bounded,)).start().result()),
        tarefa.List([bounded])[0],
    ):
        assert isinstance(again, tarefa.List)
        assert again.most == 3
        assert again == ["a", "b"]


def dump(shared):
    from tarefa._convert._pickling import dumps

    return dumps(shared)


class WithLabel:
    def __init__(self, label, *, other=None):
        super().__init__()
        self.label, self.other = label, other


SHARED = (tarefa.Lock, tarefa.RLock, tarefa.Event, tarefa.Set, tarefa.Dict, tarefa.Condition)


@pytest.mark.parametrize("base", SHARED)
def test_a_constructor_may_take_what_it_wants(base):
    labelled = type("Labelled", (WithLabel, base), {})
    mine = labelled("a", other=3)
    assert (mine.label, mine.other) == ("a", 3)
    task = tarefa.Process(target=lambda it: (it.label, it.other), args=(mine,)).start()
    assert task.result() == ("a", 3)


@pytest.mark.parametrize("base", [tarefa.Lock, tarefa.RLock, tarefa.Event])
def test_what_nobody_takes_is_refused(base):
    nothing_more = type("NothingMore", (base,), {})
    for made in (base, nothing_more):
        for arguments in (((1,), {}), ((), {"name": 1})):
            with pytest.raises(TypeError, match=r"\(\) takes no arguments"):
                made(*arguments[0], **arguments[1])


def test_a_subclass_with_slots_and_a_state_of_its_own():
    class Slotted(tarefa.Event):
        __slots__ = ("_Slotted__hidden", "name")

    class Stateful(tarefa.Set):
        def __getstate__(self):
            return {"kept": self.kept}

        def __setstate__(self, state):
            self.kept = state["kept"] + 1

    event, stateful = Slotted(), Stateful([1])
    event.name = "slotted"
    stateful.kept, stateful.dropped = 1, lambda: 0

    def look_again(event, stateful):
        return event.name, stateful.kept, hasattr(stateful, "dropped"), set(stateful)

    found = tarefa.Process(target=look_again, args=(event, stateful)).start().result()
    assert found == ("slotted", 2, False, {1})


def test_a_subclass_of_process_is_what_it_is_in_another():
    class Named(tarefa.Process):
        def __init__(self, word):
            super().__init__()
            self.word = word

        def run(self):
            return self.word * 2

    named = Named("ab").start()

    def look_at(task):
        return type(task).__name__, task.word, task.result()

    assert tarefa.Process(target=look_at, args=(named,)).start().result() == ("Named", "ab", "abab")
    assert named.result() == "abab"
    plain = tarefa.Process(target=int)
    assert type(pickle.loads(pickle.dumps(plain))) is tarefa.Process


@pytest.mark.parametrize(
    "generic",
    ["List", "Dict", "Set", "Counter", "Value", "RawValue", "Array", "RawArray"],
)
def test_generics(generic):
    kind = getattr(tarefa, generic)
    parametrized = kind[int, str] if generic == "Dict" else kind[int]
    assert parametrized.__origin__ is kind
    assert parametrized.__args__[0] is int

    class Mine(kind[int]):
        pass

    assert kind in Mine.__mro__
    assert Mine[str].__origin__ is Mine


def test_generics_are_called():
    assert tarefa.List[int]([1]) == [1]
    assert tarefa.Dict[str, int](a=1) == {"a": 1}
    assert tarefa.Value[int]("i", 3).value == 3
    assert tarefa.Process[int](target=int).start().result() == 0
    assert tarefa.Thread[int](target=int).start().result() == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: tarefa.List([1]),
        lambda: tarefa.Dict(a=1),
        lambda: tarefa.Set([1]),
        lambda: tarefa.Counter("a"),
        lambda: tarefa.Namespace(a=1),
        lambda: tarefa.Value("i"),
        lambda: tarefa.Array("i", 2),
        lambda: Stack([1]),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_json_is_told_what_to_do(make, indent):
    shared = make()
    for value in (shared, [1, shared], {"a": shared}):
        with pytest.raises(TypeError, match=r"not JSON serializable.*snapshot\(\)"):
            json.dumps(value, indent=indent)
    plain = shared.snapshot()
    if not isinstance(plain, set):
        assert json.loads(json.dumps(plain)) is not None
    assert json.dumps(shared, default=lambda _: 1) == "1"
    assert shared.__class__ is type(shared)


@pytest.mark.parametrize("make", OURS.values(), ids=OURS)
def test_completion_shows_what_users_use(make):
    shared = make()
    names = [name for name in dir(shared) if not name.startswith("__")]
    assert names == sorted(names)
    assert not [name for name in names if name.startswith("_")]
    internal = {"object_lock_acquire", "read_all", "rebuild", "extend_from", "set_up", "put_all"}
    internal |= {
        "label",
        "level",
        "offer",
        "pair",
        "put_bytes",
        "take_bytes",
        "take_many",
        "wait_done",
    }
    assert not internal & set(names)
    for name in names:
        # Or an attribute of the object itself, as the arguments of a program.
        assert hasattr(type(shared), name) or name in vars(shared)


def with_private_names(cls):
    """A subclass with private names of its own, in the class and in the object."""

    class Own(cls):
        _shared_by_all = 1

        def _mine(self):
            return self._x

        @property
        def _asked(self):
            return 2

    return Own


def private_names(thing):
    return {name for name in dir(thing) if name.startswith("_") and not name.startswith("__")}


@pytest.mark.parametrize(
    ("cls", "arguments"),
    [
        (tarefa.Thread, {"target": int}),
        (tarefa.Process, {"target": int}),
        (tarefa.TaskGroup, {}),
        *((cls, {}) for cls in (tarefa.Lock, tarefa.Event, tarefa.Queue, tarefa.LifoQueue)),
        *((cls, {}) for cls in (tarefa.List, tarefa.Dict, tarefa.Counter, tarefa.Namespace)),
        (tarefa.Value, {"": "i"}),
        (tarefa.Barrier, {"": 2}),
        (tarefa.Program, {"": "true"}),
    ],
)
def test_only_names_of_ours_are_hidden(cls, arguments):
    plain = [arguments.pop("")] if "" in arguments else []
    assert private_names(cls(*plain, **arguments)) == set()
    mine = with_private_names(cls)(*plain, **arguments)
    mine._x = 1
    assert private_names(mine) == {"_shared_by_all", "_mine", "_asked", "_x"}


def test_completion_of_pools_shows_what_users_use():
    with with_private_names(tarefa.Pool)(1, "thread") as pool:
        future = pool.submit(int)
        assert private_names(pool) == {"_shared_by_all", "_mine", "_asked"}
        assert private_names(future) == private_names(pool.options(retries=1)) == set()
        assert {"submit", "map", "options"} <= set(dir(pool))
        call = tarefa.run(int)
        call.close()
        assert private_names(call) == private_names(tarefa.deadlocks()) == set()
        assert private_names(tarefa.table([])) == set()


@pytest.mark.parametrize("name", tarefa.__all__)
def test_help_tells_of_everything_and_of_nothing_internal(name):
    thing = getattr(tarefa, name)
    if not callable(thing):
        return
    text = pydoc.render_doc(thing, renderer=pydoc.plaintext)
    assert inspect.getdoc(thing), name
    assert "object_lock_" not in text
    assert "_tarefa_" not in text.replace("_tarefa_view", "").replace("_tarefa_of", "")
    if isinstance(thing, type) and not issubclass(thing, BaseException):
        for attribute in dir(thing):
            if not attribute.startswith("_") and attribute not in dir(threading.Thread):
                found = getattr(thing, attribute)
                assert inspect.ismemberdescriptor(found) or inspect.getdoc(found), attribute
