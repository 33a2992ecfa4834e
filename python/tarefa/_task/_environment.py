"""What a child must have of its starter: environment, folder, paths, variables, settings.

The zygote was made at some time; a child gets what has changed since.
"""

from __future__ import annotations

import _warnings
import contextvars
import os
import sys
from types import ModuleType

from tarefa._engine import Unchanged
from tarefa._runtime import _configure
from tarefa._task import _interpreter_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What `configure` was given to be called before each target, here or in a process that started
# this one.
initializer: tuple[Any, tuple[Any, ...], dict[str, Any]] | None = None


def set_initializer(function: Any, args: tuple[Any, ...]) -> None:
    """For :func:`tarefa.configure`: have it called in each process, before its target."""
    global initializer
    if function is not None and not callable(function):
        raise TypeError(f"initializer must be callable; it is {type(function).__name__}")
    if function is None:
        initializer = None
        return
    initializer = (_by_name(function), args, {})


class _Named:
    """A function that its module knows by that name."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def __call__(self, *args: Any) -> Any:
        import importlib

        return getattr(importlib.import_module(self._module), self._name)(*args)

    def __repr__(self) -> str:
        return f"{self._module}.{self._name}"


def _by_name(function: Any) -> Any:
    """The same, but by its name if it is a method of an object of its module's.

    ``random.seed`` is one: pickled by value, it would be a copy's in the process.
    """
    owner = getattr(function, "__self__", None)
    if owner is None or isinstance(owner, (type, ModuleType)):
        return function
    module = getattr(function, "__module__", None) or type(owner).__module__
    name = getattr(function, "__name__", "")
    if module == "__main__" or getattr(sys.modules.get(module), name, None) != function:
        return function
    return _Named(module, name)


def set_logging(how: str | None) -> None:
    """Where processes log to that this one starts from now on: see :func:`tarefa.configure`."""
    from tarefa._task import _logging_state

    if how is not None or _logging_state.find_forward is not None:
        from tarefa._channel import _log_forward

        _logging_state.find_forward = _log_forward.handler
        (_log_forward.stop if how is None else _log_forward.start)()


_configure.set_initializer = set_initializer
_configure.set_logging = set_logging

# What the zygote has.
_baseline: dict[str, Any] | None = None
# Tells whether all is as when nothing was different.
_unchanged: Unchanged | None = None


def take_baseline() -> dict[str, Any]:
    """Note what there is now as what the zygote has."""
    global _baseline, _unchanged
    _baseline, _unchanged = _now(), None
    return _baseline


def set_baseline(baseline: dict[str, Any]) -> None:
    """In the zygote: note what the root had."""
    global _baseline, _unchanged
    _baseline, _unchanged = baseline, None


def _now() -> dict[str, Any]:
    filters = list(_interpreter_state.filters_now())
    return {
        "env": dict(_environ()),
        "cwd": _folder(),
        "path": _path(),
        "argv": _arguments(),
        "state": _interpreter_state.now(),
        # Those that the zygote cannot have travel with each task.
        "filters": filters if _interpreter_state.are_plain(filters) else None,
    }


def _environ() -> dict[bytes, bytes]:
    """The environment as it is; a program may have put anything in its place."""
    data = getattr(os.environ, "_data", None)
    if type(data) is dict:
        return data
    return {os.fsencode(k): os.fsencode(v) for k, v in os.environ.items()}


def _folder() -> str:
    """The working directory: its path, or for one that has none any more, how others reach it."""
    try:
        return os.getcwd()
    except OSError:
        return _unnamed_folder()


def _unnamed_folder() -> str:
    return f"/proc/{os.getpid()}/cwd"


def _path() -> list[Any]:
    return list(sys.path)


def _arguments() -> Any:
    """``sys.argv``, which a program may have taken away."""
    found = getattr(sys, "argv", None)
    return list(found) if type(found) is list else found


def difference() -> dict[str, Any] | None:
    """What a child needs besides what the zygote has; None for nothing."""
    global _unchanged
    known = _unchanged
    if known is not None and known.holds():
        return None
    _unchanged = None
    extra = _difference()
    if extra is None:
        _unchanged = _watch()
    return extra


def _watch() -> Unchanged | None:
    """Something that tells whether all is as it is now, where nothing is different."""
    if _baseline is None or type(os.environ) is not _ENVIRON or _baseline["filters"] is None:
        return None
    none: Any = contextvars.Context()
    if contextvars.copy_context() != none:
        return None
    same, equal, calls = _interpreter_state.to_watch()
    # Not those of the variables: any of these may travel.
    calls.append((contextvars.copy_context, none))
    same.append((os, "environ", os.environ))
    equal += (
        (os.environ, "_data", _baseline["env"]),
        (sys, "path", _baseline["path"]),
        (sys, "argv", _baseline["argv"]),
    )
    equal.append((sys.modules.get("warnings", _warnings), "filters", _baseline["filters"]))
    if "logging" in sys.modules:
        from tarefa._task import _logging_state

        # It is as at first: nothing is different.
        try:
            more = _logging_state.to_watch()
        except AttributeError:
            return None
        same += more[0]
        equal += more[1]
    return Unchanged(same, equal, calls, sys.modules, os.fsencode(_folder()))


_ENVIRON = type(os.environ)


def _difference() -> dict[str, Any] | None:
    extra: dict[str, Any] = {}
    if _baseline is None:
        extra = _now()
        extra["filters"] = _interpreter_state.pack_filters(_interpreter_state.filters_now())
    else:
        environ = _environ()
        if environ != _baseline["env"]:
            extra["env"] = dict(environ)
        folder = _folder()
        # One without a path may be another than before.
        if folder != _baseline["cwd"] or folder == _unnamed_folder():
            extra["cwd"] = folder
        if sys.path != _baseline["path"]:
            extra["path"] = _path()
        if getattr(sys, "argv", None) != _baseline["argv"]:
            extra["argv"] = _arguments()
        state, had = _interpreter_state.now(), _baseline["state"]
        if state != had:
            extra["state"] = _interpreter_state.difference(state, had)
        filters = _interpreter_state.filters_now()
        if filters != _baseline["filters"]:
            extra["filters"] = _interpreter_state.pack_filters(filters)
    if "logging" in sys.modules:
        from tarefa._task import _logging_state

        logs = _logging_state.now()
        if logs is not None:
            extra["logging"] = _logging_state.pack(logs)
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
        if _interpreter_state.is_decimals(var):
            continue
        try:
            pairs.append(dumps((var, value)))
        except Exception:  # noqa: S112 - one that does not pickle stays behind, by design
            continue
    return pairs  # type: ignore[return-value]


def apply(extra: dict[str, Any]) -> None:
    """In the child: become as the starter was."""
    env = extra.get("env")
    if env is not None:
        there = _environ()
        for key in [k for k in there if k not in env]:
            del os.environ[os.fsdecode(key)]
        for key, value in env.items():
            if there.get(key) != value:
                os.environ[os.fsdecode(key)] = os.fsdecode(value)
    if "cwd" in extra:
        os.chdir(extra["cwd"])
    if "path" in extra:
        sys.path[:] = extra["path"]
    if "argv" in extra:
        sys.argv = extra["argv"]
    if "state" in extra:
        _interpreter_state.apply(extra["state"])


# The context variables that this process had from its starter, as they arrived.
arrived: dict[contextvars.ContextVar[Any], Any] = {}


def apply_context(extra: dict[str, Any]) -> None:
    """In the child, once modules and the script's classes can be found: what mentions them."""
    from tarefa._convert._pickling import loads

    if "filters" in extra:
        _interpreter_state.set_filters(extra["filters"])
    if "logging" in extra:
        from tarefa._task import _logging_state

        _logging_state.apply(extra["logging"])
    for data in extra.get("context", ()):
        try:
            var, value = loads(data)
            var.set(value)
            arrived[var] = value
        except Exception:  # noqa: S112 - what cannot be made here stays behind
            continue
