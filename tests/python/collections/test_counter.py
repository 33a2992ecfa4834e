"""`Counter` is a `collections.Counter`."""

import collections
import copy
import operator
import pickle

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import tarefa

keys = st.sampled_from(["a", "b", "c", 1, 1.0, True, (1,), None])
numbers = st.integers(-3, 5) | st.sampled_from([0.5, 2**60, -(2**60)])
counts = st.dictionaries(keys, numbers, max_size=5)
BINARY = [operator.add, operator.sub, operator.and_, operator.or_]
IN_PLACE = [operator.iadd, operator.isub, operator.iand, operator.ior]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


class SameAsCounter(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.model, self.ours = collections.Counter(), tarefa.Counter()

    def teardown(self):
        self.ours.clear()

    @rule(key=keys, n=numbers)
    def put(self, key, n):
        self.model[key] = self.ours[key] = n

    @rule(key=keys)
    def get(self, key):
        assert self.ours[key] == self.model[key]
        assert self.ours.get(key) == self.model.get(key)
        assert (key in self.ours) == (key in self.model)

    @rule(key=keys)
    def delete(self, key):
        del self.model[key]
        del self.ours[key]

    @rule(key=keys, n=numbers)
    def add(self, key, n):
        self.model[key] += n
        assert self.ours.add(key, n) == self.model[key]

    @rule(other=counts, how=st.sampled_from(["update", "subtract"]))
    def with_counts(self, other, how):
        getattr(self.model, how)(other)
        getattr(self.ours, how)(other)

    @rule(other=st.lists(keys, max_size=9), how=st.sampled_from(["update", "subtract"]))
    def with_things(self, other, how):
        getattr(self.model, how)(iter(other), name=2)
        getattr(self.ours, how)(iter(other), name=2)

    @rule(other=counts, wrap=st.sampled_from([collections.Counter, tarefa.Counter]))
    def operators(self, other, wrap):
        model = collections.Counter(other)
        for how in BINARY:
            found = how(self.ours, wrap(other))
            assert type(found) is tarefa.Counter
            assert found.snapshot() == how(self.model, model)
            assert list(found) == list(how(self.model, model))
        for how in COMPARISONS:
            assert how(self.ours, wrap(other)) == how(self.model, model)
        assert (+self.ours).snapshot() == +self.model
        assert (-self.ours).snapshot() == -self.model

    @rule(
        other=counts,
        wrap=st.sampled_from([collections.Counter, tarefa.Counter]),
        i=st.integers(0, 3),
    )
    def in_place(self, other, wrap, i):
        before = self.ours
        self.ours = IN_PLACE[i](self.ours, wrap(other))
        self.model = IN_PLACE[i](self.model, collections.Counter(other))
        assert self.ours is before

    @rule()
    def clear(self):
        self.model.clear()
        self.ours.clear()

    @invariant()
    def they_are_the_same(self):
        assert dict(self.ours.items()) == dict(self.model)
        assert list(self.ours) == list(self.model)
        assert self.ours == self.model
        assert self.ours.most_common() == self.model.most_common()
        assert self.ours.most_common(2) == self.model.most_common(2)
        assert self.ours.total() == self.model.total()
        assert type(self.ours.snapshot()) is collections.Counter


SameAsCounter.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.once("what it does at random, the engine does; the other tests here run on all")
class TestSameAsCounter(SameAsCounter.TestCase):
    pass


def test_it_is_a_counter():
    theirs = {name for name in dir(collections.Counter) if not hasattr(tarefa.Counter, name)}
    assert theirs <= {"__weakref__", "_keep_positive"}
    assert isinstance(tarefa.Counter(), tarefa.Dict)


def test_it_is_made_as_a_counter_is():
    assert tarefa.Counter("abca") == {"a": 2, "b": 1, "c": 1}
    assert tarefa.Counter(a=2) == collections.Counter("aa")
    assert tarefa.Counter({"a": 2}, a=1) == {"a": 3}
    assert tarefa.Counter(None) == {}
    assert tarefa.Counter(tarefa.Counter("ab")) == {"a": 1, "b": 1}
    with pytest.raises(NotImplementedError):
        tarefa.Counter.fromkeys("a", 1)
    with pytest.raises(TypeError):
        tarefa.Counter("a", "b")


def test_elements_and_repr():
    ours = tarefa.Counter(a=2, b=-1, c=1)
    assert list(ours.elements()) == ["a", "a", "c"]
    assert repr(ours) == "tarefa.Counter({'a': 2, 'c': 1, 'b': -1})"
    assert repr(tarefa.Counter()) == "tarefa.Counter()"
    assert ours["zzz"] == 0
    assert "zzz" not in ours
    del ours["zzz"]


def test_copies_and_pickles():
    ours = tarefa.Counter("ab")
    for other in (ours.copy(), copy.copy(ours), copy.deepcopy(ours)):
        assert type(other) is tarefa.Counter
        other.add("a")
    assert ours == {"a": 1, "b": 1}
    again = pickle.loads(pickle.dumps(ours))
    assert type(again) is tarefa.Counter
    again.update("a")
    assert ours["a"] == 2


def test_counts_that_are_no_numbers():
    ours = tarefa.Counter(a="text")
    with pytest.raises(TypeError):
        ours.update(b=1, a=1)
    assert ours == {"a": "text"}


def test_no_count_is_lost(Task):
    ours = tarefa.Counter()

    def count(ours):
        for number in range(500):
            ours.update("abc")
            ours.add("d")
            ours.subtract(e=2, f=number % 3)
            ours.add("big", 2**60)

    tasks = [Task(target=count, args=(ours,)).start() for _ in range(3)]
    for task in tasks:
        task.result()
    assert ours == {"a": 1500, "b": 1500, "c": 1500, "d": 1500, "e": -3000,
                    "f": -3 * sum(n % 3 for n in range(500)), "big": 1500 * 2**60}  # fmt: skip


def test_in_place_operators_lose_nothing(Task):
    ours = tarefa.Counter()

    def count(ours, key):
        plain = ours
        for _ in range(200):
            plain += collections.Counter([key, "all"])

    tasks = [Task(target=count, args=(ours, key)).start() for key in "abc"]
    for task in tasks:
        task.result()
    assert ours == {"a": 200, "b": 200, "c": 200, "all": 600}


def test_of_equal_counts_the_one_that_is_there_stays():
    ours, plain = tarefa.Counter({1: 2.0**60}), collections.Counter({1: 2.0**60})
    ours &= collections.Counter({1: 2**60})
    plain &= collections.Counter({1: 2**60})
    assert repr(ours[1]) == repr(plain[1])


def test_plain_counters_and_dicts_on_either_side():
    for operation in (operator.add, operator.sub, operator.or_, operator.and_):
        for left, right in (("aab", "abc"), ("", "a"), ("aaa", "")):
            plain, other = collections.Counter(left), collections.Counter(right)
            for made in (
                operation(plain, tarefa.Counter(right)),
                operation(tarefa.Counter(left), other),
            ):
                assert made == operation(plain, other)
            assert type(operation(plain, tarefa.Counter(right))) is collections.Counter
    plain = collections.Counter("aab")
    assert tarefa.Counter("aab") | {"a": 5} == plain | {"a": 5} == {"a": 5, "b": 1}
    assert {"a": 5} | tarefa.Counter("aab") == {"a": 5} | plain
    with pytest.raises(TypeError):
        tarefa.Counter("a") + {"a": 1}
    with pytest.raises(TypeError):
        operator.add([1], tarefa.Counter("a"))


@pytest.mark.parametrize("name", ["iadd", "isub", "ior"])
@pytest.mark.parametrize("kind", [dict, collections.Counter, tarefa.Dict, tarefa.Counter])
def test_in_place_operators_take_any_mapping(name, kind):
    operation = getattr(operator, name)
    shared, plain = tarefa.Counter("aab"), collections.Counter("aab")
    assert operation(shared, kind({"a": 1, "c": 2})) is shared
    assert shared == operation(plain, {"a": 1, "c": 2})
    with pytest.raises(TypeError):
        operation(shared, [1])
