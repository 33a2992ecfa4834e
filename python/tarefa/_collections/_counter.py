"""``Counter``: what ``collections.Counter`` has, in memory that threads and processes share."""

from __future__ import annotations

import collections
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

from tarefa._collections._dict import Dict, show
from tarefa._engine import register_class
from tarefa._runtime._errors import NestedUpdate
from tarefa._runtime._module_objects import is_attached


def _counts(arguments: tuple[Any, ...], named: dict[str, Any]) -> dict[Any, Any]:
    """What is to be counted, as plain counts."""
    if len(arguments) > 1:
        raise TypeError(f"expected at most 1 argument, got {len(arguments)}")
    counts: collections.Counter[Any] = collections.Counter()
    if arguments and arguments[0] is not None:
        counts.update(_plain(arguments[0]))
    counts.update(named)
    return counts


def _plain(other: Any) -> Any:
    return other.snapshot() if isinstance(other, Dict) else other


class Counter(Dict):
    """A counter that threads and processes share.

    It is a :class:`Dict` with all that ``collections.Counter`` has: what is not in it counts 0.
    :meth:`update` and :meth:`subtract` count everything at one instant, and :meth:`add` one
    thing; ``c[k] += n`` is two operations, between which others may come.
    """

    __module__ = "tarefa"
    __slots__ = ()
    _KIND = 11

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        counts = _counts(args, kwargs)
        if counts and not is_attached(self):
            self.put_all(counts)

    def __missing__(self, key: Any) -> int:
        """What a key counts that is not there."""
        return 0

    def __delitem__(self, key: Any, /) -> None:
        self.pop(key, None)

    @classmethod
    def fromkeys(cls, keys: Iterable[Any], value: Any = None, /) -> Self:
        """As in ``collections.Counter``: not to be had."""
        raise NotImplementedError(
            "Counter.fromkeys() is undefined.  Use Counter(iterable) instead."
        )

    def snapshot(self) -> collections.Counter[Any]:
        """A plain ``collections.Counter`` of what is in it at this instant."""
        return collections.Counter(self.read_dict()[1])

    def elements(self) -> Iterator[Any]:
        """Each key as often as it counts, at this instant."""
        return self.snapshot().elements()

    def most_common(self, n: int | None = None) -> list[tuple[Any, Any]]:
        """The ``n`` keys that count most, or all, with their counts, at this instant."""
        return self.snapshot().most_common(n)

    def total(self) -> Any:
        """The sum of all counts, at this instant."""
        return sum(self.read("values")[1])

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Count things, or add counts, all at one instant."""
        self._count(_counts(args, kwargs))

    def subtract(self, *args: Any, **kwargs: Any) -> None:
        """Take counts away, all at one instant; they may fall below 0."""
        self._count({key: -count for key, count in _counts(args, kwargs).items()})

    def _count(self, counts: dict[Any, Any]) -> None:
        if counts and self.apply([("add", key, n) for key, n in counts.items()]) is None:
            self._become(lambda now: {key: now.get(key, 0) + n for key, n in counts.items()})

    def _become(
        self, change: Callable[[dict[Any, Any]], dict[Any, Any]], only: bool = False
    ) -> None:
        """Set counts to what ``change`` makes of all of them, at one instant."""

        def attempt() -> bool | None:
            version, now = self.read_dict()
            return self.apply([("put", *pair) for pair in change(now).items()], version, only)

        self.retry_optimistic(attempt, NestedUpdate)

    def copy(self) -> Self:
        """A new shared counter with the same counts."""
        return type(self)(self.snapshot())

    __copy__ = copy

    def _with(self, other: object, how: Callable[[Any, Any], Any]) -> Any:
        if not isinstance(other, (collections.Counter, Counter)):
            return NotImplemented
        return type(self)(how(self.snapshot(), _plain(other)))

    def __add__(self, other: object, /) -> Any:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: object, /) -> Any:
        return self._with(other, lambda a, b: a - b)

    def __or__(self, other: object, /) -> Any:
        return self._with(other, lambda a, b: a | b)

    def __and__(self, other: object, /) -> Any:
        return self._with(other, lambda a, b: a & b)

    def __pos__(self) -> Self:
        return type(self)(+self.snapshot())

    def __neg__(self) -> Self:
        return type(self)(-self.snapshot())

    def _into(self, other: object, how: Callable[[Any, Any], Any]) -> Any:
        if not isinstance(other, (collections.Counter, Counter)):
            return NotImplemented
        plain = _plain(other)
        # As in place, not as a sum: of two equal counts, 1 and 1.0, another one stays.
        self._become(lambda now: how(collections.Counter(now), plain), only=True)
        return self

    def __iadd__(self, other: object, /) -> Self:
        return self._into(other, operator.iadd)  # type: ignore[no-any-return]

    def __isub__(self, other: object, /) -> Self:
        return self._into(other, operator.isub)  # type: ignore[no-any-return]

    def __ior__(self, other: object, /) -> Self:
        return self._into(other, operator.ior)  # type: ignore[no-any-return]

    def __iand__(self, other: object, /) -> Self:
        return self._into(other, operator.iand)  # type: ignore[no-any-return]

    def _compare(self, other: object, how: Callable[[Any, Any], bool]) -> Any:
        if not isinstance(other, (collections.Counter, Counter)):
            return NotImplemented
        return how(self.snapshot(), _plain(other))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Mapping) and not isinstance(other, (collections.Counter, Counter)):
            return bool(dict(self.snapshot()) == _plain(other))
        return self._compare(other, lambda a, b: a == b)  # type: ignore[no-any-return]

    def __lt__(self, other: object) -> bool:
        return self._compare(other, lambda a, b: a < b)  # type: ignore[no-any-return]

    def __le__(self, other: object) -> bool:
        return self._compare(other, lambda a, b: a <= b)  # type: ignore[no-any-return]

    def __gt__(self, other: object) -> bool:
        return self._compare(other, lambda a, b: a > b)  # type: ignore[no-any-return]

    def __ge__(self, other: object) -> bool:
        return self._compare(other, lambda a, b: a >= b)  # type: ignore[no-any-return]

    __hash__ = None

    def __repr__(self) -> str:
        name = type(self).__name__

        def text() -> str:
            counts = self.snapshot()
            return (
                f"tarefa.{name}({repr(counts)[len('Counter(') : -1]})"
                if counts
                else f"tarefa.{name}()"
            )

        return show(self, text, f"tarefa.{name}({{...}})")


register_class("Counter", Counter)
