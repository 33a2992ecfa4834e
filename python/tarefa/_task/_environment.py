"""What a child must have of its starter: environment, folder, import path, context variables.

The zygote was made at some time; a child gets what has changed since.
"""

from __future__ import annotations

import contextvars
import os
import sys
from typing import Any

# What the zygote has: (environment, folder, path).
_baseline: tuple[dict[bytes, bytes], str, list[str]] | None = None
_environ: Any = os.environ._data  # type: ignore[attr-defined]


def take_baseline() -> tuple[dict[bytes, bytes], str, list[str]]:
    """Note what there is now as what the zygote has."""
    global _baseline
    _baseline = (dict(_environ), _folder(), list(sys.path))
    return _baseline


def set_baseline(baseline: tuple[dict[bytes, bytes], str, list[str]]) -> None:
    """In the zygote: note what the root had."""
    global _baseline
    _baseline = baseline


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "/"


def difference() -> dict[str, Any] | None:
    """What a child needs besides what the zygote has; None for nothing."""
    extra: dict[str, Any] = {}
    if _baseline is None:
        extra = {"env": dict(_environ), "cwd": _folder(), "path": list(sys.path)}
    else:
        env, cwd, path = _baseline
        if _environ != env:
            extra["env"] = dict(_environ)
        folder = _folder()
        if folder != cwd:
            extra["cwd"] = folder
        if sys.path != path:
            extra["path"] = list(sys.path)
    context = contextvars.copy_context()
    if len(context):
        pairs = _travelling(context)
        if pairs:
            extra["context"] = pairs
    return extra or None


def _travelling(context: contextvars.Context) -> list[tuple[Any, bytes]]:
    """The variables whose values pickle, each value pickled by itself."""
    from tarefa._convert._pickling import dumps

    pairs = []
    for var, value in context.items():
        try:
            pairs.append(dumps((var, value)))
        except Exception:  # noqa: S112 - one that does not pickle stays behind, by design
            continue
    return pairs  # type: ignore[return-value]


def apply(extra: dict[str, Any]) -> None:
    """In the child: become as the starter was."""
    env = extra.get("env")
    if env is not None:
        for key in [k for k in _environ if k not in env]:
            del os.environ[os.fsdecode(key)]
        for key, value in env.items():
            if _environ.get(key) != value:
                os.environ[os.fsdecode(key)] = os.fsdecode(value)
    if "cwd" in extra:
        os.chdir(extra["cwd"])
    if "path" in extra:
        sys.path[:] = extra["path"]


def apply_context(extra: dict[str, Any]) -> None:
    """In the child, once modules can be found: set the context variables."""
    from tarefa._convert._pickling import loads

    for data in extra.get("context", ()):
        try:
            var, value = loads(data)
            var.set(value)
        except Exception:  # noqa: S112 - what cannot be made here stays behind
            continue
