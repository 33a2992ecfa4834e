"""What happens to the memory of arrays, and to ends of pipes, when the process forks.

A child that only uses a view never calls tarefa, where it would become a member that holds what
it inherited. So it does that at once, and the fork returns in the parent when it has: before, the
parent might drop the last reference, and the child's view would be of somebody else's memory. So it
is with an end of a pipe, which would be closed.
"""

from __future__ import annotations

import os
import threading

from tarefa._engine import has_arrays, keep_after_fork

# The pipe of each thread that forks: (to read, to write). Its end is the child's word.
_pipes: dict[int, tuple[int, int]] = {}


def watch() -> None:
    """From now on."""
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)


def _before() -> None:
    if has_arrays():
        try:
            _pipes[threading.get_ident()] = os.pipe()
        except OSError:
            pass  # without descriptors the parent does not wait


def _in_parent() -> None:
    pipe = _pipes.pop(threading.get_ident(), None)
    if pipe is not None:
        os.close(pipe[1])
        # Nothing is written: this ends when the child has closed it, or has died.
        os.read(pipe[0], 1)
        os.close(pipe[0])


def _in_child() -> None:
    if has_arrays():
        keep_after_fork()
    # Those of other threads, which forked at the same time, too: they wait for their ends.
    for pipe in _pipes.values():
        os.close(pipe[0])
        os.close(pipe[1])
    _pipes.clear()
