"""``Counter``: what ``collections.Counter`` has, in memory that threads and processes share."""

from __future__ import annotations

import collections
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized

from tarefa._collections._dict import Dict, K
from tarefa._collections._room import check_distinct, check_keys, pieces
from tarefa._engine import register_class
from tarefa._runtime._errors import NestedUpdate
from tarefa._runtime._module_objects import is_attached
from tarefa._runtime._shared import copied, state_of
from tarefa._runtime._showing import count_of, once, pair, shown, title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, overload
else:
    from tarefa._runtime._untyped import overload


def _counts(arguments: tuple[Any, ...], named: dict[str, Any], there: Sized = ()) -> dict[Any, Any]:
    """What is to be counted, as plain counts, for what has those ``there``."""
    if len(arguments) > 1:
        raise TypeError(f"expected at most 1 argument, got {len(arguments)}")
    counts: collections.Counter[Any] = collections.Counter()
    if arguments and arguments[0] is not None:
        counted: Any = _plain(arguments[0])
        check_distinct(counted, there)
        is_there = isinstance(counted, (Sized, Mapping))
        parts: Iterable[Any] = (counted,) if is_there else pieces(counted)
        for part in parts:
            counts.update(part)
            check_keys(counts, there)
    counts.update(named)
    return counts


def _plain(other: Any) -> Any:
    return other.snapshot() if isinstance(other, Dict) else other


class Counter(Dict[K, int]):
    """A counter that threads and processes share.

    It is a :class:`Dict` with all that ``collections.Counter`` has: what is not in it counts 0.
    :meth:`update` and :meth:`subtract` count everything at one instant, and :meth:`add` one
    thing; ``c[k] += n`` is two operations, between which others may come.
    """

    __module__ = "tarefa"
    __slots__ = ()
    _KIND = 11

    @overload
    def __init__(self, counted: None = None, /) -> None: ...
    @overload
    def __init__(self: Counter[str], counted: None = None, /, **kwargs: int) -> None: ...
    @overload
    def __init__(self, counted: Mapping[K, int] | Dict[K, int], /) -> None: ...
    @overload
    def __init__(self, counted: Iterable[K], /) -> None: ...
    def __init__(self, /, *args: Any, **kwargs: Any) -> None:
        counts = _counts(args, kwargs)
        if counts and not is_attached(self):
            self._put_all(counts)

    def __missing__(self, key: K) -> int:
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

    def snapshot(self) -> collections.Counter[K]:
        """A plain ``collections.Counter`` of what is in it at this instant."""
        return collections.Counter(self._read_dict()[1])

    def elements(self) -> Iterator[K]:
        """Each key as often as it counts, at this instant."""
        return self.snapshot().elements()

    def most_common(self, n: int | None = None) -> list[tuple[K, int]]:
        """The ``n`` keys that count most, or all, with their counts, at this instant."""
        return self.snapshot().most_common(n)

    def total(self) -> Any:
        """The sum of all counts, at this instant."""
        return sum(self._read("values")[1])

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Count things, or add counts, all at one instant."""
        self._count(_counts(args, kwargs, self))

    def subtract(self, *args: Any, **kwargs: Any) -> None:
        """Take counts away, all at one instant; they may fall below 0."""
        counts = _counts(args, kwargs, self)
        self._count({key: -count for key, count in counts.items()})

    def _count(self, counts: dict[Any, Any]) -> None:
        if counts and self._apply([("add", key, n) for key, n in counts.items()]) is None:
            self._become(lambda now: {key: now.get(key, 0) + n for key, n in counts.items()})

    def _become(
        self, change: Callable[[dict[Any, Any]], dict[Any, Any]], only: bool = False
    ) -> None:
        """Set counts to what ``change`` makes of all of them, at one instant."""

        def attempt() -> bool | None:
            version, now = self._read_dict()
            return self._apply([("put", *pair) for pair in change(now).items()], version, only)

        self._retry_optimistic(attempt, NestedUpdate)

    def copy(self) -> Self:
        """A new shared counter with the same counts."""
        return copied(self, state_of(self), self.snapshot())  # type: ignore[no-any-return]

    __copy__ = copy

    def _with(self, other: object, how: Callable[[Any, Any], Any]) -> Any:
        if not isinstance(other, (collections.Counter, Counter)):
            return NotImplemented
        return type(self)(how(self.snapshot(), _plain(other)))

    def _with_plain(self, other: object, how: Callable[[Any, Any], Any]) -> Any:
        """The same for a plain one on the left, which decides what is made."""
        return (
            how(other, self.snapshot())
            if isinstance(other, collections.Counter)
            else NotImplemented
        )

    def __add__(self, other: object, /) -> Any:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: object, /) -> Any:
        return self._with(other, lambda a, b: a - b)

    def __or__(self, other: object, /) -> Any:
        if isinstance(other, (dict, Dict)) and not isinstance(
            other, (collections.Counter, Counter)
        ):
            # Not the larger counts: as of a plain counter and a dict, what dicts make of it.
            return dict(self.snapshot()) | _plain(other)
        return self._with(other, lambda a, b: a | b)

    def __and__(self, other: object, /) -> Any:
        return self._with(other, lambda a, b: a & b)

    def __radd__(self, other: object, /) -> Any:
        return self._with_plain(other, lambda a, b: a + b)

    def __rsub__(self, other: object, /) -> Any:
        return self._with_plain(other, lambda a, b: a - b)

    def __ror__(self, other: Any, /) -> Any:
        if not isinstance(other, collections.Counter):
            return super().__ror__(other)
        return self._with_plain(other, lambda a, b: a | b)

    def __rand__(self, other: object, /) -> Any:
        return self._with_plain(other, lambda a, b: a & b)

    def __pos__(self) -> Self:
        return type(self)(+self.snapshot())

    def __neg__(self) -> Self:
        return type(self)(-self.snapshot())

    def _into(self, other: object, how: Callable[[Any, Any], Any]) -> Any:
        if not isinstance(other, (Mapping, Dict)):
            return NotImplemented
        plain = collections.Counter(_plain(other))
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
        def text() -> str:
            counts = self.snapshot()
            if not counts:
                return f"{title(self)}()"
            try:
                pairs = counts.most_common()
            except TypeError:
                # Counts that cannot be compared: as collections.Counter does.
                pairs = list(counts.items())
            return f"{title(self)}({{{shown(pairs, pair)}}}{count_of(pairs)})"

        return once(self, text, f"{title(self)}({{...}})")


register_class("Counter", Counter)
