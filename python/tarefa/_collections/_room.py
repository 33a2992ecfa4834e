"""Whether there is room for what is about to be stored, before the work begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from collections.abc import Set as AbstractSet
from itertools import islice

from tarefa._engine import check_room
from tarefa._runtime._errors import ArenaFull

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# For fewer the question costs more than the answer is worth.
_FEW = 4096
# What is taken of an iterator before the question is asked again.
_PIECE = 1 << 16
# Words of a key with its value in shared memory, at least.
_OF_A_KEY = 4


def as_list(iterable: Iterable[Any]) -> list[Any]:
    """The elements as a plain list.

    Raises:
        ArenaFull: they are more than there is room for; no more of them were made than show that.
    """
    if isinstance(iterable, Sized):
        check_length(iterable)
        return list(iterable)
    made: list[Any] = []
    for piece in pieces(iterable):
        made += piece
        check_length(made)
    return made


def as_dict(pairs: Iterable[Any], there: Sized) -> dict[Any, Any]:
    """What ``dict`` makes of pairs yet to be made, for an object that has those ``there``.

    Raises:
        ArenaFull: as of :func:`as_list`.
    """
    made: dict[Any, Any] = {}
    iterator = iter(pairs)
    while piece := dict(islice(iterator, _PIECE)):
        made.update(piece)
        check_keys(made, there)
    return made


def as_members(iterable: Iterable[Any], there: Sized) -> list[Any]:
    """Members that are yet to be made, for a set that has those ``there``.

    Raises:
        ArenaFull: as of :func:`as_list`.
    """
    made: list[Any] = []
    for piece in pieces(iterable):
        made += piece
        try:
            check_keys(made, there)
        except ArenaFull:
            made = list(dict.fromkeys(made))
            check_keys(made, there)
    return made


def pieces(iterable: Iterable[Any]) -> Iterator[list[Any]]:
    """The elements in lists that are not large."""
    iterator = iter(iterable)
    while piece := list(islice(iterator, _PIECE)):
        yield piece


def check_length(sized: Sized, there: Sized = ()) -> None:
    """``ArenaFull`` if there is no room for so many elements but for those that are there."""
    _check(sized, there, 1)


def check_keys(sized: Sized, there: Sized) -> None:
    """``ArenaFull`` if there is no room for so many keys but for those that are there."""
    _check(sized, there, _OF_A_KEY)


def check_distinct(given: Iterable[Any], there: Sized) -> None:
    """The same of what has no key twice; of anything else nobody knows how many are new."""
    if isinstance(given, (range, AbstractSet)):
        check_keys(given, there)


def _check(sized: Sized, there: Sized, words: int) -> None:
    try:
        count = len(sized)
    except OverflowError:
        # A range of more than any memory holds.
        count = 1 << 63
    if count > _FEW:
        before = len(there)
        # What has elements may have memory for more of them.
        check_room(max(0, count - before) * (1 if before else words))
