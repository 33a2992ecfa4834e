"""``logging`` as the starter has set it up, made again in a task's process.

A handler that writes to standard output or error, or to a plain file, is made again: the file is
opened once more, to be appended to. One that would replace its file by a new one when that is
large or old is there to follow the starter's, and leaves the replacing to that. Others travel
where they pickle, with what they hold; those that gather records for later never do. Where what
processes log is forwarded, they have one handler, which does that.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

# Of a handler, what each process has of its own.
_OWN = ("lock", "stream", "_name", "_closed")
# Connections, which a handler makes when it has none.
_CONNECTIONS = ("sock", "socket")

# Finds the handler that forwards, once the program has asked for that.
find_forward: Callable[[], Any] | None = None

# What was packed last, and of what.
_cached: tuple[Any, Any] = (None, None)


def now() -> Any:
    """How ``logging`` is set up, to be compared; None where it is as it is at first."""
    logging: Any = sys.modules.get("logging")
    if logging is None or not hasattr(logging, "_handlerList"):
        return None
    root = logging.root
    loggers = root.manager.loggerDict
    found = loggers and [
        (
            name,
            one.level,
            one.propagate,
            one.disabled,
            list(one.handlers),
            list(one.filters),
            None if type(one) is logging.Logger else _class_of(one),
        )
        for name, one in list(loggers.items())
        if hasattr(one, "handlers")
        and (
            one.level
            or one.handlers
            or one.filters
            or one.disabled
            or not one.propagate
            or type(one) is not logging.Logger
        )
    ]
    factory = logging.getLogRecordFactory()
    rest = (
        root.level,
        list(root.handlers),
        list(root.filters),
        root.disabled,
        root.manager.disable,
        logging.raiseExceptions,
        logging._warnings_showwarning is not None,
        None if factory is logging.LogRecord else factory,
        logging._levelToName != _USUAL_LEVELS and dict(logging._levelToName),
        None if logging._loggerClass is logging.Logger else logging._loggerClass,
        _last_resort(logging),
        _formats(logging.Formatter),
        tuple([getattr(logging, name, True) for name in _SWITCHES]),
        root.manager.loggerClass,
    )
    forward = _forward()
    if not found and rest == _USUAL and forward is None:
        return None
    if forward is not None:
        # No handler but that one travels.
        filters = [f for one in (rest[2], *(f[5] for f in found or ())) for f in one]
        return found or (), rest, (), [_shot(f) for f in filters], forward.queue.object_id
    handlers = [h for one in (rest[1], *(f[4] for f in found)) for h in one]
    filters = [f for one in (rest[2], *(f[5] for f in found)) for f in one]
    shots = [(_shot(h), _shot(h.formatter), [_shot(f) for f in h.filters]) for h in handlers]
    return found, rest, shots, [_shot(f) for f in filters], None


def to_watch() -> tuple[list[Any], list[Any]]:
    """What tells that it is still as it is at first, as it is now: attributes for ``Unchanged``.

    Returns:
        Objects, names of attributes, what these are: the very same ones, and equal ones.

    Raises:
        AttributeError: it is being imported.
    """
    logging: Any = sys.modules["logging"]
    root = logging.root
    manager, loggers = root.manager, root.manager.loggerDict
    here = sys.modules[__name__]
    same = [
        (here, "find_forward", find_forward),
        (logging, "root", root),
        (root, "manager", manager),
        (manager, "loggerDict", loggers),
        (manager, "loggerClass", manager.loggerClass),
        *((logging, name, getattr(logging, name)) for name in _OBJECTS),
        *((logging.Formatter, name, getattr(logging.Formatter, name)) for name in _FORMATS),
        *((logging, n, getattr(logging, n)) for n in _SWITCHES if hasattr(logging, n)),
    ]
    equal = [
        (manager, "disable", 0),
        # Loggers are compared as objects: new ones, and one in place of what held its place.
        (manager, "loggerDict", dict(loggers)),
        (logging, "_levelToName", _USUAL_LEVELS),
        (logging.lastResort, "level", logging.WARNING),
    ]
    found = [one for one in loggers.values() if hasattr(one, "handlers")]
    same += [(one, "propagate", one.propagate) for one in found]
    for one in (root, *found):
        same.append((one, "disabled", one.disabled))
        equal += [(one, "handlers", []), (one, "filters", [])]
        equal.append((one, "level", logging.WARNING if one is root else 0))
    return same, equal


def _forward() -> Any:
    """The handler that forwards, if what processes log is forwarded."""
    if find_forward is not None:
        return find_forward()
    # In a process it is the handler that it was given.
    handlers = sys.modules["logging"].root.handlers
    return next((one for one in handlers if hasattr(one, "tarefa_forwards")), None)


_USUAL_LEVELS = {
    50: "CRITICAL",
    40: "ERROR",
    30: "WARNING",
    20: "INFO",
    10: "DEBUG",
    0: "NOTSET",
}
_SWITCHES = ("logThreads", "logProcesses", "logMultiprocessing", "logAsyncioTasks")
# What `logging` has, and what formatters have.
_OBJECTS = (
    "_logRecordFactory",
    "raiseExceptions",
    "_warnings_showwarning",
    "_loggerClass",
    "lastResort",
)
_FORMATS = ("converter", "default_time_format", "default_msec_format")
# What a formatter has that says nothing else.
_USUAL_FORMATS = (time.localtime, "%Y-%m-%d %H:%M:%S", "%s,%03d")
_USUAL: tuple[Any, ...] = (
    30,
    [],
    [],
    False,
    0,
    True,
    False,
    None,
    False,
    None,
    (),
    None,
    (True,) * len(_SWITCHES),
    None,
)


def _last_resort(logging: Any) -> Any:
    """What is used where there are no handlers: () for the usual one, or None, or its level."""
    found = logging.lastResort
    if found is None:
        return None
    return () if found.level == logging.WARNING else found.level


def _formats(kind: Any) -> Any:
    """What all formatters have, which programs set for the class: None for the usual."""
    found = kind.converter, kind.default_time_format, kind.default_msec_format
    return None if found == _USUAL_FORMATS else found


def _shot(one: Any) -> Any:
    """What it holds, to see whether it was changed; who knows what one of the program's holds."""
    if one is None:
        return None
    if type(one).__module__ in ("logging", "logging.handlers"):
        return dict(vars(one))
    return object()


def pack(state: Any) -> bytes:
    """The same for :func:`apply`."""
    global _cached
    if _cached[0] == state:
        packed: bytes = _cached[1]
        return packed
    from tarefa._convert._pickling import dumps

    found, rest = state[:2]
    handlers: list[Any] = []
    numbers: dict[int, int | None] = {}

    def number(handler: Any) -> int | None:
        if id(handler) not in numbers:
            data = _pack_handler(handler)
            numbers[id(handler)] = None if data is None else len(handlers)
            if data is not None:
                handlers.append(data)
        return numbers[id(handler)]

    forward = None if state[4] is None else _forward()

    def numbered(given: list[Any], top: bool = True) -> list[int]:
        if forward is not None:
            # Each record goes once: where it would go no further up.
            given = [forward] if top else []
        return [n for n in map(number, given) if n is not None]

    loggers = [
        (
            name,
            level,
            propagate,
            disabled,
            numbered(hs, not propagate),
            _that_pickle(filters),
            _pack_class(kind),
        )
        for name, level, propagate, disabled, hs, filters, kind in found
    ]
    level, hs, filters, disabled, disable, raises, captures, factory, levels, kind = rest[:10]
    root = (level, numbered(hs), _that_pickle(filters), disabled)
    made = [
        _that_pickle([] if one is None else [one]) for one in (factory, kind, rest[11], rest[13])
    ]
    plain = (disable, raises, captures, levels, rest[10], rest[12])
    whole = dumps((handlers, loggers, root, made, plain))
    _cached = (state, whole)
    return whole


def _class_of(logger: Any) -> tuple[type, object, dict[str, Any]]:
    """The class of one that is not the usual one's, and what it has besides what every logger has.

    Between them is what differs each time, where it cannot be told whether that has changed.
    """
    own = {name: value for name, value in vars(logger).items() if name not in _OF_LOGGER}
    is_plain = all(type(value) in _PLAIN for value in own.values())
    return type(logger), None if is_plain else object(), own


_PLAIN = (type(None), bool, int, float, str)
# What every logger has: it is told otherwise, or made anew.
_OF_LOGGER = frozenset(
    (
        *("name", "level", "parent", "propagate", "handlers"),
        *("disabled", "manager", "root", "filters", "_cache"),
    )
)


def _pack_class(given: Any) -> tuple[list[bytes], list[bytes]] | None:
    """A logger's class and what it has of its own, each if it pickles; None for the usual class."""
    if given is None:
        return None
    kind, _, own = given
    return _that_pickle([kind]), _that_pickle(list(own.items()))


def _that_pickle(values: list[Any]) -> list[bytes]:
    from tarefa._convert._pickling import dumps

    found = []
    for value in values:
        try:
            found.append(dumps(value))
        except Exception:  # noqa: S112 - it stays behind
            continue
    return found


def _unpacked(values: list[bytes]) -> list[Any]:
    from tarefa._convert._pickling import loads

    found = []
    for data in values:
        try:
            found.append(loads(data))
        except Exception:  # noqa: S112 - it cannot be made here
            continue
    return found


# What a handler on a plain file consists of.
_OF_FILE = (
    "baseFilename",
    "mode",
    "encoding",
    "delay",
    "errors",
    "level",
    "formatter",
    "filters",
)


def _pack_handler(handler: Any) -> Any:
    """(class, name, what it consists of, its stream); None for one that stays behind."""
    logging: Any = sys.modules["logging"]
    kind = type(handler)
    buffering: Any = getattr(sys.modules.get("logging.handlers"), "BufferingHandler", ())
    if isinstance(handler, buffering):
        return None
    state = {k: v for k, v in vars(handler).items() if k not in _OWN}
    if kind.__module__ == "logging.handlers":
        state.update((name, None) for name in _CONNECTIONS if name in state)
    stream: Any = None
    if isinstance(handler, logging.NullHandler):
        kind, state = logging.NullHandler, {"level": handler.level}
    elif isinstance(handler, logging.FileHandler):
        if handler.baseFilename == os.devnull:
            return None
        rotating = getattr(sys.modules.get("logging.handlers"), "BaseRotatingHandler", ())
        if isinstance(handler, rotating):
            from logging.handlers import WatchedFileHandler

            kind = WatchedFileHandler
            state = {k: v for k, v in state.items() if k in _OF_FILE}
        state.pop("_builtin_open", None)
        _open_delayed(handler)
        _append(handler.stream)
        state["mode"] = "a" + state.get("mode", "a").lstrip("rwax")
        stream = "file"
    elif isinstance(handler, logging.StreamHandler):
        stream = _stream_of(handler)
        if stream is None:
            return None
    parts = []
    for name in ("formatter", "filters"):
        value = state.pop(name, None)
        if name == "filters":
            parts.append(_that_pickle(value or []))
        else:
            parts.append(_that_pickle([] if value is None else [value]))
    packed = _that_pickle([(kind, handler.name, state)])
    return (packed[0], stream, *parts) if packed else None


def _open_delayed(handler: Any) -> None:
    """Have the starter empty a file now that it would empty with its first record.

    Later that would take what processes have written by then.
    """
    if handler.stream is not None or handler.mode[:1] not in ("w", "x"):
        return
    if getattr(handler, "_closed", False):
        return
    handler.acquire()
    try:
        if handler.stream is None:
            handler.stream = handler._open()
    except OSError:  # its first record says so
        return
    finally:
        handler.release()


def _append(stream: Any) -> None:
    """Have the starter write at the file's end too, wherever another process has moved that."""
    try:
        fd = stream.fileno()
        import fcntl

        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
    except (AttributeError, OSError, ValueError):  # none yet, or none that can
        return


def _stream_of(handler: Any) -> Any:
    """Which stream it writes to: "out", "err", or how a plain file is opened once more."""
    try:
        stream = handler.stream
    except AttributeError:
        return None
    for name, own in (
        ("out", (sys.stdout, sys.__stdout__)),
        ("err", (sys.stderr, sys.__stderr__)),
    ):
        if stream is not None and any(stream is one for one in own):
            return name
    try:
        number = stream.fileno()
    except Exception:
        return None
    if number in (1, 2):
        return "out" if number == 1 else "err"
    file: Any = getattr(stream, "name", None)
    mode: Any = getattr(stream, "mode", "")
    if not (isinstance(file, str) and isinstance(mode, str) and os.path.isfile(file)):
        return None
    if "b" in mode or not mode.strip("rtU"):
        return None
    path = os.path.abspath(file)
    _append(stream)
    return path, getattr(stream, "encoding", None), getattr(stream, "errors", None)


def apply(data: bytes) -> None:
    """In the child: have it so."""
    import logging

    from tarefa._convert._pickling import loads

    handlers, loggers, root, (factory, classes, formats, of_manager), plain = loads(data)
    disable, raises, captures, levels, last_resort, switches = plain
    for one in _unpacked(formats):
        formatter: Any = logging.Formatter
        formatter.converter, formatter.default_time_format, formatter.default_msec_format = one
    for one in _unpacked(classes):
        logging.setLoggerClass(one)
    for one in _unpacked(of_manager):
        logging.root.manager.loggerClass = one
    for name, value in zip(_SWITCHES, switches, strict=True):
        setattr(logging, name, value)
    if last_resort is None:
        logging.lastResort = None
    elif last_resort != () and logging.lastResort is not None:
        logging.lastResort.setLevel(last_resort)
    made = [_make(*one) for one in handlers]
    for value, name in (levels or {}).items():
        logging.addLevelName(value, name)
    for name, level, propagate, disabled, numbers, filters, kind in loggers:
        one = logging.getLogger(name)
        if kind is not None:
            _become(one, *kind)
        one.propagate, one.disabled = propagate, disabled
        _set(one, level, numbers, filters, made)
    level, numbers, filters, disabled = root
    logging.root.disabled = disabled
    _set(logging.root, level, numbers, filters, made)
    logging.disable(disable)
    logging.raiseExceptions = raises
    logging.captureWarnings(captures)
    for one in _unpacked(factory):
        logging.setLogRecordFactory(one)


def _become(logger: Any, kinds: list[bytes], own: list[bytes]) -> None:
    """Make it one of its class, in place: modules and the script's data may have it already."""
    for kind in _unpacked(kinds):
        try:
            if type(logger) is not kind:
                logger.__class__ = kind
        except TypeError:  # one of another layout
            return
    vars(logger).update(_unpacked(own))


def _set(logger: Any, level: int, numbers: list[int], filters: list[bytes], made: Any) -> None:
    logger.setLevel(level)
    logger.handlers[:] = [made[n] for n in numbers if made[n] is not None]
    logger.filters[:] = _unpacked(filters)


def _make(packed: bytes, stream: Any, formatter: list[bytes], filters: list[bytes]) -> Any:
    import logging

    found = _unpacked([packed])
    if not found:
        return None
    kind, name, state = found[0]
    handler = kind.__new__(kind)
    logging.Handler.__init__(handler)
    vars(handler).update(state)
    handler.formatter = next(iter(_unpacked(formatter)), None)
    handler.filters = _unpacked(filters)
    if name:
        handler.name = name
    if stream == "file":
        handler.stream = None
        handler._builtin_open = open
        if hasattr(handler, "_statstream"):
            handler.dev, handler.ino = -1, -1
    elif stream in ("out", "err"):
        handler.stream = sys.stdout if stream == "out" else sys.stderr
    elif stream is not None:
        path, encoding, errors = stream
        try:
            handler.stream = open(path, "a", encoding=encoding, errors=errors)  # noqa: SIM115
        except OSError:
            return None
    return handler
