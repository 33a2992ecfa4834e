"""What happens to the references to shared objects when the process forks.

The child becomes a member that holds what it inherited at once, and the fork returns in the parent
when it has: before, the parent might drop the last reference, and what the child has would lead to
somebody else's object. What another thread drops meanwhile goes when the fork returns. The child
has no call of its own in which it would notice: a view of an array is read without one, and at any
other it would be too late.
"""

from __future__ import annotations

import os
import threading

from tarefa._engine import (
    child_is_there,
    has_arrays,
    has_references,
    keep_after_fork,
    keep_for_child,
)

# The pipe of each thread that forks: (to read, to write). Its end is the child's word.
_pipes: dict[int, tuple[int, int]] = {}
# What asks whether a fork waits. In the zygote it is otherwise only for views: its children are
# members from their first instruction on, and all of them go before what they have does.
_asks = has_references
# Threads that fork, and whose process has references.
_has: set[int] = set()


def watch() -> None:
    """From now on."""
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)


def be_zygote(is_one: bool) -> None:
    """This process is the zygote from now on, or no longer."""
    global _asks
    _asks = has_arrays if is_one else has_references


def _before() -> None:
    if not _asks():
        return
    me = threading.get_ident()
    _has.add(me)
    try:
        _pipes[me] = os.pipe()
    except OSError:
        return  # without descriptors the parent does not wait
    keep_for_child()


def _in_parent() -> None:
    _has.discard(threading.get_ident())
    pipe = _pipes.pop(threading.get_ident(), None)
    if pipe is not None:
        os.close(pipe[1])
        try:
            # Nothing is written: this ends when the child has closed it, or has died.
            os.read(pipe[0], 1)
        finally:
            os.close(pipe[0])
            child_is_there()


def _in_child() -> None:
    if threading.get_ident() in _has:
        keep_after_fork()
    _has.clear()
    # Those of other threads, which forked at the same time, too: they wait for their ends.
    for pipe in _pipes.values():
        os.close(pipe[0])
        os.close(pipe[1])
    _pipes.clear()
