"""Whether there is room for what is about to be stored, before the work begins."""

from __future__ import annotations

from collections.abc import Iterable, Sized

from tarefa._engine import check_room

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def as_list(iterable: Iterable[Any]) -> list[Any]:
    """The elements as a plain list.

    Raises:
        ArenaFull: they are known to be more than there is room for.
    """
    if isinstance(iterable, Sized):
        check_length(iterable)
    return list(iterable)


def check_length(sized: Sized, there: int = 0) -> None:
    """``ArenaFull`` if there is no room for so many elements but for those that are there."""
    try:
        count = len(sized)
    except OverflowError:
        # A range of more than any memory holds.
        count = 1 << 63
    if count > _FEW:
        check_room(max(0, count - there))


# For fewer the question costs more than the answer is worth.
_FEW = 4096
