"""A task with a memory limit of its own, in a worker process that has others after it."""

from __future__ import annotations

import resource
from typing import Any

from tarefa._pool import _cargo, _marks
from tarefa._runtime._errors import MemoryLimitExceeded


class Within:
    """A function that may use so much memory beyond what its process has when it is called."""

    def __init__(self, function: Any, most: int) -> None:
        self.function = function
        self.most = most
        self.__qualname__ = _cargo.name_of(function)
        # The limit is of a whole process.
        setattr(self, _marks.MARK, True)

    def __reduce__(self) -> Any:
        return Within, (self.function, self.most)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        before = resource.getrlimit(resource.RLIMIT_DATA)
        limit = _private_memory() + self.most
        if before[0] != resource.RLIM_INFINITY:
            limit = min(limit, before[0])
        resource.setrlimit(resource.RLIMIT_DATA, (limit, before[1]))
        try:
            return self.function(*args, **kwargs)
        except MemoryLimitExceeded:
            raise
        except MemoryError as error:
            made = MemoryLimitExceeded(
                f"{self.__qualname__} ran out of memory: its memory limit is {_words(self.most)} "
                "beyond what its worker had; have it use less, or raise memory_limit"
            )
            raise made from error
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, before)


# Those that were made last, so that a function is encoded once.
_known: dict[tuple[Any, int], Within] = {}
_MOST_KNOWN = 64


def within(function: Any, most: int) -> Within:
    """The function with a limit."""
    try:
        found = _known.get((function, most))
    except TypeError:  # it cannot be a key
        return Within(function, most)
    if found is None:
        found = Within(function, most)
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[function, most] = found
    return found


def _private_memory() -> int:
    """What this process has of memory that it may write to, in bytes."""
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmData:"):
                return int(line.split()[1]) << 10
    return 0


def _words(size: int) -> str:
    for bits, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << bits:
            return f"{size / (1 << bits):.3g} {unit}"
    return f"{size} bytes"
