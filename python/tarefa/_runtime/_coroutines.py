"""For type checkers: what the coroutine of an ``async def`` returns."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypeVar

    # A function that never returns is taken for any coroutine, of which nothing is known.
    C = TypeVar("C", default=Any)
