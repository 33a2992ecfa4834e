"""`Dict` is a `dict`: the same answers and the same errors, for every operation, in any order.

`test_keys.py` has what can be a key, `test_dict_shared.py` what a `dict` has not.
"""

import copy
import operator
import pickle
from collections import Counter, OrderedDict
from collections.abc import Mapping, MutableMapping

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import tarefa

keys = st.one_of(
    st.integers(-2, 4),
    st.sampled_from([0.0, 1.0, 0.5, True, None, "", "a", "1", b"a", (), (1, "a"), 2**60, 1e20]),
    st.text("ab", max_size=2),
)
values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False),
    st.text(max_size=9), st.binary(max_size=300), st.lists(st.integers(), max_size=3),
)  # fmt: skip
pairs = st.dictionaries(keys, values, max_size=5)
many = st.dictionaries(st.integers(0, 90), st.integers(), min_size=20, max_size=70)


class SameAsDict(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.model, self.ours = {}, tarefa.Dict()

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

    @rule(key=keys, value=values)
    def put(self, key, value):
        self.both(lambda thing: operator.setitem(thing, key, value))

    @rule(key=keys)
    def get(self, key):
        self.both(lambda thing: thing[key])
        self.both(lambda thing: thing.get(key))
        self.both(lambda thing: thing.get(key, 5))
        self.both(lambda thing: key in thing)

    @rule(key=keys)
    def delete(self, key):
        self.both(lambda thing: operator.delitem(thing, key))

    @rule(key=keys, default=st.lists(values, max_size=1))
    def pop(self, key, default):
        self.both(lambda thing: thing.pop(key, *default))

    @rule()
    def popitem(self):
        self.both(lambda thing: thing.popitem())

    @rule(key=keys, value=values)
    def setdefault(self, key, value):
        self.both(lambda thing: thing.setdefault(key, value))

    @rule(other=pairs | many)
    def update(self, other):
        self.both(lambda thing: thing.update(other))

    @rule(other=pairs)
    def update_with_pairs(self, other):
        self.both(lambda thing: thing.update(list(other.items()), name="x"))

    @rule(other=pairs)
    def merge_in_place(self, other):
        before = self.ours
        self.model |= other
        self.ours |= other
        assert self.ours is before

    @rule(other=pairs)
    def merge(self, other):
        self.both(lambda thing: dict(thing | other))
        self.both(lambda thing: other | thing)
        self.both(
            lambda thing: dict(thing | tarefa.Dict(other)) if thing is self.ours else thing | other
        )

    @rule()
    def clear(self):
        self.both(lambda thing: thing.clear())

    @rule(key=keys, n=st.integers(-(2**60), 2**60) | st.floats(-9, 9))
    def add(self, key, n):
        old = self.model.get(key, 0)
        if isinstance(old, (int, float)):
            self.model[key] = old + n
            assert self.ours.add(key, n) == old + n
        else:
            with pytest.raises(TypeError):
                self.ours.add(key, n)

    @rule(key=keys)
    def update_value(self, key):
        if key in self.model:
            self.model[key] = [self.model[key]]
            assert self.ours.update_value(key, lambda old: [old]) == self.model[key]
        else:
            with pytest.raises(KeyError):
                self.ours.update_value(key, lambda old: [old])
            assert self.ours.update_value(key, lambda old: old + 1, 4) == 5
            self.model[key] = 5

    @rule(other=st.sets(keys, max_size=4), pair=st.tuples(keys, values))
    def views(self, other, pair):
        for how in (
            operator.and_,
            operator.or_,
            operator.sub,
            operator.xor,
            operator.le,
            operator.eq,
        ):
            self.both(lambda thing, how=how: how(thing.keys(), other))
        self.both(lambda thing: thing.keys().isdisjoint(other))
        self.both(lambda thing: pair in thing.items())
        self.both(lambda thing: pair[1] in thing.values())
        self.both(lambda thing: other - thing.keys())

    @invariant()
    def they_are_the_same(self):
        assert len(self.ours) == len(self.model)
        for view in (iter, reversed, dict.keys, dict.values, dict.items):
            name = getattr(view, "__name__", "")
            ours = getattr(self.ours, name)() if hasattr(dict, name) else view(self.ours)
            theirs = list(view(self.model))
            assert list(ours) == theirs
            assert list(
                map(type, getattr(self.ours, name)() if hasattr(dict, name) else view(self.ours))
            ) == list(map(type, theirs))
        assert self.ours == self.model
        assert self.model == self.ours
        assert self.ours.snapshot() == self.model
        assert repr(self.ours) == f"tarefa.Dict({self.model!r})"
        assert bool(self.ours) is bool(self.model)


SameAsDict.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.once("what it does at random, the engine does; the other tests here run on all")
class TestSameAsDict(SameAsDict.TestCase):
    pass


def test_it_is_a_mutable_mapping():
    assert isinstance(tarefa.Dict(), MutableMapping)
    assert isinstance(tarefa.Dict(), Mapping)
    assert not [name for name in dir(dict) if not hasattr(tarefa.Dict, name)]
    assert tarefa.Dict[str, int].__origin__ is tarefa.Dict


def test_it_is_made_as_a_dict_is():
    assert tarefa.Dict() == {}
    assert tarefa.Dict({"a": 1}, b=2) == {"a": 1, "b": 2}
    assert tarefa.Dict([("a", 1), "bc"]) == {"a": 1, "b": "c"}
    assert tarefa.Dict(zip("ab", [1, 2], strict=True)) == {"a": 1, "b": 2}
    assert tarefa.Dict(tarefa.Dict(a=1), a=2) == {"a": 2}
    assert tarefa.Dict(OrderedDict(a=1)) == {"a": 1}
    assert tarefa.Dict.fromkeys("ab", 3) == {"a": 3, "b": 3}
    assert tarefa.Dict.fromkeys("ab") == {"a": None, "b": None}
    assert dict(tarefa.Dict(a=1)) == {"a": 1}
    assert dict(**tarefa.Dict(a=1)) == {"a": 1}
    with pytest.raises(TypeError, match="at most 1 argument, got 2"):
        tarefa.Dict({}, {})
    with pytest.raises(TypeError):
        tarefa.Dict(5)
    with pytest.raises(ValueError, match="length"):
        tarefa.Dict([(1, 2, 3)])


def test_a_class_of_ones_own():
    class Upper(tarefa.Dict):
        def __missing__(self, key):
            return key.upper()

    ours = Upper(a=1)
    assert ours["a"] == 1
    assert ours["b"] == "B"
    assert ours.get("b") is None
    assert type(ours.copy()) is Upper
    assert type(ours | {}) is Upper
    assert repr(ours) == "Upper({'a': 1})"


def test_copies():
    ours = tarefa.Dict(a=[1])
    for other in (ours.copy(), copy.copy(ours), copy.deepcopy(ours)):
        assert type(other) is tarefa.Dict
        assert other == ours
        other["b"] = 1
    assert ours == {"a": [1]}
    assert type(ours.snapshot()) is dict


def test_a_pickle_is_the_same_dict():
    ours = tarefa.Dict(a=1)
    again = pickle.loads(pickle.dumps(ours))
    again["b"] = 2
    assert ours == {"a": 1, "b": 2}


def test_keys_views_have_the_mapping_and_can_be_reversed():
    ours = tarefa.Dict(a=1, b=2)
    assert ours.keys().mapping["a"] == 1
    assert list(reversed(ours.items())) == [("b", 2), ("a", 1)]
    assert list(reversed(ours.values())) == [2, 1]
    assert repr(ours.keys()) == "DictKeys(['a', 'b'])"
    keys = ours.keys()
    ours["c"] = 3
    assert list(keys) == ["a", "b", "c"]


def test_large():
    ours = tarefa.Dict((i, -i) for i in range(30_000))
    ours.update((str(i), "x" * 100) for i in range(1000))
    for i in range(0, 30_000, 2):
        del ours[i]
    assert list(ours)[:3] == [1, 3, 5]
    assert len(ours) == 16_000
    shot = ours.snapshot()
    assert sum(shot[i] for i in range(1, 30_000, 2)) == -(15_000**2)
    ours.update(dict.fromkeys(range(1, 200, 2), 0))
    assert ours[3] == 0
    while ours:
        ours.popitem()
    assert list(ours.items()) == []


def test_nothing_is_lost_when_an_update_fails():
    ours = tarefa.Dict(a=1)
    with pytest.raises(tarefa.NotPicklable, match="generator"):
        ours.update(a=2, b=(i for i in "ab"))
    with pytest.raises(tarefa.NotAKey):
        ours.update({"a": 2, object(): 1})
    assert ours == {"a": 1}


def test_a_container_is_not_put_into_itself():
    ours, lists, sets = tarefa.Dict(), tarefa.List(), tarefa.Set()
    space, counts = tarefa.Namespace(), tarefa.Counter()
    for operation in (
        lambda: ours.__setitem__("a", ours),
        lambda: ours.__setitem__("a", [{"b": (ours,)}]),
        lambda: ours.setdefault("a", ours),
        lambda: ours.update(a=1, b=ours),
        lambda: ours.update_value("a", lambda old: ours, 1),
        lambda: counts.__setitem__("a", counts),
        lambda: setattr(space, "a", space),
        lambda: setattr(space, "a", [space]),
        lambda: lists.append(lists),
        lambda: lists.append([lists]),
        lambda: lists.extend([1, lists]),
        lambda: lists.insert(0, lists),
        lambda: lists.__setitem__(slice(0, 0), [lists]),
        lambda: sets.add((1, tarefa.Lock(), sets)),
    ):
        with pytest.raises((ValueError, tarefa.NotAKey), match=r"itself|unhashable"):
            operation()
    lists.append(1)
    with pytest.raises(ValueError, match="itself"):
        lists[0] = lists
    assert (len(ours), list(lists), len(sets)) == (0, [1], 0)
    assert len(counts) == 0


def test_add_takes_any_numbers():
    from decimal import Decimal
    from fractions import Fraction

    ours = tarefa.Dict(big=2**70, half=Fraction(1, 2), text="a", money=Decimal("1.10"), yes=True)
    assert ours.add("new") == 1
    assert ours.add("new", 2.5) == 3.5
    assert ours.add("big", 1) == 2**70 + 1
    assert ours.add("big", -(2**70)) == 1
    assert ours.add("edge", 2**49) == 2**49
    assert ours.add("half", Fraction(1, 2)) == 1
    assert ours.add("money", Decimal("0.90")) == Decimal("2.00")
    assert ours.add("yes", True) == 2
    assert ours.add("yes", -(2**49) - 2) == -(2**49)
    with pytest.raises(TypeError):
        ours.add("text", 1)
    with pytest.raises(TypeError):
        ours.add("new", None)
    with pytest.raises(TypeError):
        ours.add("new", "a")
    assert ours["text"] == "a"
    assert ours["new"] == 3.5


def test_update_value_lets_errors_through():
    ours = tarefa.Dict(a=1)
    with pytest.raises(ZeroDivisionError):
        ours.update_value("a", lambda old: old / 0)
    with pytest.raises(TypeError):
        ours.update_value("a", 5)
    assert ours == {"a": 1}
    assert ours.update_value("b", lambda old: [*old, 1], []) == [1]
    assert not ours.lock().locked()


def test_compared_with_others():
    assert tarefa.Dict(a=1) != 5
    assert tarefa.Dict(a=1) == tarefa.Dict(a=1)
    assert tarefa.Dict(a=1) != {"a": 2}
    assert tarefa.Dict(a=1) == Counter(a=1)
    with pytest.raises(TypeError):
        tarefa.Dict() | [("a", 1)]
    ours = tarefa.Dict()
    ours |= [("a", 1)]
    assert ours == {"a": 1}
    with pytest.raises(TypeError):
        hash(ours)


def test_a_cycle_is_shown_once():
    outer, inner = tarefa.Dict(), tarefa.Dict()
    outer["in"], inner["out"] = inner, outer
    assert repr(outer) == "tarefa.Dict({'in': tarefa.Dict({'out': tarefa.Dict({...})})})"
    inner.clear()
