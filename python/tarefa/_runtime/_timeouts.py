"""The longest time that something may be told to wait or to last."""

from __future__ import annotations

# As `threading.TIMEOUT_MAX`.
TIMEOUT_MAX = 9223372036.0


def too_large(what: str, seconds: object, without: str) -> OverflowError:
    """The error for more than that; ``without`` says what no number at all does."""
    return OverflowError(
        f"{what} is too large: {seconds!r} s are more than TIMEOUT_MAX; None {without}"
    )
