"""``configure``: how the runtime works."""

from __future__ import annotations

from tarefa import _engine


def configure(*, spares: int | None = None, report_after: float | None = None) -> None:
    """Set how the runtime works, for all processes in it.

    Args:
        spares: how many processes are forked ahead, so that a start is one wake-up: 0 to 64.
            The environment variable ``TAREFA_SPARES`` sets it from outside.
        report_after: seconds after which a wait in tarefa has a report of who waits for whom
            written to standard error, as :func:`deadlocks` makes it; once for each wait, which
            goes on. 0 turns that off, as it is at first. The environment variable
            ``TAREFA_REPORT_AFTER`` sets it from outside. Waits that sleep already keep to what
            was set before.

    Raises:
        ValueError: a number out of range.
        TypeError: what should be a number is none.
    """
    if report_after is not None:
        if isinstance(report_after, bool) or not isinstance(report_after, (int, float)):
            kind = type(report_after).__name__
            raise TypeError(f"report_after must be a number of seconds, not {kind}")
        if not report_after >= 0:
            raise ValueError(
                f"report_after must be a number of seconds, not below 0: {report_after}"
            )
        _engine.set_report_after(float(report_after) or None)
    if spares is not None:
        if type(spares) is not int:
            raise TypeError(f"spares must be a whole number, not {type(spares).__name__}")
        most = _engine.most_spares()
        if not 0 <= spares <= most:
            raise ValueError(f"spares must be from 0 to {most}: {spares}")
        _engine.prepare_zygote()
        _engine.set_spares(spares)
