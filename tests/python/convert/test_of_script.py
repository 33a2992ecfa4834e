"""Instances of the script's classes: pickled by the engine, or left to the picklers in Python."""

from support import run_script

SCRIPT = """
import collections, copyreg, dataclasses, enum, functools, pickle, threading, typing
import tarefa
from tarefa import _engine
from tarefa._convert import _dump

@dataclasses.dataclass
class Point:
    x: int
    y: object = None

@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    x: int
    y: str

class Bare: pass

class Color(enum.Enum):
    RED = 1
    BLUE = "b"

class Flags(enum.Flag):
    A = 1
    B = 2

Pair = collections.namedtuple("Pair", "a b")

class Typed(typing.NamedTuple):
    a: int

class Child(Point):
    def __init__(self):
        super().__init__(1, 2)
        self.more = {"of": [Point(3)]}

class OwnDict(dict):
    def __init__(self, a):
        super().__init__(a=a)
        self.b = a

class Number(int): pass

class Text(str): pass

class Stateful:
    def __init__(self): self.a = self.b = 1
    def __getstate__(self): return {"a": 2}
    def __setstate__(self, state): self.__dict__.update(state, b=3)

class Reducing:
    def __init__(self, a): self.a = a
    def __reduce__(self): return Reducing, (self.a + 1,)

class WithArguments:
    def __new__(cls, a, *, b):
        self = super().__new__(cls)
        self.made = a, b
        return self
    def __getnewargs_ex__(self): return (self.made[0],), {"b": self.made[1]}

class Meta(type): pass

class OfMeta(metaclass=Meta):
    def __init__(self): self.a = 1

class Outer:
    class Inner:
        def __init__(self): self.a = 1

class Failure(Exception):
    def __init__(self, a):
        super().__init__(a)
        self.b = 2

def bare():
    made = Bare()
    made.__dict__.update(a=1, b=made.__class__)
    return made

def itself():
    made = Point(1)
    made.y = [made]
    return made

def twice():
    inner = Point(1)
    return Point(inner, [inner, inner])
"""

GIVEN = (
    SCRIPT
    + """
# What is made, and whether the engine pickles it.
MADE = {
    "a dataclass": (lambda: Point(1, 2.5), True),
    "one in another": (lambda: Point(Point(1), [Point(2)]), True),
    "slots": (lambda: Slotted(1, "b"), True),
    "an empty one": (lambda: Bare(), True),
    "any attributes": (bare, True),
    "an enum": (lambda: Color.BLUE, True),
    "a flag": (lambda: Flags.A | Flags.B, True),
    "a named tuple": (lambda: Pair(1, Point(2)), True),
    "a typed one": (lambda: Typed(1), True),
    "a subclass": (lambda: Child(), True),
    "of a dict": (lambda: OwnDict(1), True),
    "of int": (lambda: Number(7), True),
    "of str": (lambda: Text("a"), True),
    "with a state": (lambda: Stateful(), True),
    "that reduces itself": (lambda: Reducing(1), True),
    "arguments": (lambda: WithArguments(1, b=2), True),
    "a metaclass": (lambda: OfMeta(), True),
    "a nested class": (lambda: Outer.Inner(), True),
    "an exception": (lambda: Failure(1), True),
    "a class": (lambda: Point(Point), True),
    "of the library": (lambda: Point(collections.OrderedDict(a=1), functools.partial), True),
    "itself": (itself, True),
    "twice": (twice, True),
    "a function": (lambda: Point(bare), False),
    "a lambda": (lambda: Point(lambda: 5), False),
    "a method": (lambda: Point(Child().__init__), False),
    "a type variable": (lambda: Point(typing.TypeVar("T")), False),
    "a partial of one": (lambda: Point(functools.partial(bare)), False),
}

def told(value, seen=()):
    "What a value is, to be compared between processes."
    if id(value) in seen:
        return "seen", seen.index(id(value))
    seen = (*seen, id(value))
    if isinstance(value, enum.Enum):
        return type(value).__name__, value.name
    parts = [type(value).__name__, type(value).__module__]
    if isinstance(value, (list, tuple)):
        parts += [told(v, seen) for v in value]
    elif isinstance(value, dict):
        parts += [(k, told(v, seen)) for k, v in value.items()]
    elif isinstance(value, (int, str, float, type)):
        parts.append(str(value))
    if type(value).__module__ == "__main__":
        names = [n for n in ("x", "y", "a", "b", "made", "more") if hasattr(value, n)]
        parts += [(n, told(getattr(value, n), seen)) for n in names]
    return tuple(parts)

def give(name):
    make, by_engine = MADE[name]
    value = make()
    pickled = _engine.pickle_of_script(value, None)
    assert (pickled is not None) == by_engine, (name, pickled)
    return value

queue, shown = tarefa.Queue(), tarefa.List()

def put(name):
    queue.put(MADE[name][0]())
    shown.append([MADE[name][0]()])
    return MADE[name][0](), 1

if __name__ == "__main__":
    here = {name: told(make()) for name, (make, _) in MADE.items()}
    here["with a state"] = told(pickle.loads(pickle.dumps(Stateful())))
    here["that reduces itself"] = told(Reducing(2))
    for name in MADE:
        got = tarefa.Process(target=give, args=(name,)).start().result(30)
        assert told(got) == here[name], (name, told(got), here[name])
    for name in MADE:
        got, _ = tarefa.Process(target=put, args=(name,)).start().result(30)
        for one in (got, queue.get(timeout=30), shown.pop()[0]):
            assert told(one) == here[name], (name, told(one), here[name])
    got = tarefa.Process(target=give, args=("itself",)).start().result(30)
    assert got.y[0] is got
    got = tarefa.Process(target=give, args=("twice",)).start().result(30)
    assert got.x is got.y[0] is got.y[1]
"""
)


def test_what_arrives_is_what_pickle_makes_of_it():
    run_script(GIVEN)


CHANGED = (
    SCRIPT
    + """
def reduced(point): return Point, (point.x + 100,)

def changed(how):
    value = Point(1)
    assert _engine.pickle_of_script(value, None) is not None
    if how == "reduce":
        Point.__reduce__ = reduced
    elif how == "state":
        Point.__getstate__ = lambda self: {"x": self.x + 100}
    elif how == "copyreg":
        copyreg.pickle(Point, reduced)
    elif how == "anew":
        class Point2(Point):
            later = 5
        Point2.__qualname__ = Point2.__name__ = "Point"
        globals()["Point"] = Point2
        return Point2(101)
    return value

if __name__ == "__main__":
    Before = Point
    for how in ("reduce", "state", "copyreg"):
        got = tarefa.Process(target=changed, args=(how,)).start().result(30)
        assert type(got) is Point and got.x == 101, (how, got)
    got = tarefa.Process(target=changed, args=("anew",)).start().result(30)
    # Defined while the task ran: another class, of which this one is not replaced.
    assert type(got).__mro__[1] is Point is Before and (got.x, got.later) == (101, 5)
"""
)


def test_ways_of_its_own_are_honoured_whenever_a_class_gets_them():
    run_script(CHANGED)


BESIDE = (
    SCRIPT
    + """
def with_shared():
    made = tarefa.List(["kept"])
    return Point(made, bytearray(b"x") * 1_000_000)

class Once:
    def __getstate__(self): return {"a": asked.add(1)}

asked = tarefa.Value("i")

def with_array():
    import numpy as np
    made = Point(np.arange(100.0), Once())
    assert _engine.pickle_of_script(made, None) is not None
    asked.value = 0
    return made

class Breaks:
    def __init__(self, how): self.how = how
    def __getstate__(self):
        raise self.how

class Locked:
    def __init__(self): self.lock = threading.Lock()

def broken(how): return Breaks(how)

def locked(): return Point(1, Locked())

if __name__ == "__main__":
    made = tarefa.Process(target=with_array).start().result(30)
    assert made.y.a == 1 and made.x.sum() == 4950.0
    got = tarefa.Process(target=with_shared).start().result(30)
    assert list(got.x) == ["kept"] and len(got.y) == 1_000_000
    for how in (ZeroDivisionError("a"), TypeError("b")):
        error = tarefa.Process(target=broken, args=(how,)).start().exception(30)
        told = f"{error!r} {error.__cause__!r} {getattr(error, '__notes__', '')}"
        assert str(how) in told, told
    error = tarefa.Process(target=locked).start().exception(30)
    assert "y.lock" in str(error) and "lock" in str(error), error
    # Where nothing is sent, it is raised as it is.
    try:
        tarefa.List().append(Breaks(KeyboardInterrupt()))
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError
    try:
        tarefa.List().append(Locked())
    except tarefa.NotPicklable as e:
        assert "lock" in str(e), e
"""
)


REBOUND = """
import functools
import tarefa

def add(a, b=1): return a + b

def use(): return add(3)

if __name__ == "__main__":
    queue = tarefa.Queue()
    queue.put(add)
    assert queue.get()(1) == 2
    add = functools.partial(add, 2)
    # The name stands for something that has no name of its own.
    assert tarefa.Process(target=use).start().result(30) == 5
    assert tarefa.Process(target=use).start().result(30) == 5
    del add
    assert tarefa.Process(target=len, args=("abc",)).start().result(30) == 3
"""


def test_a_name_that_stands_for_what_holds_its_function():
    run_script(REBOUND)


def test_what_lies_beside_arrives_and_what_cannot_be_pickled_is_named():
    run_script(BESIDE)
