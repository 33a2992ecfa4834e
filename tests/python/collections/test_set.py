"""`Set` is a `set`: the same answers and the same errors, for every operation, in any order."""

import copy
import operator
import pickle
from collections.abc import MutableSet

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import tarefa

members = st.one_of(
    st.integers(-2, 6),
    st.sampled_from([0.0, 1.0, 0.5, True, None, "", "a", b"a", (), (1, "a"), 2**60, 1e20]),
)
sets = st.sets(members, max_size=5)
large = st.sets(st.integers(0, 90), min_size=20)
OPERATORS = [operator.or_, operator.and_, operator.sub, operator.xor]
IN_PLACE = [operator.ior, operator.iand, operator.isub, operator.ixor]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
METHODS = ["union", "intersection", "difference"]


def keys_of(members):
    return dict.fromkeys(members).keys()


class SameAsSet(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.model, self.ours = set(), tarefa.Set()

    def teardown(self):
        self.ours.clear()

    def both(self, operation):
        outcomes = []
        for thing in (self.model, self.ours):
            try:
                outcomes.append(("value", operation(thing)))
            except Exception as error:
                outcomes.append(("error", (type(error), error.args)))
        assert outcomes[0] == outcomes[1]
        return outcomes[1]

    @rule(member=members)
    def add(self, member):
        self.both(lambda thing: thing.add(member))

    @rule(member=members)
    def discard(self, member):
        self.both(lambda thing: thing.discard(member))

    @rule(member=members)
    def remove(self, member):
        self.both(lambda thing: thing.remove(member))

    @rule(member=members)
    def contains(self, member):
        self.both(lambda thing: member in thing)

    @rule()
    def pop(self):
        if self.model:
            self.model.remove(self.ours.pop())
        else:
            self.both(lambda thing: thing.pop())

    @rule()
    def clear(self):
        self.both(lambda thing: thing.clear())

    @rule(
        others=st.lists(sets | large, max_size=3),
        wrap=st.booleans(),
        method=st.sampled_from(METHODS),
    )
    def methods(self, others, wrap, method):
        mixed = [tarefa.Set(other) if wrap else list(other) for other in others]
        for name in (method, method + "_update" if method != "union" else "update"):
            theirs = getattr(self.model, name)(*others)
            assert getattr(self.ours, name)(*mixed) == theirs

    @rule(other=sets, wrap=st.sampled_from([set, list, iter, tarefa.Set, frozenset]))
    def with_one(self, other, wrap):
        for name in ["isdisjoint", "issubset", "issuperset", "symmetric_difference"]:
            assert getattr(self.model, name)(other) == getattr(self.ours, name)(wrap(other))
        self.model.symmetric_difference_update(other)
        self.ours.symmetric_difference_update(wrap(other))

    @rule(other=sets, wrap=st.sampled_from([set, frozenset, tarefa.Set, keys_of]))
    def operators(self, other, wrap):
        other_ = wrap(other)
        for how in OPERATORS:
            found = how(self.ours, other_)
            assert type(found) is tarefa.Set
            assert found == how(self.model, other)
            if wrap is not tarefa.Set:
                assert how(other_, self.ours) == how(other, self.model)
                assert type(how(other_, self.ours)) is type(how(other_, self.model))
        for how in COMPARISONS:
            assert how(self.ours, other_) == how(self.model, other)
            assert how(other_, self.ours) == how(other, self.model)

    @rule(other=sets, how=st.sampled_from(IN_PLACE), wrap=st.sampled_from([set, tarefa.Set]))
    def in_place(self, other, how, wrap):
        before = self.ours
        self.ours = how(self.ours, wrap(other))
        self.model = how(self.model, other)
        assert self.ours is before

    @invariant()
    def they_are_the_same(self):
        assert len(self.ours) == len(self.model)
        found = list(self.ours)
        assert len(found) == len(self.model)
        assert set(found) == self.model
        assert self.ours == self.model
        assert self.model == self.ours
        assert self.ours.snapshot() == self.model
        assert type(self.ours.snapshot()) is set
        assert bool(self.ours) is bool(self.model)


SameAsSet.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.once("what it does at random, the engine does; the other tests here run on all")
class TestSameAsSet(SameAsSet.TestCase):
    pass


def test_it_is_a_mutable_set():
    assert isinstance(tarefa.Set(), MutableSet)
    assert not [name for name in dir(set) if not hasattr(tarefa.Set, name)]
    assert tarefa.Set[int].__origin__ is tarefa.Set
    with pytest.raises(TypeError):
        tarefa.Set()[0]
    with pytest.raises(TypeError):
        hash(tarefa.Set())


def test_it_is_made_of_any_iterable():
    assert tarefa.Set() == set()
    assert tarefa.Set("aba") == {"a", "b"}
    assert tarefa.Set(n % 3 for n in range(9)) == {0, 1, 2}
    assert tarefa.Set(tarefa.Set([1])) == {1}
    assert tarefa.Set({"a": 1}) == {"a"}
    with pytest.raises(TypeError):
        tarefa.Set(5)
    with pytest.raises(TypeError):
        tarefa.Set([[]])


def test_operators_take_sets_only():
    for how in [*OPERATORS, *IN_PLACE, *COMPARISONS[2:]]:
        with pytest.raises(TypeError):
            how(tarefa.Set([1]), [1])
    assert tarefa.Set([1]) != [1]


def test_repr():
    assert repr(tarefa.Set()) == "tarefa.Set()"
    assert repr(tarefa.Set(["a"])) == "tarefa.Set({'a'})"
    assert repr(tarefa.Set([2, 1])) == "tarefa.Set({2, 1})"


def test_members_stay_as_they_were_given():
    ours = tarefa.Set([True])
    ours.add(1)
    ours.update([1.0])
    assert list(map(repr, ours)) == ["True"]


def test_copies_and_pickles():
    ours = tarefa.Set([1, 2])
    for other in (ours.copy(), copy.copy(ours), copy.deepcopy(ours)):
        assert type(other) is tarefa.Set
        assert other == ours
        other.add(3)
    assert ours == {1, 2}
    pickle.loads(pickle.dumps(ours)).add(3)
    assert ours == {1, 2, 3}


def test_a_set_with_itself():
    ours = tarefa.Set([1, 2])
    ours |= ours
    ours &= ours
    assert ours == {1, 2}
    assert ours <= ours
    ours ^= ours
    assert not ours
    ours.add(1)
    ours -= ours
    assert not ours


def test_a_plain_set_is_looked_up_as_the_frozen_one():
    for made in (set, tarefa.Set):
        sets = made([frozenset({1}), frozenset({2}), 3])
        assert {1} in sets
        assert {7} not in sets
        sets.remove({1})
        sets.discard({2})
        sets.discard({2})
        assert sets == {3}
        with pytest.raises(KeyError) as caught:
            sets.remove({1})
        assert caught.value.args == ({1},)
        for wrong in ([1], {1: 2}):
            with pytest.raises(TypeError):
                assert wrong in sets
        with pytest.raises(TypeError):
            sets.add({1})
