"""What can be a key: two keys are one in a `Dict` just when they are in a `dict`."""

import datetime as dt
import decimal
import enum
import fractions
import math
import pathlib
import pickle
import re
import uuid
import zoneinfo
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import tarefa

# What explains a failure takes minutes, with keys as large as these.
FAST = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 10**20


class Word(enum.StrEnum):
    A = "a"


class Mode(enum.Flag):
    R = 1
    W = 2


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


class Point(NamedTuple):
    x: object
    y: object


@dataclass(frozen=True)
class Place:
    name: object
    number: object = 0
    note: object = field(default="", compare=False)


@dataclass(frozen=True, order=True)
class Other:
    name: object
    number: object = 0


@dataclass(frozen=True)
class Deeper(Place):
    pass


LISBON, TOKYO = zoneinfo.ZoneInfo("Europe/Lisbon"), zoneinfo.ZoneInfo("Asia/Tokyo")
zones = st.sampled_from([None, dt.UTC, dt.timezone(dt.timedelta(hours=1)), dt.UTC, LISBON, TOKYO])

small = st.integers(-3, 3)
numbers = st.one_of(
    small,
    st.booleans(),
    st.sampled_from([2**49 - 1, 2**49, -(2**49), -(2**49) - 1, 2**53, 10**20, 2**64, 10**300]),
    st.sampled_from([0.0, -0.0, 0.5, 1.5, 2.0**49, -(2.0**49), 1e20, 1e300, math.inf, -math.inf]),
    st.integers(-(2**70), 2**70),
    st.integers(-(2**70), 2**70).map(float),
    st.floats(allow_nan=False),
    st.fractions(-3, 3, max_denominator=8),
    small.map(decimal.Decimal),
    st.sampled_from(
        ["0.5", "-0", "0.10", "0.1", "1E+20", "100", "1e2", "Infinity", "1.50", "-0.25"]
    ).map(decimal.Decimal),
    st.sampled_from([0.5, 1.0, 1e20, 0.1]).map(fractions.Fraction),
    st.builds(complex, small, st.sampled_from([0.0, -0.0, 1.0])),
    st.sampled_from(list(Size)),
    small.map(Whole),
)
times = st.one_of(
    st.dates(dt.date(2024, 1, 1), dt.date(2024, 1, 3)),
    st.builds(
        dt.datetime,
        st.just(2024),
        st.sampled_from([3, 10]),
        st.sampled_from([26, 27, 31]),
        st.integers(0, 3),
        st.sampled_from([0, 30]),
        tzinfo=zones,
        fold=st.integers(0, 1),
    ),
    st.builds(dt.time, st.integers(0, 2), tzinfo=zones, fold=st.integers(0, 1)),
    st.builds(dt.timedelta, hours=st.integers(0, 48)),
    st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(0), "name"), LISBON, TOKYO]),
)
scalars = st.one_of(
    numbers,
    times,
    st.none(),
    st.text(st.characters(), max_size=2),
    st.sampled_from(
        ["", "a", "\ud800", "\udfff\ud800", "é", "1", Text("a"), Text("\ud800"), Word.A]
    ),
    st.binary(max_size=2),
    st.sampled_from([..., NotImplemented, *Colour, *Mode, Mode.R | Mode.W, Mode(0)]),
    st.sampled_from([int, str, Colour, Place, len, math.sqrt, pickle.dumps, uuid.uuid4]),
    st.sampled_from([uuid.UUID(int=1), uuid.UUID(int=2)]),
    st.sampled_from(
        [
            pathlib.PurePosixPath("a/b"),
            pathlib.Path("a/b"),
            pathlib.Path("a//b/"),
            pathlib.Path("A/b"),
        ]
    ),
    st.sampled_from([pathlib.PureWindowsPath("C:/A"), pathlib.PureWindowsPath("c:\\a")]),
    st.builds(range, small, small, st.sampled_from([1, 2, -1])),
)
keys = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.tuples(inner, inner).map(lambda pair: Point(*pair)),
        st.lists(inner, max_size=3).map(frozenset),
        st.builds(Place, inner, small, st.text(max_size=1)),
        st.builds(Other, inner, small),
        st.builds(Deeper, inner, small),
    ),
    max_leaves=4,
)


def one(a, b):
    return a == b and hash(a) == hash(b)


@pytest.mark.once("what it does at random, the engine does; the other tests here run on all")
@settings(max_examples=300, deadline=None, phases=FAST)
@given(st.lists(keys, min_size=2, max_size=6))
def test_a_dict_and_a_shared_one_agree(many):
    shared = tarefa.Dict()
    for position, key in enumerate(many):
        same = [i for i, earlier in enumerate(many[:position]) if one(earlier, key)]
        assert (key in shared) == bool(same), (key, many)
        shared[key] = position
    plain = dict.fromkeys(many)
    assert len(shared) == len(plain)
    for ours, theirs in zip(shared, plain, strict=True):
        assert one(ours, theirs)
        assert type(ours) is type(theirs)
    for key in many:
        assert shared[key] == max(i for i, other in enumerate(many) if one(other, key))
    for key in plain:
        del shared[key]
    assert len(shared) == 0


@pytest.mark.once("what it does at random, the engine does; the other tests here run on all")
@settings(max_examples=200, deadline=None, phases=FAST)
@given(keys, keys)
def test_two_keys_are_one_or_two(a, b):
    shared = tarefa.Set([a])
    assert (b in shared) == one(a, b)
    found = next(iter(shared))
    assert type(found) is type(a)
    assert one(found, a)


def test_keys_come_back_as_they_were_given():
    given_ = [True, 1.5, 2.0, Size.LARGE, Text("x"), Point(1, 2), frozenset([1]), Colour.RED, -0.0]
    shared = tarefa.Dict.fromkeys(given_)
    assert list(map(repr, shared)) == list(map(repr, given_))
    assert [type(key) for key in shared] == [type(key) for key in given_]
    shared[1] = "new"
    assert next(iter(shared)) is True


def test_keys_of_another_process_are_the_same(Task):
    def look(shared, keys):
        return [shared[key] for key in keys]

    many = [1, "a", (1, "a"), Place("x", 2), Colour.BLUE, frozenset([1, (2,)]), "\ud800", Mode.R]
    shared = tarefa.Dict({key: i for i, key in enumerate(many)})
    assert Task(target=look, args=(shared, many)).start().result() == list(range(len(many)))


def test_a_lock_is_a_key():
    lock, event = tarefa.Lock(), tarefa.Event()
    shared = tarefa.Dict({lock: 1, (event, 2): 3})
    assert shared[lock] == 1
    assert shared[event, 2] == 3
    again = pickle.loads(pickle.dumps(lock))
    assert shared[again] == 1
    assert tarefa.Lock() not in shared
    assert list(shared) == [lock, (event, 2)]


class Own:
    def __eq__(self, other):
        return True

    def __hash__(self):
        return 1


class OwnInt(int):
    def __eq__(self, other):
        return False

    __hash__ = int.__hash__


@dataclass(frozen=True)
class OwnEqual:
    x: int

    def __eq__(self, other):
        return self is other

    __hash__ = object.__hash__


@dataclass
class Changing:
    x: int


@dataclass(unsafe_hash=True)
class ChangingHashed:
    x: int


def inner():
    @dataclass(frozen=True)
    class Local:
        x: int

    return Local(1)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (math.nan, "NaN"),
        ((1, math.nan), r"key\[1\] .*NaN"),
        (complex(1, math.nan), "NaN"),
        (decimal.Decimal("NaN"), "NaN"),
        (decimal.Decimal("1e999999"), "too large"),
        (object(), "only itself"),
        (Own(), "Own.__eq__"),
        (OwnInt(3), "OwnInt.__eq__"),
        (OwnEqual(3), "only itself|OwnEqual.__eq__"),
        (ChangingHashed(3), "frozen"),
        (inner(), "cannot import"),
        (lambda: 1, "cannot import"),
        ([].append, "only itself|copy"),
        ((1, (2, Own())), r"key\[1\]\[1\] \(Own"),
        (Place(Own()), r"key.name \(Own"),
        (frozenset([Own()]), r"a member of key \(Own"),
        ([], "unhashable type: 'list'$"),
        ({}, "unhashable type: 'dict'"),
        ((1, [2]), r"unhashable type: 'list': key\[1\]"),
        (Changing(1), "unhashable type: 'Changing'"),
        (Place([1]), r"unhashable type: 'list': key.name"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_key_is_refused_with_the_reason(key, said):
    shared, plain = tarefa.Dict(a=1), tarefa.Set("a")
    for operation in (
        lambda: shared.__setitem__(key, 1),
        lambda: shared[key],
        lambda: key in shared,
        lambda: shared.get(key),
        lambda: shared.pop(key, None),
        lambda: shared.update([(1, 2), ((1, Own()), 1)]),
        lambda: plain.add(key),
        lambda: key in plain,
    ):
        with pytest.raises(tarefa.NotAKey) as caught:
            operation()
        assert isinstance(caught.value, TypeError)
        expected = "Own.__eq__" if str(caught.value).startswith("key[1] (Own") else said
        assert re.search(expected, str(caught.value)), caught.value
    assert shared == {"a": 1}
    assert plain == {"a"}


def test_containers_are_unhashable():
    for container in (tarefa.Dict(), tarefa.List(), tarefa.Set(), tarefa.Counter()):
        with pytest.raises(tarefa.NotAKey, match="unhashable"):
            tarefa.Dict()[container] = 1


def test_a_key_too_deep():
    key = ()
    for _ in range(100_000):
        key = (key,)
    with pytest.raises(RecursionError):
        tarefa.Dict()[key] = 1


def test_numpy_scalars():
    np = pytest.importorskip("numpy")
    shared = tarefa.Dict({5: "five", 0.5: "half", "x": "text", True: "yes", 1 + 2j: "complex"})
    assert shared[np.int64(5)] == shared[np.uint8(5)] == "five"
    assert shared[np.float32(0.5)] == "half"
    assert shared[np.str_("x")] == "text"
    assert shared[np.bool_(True)] == "yes"
    assert shared[np.complex128(1 + 2j)] == "complex"
    with pytest.raises(tarefa.NotAKey):
        shared[np.datetime64("2024-01-01")]
    with pytest.raises(tarefa.NotAKey):
        shared[np.float64("nan")]
