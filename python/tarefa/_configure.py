"""``configure``: how processes are kept ready."""

from __future__ import annotations

from tarefa import _engine


def configure(*, spares: int | None = None) -> None:
    """Set how the runtime works, for all processes in it.

    Args:
        spares: how many processes are forked ahead, so that a start is one wake-up: 0 to 64.
            The environment variable ``TAREFA_SPARES`` sets it from outside.

    Raises:
        ValueError: a number out of range.
    """
    if spares is not None:
        if type(spares) is not int:
            raise TypeError(f"spares must be a whole number, not {type(spares).__name__}")
        if not 0 <= spares <= 64:
            raise ValueError(f"spares must be from 0 to 64: {spares}")
        from tarefa._process import prepare

        prepare()
        _engine.set_spares(spares)
