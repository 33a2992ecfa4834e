"""Descriptors of our own, where no program closes them by habit: as the engine has its own."""

from __future__ import annotations

import os

_FLOOR = 960  # as in the engine's `os::high_fd`


def moved_up(fd: int) -> int:
    """Another descriptor for the same, under a high number; the same where there is none."""
    import fcntl

    for least in (_FLOOR, 3):
        if fd >= least:
            return fd
        try:
            other = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, least)
        except OSError:  # above the limit, or there are no more
            continue
        os.close(fd)
        return other
    return fd
