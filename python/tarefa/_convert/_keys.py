"""What can be a key: whatever is equal to the same things in every process.

The native half knows numbers, strings, bytes, tuples and frozensets. Anything else is reduced
here: to an equal object of those, or to a kind and parts, which are keys themselves. Two keys are
one if their kinds and parts are; so each function below must give the same for equal objects, and
something else for others.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import sys
import types
import weakref
from collections.abc import Callable
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from pathlib import PurePath, PureWindowsPath
from typing import Any
from uuid import UUID

from tarefa._engine import EventCore, LockCore
from tarefa._runtime._errors import NotAKey

# An equal key, or a kind, its parts and perhaps their names in messages; or why it is no key, or
# None for what is unhashable.
_Reduced = tuple[Any, ...] | str | None

_IDENTITY = "it equals only itself, and in another process there is only a copy of it"
_NAN = "a NaN equals nothing, itself included, so it could never be found again"
_FIRST = dt.datetime(1, 1, 1)  # noqa: DTZ001 - instants are counted from it, without a zone
_LARGEST = 10_000  # decimal digits of a whole number, and of a denominator


def reduce_key(obj: Any) -> _Reduced:
    """What ``obj`` is as a key."""
    cls: Any = type(obj)
    known = _EXACT.get(cls)
    if known is not None:
        return known(obj)
    if cls.__hash__ is None:
        return None
    for base, reduce in _INHERITED:
        if isinstance(obj, base) and _compares_as(cls, base):
            return reduce(obj)
    if isinstance(obj, type):
        return _by_name(obj) if _compares_as(cls, type) else _own(cls)
    if isinstance(obj, Enum) and _compares_as(cls, Enum):
        return _enum(obj)
    if dataclasses.is_dataclass(cls):
        return _dataclass(obj)
    zoneinfo = sys.modules.get("zoneinfo")
    if zoneinfo is not None and cls is zoneinfo.ZoneInfo:
        return _zone(obj)
    if cls.__module__ == "numpy":
        return _numpy(obj)
    return _own(cls)


def refusal(obj: Any, place: str, reason: str | None) -> NotAKey:
    """The error for an object that cannot be a key, at ``place`` in one."""
    if reason is None:
        where = "" if place == "key" else f": {place}"
        return NotAKey(f"unhashable type: {type(obj).__name__!r}{where}")
    from tarefa._convert._culprit import describe

    return NotAKey(f"{place} ({describe(obj)}) cannot be shared as a key: {reason}")


def _compares_as(cls: Any, base: Any) -> bool:
    return bool(cls.__eq__ is base.__eq__ and cls.__hash__ is base.__hash__)


def _own(cls: Any) -> str:
    if cls.__eq__ is object.__eq__:
        return _IDENTITY
    return (
        f"what it equals is up to {cls.__qualname__}.__eq__, which other processes and languages "
        "may not have; use what it compares by, say a tuple"
    )


def _complex(z: complex) -> _Reduced:
    if z != z:
        return _NAN
    return (None, z.real) if z.imag == 0 else ("complex", (z.real, z.imag))


def _rational(n: Fraction) -> _Reduced:
    if n.denominator == 1:
        return None, n.numerator
    if n.denominator & (n.denominator - 1) == 0:
        # A float may be equal to it.
        try:
            x = n.numerator / n.denominator
        except OverflowError:
            x = 0.0
        if Fraction(x) == n:
            return None, x
    return "rational", (n.numerator, n.denominator)


def _fraction(n: Fraction) -> _Reduced:
    return _rational(Fraction(n.numerator, n.denominator))


def _decimal(n: Decimal) -> _Reduced:
    if n.is_nan():
        return _NAN
    if n.is_infinite():
        return None, float(n)
    if not n:
        return None, 0
    exponent = n.as_tuple().exponent
    if not isinstance(exponent, int) or n.adjusted() > _LARGEST or exponent < -_LARGEST:
        return f"a Decimal of more than {_LARGEST:,} digits before or after the point is too large"
    return _rational(Fraction(n))


def _datetime(at: dt.datetime) -> _Reduced:
    offset = at.utcoffset()
    if offset is None:
        return "datetime", (*at.timetuple()[:6], at.microsecond)
    other = at.replace(fold=1 - at.fold).utcoffset()
    if other == offset:
        # Between zones by the instant; within one zone, by the clock, it comes to the same.
        instant = at.replace(tzinfo=None, fold=0) - _FIRST - offset
        return "instant", (instant.days, instant.seconds, instant.microseconds)
    # Where the clock is set, it equals nothing of another zone.
    zone = reduce_key(at.tzinfo)
    if not isinstance(zone, tuple):
        return "at this time the clocks of its zone are set, and its zone has no name"
    clock = (*at.timetuple()[:6], at.microsecond)
    return "clock", (*clock, at.tzinfo)


def _time(at: dt.time) -> _Reduced:
    offset = at.utcoffset()
    seconds = (at.hour * 60 + at.minute) * 60 + at.second
    if offset is None:
        return "time", (seconds, at.microsecond)
    rest = dt.timedelta(seconds=seconds, microseconds=at.microsecond) - offset
    return "time with zone", (rest.days, rest.seconds, rest.microseconds)


def _path(path: PurePath) -> _Reduced:
    if isinstance(path, PureWindowsPath):
        return "windows path", tuple(part.lower() for part in path.parts)
    return "path", path.parts


def _range(of: range) -> _Reduced:
    if not of:
        return "range", (0,)
    return "range", (len(of), of.start) if len(of) == 1 else (len(of), of.start, of.step)


def _zone(zone: Any) -> _Reduced:
    key = zone.key
    if key is None or type(zone)(key) is not zone:
        return "the zone was not made from its name alone"
    return "zone", (key,)


def _module(obj: Any) -> str | None:
    """The module in which other processes find a class or function; None if they do not.

    The classes of ``__main__`` travel by value, and each process makes each of them once.
    """
    module = getattr(obj, "__module__", None)
    name = getattr(obj, "__qualname__", "<locals>")
    if not isinstance(module, str) or "<" in name:
        return None
    found: Any = sys.modules.get(module)
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError:
        return module if module == "__main__" and isinstance(obj, type) else None
    if found is not obj or (module == "__main__" and not isinstance(obj, type)):
        return None
    return module


def _by_name(obj: Any) -> _Reduced:
    module = _module(obj)
    if module is None:
        return "other processes cannot import it by its name"
    return "name", (module, obj.__qualname__)


def _function(obj: Any) -> _Reduced:
    if isinstance(obj, types.BuiltinFunctionType):
        owner = obj.__self__
        if not (owner is None or isinstance(owner, types.ModuleType)):
            return _IDENTITY
    return _by_name(obj)


def _enum(member: Enum) -> _Reduced:
    cls = type(member)
    module = _module(cls)
    if module is None:
        return f"other processes cannot import {cls.__qualname__} by its name"
    if isinstance(member, Flag) and member.name is None:
        return "flags", (module, cls.__qualname__, member.value)
    return "enum", (module, cls.__qualname__, member.name)


def _dataclass(obj: Any) -> _Reduced:
    cls: Any = type(obj)
    fields = _fields.get(cls)
    if fields is None:
        fields = _fields[cls] = _find_fields(cls)
    if isinstance(fields, str):
        return fields
    module = _module(cls)
    if module is None:
        return f"other processes cannot import {cls.__qualname__} by its name"
    parts = (module, cls.__qualname__, *(getattr(obj, name) for name in fields))
    return "dataclass", parts, ("", "", *(f".{name}" for name in fields))


# The fields that a dataclass compares by, or why it does not.
_fields: weakref.WeakKeyDictionary[Any, tuple[str, ...] | str] = weakref.WeakKeyDictionary()


def _find_fields(cls: Any) -> tuple[str, ...] | str:
    maker = next(base for base in cls.__mro__ if "__eq__" in vars(base))
    params = vars(maker).get("__dataclass_params__")
    if params is None or not params.eq or cls.__hash__ is not vars(maker).get("__hash__"):
        return _own(cls)
    if not params.frozen:
        return "it can be changed, so it may not stay equal to itself; make the dataclass frozen"
    fields = dataclasses.fields(maker)
    compared = tuple(field.name for field in fields if field.compare)
    hashed = [
        field.name for field in fields if field.hash or (field.hash is None and field.compare)
    ]
    if not set(hashed) <= set(compared):
        return _own(cls)
    # What the decorator makes of the same fields: whether nobody wrote them by hand.
    like = dataclasses.make_dataclass(
        maker.__name__,
        [
            (
                field.name,
                object,
                dataclasses.field(default=None, compare=field.compare, hash=field.hash),
            )
            for field in fields
        ],
        frozen=True,
    )
    for method in ("__eq__", "__hash__"):
        ours = getattr(getattr(maker, method), "__code__", None)
        made = getattr(like, method).__code__
        if ours is None or (ours.co_code, ours.co_names) != (made.co_code, made.co_names):
            return _own(cls)
    return compared


def _numpy(obj: Any) -> _Reduced:
    import numpy as np

    if isinstance(obj, (np.bool_, np.integer, np.floating, np.complexfloating, np.str_, np.bytes_)):
        plain = obj.item()
        if type(plain) in (bool, int, float, complex, str, bytes):
            return _complex(plain) if isinstance(plain, complex) else (None, plain)
    return _own(type(obj))


def _timedelta(d: dt.timedelta) -> _Reduced:
    return "timedelta", (d.days, d.seconds, d.microseconds)


def _timezone(zone: dt.timezone) -> _Reduced:
    return "timezone", (zone.utcoffset(None),)


_EXACT: dict[type, Callable[[Any], _Reduced]] = {
    type(...): lambda _: ("constant", ("Ellipsis",)),
    type(NotImplemented): lambda _: ("constant", ("NotImplemented",)),
    range: _range,
    complex: _complex,
    dt.timezone: _timezone,
    types.FunctionType: _function,
    types.BuiltinFunctionType: _function,
}

# Subclasses too, where they leave equality alone. More special ones first.
_INHERITED: list[tuple[type, Callable[[Any], _Reduced]]] = [
    (int, lambda n: (None, int.__int__(n))),
    (float, lambda x: (None, float.__float__(x))),
    (str, lambda s: (None, str.__str__(s))),
    (bytes, lambda b: (None, bytes.__getitem__(b, slice(None)))),
    (tuple, lambda t: (None, tuple.__getitem__(t, slice(None)))),
    (frozenset, lambda s: (None, frozenset(frozenset.__iter__(s)))),
    (complex, lambda z: _complex(complex.__complex__(z))),
    (Fraction, _fraction),
    (Decimal, _decimal),
    (dt.datetime, _datetime),
    (dt.date, lambda d: ("date", (d.toordinal(),))),
    (dt.time, _time),
    (dt.timedelta, _timedelta),
    (UUID, lambda u: ("uuid", (u.int,))),
    (PurePath, _path),
]

if sys.version_info >= (3, 12):
    _EXACT[slice] = lambda s: ("slice", (s.start, s.stop, s.step))


def _late() -> None:
    """What need not be imported before it is met."""
    for core in (LockCore, EventCore):
        for cls in core.__subclasses__():
            if cls.__module__ == "tarefa" and cls.__hash__ is not None:
                _EXACT[cls] = lambda o: ("object", o.object_id)


_late()
