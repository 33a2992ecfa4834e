"""What a task's interpreter has of its starter's, besides environment, folder and path.

Settings of the interpreter, which are numbers; how its own streams write text; and what modules
keep that the starter has loaded: time zone, default timeout of sockets, decimal context, key of
``multiprocessing``, filters of warnings. Those that name classes are read once the script's are
there.
"""

from __future__ import annotations

import _thread
import _warnings
import contextvars
import io
import os
import sys
import time
from collections.abc import Callable

from tarefa._runtime import _fork_warning
from tarefa._runtime._errors import NotPicklable
from tarefa._task import _of_multiprocessing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    # What ``Unchanged`` compares: attributes that are the very same objects, equal ones, and calls.
    _Watched = tuple[list[Any], list[Any], list[Any]]


def _stack_size() -> int:
    """The stack size of new threads; asking for it sets it to the usual one."""
    size = _thread.stack_size()
    if size:
        _thread.stack_size(size)
    return size


# The interpreter's own, whatever a program has put in the place of `sys.stdout`.
_STREAMS = ("__stdout__", "__stderr__")


def _of_stream(name: str) -> tuple[str, str | None] | None:
    """How it writes text; None where the interpreter has none."""
    stream: Any = getattr(sys, name, None)
    return None if type(stream) is not _TEXT else (stream.encoding, stream.errors)


_TEXT = io.TextIOWrapper

# Of each number: how it is read, and how it is set.
_NUMBERS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "recursion limit": (sys.getrecursionlimit, sys.setrecursionlimit),
    "switch interval": (sys.getswitchinterval, sys.setswitchinterval),
    "stack size": (_stack_size, _thread.stack_size),
}
if hasattr(sys, "get_int_max_str_digits"):
    _NUMBERS["digits"] = (sys.get_int_max_str_digits, sys.set_int_max_str_digits)
_READ = [(name, read) for name, (read, _) in _NUMBERS.items()]


def now() -> dict[str, Any]:
    """What there is now that need not be so, in a form that pickles and that can be compared."""
    found = {name: read() for name, read in _READ}
    # Other zones have names alike.
    found["zone"] = time.tzname, time.timezone, time.altzone
    found["streams"] = [_of_stream(name) for name in _STREAMS]
    for name, read in _probes():
        value = read()
        if value is not None:
            found[name] = value
    return found


def to_watch() -> _Watched:
    """What tells that all of :func:`now` is still as it is now.

    For an empty context, which has no decimal context of its own.
    """
    same = [(time, name, getattr(time, name)) for name in ("tzname", "timezone", "altzone")]
    calls: list[Any] = []
    for name, read in _READ:
        value = read()
        # Without a size set, asking is all that it does.
        calls.append((_thread.stack_size if name == "stack size" and not value else read, value))
    streams = [(getattr(sys, name), _of_stream(name)) for name in _STREAMS]
    same += [(sys, name, getattr(sys, name)) for name in _STREAMS]
    equal: list[Any] = []
    for stream, how in streams:
        if how is not None:
            equal += [(stream, "encoding", how[0]), (stream, "errors", how[1])]
    watched: _Watched = same, equal, calls
    for name, read in _probes():
        watch = _WATCHED_OTHERWISE.get(name)
        if watch is None or not watch(watched):
            calls.append((read, read()))
    return watched


# How what modules keep is read, of those that are loaded; and how many modules there were.
_loaded: tuple[int, list[tuple[str, Callable[[], Any]]]] = (0, [])


def _probes() -> list[tuple[str, Callable[[], Any]]]:
    global _loaded
    if _loaded[0] != len(sys.modules):
        found = [(n, read) for n, (module, read) in _OF_MODULES.items() if module in sys.modules]
        _loaded = len(sys.modules), found
    return _loaded[1]


def _timeout() -> float | None:
    socket: Any = sys.modules["_socket"]
    found: float | None = socket.getdefaulttimeout()
    return found


def _watch_timeout(watched: _Watched) -> bool:
    socket: Any = sys.modules["_socket"]
    watched[2].append((socket.getdefaulttimeout, socket.getdefaulttimeout()))
    return True


def _usual_process() -> Any:
    """``multiprocessing``'s idea of this process, where that is its own; else None."""
    module: Any = sys.modules["multiprocessing.process"]
    found: Any = getattr(module, "_current_process", None)
    if type(found).__module__ != module.__name__:
        return None
    return found if type(getattr(found, "_config", None)) is dict else None


def _decimal() -> Any:
    """The context of ``decimal``, and that of new threads; None while both are as at first."""
    decimal: Any = sys.modules["decimal"]
    # Not `getcontext()`, which makes one where there is none.
    default = _parts(decimal, decimal.DefaultContext)
    own = decimals_in(contextvars.copy_context()) or default
    return None if own is default is _USUAL_DECIMAL else (own, default)


def decimals_in(context: contextvars.Context) -> tuple[Any, ...] | None:
    """What the context of ``decimal`` there consists of; None for what new threads begin with."""
    decimal: Any = sys.modules.get("decimal")
    if decimal is None or not len(context):
        return None
    for var, value in context.items():
        if is_decimals(var):
            found = _parts(decimal, value)
            return None if found == _parts(decimal, decimal.DefaultContext) else found
    return None


def _parts(decimal: Any, c: Any) -> tuple[Any, ...]:
    """What a context consists of."""
    numbers = (c.prec, c.rounding, c.Emin, c.Emax, c.capitals, c.clamp)
    if numbers == _USUAL_DECIMAL[:-1] and c.traps == _traps(decimal):
        return _USUAL_DECIMAL
    return (*numbers, tuple(sorted(s.__name__ for s, on in c.traps.items() if on)))


def _watch_decimal(watched: _Watched) -> bool:
    if _decimal() is not None:
        return False
    decimal: Any = sys.modules["decimal"]
    usual = zip(_DECIMAL, (*_USUAL_DECIMAL[:-1], _traps(decimal)), strict=True)
    watched[1].extend((decimal.DefaultContext, name, value) for name, value in usual)
    return True


_USUAL_DECIMAL = (
    28,
    "ROUND_HALF_EVEN",
    -999999,
    999999,
    1,
    0,
    ("DivisionByZero", "InvalidOperation", "Overflow"),
)
_DECIMAL = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp", "traps")
_usual_context: Any = None


def is_decimals(var: contextvars.ContextVar[Any]) -> bool:
    """Whether ``decimal`` keeps its context there, which is part of the state."""
    return var.name == "decimal_context"


def _traps(decimal: Any) -> Any:
    """The usual ones in a form that can be compared with a context's in one step."""
    global _usual_context
    if _usual_context is None:
        signals = [getattr(decimal, name) for name in _USUAL_DECIMAL[-1]]
        # Kept, for they lie in its memory.
        _usual_context = decimal.Context(traps=signals)
    return _usual_context.traps


def _key() -> bytes | None:
    """What processes of ``multiprocessing`` know one another by."""
    process: Any = sys.modules["multiprocessing.process"]
    return bytes(process.current_process().authkey)


def _watch_key(watched: _Watched) -> bool:
    process = _usual_process()
    if process is None:
        return False
    watched[0].append((sys.modules["multiprocessing.process"], "_current_process", process))
    watched[1].append((process, "_config", dict(process._config)))
    return True


def _tracker() -> tuple[int, int] | None:
    """Where the process that frees named memory of ``multiprocessing`` is told: pid, descriptor."""
    module: Any = sys.modules["multiprocessing.resource_tracker"]
    fd = getattr(getattr(module, "_resource_tracker", None), "_fd", None)
    return None if fd is None else (os.getpid(), fd)


# Of each, its module and how it is read; None for what it is at first.
_OF_MODULES: dict[str, tuple[str, Callable[[], Any]]] = {
    "timeout": ("_socket", _timeout),
    "decimal": ("decimal", _decimal),
    "key": ("multiprocessing.process", _key),
    "tracker": ("multiprocessing.resource_tracker", _tracker),
}
# Of those that need not be read like that to be compared, how they are watched; false if they must.
_WATCHED_OTHERWISE: dict[str, Callable[[_Watched], bool]] = {
    "timeout": _watch_timeout,
    "decimal": _watch_decimal,
    "key": _watch_key,
}


def difference(state: dict[str, Any], had: dict[str, Any]) -> dict[str, Any]:
    """What of ``state`` is otherwise than in ``had``; None for what is as at first again."""
    changed = {k: v for k, v in state.items() if v != had.get(k)}
    return changed | {k: None for k in had if k not in state}


def apply(state: dict[str, Any]) -> None:
    """In the child: what of :func:`now` is different."""
    for name, value in state.items():
        if name in _NUMBERS:
            try:
                _NUMBERS[name][1](value)
            except (RecursionError, ValueError):  # deeper than that already
                continue
    if "zone" in state:
        # The variable has been set by now.
        time.tzset()
    for name, how in zip(_STREAMS, state.get("streams") or (), strict=False):
        own = _of_stream(name)
        if None not in (how, own) and how != own:
            try:
                getattr(sys, name).reconfigure(encoding=how[0], errors=how[1])
            except (LookupError, ValueError, OSError):  # an encoding that the program has made
                continue
    if "timeout" in state:
        import _socket

        _socket.setdefaulttimeout(state["timeout"])
    if "decimal" in state:
        _set_decimal(state["decimal"])
    if state.get("key") is not None:
        _of_multiprocessing.set_key(state["key"])
    if state.get("tracker") is not None:
        _set_tracker(*state["tracker"])


def _set_decimal(found: Any) -> None:
    import decimal

    own, default = found or (_USUAL_DECIMAL, _USUAL_DECIMAL)
    # What new threads of the process begin with.
    values = (*default[:-1], dict(_made(decimal, default).traps))
    for name, value in zip(_DECIMAL, values, strict=True):
        setattr(decimal.DefaultContext, name, value)
    decimal.setcontext(_made(decimal, own))


def _made(decimal: Any, parts: tuple[Any, ...]) -> Any:
    """A context of these parts."""
    prec, rounding, least, most, capitals, clamp, traps = parts
    signals = [getattr(decimal, name) for name in traps]
    return decimal.Context(prec, rounding, least, most, capitals, clamp, flags=[], traps=signals)


def _set_tracker(pid: int, fd: int) -> None:
    from multiprocessing import resource_tracker

    tracker: Any = resource_tracker._resource_tracker
    if tracker._fd is None:
        try:
            tracker._fd = os.open(f"/proc/{pid}/fd/{fd}", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:  # then it starts one of its own
            return


def filters_now() -> list[Any]:
    """The filters of warnings."""
    # The same list, which the interpreter itself has until that module is loaded.
    warnings: Any = sys.modules.get("warnings", _warnings)
    found: list[Any] = warnings.filters
    if found and found[0] is _fork_warning.FILTER:
        return found[1:]
    return found


def are_plain(filters: list[Any]) -> bool:
    """Whether any interpreter can read them: all classes in them are the standard library's."""
    return all(f[2].__module__.partition(".")[0] in sys.stdlib_module_names for f in filters)


_packed: tuple[list[Any], list[bytes]] = ([], [])


def pack_filters(filters: list[Any]) -> list[bytes]:
    """Each filter by itself, for a category may not pickle."""
    global _packed
    from tarefa._convert._pickling import dumps

    if _packed[0] == filters:
        return _packed[1]
    packed: list[bytes] = []
    for one in filters:
        try:
            packed.append(dumps(one))
        except NotPicklable:
            continue
    _packed = (list(filters), packed)
    return packed


def set_filters(packed: list[bytes]) -> None:
    """In the child, once the script's classes are there."""
    import warnings

    from tarefa._convert._pickling import loads

    found = []
    for data in packed:
        try:
            found.append(loads(data))
        except Exception:  # noqa: S112 - a category that this process cannot import
            continue
    # What is remembered of the filters before is nothing any more.
    warnings.resetwarnings()
    warnings.filters.extend(found)  # type: ignore[attr-defined]
