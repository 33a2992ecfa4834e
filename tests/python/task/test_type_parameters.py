"""Functions, classes and aliases with type parameters of their own (PEP 695) in processes."""

import sys

import pytest
from support import run_script

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is of Python 3.12")

SCRIPT = """
import sys, typing
import tarefa

class Late: pass
def f[T: (int, str), U: Late](x: T) -> U: return x
class C[T]:
    def method[U](self, x: T, y: U) -> U: return y
class Below[T: Late, *Ts, **P](C[T]): pass
class Node[T: Node]: pass
type Plain[T] = list[T]
type Tree = dict[str, Tree] | int
type Deep[K, V] = dict[K, Deep[K, V]] | V
type Missing = list[NotThere]
class Lazy[T: NotThere]: pass

def each(owner):
    found = owner.__type_params__
    return [(type(p).__name__, repr(getattr(p, "__bound__", 0)),
             repr(getattr(p, "__constraints__", 0))) for p in found]

def of_script():
    return str((
        *map(each, (f, C, C.method, Below, Node, Plain, Deep)),
        Plain.__value__, Tree.__value__, Deep.__value__, Plain[int], C[int], Below.__orig_bases__,
        typing.get_type_hints(f), f.__annotations__["x"] is f.__type_params__[0],
        C.method.__annotations__["x"] is C.__type_params__[0],
        Plain.__value__.__args__[0] is Plain.__type_params__[0],
        Tree.__value__.__args__[0].__args__[1] is Tree,
        Tree.__module__, Plain.__module__, Lazy.__type_params__, Missing,
    ))

def made():
    def inner[T](x: T) -> T: return x
    class Inner[T]:
        def method(self, x: T) -> T: return x
    type Alias[T] = list[T]
    type Ring = list[Ring]
    return inner, Inner, Alias, Ring

def of_made(inner, Inner, Alias, Ring):
    return str((
        *map(each, (inner, Inner, Alias)), inner.__annotations__, Inner[int], Alias.__value__,
        inner.__annotations__["x"] is inner.__type_params__[0],
        Inner.method.__annotations__["x"] is Inner.__type_params__[0],
        Ring.__value__.__args__[0] is Ring,
    ))

def is_told(alias):
    try:
        alias.__value__
    except NameError as e:
        return "NotThere" in str(e)

def call(function, *args):
    return tarefa.Process(target=function, args=args).start().result(20)

for _ in range(2):
    assert call(of_script) == of_script(), call(of_script)
    assert call(of_made, *made()) == of_made(*made()), call(of_made, *made())
    assert of_made(*call(made)) == of_made(*made())
    assert call(lambda: is_told(Missing))

def g[T](x: T) -> T: return x
class D[T](C[T]): pass
type Later[T] = dict[str, T]
def since(): return str((each(g), each(D), each(Later), Later.__value__, D.__orig_bases__))
assert call(since) == since(), call(since)

if sys.version_info >= (3, 13):
    exec('''
class W[T = int]: pass
def w[T: Late = Late](x: T): return x
type A[T = str] = list[T]
def none[T = NotThere](): pass
''', globals())
    def defaults():
        return str([(p.__default__, p.has_default()) for o in (W, w, A) for p in o.__type_params__])
    assert call(defaults) == defaults(), call(defaults)
    assert call(lambda: len(none.__type_params__)) == 1
"""


def test_type_parameters_are_what_they_are_in_a_process():
    run_script(SCRIPT)


def test_a_subscribed_object_keeps_its_class():
    run_script(
        """
        import tarefa

        class Box[T]:
            def __init__(self, value: T): self.value = value

        def back(box): return type(box) is Box, str(box.__orig_class__), box

        is_same, origin, box = tarefa.Process(target=back, args=(Box[int](3),)).start().result(20)
        assert is_same and "Box[int]" in origin
        assert type(box) is Box and box.value == 3
        """
    )
