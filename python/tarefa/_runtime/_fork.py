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
from collections.abc import Callable

from tarefa._engine import (
    child_is_there,
    has_arrays,
    has_references,
    keep_after_fork,
    keep_for_child,
)

# The pipe of each thread that forks: (to read, to write). Its end is the child's word.
_pipes: dict[int, tuple[int, int]] = {}
# Whether this is the zygote. Its forks wait only for views: its children are members from their
# first instruction on, and all of them go before what they have does.
_is_zygote = False
# Threads that fork, and whose process has references.
_has: set[int] = set()
# What children of the program's own forks forget.
_forgetting: list[Callable[[], None]] = []


def watch() -> None:
    """From now on."""
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)


def be_zygote(is_one: bool) -> None:
    """This process is the zygote from now on, or no longer."""
    global _is_zygote
    _is_zygote = is_one


def is_zygote() -> bool:
    """Whether this process is the zygote."""
    return _is_zygote


def in_child(forget: Callable[[], None]) -> None:
    """Have it called in children of the program's own forks, which are no tasks.

    Those of the zygote, where it would find nothing, do without: each call is some pages more that
    they have to copy.
    """
    _forgetting.append(forget)


def _before() -> None:
    if not (has_arrays() if _is_zygote else has_references()):
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
    if _has:
        _keep()
    if not _is_zygote:
        for forget in _forgetting:
            forget()


def _keep() -> None:
    if threading.get_ident() in _has:
        keep_after_fork()
    _has.clear()
    # Those of other threads, which forked at the same time, too: they wait for their ends.
    for pipe in _pipes.values():
        os.close(pipe[0])
        os.close(pipe[1])
    _pipes.clear()
