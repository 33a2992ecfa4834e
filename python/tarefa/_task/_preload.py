"""``preload``: modules that children find imported already."""

from __future__ import annotations

from collections.abc import Iterable

from tarefa import _engine
from tarefa._task._zygote_command import ensure_command, prepare


def preload(modules: Iterable[str]) -> None:
    """Have processes started from now on find these modules imported.

    They are imported once, in the process that forks all others: called before the first
    ``Process`` is made, and before ``configure``, for every process; later, for those started once
    the imports are done. A module that starts threads as it is imported cannot be kept there: a
    message says so, and processes import it themselves. Number libraries are imported with one
    thread of their own.

    Args:
        modules: names of modules, as in ``import``.

    Raises:
        TypeError: not names.
        StartError: the runtime could not be made.
    """
    if isinstance(modules, str):
        raise TypeError(f"preload takes a list of names: preload([{modules!r}])")
    names = list(modules)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"preload takes names of modules, not {type(name).__name__} {name!r}")
    import json

    ensure_command()
    # Before a zygote is asked for: it then imports before it forks its first child.
    _engine.send_to_zygote(json.dumps(names).encode() + b"\n")
    prepare()


def note_needed(names: list[str]) -> None:
    """In a child: tell the zygote which modules its task needed, so that the next finds them."""
    import json

    try:
        _engine.send_to_zygote(json.dumps({"needed": names}).encode() + b"\n")
    except Exception:  # noqa: S110 - it only makes the next task slower
        pass
