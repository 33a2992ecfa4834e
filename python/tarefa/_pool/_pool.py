"""``Pool``: functions over inputs and calls one by one, on processes or threads."""

from __future__ import annotations

import contextvars
import itertools
import operator
import os
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, overload

from tarefa import _engine
from tarefa._pool import _budget, _cargo, _marks, _standard, _wire
from tarefa._pool._errors import PoolClosed
from tarefa._pool._future import CancelledError, Future
from tarefa._pool._initializer import First
from tarefa._pool._map import Mapping as Run
from tarefa._pool._map import Part
from tarefa._pool._maps import Maps
from tarefa._pool._memory import check_memory
from tarefa._pool._pin import Pin, check_pin
from tarefa._pool._recorded import Recorded
from tarefa._pool._results import Results, results_of
from tarefa._pool._stats import PoolStats, stats_of
from tarefa._pool._ways import Ways, count_of
from tarefa._pool._work import Batch
from tarefa._runtime import _fork
from tarefa._runtime._errors import NotPicklable
from tarefa._runtime._of_init import guard, shown
from tarefa._runtime._shared import shown_dir
from tarefa._runtime._showing import full_title
from tarefa._task import _exit, _limits
from tarefa._task._base import check_timeout

if TYPE_CHECKING:
    from tarefa._pool._explain import Explanation
    from tarefa._pool._schedule import Schedule
    from tarefa._runtime._coroutines import C

P = ParamSpec("P")
R = TypeVar("R")

_names = itertools.count(1)
_pools: weakref.WeakSet[Pool] = weakref.WeakSet()
_watching = False

KINDS = ("process", "thread", "auto")


class Pool(Ways, Maps, Recorded, Executor):
    """Workers that run functions over inputs: as processes, or as threads.

    A real ``concurrent.futures.Executor``. Whatever a task does to its worker, it fails alone, and
    the pool keeps its size.

    Args:
        workers: how many; as many as there are processors for this process if it is not given.
        kind: ``"process"`` or ``"thread"``; or ``"auto"``: the first tasks of each function are
            measured, and it goes on where that is done soonest; see ``explain()``. Processes if it
            is not given, or what ``TAREFA_KIND`` in the environment says.
        name: shown by ``repr`` and in the names of the workers.
        initializer: called in each worker before its first task.
        initargs: its arguments.
        initializer_time_limit: the most seconds that it may take. When they are over it is
            interrupted, and 2 s later its process is killed if it goes on; the pool is broken then.
        finalizer: called in each worker that ends of itself, after its last task.
        tasks_per_worker: so many tasks a worker runs before another takes its place; None for any
            number.
        memory_limit: the most memory that a worker process may use beyond what it starts with, in
            bytes or as a size in text such as ``"512M"``. A task that asks for more fails.
        soft_memory_limit: by how much the memory of a worker process may have grown since it was
            ready; past that another takes its place after a batch, and no task fails.
        time_limit: the most seconds that a task may run. When they are over it is interrupted, and
            2 s later its process is killed if it goes on.
        retries: how often a task is begun again whose worker died in it. What a task raises is its
            result, and is never tried again.
        resources: names, and how much there is of each: a number, or a list of what there is.
            ``options(resources=...)`` says how much a task needs, ``tarefa.leased()`` which it has.
        pin: True has each worker run on one processor alone, of those that this process may use
            in turn. Or the processors themselves: for each worker a number or several, and over
            again where there are more workers; ``[0, 1]`` or ``[{0, 1}, {2, 3}]``. Who takes the
            place of another takes its processors.
        timeline: whether :meth:`timeline` is recorded from the beginning.
        processes, maxtasksperchild: what ``multiprocessing.Pool`` calls ``workers`` and
            ``tasks_per_worker``. An initializer as the second argument, with its arguments as
            the third, is taken as it takes it, too.

    Raises:
        ValueError: ``workers`` below 1; another ``kind``; a limit that is none; a processor that
            this process may not use.
        TypeError: what is to be called cannot be; a limit of another type.
        StartError: the system has no room for the workers.
    """

    __module__ = "tarefa"

    _crew: Any

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        guard(cls, "_crew", "_lock", "_resources", "_retries", "_time_limit", "_workers")
        guard(cls, "kind", "name")

    def __init__(
        self,
        workers: int | None = None,
        kind: str | Callable[..., object] | None = None,
        *standard: Any,
        name: str | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        initializer_time_limit: float | None = None,
        finalizer: Callable[[], object] | None = None,
        tasks_per_worker: int | None = None,
        memory_limit: int | str | None = None,
        soft_memory_limit: int | str | None = None,
        time_limit: float | None = None,
        retries: int = 0,
        resources: Mapping[str, int | Sequence[Any]] | None = None,
        pin: Pin = False,
        timeline: bool = False,
        processes: int | None = None,
        maxtasksperchild: int | None = None,
        **unknown: Any,
    ) -> None:
        if (
            standard
            or unknown
            or type(kind) is not str
            or (processes, maxtasksperchild) != (None, None)
        ):
            given = _standard.Given(workers, kind, initializer, initargs, tasks_per_worker)
            given.take(standard, processes, maxtasksperchild, unknown)
            workers, kind, initializer, initargs, tasks_per_worker = given
        self._workers = count_of(workers, "workers") or _budget.cores()
        if kind is None:
            kind = _engine.usual_kind()
        if kind not in KINDS:
            raise ValueError(f"kind must be 'process', 'thread' or 'auto', not {kind!r}")
        self.kind: str = kind
        for what, value in (("initializer", initializer), ("finalizer", finalizer)):
            if value is not None and not callable(value):
                raise TypeError(f"{what} must be callable, not {type(value).__name__} {value!r}")
        limit = count_of(tasks_per_worker, "tasks_per_worker")
        memory = check_memory(kind, memory_limit, soft_memory_limit)
        self._time_limit = check_limit(time_limit)
        self._retries = check_retries(retries)
        self.name = f"Pool-{next(_names)}" if name is None else str(name)
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._wardens: Any = None
        starts_in = check_limit(initializer_time_limit, "initializer_time_limit")
        first = First(initializer, tuple(initargs), finalizer, starts_in, check_pin(pin))
        self._resources: dict[str, Any] = {}
        if resources is not None:
            from tarefa._pool._schedule import check_resources

            self._resources = check_resources(resources)
        self._schedule: Schedule | None = None
        if kind == "process":
            from tarefa._pool._processes import ProcessCrew

            self._crew = ProcessCrew(
                self.name, self._workers, first, limit, memory, self._resources
            )
        elif kind == "auto":
            from tarefa._pool._auto import AutoCrew

            self._crew = AutoCrew(self.name, self._workers, first, limit, memory, self._resources)
        else:
            from tarefa._pool._threads import ThreadCrew

            self._crew = ThreadCrew(self.name, self._workers, first, limit, self._resources)
        self._crew.on_done = _on_done
        if timeline:
            self._record().begin()
        _pools.add(self)
        _watch_exit()

    # -- one call ------------------------------------------------------------------------

    @overload
    def submit(
        self, fn: Callable[P, Coroutine[Any, Any, C]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[C]: ...
    @overload
    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]: ...
    def submit(self, fn: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Future[Any]:
        """Have a worker call ``fn(*args, **kwargs)``.

        Returns:
            A future, with what it returns or raises.

        Raises:
            PoolClosed: the pool takes no more work.
            BrokenPool: its initializer failed.
            NotPicklable: what is named cannot go to another process.
            TypeError: ``fn`` cannot be called.
        """
        return self._submit(fn, args, kwargs, self._time_limit, self._retries)

    def options(
        self,
        *,
        time_limit: float | None = None,
        retries: int | None = None,
        priority: int = 0,
        memory_limit: int | str | None = None,
        resources: Mapping[str, int] | None = None,
        name: str | None = None,
    ) -> Options:
        """The pool with other limits for what is submitted through it.

        Args:
            time_limit: the most seconds that a task may run; None for the pool's.
            retries: how often one is begun again whose worker died; None for the pool's.
            priority: a task with a higher one goes before those that no worker has begun; those
                that are submitted otherwise have 0.
            memory_limit: the most memory that a task may use beyond what its worker has when it
                begins it, in bytes or as a size in text; None for the pool's. Of processes alone.
            resources: how much a task needs of the pool's; it waits until that is there.
            name: what messages and ``stats()`` call a task, before the call.

        Raises:
            ValueError: a limit that is none, or of memory for a thread; more of a resource than
                there is, or one that the pool has not.
            TypeError: something of another type.
        """
        limit = self._time_limit if time_limit is None else check_limit(time_limit)
        again = self._retries if retries is None else check_retries(retries)
        if isinstance(priority, bool) or not hasattr(priority, "__index__"):
            what = type(priority).__name__
            raise TypeError(f"priority must be a whole number, not {what} {priority!r}")
        amounts: dict[str, int] = {}
        if resources is not None:
            from tarefa._pool._schedule import check_amounts

            amounts = check_amounts(resources, self._resources, self.name)
        most = _limits.check_memory_limit(memory_limit)
        if most is not None and self.kind == "thread":
            raise ValueError(
                f"{self.name} is of threads, which share the memory of their process: a "
                "memory_limit is for a pool of kind 'process' or 'auto'"
            )
        called = None if name is None else str(name)
        return Options(self, limit, again, operator.index(priority), amounts, most, called)

    def _submit(
        self,
        fn: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        time_limit: float | None,
        retries: int,
        priority: int = 0,
        amounts: dict[str, int] | None = None,
        memory_limit: int | None = None,
        name: str | None = None,
    ) -> Future[Any]:
        crew = self._crew
        if memory_limit is not None:
            from tarefa._pool._within import within

            self._function(fn)  # is refused as it is
            fn = within(fn, memory_limit)
        function = self._function(fn)
        batch: Batch
        if kwargs:
            batch = Batch(function, [(args, kwargs)], _wire.CALL, None)  # type: ignore[arg-type]
        else:
            batch = Batch(function, [args], _wire.STAR, None)  # type: ignore[arg-type]
        batch.flags |= 1 << _wire.ATTEMPT_SHIFT
        batch.context = self._context()
        batch.time_limit, batch.retries = time_limit, retries
        batch.name = name
        future: Future[Any] = Future(crew, batch)
        batch.sink = future
        schedule = self._schedule
        try:
            if amounts or priority or (schedule is not None and schedule.ordered):
                self._scheduled(priority != 0).add(batch, priority, amounts or {})
            else:
                crew.put(batch)
        except NotPicklable:
            _say_which(fn, args, kwargs)
            raise
        if time_limit is not None:
            self._limited(batch)
        return future

    def _scheduled(self, ordered: bool) -> Schedule:
        """The schedule; with what waits already in it, from the first priority on."""
        from tarefa._pool._schedule import Schedule

        with self._lock:
            if self._schedule is None:
                self._schedule = Schedule(self._crew, self._resources)
            schedule = self._schedule
            if not ordered or schedule.ordered:
                return schedule
            schedule.ordered = True
        for batch in list(self._crew.batches.values()):
            if type(batch.sink) is Future and batch.turn is None:
                self._let_wait(batch, schedule)
        return schedule

    def _let_wait(self, batch: Batch, schedule: Schedule) -> None:
        """Put a task into the schedule that was submitted before there was one."""
        if not self._crew.recall(batch):
            schedule.note_begun(batch)
            return
        future: Any = batch.sink
        again = Batch(batch.function, batch.calls, batch.flags, future)
        again.context = batch.context
        again.time_limit, again.retries = batch.time_limit, batch.retries
        again.name = batch.name
        batch.over = True
        future._tarefa_batch = again
        schedule.add(again, 0, {})
        if again.time_limit is not None:
            self._limited(again)
        if future._done_callbacks or future._waiters:
            future._tarefa_watch()

    def _function(self, fn: Any) -> Any:
        """A function as the crew takes it, if work may be given to it now."""
        self._check_open()
        if not callable(fn):
            raise TypeError(f"a function is wanted, not {type(fn).__name__} {fn!r}")
        encodes = self._crew.encodes
        if encodes:
            return _cargo.encode(fn)
        if encodes is None:
            return self._crew.chosen(fn)
        if _marks.is_process_only(fn):
            raise ValueError(
                f"{_cargo.name_of(fn)} is marked process_only, and {self.name} is of threads: have "
                "a pool of kind 'process' or 'auto' run it"
            )
        return fn

    def _context(self) -> Any:
        context = contextvars.copy_context()
        return self._crew.variables(context if len(context) else None)

    def _check_open(self) -> None:
        crew = self._crew
        if crew.closed:
            raise PoolClosed(f"{self.name} takes no more work: it was closed or shut down")
        if crew.broken is not None:
            raise crew.broken
        if self._pid != os.getpid():
            raise PoolClosed(
                f"{self.name} is of process {self._pid}, from which this one was forked: make a "
                "pool here"
            )

    def _limited(self, batch: Batch) -> None:
        """Watch over the time limit of a batch's tasks."""
        if self._wardens is None:
            from tarefa._pool._warden import Warden

            with self._lock:
                if self._wardens is None:
                    self._wardens = Warden(self._crew)
                    self._crew.on_limited = self._wardens.watch
        self._wardens.watch(batch)

    def explain(self) -> Explanation:
        """Who runs the tasks of each function, and why: what a pool of kind ``"auto"`` measured.

        Returns:
            A table, as text; its attributes have the figures.
        """
        if self.kind == "auto":
            found: Explanation = self._crew.explain()
            return found
        from tarefa._pool._explain import Explanation

        kind = "processes" if self.kind == "process" else "threads"
        intro = f"{self.name}: {self._workers} {kind}, as it was made with kind {self.kind!r}"
        return Explanation(self.name, intro, ())

    def stats(self) -> PoolStats:
        """What the workers are at, and how much waits."""
        return stats_of(self._crew)

    # -- many calls ----------------------------------------------------------------------

    def _map(
        self,
        fn: Any,
        iterables: tuple[Iterable[Any], ...],
        timeout: float | None = None,
        *,
        unit: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        progress: bool = False,
        return_exceptions: bool = False,
        star: bool = False,
        goes_on: bool = False,
    ) -> Results[Any]:
        function = self._function(fn)
        check_timeout(timeout)
        if self._time_limit is not None:
            self._limited_from_now()
        for it in iterables:
            if not hasattr(it, "__iter__") and not hasattr(it, "__getitem__"):
                raise TypeError(
                    f"map() takes a function and iterables, not {type(it).__name__} {it!r}; the "
                    "size of chunks is chunksize="
                )
        mapping = Run(
            self._crew,
            function,
            iterables,
            star=star,
            unit=unit,
            buffersize=buffersize,
            ordered=ordered,
            context=self._context(),
            time_limit=self._time_limit,
            retries=self._retries,
        )
        mapping.start()
        error = mapping.input_error
        if isinstance(error, NotPicklable) and mapping.given == 0:
            raise error
        bar = _bar(mapping.total, self.name) if progress else None
        return results_of(
            mapping, timeout, return_exceptions=return_exceptions, goes_on=goes_on, bar=bar
        )

    @overload
    async def run(
        self, fn: Callable[P, Coroutine[Any, Any, C]], /, *args: P.args, **kwargs: P.kwargs
    ) -> C: ...
    @overload
    async def run(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    async def run(self, fn: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Have a worker call ``fn(*args, **kwargs)``, and await what it returns.

        Where the waiting is cancelled, a call that no worker has begun is not run.

        Raises: as :meth:`submit`, and what the call raises.
        """
        import asyncio

        from tarefa._pool._timeline import boards
        from tarefa._runtime._awaits import Awaiting

        future = asyncio.wrap_future(self.submit(fn, *args, **kwargs))
        with Awaiting(*boards(self._crew)):
            return await future

    def _limited_from_now(self) -> None:
        if self._wardens is None:
            from tarefa._pool._warden import Warden

            with self._lock:
                if self._wardens is None:
                    self._wardens = Warden(self._crew)
                    self._crew.on_limited = self._wardens.watch

    # -- the end -------------------------------------------------------------------------

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work; the workers end once all is done.

        Args:
            wait: whether to wait for that.
            cancel_futures: whether what nobody has begun is cancelled.
        """
        crew = self._crew
        if crew is None:
            return
        if cancel_futures:
            for batch in list(crew.batches.values()):
                # Of one that is over there is none.
                sink = batch.sink
                if isinstance(sink, Future):
                    sink.cancel()
                elif isinstance(sink, Run):
                    sink.stop()
        crew.close()
        if wait:
            crew.finish()
            self._after_workers()

    def _after_workers(self) -> None:
        """The workers have ended: end who keeps time limits, and the recording."""
        if self._wardens is not None:
            self._wardens.end()
        self._end_recording()

    def close(self) -> None:
        """Take no more work, as ``multiprocessing.Pool``'s ``close()``; ``join()`` waits."""
        self._crew.close()
        if self._crew.unfinished or self._crew.unfed:
            self._crew.watch_over()

    def terminate(self) -> None:
        """End the workers now. What is not done is cancelled; threads are interrupted."""
        self._crew.terminate(CancelledError(f"{self.name} was terminated"))
        self._after_workers()

    def join(self) -> None:
        """Wait until all is done and the workers have ended, after ``close()``.

        Raises:
            ValueError: the pool still takes work.
        """
        if not self._crew.closed:
            raise ValueError("Pool is still running: close() or terminate() it before join()")
        if not self._crew.terminated:
            self._crew.finish()
            self._after_workers()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not issubclass(kind, Exception):
            # Ctrl-C: nobody waits for the rest.
            self.terminate()
        else:
            self.shutdown()

    @property
    def _max_workers(self) -> int:
        """How many workers, as executors of the standard library have it: Dask asks for it."""
        return self._workers

    def __del__(self) -> None:
        crew = self.__dict__.get("_crew")
        if crew is not None and not crew.closed and self._pid == os.getpid():
            crew.close()

    def __reduce__(self) -> Any:
        raise NotPicklable(
            f"{self!r} cannot go to another process: make a pool there, or submit what is to be "
            "done from here"
        )

    __dir__ = shown_dir

    def __repr__(self) -> str:
        crew = self.__dict__.get("_crew")
        if crew is None:
            return shown(self)
        state = "closed" if crew.closed else "open"
        if crew.broken is not None:
            state = "broken"
        kinds = {"process": "processes", "thread": "threads", "auto": "workers of kind 'auto'"}
        return f"<{full_title(self)} {self.name!r}: {self._workers} {kinds[self.kind]}, {state}>"

    def _repr_html_(self) -> str:
        from tarefa._runtime import _tables

        return _tables.page(repr(self)) + self.stats()._repr_html_()

    def _repr_svg_(self) -> str:
        # A look records nothing that nobody has asked for.
        shown = self.stats() if self._recording is None else self.timeline()
        return shown._repr_svg_()


class Options:
    """A pool with other limits, as :meth:`Pool.options` gives it."""

    __module__ = "tarefa"

    def __init__(
        self,
        pool: Pool,
        time_limit: float | None,
        retries: int,
        priority: int,
        amounts: dict[str, int],
        memory_limit: int | None,
        name: str | None,
    ) -> None:
        self._pool = pool
        self._given = time_limit, retries, priority, amounts, memory_limit, name

    @overload
    def submit(
        self, fn: Callable[P, Coroutine[Any, Any, C]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[C]: ...
    @overload
    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]: ...
    def submit(self, fn: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Future[Any]:
        """As :meth:`Pool.submit`."""
        return self._pool._submit(fn, args, kwargs, *self._given)

    __dir__ = shown_dir


def _on_done(batch: Batch) -> None:
    sink = batch.sink
    if type(sink) is Run:
        sink.on_done(batch)
    elif type(sink) is Part:
        sink.mapping.parts.pop(batch.number, None)
    elif batch.turn is not None:
        batch.turn.end()


def check_limit(seconds: Any, what: str = "time_limit") -> float | None:
    """A time limit, checked: seconds, or None."""
    ns = _limits.check_time_limit(seconds, what)
    return None if ns is None else ns / 1e9


def check_retries(retries: Any) -> int:
    """A number of retries, checked."""
    if isinstance(retries, bool) or not hasattr(retries, "__index__"):
        raise TypeError(f"retries must be a whole number, not {type(retries).__name__} {retries!r}")
    count = operator.index(retries)
    if count < 0:
        raise ValueError(f"retries must be 0 or more, not {count}")
    return count


def _say_which(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise the error that names the argument that cannot travel."""
    from tarefa._convert._pickling import dumps_call

    dumps_call((fn, args, kwargs))


def _bar(total: int | None, name: str) -> Any:
    """A progress bar, where there is one to be had."""
    try:
        from tqdm.auto import tqdm  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return None
    return tqdm(total=total, desc=name)


def _watch_exit() -> None:
    """Have what was submitted be done before the program ends."""
    global _watching
    if not _watching:
        _watching = True
        # Those registered last are called first: before tasks that do not count are ended.
        _exit.watch()
        threading._register_atexit(_at_exit)  # type: ignore[attr-defined]


def _at_exit() -> None:
    for pool in list(_pools):
        crew = pool._crew
        if crew is None or pool._pid != os.getpid():
            continue
        try:
            if _exit._was_interrupted() or crew.terminated:
                pool.terminate()
            else:
                pool.shutdown()
        except KeyboardInterrupt:
            pool.terminate()


def _forked() -> None:
    """In a forked child: its parent's pools are not its own."""
    global _watching
    _watching = False
    _pools.clear()


_fork.in_child(_forked)
