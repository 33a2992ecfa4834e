"""`List` is a `list`: the same answers and the same errors, for every operation, in any order.

`test_list_shared.py` has what a `list` has not: several tasks at once, references, memory.
"""

import copy
import enum
import math
import operator
import pickle
from collections.abc import MutableSequence

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import tarefa

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False)
    | st.text(st.characters(), max_size=20)
    | st.binary(max_size=40)
)
values = st.recursive(
    scalars, lambda inner: st.tuples(inner, inner) | st.lists(inner, max_size=3), max_leaves=5
)
places = st.integers(-12, 12)
ends = st.none() | places
slices = st.builds(slice, ends, ends)
strides = st.builds(slice, ends, ends, st.sampled_from([None, 1, 2, 3, -1, -2]))


class SameAsList(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.model, self.ours = [], tarefa.List()

    def teardown(self):
        self.ours.clear()

    def both(self, operation):
        outcomes = []
        for thing in (self.model, self.ours):
            try:
                outcomes.append(("value", operation(thing)))
            except Exception as error:
                outcomes.append(("error", type(error)))
        (kind, expected), (our_kind, found) = outcomes
        assert our_kind == kind, (expected, found)
        if kind == "error":
            assert issubclass(found, expected)
        elif isinstance(expected, list):
            assert list(found) == expected
        else:
            assert found == expected

    @rule(value=values)
    def append(self, value):
        self.both(lambda thing: thing.append(value))

    @rule(many=st.lists(values, max_size=6))
    def extend(self, many):
        self.both(lambda thing: thing.extend(iter(many)))

    @rule(many=st.lists(values, max_size=4))
    def iadd(self, many):
        self.model += many
        before = self.ours
        self.ours += many
        assert self.ours is before

    @rule(times=st.integers(-1, 2))
    def imul(self, times):
        if len(self.model) < 60:
            self.model *= times
            self.ours *= times

    @rule(at=places, value=values)
    def insert(self, at, value):
        self.both(lambda thing: thing.insert(at, value))

    @rule(at=places)
    def pop(self, at):
        self.both(lambda thing: thing.pop(at))

    @rule()
    def pop_last(self):
        self.both(lambda thing: thing.pop())

    @rule(at=places)
    def get(self, at):
        self.both(lambda thing: thing[at])

    @rule(at=places, value=values)
    def put(self, at, value):
        self.both(lambda thing: operator.setitem(thing, at, value))

    @rule(at=places)
    def delete(self, at):
        self.both(lambda thing: operator.delitem(thing, at))

    @rule(part=strides)
    def get_slice(self, part):
        self.both(lambda thing: list(thing[part]))

    @rule(part=slices, many=st.lists(values, max_size=5))
    def put_slice(self, part, many):
        self.both(lambda thing: operator.setitem(thing, part, many))

    @rule(part=strides, value=values)
    def put_stride(self, part, value):
        many = [value] * len(self.model[part])
        self.both(lambda thing: operator.setitem(thing, part, many))

    @rule(part=strides)
    def delete_slice(self, part):
        self.both(lambda thing: operator.delitem(thing, part))

    @rule(value=values)
    def remove(self, value):
        self.both(lambda thing: thing.remove(value))

    @rule(at=st.integers(0, 11))
    def remove_one_that_is_there(self, at):
        if at < len(self.model):
            value = self.model[at]
            self.both(lambda thing: thing.remove(value))

    @rule(value=values, first=places, last=places)
    def index_and_count(self, value, first, last):
        self.both(lambda thing: thing.count(value))
        self.both(lambda thing: value in thing)
        self.both(lambda thing: thing.index(value, first, last))

    @rule()
    def reverse(self):
        self.both(lambda thing: thing.reverse())

    @rule(reverse=st.booleans())
    def sort(self, reverse):
        self.both(lambda thing: thing.sort(key=repr, reverse=reverse))

    @rule()
    def clear(self):
        self.both(lambda thing: thing.clear())

    @rule()
    def copies(self):
        self.both(lambda thing: list(thing.copy()))
        self.both(lambda thing: list(operator.add(thing, [1])))
        self.both(lambda thing: list(thing * 2))
        self.both(lambda thing: list(2 * thing))

    @invariant()
    def they_are_the_same(self):
        assert len(self.ours) == len(self.model)
        assert list(self.ours) == self.model
        assert list(reversed(self.ours)) == self.model[::-1]
        assert self.ours == self.model
        assert repr(self.model) in repr(self.ours)
        assert bool(self.ours) is bool(self.model)


SameAsList.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.once("what it does at random, the engine does; the other tests here run on all")
class TestSameAsList(SameAsList.TestCase):
    pass


def test_it_is_a_mutable_sequence():
    assert isinstance(tarefa.List(), MutableSequence)
    assert not [
        name for name in dir(list) if not name.startswith("_") and not hasattr(tarefa.List, name)
    ]


def test_it_is_made_of_any_iterable():
    assert tarefa.List() == []
    assert tarefa.List((1, 2)) == [1, 2]
    assert tarefa.List("ab") == ["a", "b"]
    assert tarefa.List(number * 2 for number in range(3)) == [0, 2, 4]
    assert tarefa.List(tarefa.List([1])) == [1]
    assert tarefa.List({"a": 1}) == ["a"]


EDGES = [
    0, 1, -1, 2**31, 2**62, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 2**64 - 1, 10**400,
    True, False, None, 0.0, -0.0, 1e308, 5e-324, math.inf, -math.inf, math.pi,
    "", "a", "\0", "é", "\U0001f600", "\ud800", "a\udfffb", "x" * 100_000,
    b"", b"\0", bytes(range(256)), b"y" * 5_000_000, bytearray(b"ab"),
    (), [], {}, (1, (2,)), {"a": {1, 2}}, frozenset({1}),
    1 + 2j, range(5), ..., int, len, slice(1, 2),
]  # fmt: skip


@pytest.mark.parametrize(
    "value",
    EDGES,
    ids=lambda value: (
        f"{type(value).__name__}-{repr(value)[:12].encode('ascii', 'replace').decode()}"
    ),
)
def test_a_value_comes_back_as_it_was(value):
    things = tarefa.List([value])
    assert things[0] == value
    assert type(things[0]) is type(value)
    assert list(things) == [value]
    assert (
        math.copysign(1, things[0]) == math.copysign(1, value) if isinstance(value, float) else True
    )


def test_nan_is_nan():
    things = tarefa.List([math.nan])
    assert math.isnan(things[0])
    assert type(things[0]) is float


class Colour(enum.IntEnum):
    RED = 1


class Text(str):
    __slots__ = ()


class Number(int):
    pass


def test_a_subclass_keeps_its_type():
    things = tarefa.List([Colour.RED, Text("a"), Number(5)])
    assert things[0] is Colour.RED
    assert [type(thing) for thing in things] == [Colour, Text, Number]


def test_what_is_read_is_a_copy():
    things = tarefa.List([[1]])
    things[0].append(2)
    assert things == [[1]]
    inner = things[0]
    inner.append(2)
    things[0] = inner
    assert things == [[1, 2]]


def test_comparison():
    numbers = tarefa.List([1, 2])
    assert numbers == [1, 2]
    assert numbers == [1, 2]
    assert numbers == tarefa.List([1, 2])
    assert numbers != [1, 3]
    assert numbers != (1, 2)
    assert numbers < [1, 3]
    assert numbers <= [1, 2]
    assert numbers > tarefa.List([1])
    assert numbers >= [1, 2]


def test_sort_is_stable_and_takes_a_key():
    words = tarefa.List(["bb", "a", "cc", "d"])
    assert words.sort(key=len) is None
    assert words == ["a", "d", "bb", "cc"]
    words.sort(key=len, reverse=True)
    assert words == ["bb", "cc", "a", "d"]


def test_a_sort_whose_key_fails_leaves_the_elements():
    numbers = tarefa.List([3, 0, 1])
    with pytest.raises(ZeroDivisionError):
        numbers.sort(key=lambda number: 1 / number)
    assert sorted(numbers) == [0, 1, 3]


def test_repr_of_a_list_that_holds_itself_by_way_of_another_ends():
    things, others = tarefa.List([1]), tarefa.List()
    things.append(others)
    others.append(things)
    assert repr(things) == "tarefa.List([1, tarefa.List([tarefa.List([...])])])"
    things.clear()


def test_snapshot_and_update():
    numbers = tarefa.List([1, "a", [2]])
    shot = numbers.snapshot()
    assert type(shot) is list
    assert numbers.update(0, lambda n: n + 1) == 2
    assert numbers.update(-1, lambda items: [*items, 3]) == [2, 3]
    assert numbers == [2, "a", [2, 3]]
    assert shot == [1, "a", [2]]
    with pytest.raises(IndexError):
        numbers.update(3, int)
    with pytest.raises(IndexError):
        numbers.update(-4, int)
    with pytest.raises(ZeroDivisionError):
        numbers.update(0, lambda n: n / 0)
    with pytest.raises(TypeError):
        numbers.update("a", int)
    assert numbers == [2, "a", [2, 3]]


def test_a_key_function_that_changes_the_list_is_told():
    numbers = tarefa.List(range(9))
    with pytest.raises(tarefa.ListChanged):
        numbers.sort(key=lambda n: numbers.append(n) or n)
    assert not numbers.lock().locked()
    # Tried once more with everybody else kept out, and then no more.
    assert len(numbers) == 4 * 9


def test_copy_is_another_list_and_pickle_is_the_same():
    numbers = tarefa.List([1])
    other, again = numbers.copy(), pickle.loads(pickle.dumps(numbers))
    numbers.append(2)
    assert other == [1]
    assert again == [1, 2]
    assert copy.copy(numbers) == [1, 2]


def test_an_iterator_sees_what_is_appended_meanwhile():
    numbers = tarefa.List([0])
    seen = []
    for number in numbers:
        seen.append(number)
        if number < 5:
            numbers.append(number + 1)
    assert seen == [0, 1, 2, 3, 4, 5]


def test_an_iterator_of_a_list_that_shrinks_ends():
    numbers = tarefa.List(range(10))
    seen = []
    for number in numbers:
        seen.append(number)
        numbers.pop()
    assert seen == [0, 1, 2, 3, 4]


def test_extend_by_itself_doubles():
    numbers = tarefa.List([1, 2])
    numbers.extend(numbers)
    numbers += numbers
    assert numbers == [1, 2] * 4
    numbers[2:] = numbers
    assert numbers == [1, 2] + [1, 2] * 4


def test_an_iterable_that_fails_half_way():
    def numbers():
        yield 1
        raise LookupError("half way")

    ours, model = tarefa.List([0]), [0]
    for thing in (ours, model):
        with pytest.raises(LookupError):
            thing.extend(numbers())
    assert ours[0] == 0
    assert len(ours) in (1, len(model))


def test_a_large_list():
    numbers = tarefa.List(range(200_000))
    assert len(numbers) == 200_000
    assert (numbers[0], numbers[100_000], numbers[-1]) == (0, 100_000, 199_999)
    assert sum(numbers) == 19_999_900_000
    del numbers[1:-1]
    assert numbers == [0, 199_999]


def test_unpacking_and_built_ins():
    numbers = tarefa.List([3, 1, 2])
    first, *rest = numbers
    assert (first, rest) == (3, [1, 2])
    assert [*numbers, 4] == [3, 1, 2, 4]
    assert (min(numbers), max(numbers), sorted(numbers)) == (1, 3, [1, 2, 3])
    assert list(zip(numbers, reversed(numbers), strict=True)) == [(3, 2), (1, 1), (2, 3)]
    match numbers:
        case [3, *_]:
            matched = True
        case _:
            matched = False
    assert matched


def test_numpy_arrays():
    numpy = pytest.importorskip("numpy")
    things = tarefa.List([numpy.arange(300_000.0)])
    assert (things[0] == numpy.arange(300_000.0)).all()
