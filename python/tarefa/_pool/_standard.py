"""Arguments of the standard library's pools that ``Pool`` takes, or answers with a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_INSTEAD = {
    "max_workers": "write workers=",
    "thread_name_prefix": "write name=",
    "max_tasks_per_child": "write tasks_per_worker=",
    "context": "leave it out: there is one way of starting processes",
    "mp_context": "leave it out: there is one way of starting processes",
    "n_jobs": "write workers=",
    "timeout": "time_limit= bounds each task, map(timeout=) the whole",
    "chunksize": "it is an argument of map()",
    "buffersize": "it is an argument of map()",
    "daemon": "leave it out: workers end with their pool",
}


class Given:
    """The arguments that have two names, as they were given."""

    def __init__(
        self, workers: Any, kind: Any, initializer: Any, initargs: Any, tasks_per_worker: Any
    ) -> None:
        self.workers = workers
        self.kind = kind
        self.initializer = initializer
        self.initargs = initargs
        self.tasks_per_worker = tasks_per_worker

    def take(
        self,
        positional: tuple[Any, ...],
        processes: Any,
        maxtasksperchild: Any,
        unknown: dict[str, Any],
    ) -> None:
        """Add those that ``multiprocessing.Pool`` has.

        Raises:
            TypeError: one is given twice, or is none.
        """
        for name in unknown:
            text = f"Pool() has no argument {name!r}"
            raise TypeError(f"{text}: {_INSTEAD[name]}" if name in _INSTEAD else text)
        if (self.kind is None and positional) or callable(self.kind):
            # Pool(processes, initializer, initargs, maxtasksperchild), as multiprocessing has it.
            if len(positional) > 3:
                raise TypeError(
                    "Pool() takes processes, initializer, initargs and maxtasksperchild by "
                    f"position, as multiprocessing.Pool does; {len(positional) + 2} were given"
                )
            if self.kind is not None:
                self._once("initializer", self.kind, "the second argument")
            if positional:
                if self.initargs != ():
                    raise TypeError("Pool() got initargs twice: by position and by name")
                self.initargs = positional[0]
            if len(positional) > 1 and positional[1] is not None:
                self._once("tasks_per_worker", positional[1], "the fourth argument")
            self.kind = "process"
        elif positional:
            raise TypeError(
                f"Pool() takes the number of workers and their kind by position; {positional[0]!r} "
                "is to be given by its name"
            )
        if processes is not None:
            self._once("workers", processes, "processes=")
        if maxtasksperchild is not None:
            self._once("tasks_per_worker", maxtasksperchild, "maxtasksperchild=")

    def _once(self, name: str, value: Any, how: str) -> None:
        if getattr(self, name) is not None:
            raise TypeError(f"Pool() got {name} twice: as {name}= and as {how}")
        setattr(self, name, value)

    def __iter__(self) -> Iterator[Any]:
        return iter(
            (self.workers, self.kind, self.initializer, self.initargs, self.tasks_per_worker)
        )
