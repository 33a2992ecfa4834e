"""``logging`` as the starter has set it up, made again in a task's process.

A handler that writes to standard output or error, or to a plain file, is made again: the file is
opened once more, to be appended to. One that would replace its file by a new one when that is
large or old is there to follow the starter's, and leaves the replacing to that. Others travel
where they pickle, with what they hold; those that gather records for later never do.
"""

from __future__ import annotations

import os
import sys
from typing import Any

# Of a handler, what each process has of its own.
_OWN = ("lock", "stream", "_name", "_closed")

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
        (name, one.level, one.propagate, one.disabled, list(one.handlers), list(one.filters))
        for name, one in list(loggers.items())
        if hasattr(one, "handlers")
        and (one.level or one.handlers or one.filters or one.disabled or not one.propagate)
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
        len(logging._levelToName) != _USUAL_LEVELS and dict(logging._levelToName),
    )
    if not found and rest == (logging.WARNING, [], [], False, 0, True, False, None, False):
        return None
    handlers = [h for one in (rest[1], *(f[4] for f in found)) for h in one]
    return found, rest, [(h.level, h.formatter, list(h.filters)) for h in handlers]


_USUAL_LEVELS = 6


def pack(state: Any) -> bytes:
    """The same for :func:`apply`."""
    global _cached
    if _cached[0] == state:
        packed: bytes = _cached[1]
        return packed
    from tarefa._convert._pickling import dumps

    found, rest, _ = state
    handlers: list[Any] = []
    numbers: dict[int, int | None] = {}

    def number(handler: Any) -> int | None:
        if id(handler) not in numbers:
            data = _pack_handler(handler)
            numbers[id(handler)] = None if data is None else len(handlers)
            if data is not None:
                handlers.append(data)
        return numbers[id(handler)]

    def numbered(given: list[Any]) -> list[int]:
        return [n for n in map(number, given) if n is not None]

    loggers = [
        (name, level, propagate, disabled, numbered(hs), _that_pickle(filters))
        for name, level, propagate, disabled, hs, filters in found
    ]
    level, hs, filters, disabled, disable, raises, captures, factory, levels = rest
    root = (level, numbered(hs), _that_pickle(filters), disabled)
    factory = _that_pickle([factory]) if factory is not None else []
    whole = dumps((handlers, loggers, root, disable, raises, captures, factory, levels))
    _cached = (state, whole)
    return whole


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

    handlers, loggers, root, disable, raises, captures, factory, levels = loads(data)
    made = [_make(*one) for one in handlers]
    for value, name in (levels or {}).items():
        logging.addLevelName(value, name)
    for name, level, propagate, disabled, numbers, filters in loggers:
        one = logging.getLogger(name)
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
