"""Processes that write their stacks when they are asked, each to a file in its own memory."""

from __future__ import annotations

import os

from tarefa import _engine
from tarefa._runtime._high_fd import moved_up


def prepare(from_interpreter: bool) -> None:
    """Take over the stack signal: with ``faulthandler`` and, if wanted, the interpreter's own.

    The latter gives the place between two bytecodes, without a copy of the process; it can be
    installed by the main thread only, and shows as a handler of the program's. So can a look at the
    stack before a fault ends the process.
    """
    global _prepared_in
    _prepared_in = os.getpid()
    import _signal  # type: ignore[import-not-found]  # `signal` is slow to import
    import faulthandler

    number = _engine.stack_signal()

    def install_faulthandler() -> None:
        faulthandler.register(number, file=fd, all_threads=False, chain=False)

    def install_interpreter() -> None:
        _signal.signal(number, _engine.write_stack)

    try:
        # The number is what counts: a process that is asked puts a file of its own there.
        fd = moved_up(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC))
    except OSError:
        return
    try:
        _engine.prepare_stacks(
            fd, install_faulthandler, install_interpreter if from_interpreter else None
        )
        if from_interpreter:
            _engine.watch_faults()
    except OSError:
        os.close(fd)


def offer() -> None:
    """In a process that joins a runtime by itself: for reports of who waits for whom."""
    if _prepared_in == os.getpid():
        return  # the zygote, which is never asked
    if _prepared_in == 0:
        prepare(from_interpreter=False)
    _engine.offer_stack()


# The process that called `prepare`; others inherit what it did.
_prepared_in = 0
