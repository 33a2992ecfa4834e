"""Logging of processes that goes to the handlers of the program, through a queue.

```text
 process                                            program
 logger.info() ──> ForwardHandler ──> Queue ──> thread ──> logging.getLogger(name).handle()
```

A record is in the queue when its ``logger.info()`` returns, so what a process that is killed has
logged is told, too.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import threading
import traceback
from typing import Any

from tarefa._channel._errors import BadMessage, ShutDown
from tarefa._channel._queue import Queue
from tarefa._runtime._errors import NotPicklable

# Records that wait: more, and who logs waits.
_MAX_BYTES = 64 << 20
_AT_ONCE = 256

_formatter = logging.Formatter()


class ForwardHandler(logging.Handler):
    """Puts records into a queue; in a process the only handler there is."""

    # For those who look at handlers without this module.
    tarefa_forwards = True

    def __init__(self, queue: Queue[dict[str, Any]]) -> None:
        super().__init__()
        self.queue = queue

    def emit(self, record: logging.LogRecord) -> None:
        try:
            state = _state(record)
            try:
                self.queue.put(state)
            except NotPicklable:
                self.queue.put({k: v if _travels(v) else repr(v) for k, v in state.items()})
        except ShutDown:
            # Nobody takes records any more.
            if logging.lastResort is not None and record.levelno >= logging.lastResort.level:
                logging.lastResort.handle(record)
        except Exception:
            self.handleError(record)


def _state(record: logging.LogRecord) -> dict[str, Any]:
    """What a record consists of; what means something only here as text."""
    state = dict(vars(record))
    state["msg"], state["args"] = record.getMessage(), None
    if record.exc_info:
        if not record.exc_text:
            state["exc_text"] = _formatter.formatException(record.exc_info)
        state["exc_info"] = None
    return state


def _travels(value: Any) -> bool:
    from tarefa._convert._pickling import dumps

    try:
        dumps(value)
    except Exception:
        return False
    return True


class _Forwarding:
    """What the program has: the queue, and the thread that takes records out."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.queue: Queue[dict[str, Any]] = Queue(max_bytes=_MAX_BYTES)
        self.handler = ForwardHandler(self.queue)
        self.thread = threading.Thread(target=self._run, name="tarefa-logging", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while True:
            try:
                states = self.queue.get_many(_AT_ONCE)
            except ShutDown:
                return
            except BadMessage as e:
                _tell(f"tarefa: a log record of a process cannot be read: {e}")
                states = [one for one in e.items if isinstance(one, dict)]
            for state in states:
                try:
                    record = logging.makeLogRecord(state)
                    logging.getLogger(record.name).handle(record)
                except Exception:
                    _tell("tarefa: a handler failed on a log record of a process:")
                    _tell(traceback.format_exc().rstrip())

    def stop(self) -> None:
        """Have what is there handled, and take no more."""
        self.queue.shutdown()
        if self.pid == os.getpid() and threading.current_thread() is not self.thread:
            self.thread.join()


def _tell(text: str) -> None:
    with contextlib.suppress(Exception):
        sys.stderr.write(f"{text}\n")


_lock = threading.Lock()
_forwarding: _Forwarding | None = None


def handler() -> ForwardHandler | None:
    """What processes that this one starts have as their handler; None for those of this process."""
    if _forwarding is not None and _forwarding.pid == os.getpid():
        return _forwarding.handler
    for one in logging.root.handlers:
        # This is a process itself, or the fork of one.
        if isinstance(one, ForwardHandler):
            return one
    return None


def start() -> None:
    """Handle here what processes log that this one starts from now on."""
    global _forwarding
    with _lock:
        if handler() is None:
            _forwarding = _Forwarding()
            # After the program's tasks have ended, and before logging is shut down.
            atexit.register(stop)


def stop() -> None:
    """Handle what is there, and no more."""
    global _forwarding
    with _lock:
        ended, _forwarding = _forwarding, None
    if ended is not None and ended.pid == os.getpid():
        atexit.unregister(stop)
        ended.stop()
