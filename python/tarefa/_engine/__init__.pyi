"""The native module, private to the package: cores of the public classes, and what they need.

Times are in seconds, memory in bytes. What waits lets other threads run, ends at once with the
exception of a signal's handler or of an interrupt, and raises ``ValueError`` for a timeout below
0. What makes something in shared memory raises :class:`tarefa.ArenaFull` without room, and
:class:`tarefa.StartError` where the system lets no runtime be made.
"""

from collections.abc import Callable
from pickle import PickleBuffer
from types import FrameType, ModuleType
from typing import Any, Self, SupportsIndex, TypedDict, final

from typing_extensions import disjoint_base

from tarefa._engine.arrays import (
    ArrayCore,
    ArrayMemory,
    ValueCore,
    has_arrays,
    keep_after_fork,
    make_array,
)
from tarefa._engine.maps import DictCore, MapCore, MapIterator, NamespaceCore, SetCore
from tarefa._engine.sync import (
    BarrierCore,
    ConditionCore,
    RWLockCore,
    RWLockSide,
    SemaphoreCore,
)
from tarefa._sync._lock import Owner

__all__ = [
    "ArrayCore",
    "ArrayMemory",
    "BarrierCore",
    "ConditionCore",
    "DictCore",
    "EventCore",
    "ListCore",
    "LockCore",
    "MapCore",
    "MapIterator",
    "NamespaceCore",
    "RWLockCore",
    "RWLockSide",
    "SemaphoreCore",
    "SetCore",
    "TaskCore",
    "UnraisableHook",
    "ValueCore",
    "address",
    "address_of",
    "attach",
    "collect",
    "cpu_count",
    "deadlocks",
    "diagnostics",
    "forget_stack",
    "has_arrays",
    "has_zygote",
    "interrupt_signal",
    "is_root",
    "join_any",
    "join_runtime",
    "keep_after_fork",
    "keep_apart",
    "leave",
    "lift_memory_limit",
    "make_array",
    "make_immortal",
    "mind_signals",
    "offer_stack",
    "own_threads",
    "parse_address",
    "parse_size",
    "prepare_runtime",
    "prepare_stacks",
    "prepare_thread_interrupts",
    "prepare_zygote",
    "report_after",
    "request_stack",
    "send_to_zygote",
    "serve",
    "set_report_after",
    "set_spares",
    "set_thread_name",
    "set_zygote",
    "signal_name",
    "sleep",
    "spawn_program",
    "stack_signal",
    "stop_timekeeper",
    "system_limits",
    "thread_context",
    "time_limit_grace",
    "wake_sleeper",
    "write_stack",
]

class _Diagnostics(TypedDict):
    arena_claimed: int
    arena_used: int
    arena_limit: int
    objects: int
    task_processes: int
    process_slots: int
    thread_slots: int
    zygote_pid: int | None
    pids: list[int]
    spares: int
    spares_all: int
    spares_wanted: int
    misses: int
    zygotes: int

class _ThreadContext(TypedDict):
    pid: int
    tid: int
    letter: str
    user: float
    system: float
    cpu: int
    threads: int
    memory: int
    peak_memory: int
    voluntary: int | None
    involuntary: int | None
    open_files: int | None
    syscall: int | None

@disjoint_base
class ListCore:
    """A list in shared memory; :class:`tarefa.List` adds what is written in Python."""

    def __new__(cls, *args: object) -> Self: ...
    def __len__(self) -> int: ...
    def __getitem__(self, key: SupportsIndex | slice, /) -> Any: ...
    def __setitem__(self, key: SupportsIndex | slice, item: Any, /) -> None: ...
    def __delitem__(self, key: SupportsIndex | slice, /) -> None: ...
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, ...]]: ...
    def append(self, item: Any) -> None:
        """Add an element at the end.

        Args:
            item: anything that pickles.

        Raises:
            NotPicklable: it does not; the list is as it was.
            ArenaFull: there is no room for it; the list is as it was.
        """

    def extend_from(self, items: list[Any]) -> None:
        """Add the elements of a plain list at the end, all at one instant or none."""

    def insert(self, index: SupportsIndex, item: Any) -> None:
        """Put an element before the one at ``index``, or at the end.

        Args:
            index: a place, counted from the end where it is below 0.
            item: anything that pickles.

        Raises:
            NotPicklable: it does not; the list is as it was.
            ArenaFull: there is no room for it; the list is as it was.
        """

    def pop(self, index: SupportsIndex = -1, /) -> Any:
        """Take out an element.

        Args:
            index: which; the last, if not given.

        Returns:
            The element.

        Raises:
            IndexError: there is none.
        """

    def clear(self) -> None:
        """Take all elements out."""

    def update(self, index: SupportsIndex, change: Callable[[Any], Any], /) -> Any:
        """Make the element at ``index`` what ``change`` returns for it: one operation.

        ``change`` may be called more than once, if others change the element meanwhile.

        Args:
            index: which; counted from the end where it is below 0.
            change: is given a copy of the element.

        Returns:
            The element now.

        Raises:
            IndexError: there is none.
        """

    def read(self, start: int = 0, stop: int | None = None) -> tuple[int, list[Any]]:
        """Copy elements at one instant.

        Args:
            start: the first place.
            stop: the place after the last; None is the list's end.

        Returns:
            The list's version, for :meth:`rebuild`, and the elements.
        """

    def rebuild(self, version: int, length: int, sources: list[tuple[bool, Any]]) -> bool:
        """Make the list anew at one instant, if nobody has changed it meanwhile.

        Args:
            version: what :meth:`read` said.
            length: how many elements it had.
            sources: for each new element ``(True, old place)`` or ``(False, value)``.

        Returns:
            False if the list has changed: nothing was done.
        """

    def guard_acquire(self, blocking: bool | None = None, timeout: float | None = None) -> bool:
        """Take the lock that makes others' operations on the list wait."""

    def guard_release(self) -> None:
        """Let that lock go."""

    def guard_owner(self) -> Owner | None:
        """Who holds that lock."""

    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one object."""

@disjoint_base
class LockCore:
    """A lock in shared memory; :class:`tarefa.Lock` adds what is written in Python."""

    def __new__(cls, *args: object) -> Self: ...
    def __enter__(self) -> bool: ...
    def __exit__(self, *_exc: object) -> None: ...
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, ...]]: ...
    def acquire(
        self,
        blocking: bool = True,
        timeout: float | None = -1,
        *,
        block: bool | None = None,
    ) -> bool:
        """Take the lock.

        Args:
            blocking: whether to wait.
            timeout: seconds to wait at most; -1 or None waits for ever.
            block: the name that ``multiprocessing`` has for ``blocking``; ``timeout`` then means
                what it means there: below 0 is 0, and without waiting it is ignored.

        Returns:
            Whether the lock was taken.

        Raises:
            OwnerDied: whoever held it died; the lock is free, and not taken.
            ValueError: a timeout below 0 (but -1), or one without waiting.
        """

    def release(self) -> None:
        """Let the lock go.

        Raises:
            RuntimeError: it is not held, or, of an RLock, not by this thread.
        """

    def owner(self) -> Owner | None:
        """Who holds it: task, pid, thread and since when; None if nobody alive does."""

    def is_owned(self) -> bool:
        """Whether the calling thread holds it (a Lock: whether anybody does)."""

    def release_save(self) -> int:
        """Let it go whatever its depth, which is returned."""

    def acquire_restore(self, depth: int) -> None:
        """Take it and make its depth what ``release_save`` returned."""

    def locked(self) -> bool:
        """Whether somebody alive holds it."""

    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one object."""

@disjoint_base
class EventCore:
    """An event in shared memory; :class:`tarefa.Event` adds what is written in Python."""

    def __new__(cls, *args: object) -> Self: ...
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, ...]]: ...
    def is_set(self) -> bool:
        """Whether the flag is up."""

    def set(self) -> None:
        """Raise the flag and wake all who wait."""

    def clear(self) -> None:
        """Lower the flag."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the flag is up.

        Args:
            timeout: seconds to wait at most; None waits for ever.

        Returns:
            Whether it is up: False when the time passed first.

        Raises:
            ValueError: a timeout below 0.
            Interrupted: the calling task was interrupted.
        """

    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one object."""

@final
class UnraisableHook:
    """A ``sys.unraisablehook`` that has dropped interrupts raised again.

    Args:
        before: The hook that gets all other exceptions.
        interrupts: The classes of interrupts.
    """

    def __new__(
        cls, before: Callable[[Any], object], interrupts: tuple[type[BaseException], ...]
    ) -> Self: ...
    def __call__(self, unraisable: Any, /) -> None: ...

@final
class TaskCore:
    """A handle of a task's record. States are the numbers of :class:`tarefa.State`."""

    def __new__(cls, thread: bool, daemon: bool, name: str) -> Self: ...
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, ...]]: ...
    name: str
    daemon: bool
    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one task."""

    @property
    def state(self) -> int:
        """Where it is in its life."""

    @property
    def is_thread(self) -> bool:
        """Whether it is a thread; else a process."""

    @property
    def outcome_lost(self) -> bool:
        """Whether there was no room for its outcome."""

    @property
    def killed_by_us(self) -> bool:
        """Whether somebody called :meth:`note_kill`."""

    @property
    def pid(self) -> int | None:
        """The process it runs in."""

    @property
    def tid(self) -> int | None:
        """The thread it runs in."""

    @property
    def exitcode(self) -> int | None:
        """Its exit code, minus a signal's number, or -255 where nobody knows."""

    @property
    def time_limit(self) -> float | None:
        """How many seconds it may run."""

    @property
    def memory_limit(self) -> int | None:
        """How many bytes of memory it may take beyond what its process starts with."""

    @property
    def over_time(self) -> bool:
        """Whether its time was up before it ended."""

    @property
    def killed_over_time(self) -> bool:
        """Whether it was killed because it went on after its time."""

    def set_limits(self, time: int | None = None, memory: int | None = None) -> None:
        """Set its limits: nanoseconds, and bytes. Before it is started."""

    def keep_time(self, ident: int, exception: object) -> None:
        """In its thread, number ``ident``: have ``exception`` raised there when its time is up.

        Raises:
            StartError: there is no thread to be had that keeps the time.
        """

    def begin(self) -> bool:
        """``NEW`` becomes ``STARTING``; False if it was started before."""

    def unbegin(self) -> None:
        """Back to ``NEW``, after a start that failed."""

    def set_payload(self, payload: object, dumps: Callable[[Any], bytes]) -> None:
        """Store what is to run, as ``dumps`` encodes it."""

    def payload(self) -> tuple[bytes, list[bytes | bytearray] | None] | None:
        """What is to run, encoded."""

    def drop_payload(self) -> None:
        """Free what was to run."""

    def start_process(self) -> None:
        """Start it as a process.

        Raises:
            StartError: the system refused, or the runtime's root has ended.
        """

    def run_thread(self) -> bool:
        """The calling thread runs it from now on. True if it was interrupted before."""

    def run_here(self) -> bool:
        """The calling thread runs it from now on; False if it is not to be run."""

    def finish(
        self,
        state: int,
        code: int,
        is_error: bool = False,
        value: object = None,
        dumps: Callable[[Any], bytes] | None = None,
    ) -> None:
        """End it.

        Args:
            state: how it ended.
            code: its exit code.
            is_error: whether the value is a failure.
            value: what its outcome is.
            dumps: what encodes the value, if not the way of lists.
        """

    def outcome(self) -> tuple[bool, Any] | None:
        """Whether it is a failure, and the value; None while there is no outcome."""

    def join(self, timeout: float | None = None) -> bool:
        """Wait for its end; False when the time passes first."""

    def join_thread(
        self, join: Callable[..., Any], thread: Any, timeout: float | None = None
    ) -> bool:
        """Have ``threading`` join the thread that runs it, and note the wait meanwhile.

        Returns:
            Whether it has ended; False at once for one that was not started.
        """

    def request_interrupt(self) -> None:
        """Ask for an interrupt, and make its thread look around."""

    def interrupt_due(self) -> bool:
        """Whether one was asked for and has not been taken."""

    def take_interrupt(self) -> bool:
        """Take what was asked for."""

    def raise_in_target(self, ident: int, exception: type[BaseException]) -> bool:
        """Raise it in the thread ``ident``, which runs the task; False if its target is over."""

    def note_delivered(self, interrupt: BaseException) -> None:
        """In its process: this is raised in its target now, for it was interrupted."""

    def end_target(self) -> None:
        """In its thread: the target is over, and nothing is raised in it any more."""

    def poke(self) -> None:
        """Make its thread look around."""

    def waits_here(self) -> bool:
        """Whether its thread sleeps in a wait of tarefa's."""

    def send_signal(self, signal: int) -> bool:
        """Send its process a signal; False when that has ended."""

    def note_kill(self) -> None:
        """Note that its death is our own doing."""

    def process_descriptor(self) -> int:
        """A descriptor of the caller's that is readable once its process has ended."""

    def process_slot(self) -> int | None:
        """For :func:`request_stack`."""

    def usage(self) -> tuple[float, float, float, int, int, int]:
        """User, system and wall time, peak memory, voluntary and involuntary switches."""

    @staticmethod
    def event_descriptor(ready: bool) -> int:
        """A new event descriptor, the caller's, readable at once if ``ready``."""

    @staticmethod
    def signal_descriptor(fd: int) -> None:
        """Make an event descriptor readable."""

def address() -> tuple[int, int, int]:
    """Of the runtime: its root's pid, the descriptor of the memory there, and its number."""

def attach(root: int, memory_fd: int, runtime: int, off: int, id: int, kind: int) -> Any:  # noqa: A002
    """Make the object of a pickled handle.

    Raises:
        HandleGone: the object or its runtime is gone, or another user's.
    """

def address_of(object: object) -> str | None:  # noqa: A002
    """Where a shared object is, as text; None for what is none, or has a part that is none."""

def parse_address(text: str) -> tuple[int, int, int, int, int, int]:
    """The arguments of :func:`attach` that a text stands for.

    Raises:
        ValueError: it is none.
    """

def collect() -> None:
    """Forget what the encoding that goes on has met: it begins anew."""

def keep_apart(buffer: PickleBuffer, /) -> bool:
    """Whether a buffer is to be in the pickle; else the encoding that goes on has noted it."""

def cpu_count() -> int:
    """How many processors this process can use.

    Returns:
        The number, at least 1: of those its affinity allows, as far as the cgroup's quota goes.
    """

def deadlocks() -> tuple[str, float, list[dict[str, Any]], list[list[int]], list[list[int]]]:
    """Who waits for whom.

    Returns:
        A text, its age in seconds, threads, deadlocks, and cycles that will end: the latter two
        as indices into the threads.
    """

def diagnostics() -> _Diagnostics | None:
    """What is in the runtime now; None where there is no runtime."""

def forget_stack() -> None:
    """In the child of a fork of the program's own: it has no file for its stack yet."""

def has_zygote() -> bool:
    """Whether :func:`set_zygote` was called."""

def interrupt_signal() -> int:
    """The signal that makes a task's blocked call return."""

def is_root() -> bool | None:
    """Whether this process made its runtime; None without one."""

def join_any(
    tasks: list[TaskCore],
    timeout: float | None = None,
    all: bool = False,  # noqa: A002
) -> bool:
    """Wait until one of the tasks has ended; False when the time passes first.

    ``all`` says that the caller will wait for the others too.
    """

def leave(code: int) -> None:
    """End a child whose task has its outcome. Does not return."""

def lift_memory_limit() -> None:
    """End the memory limit of the task that runs here: its target is over."""

def make_immortal(objects: list[Any]) -> None:
    """Give objects the count of references of those that CPython never frees and does not count.

    Only where that is known: see ``tarefa._task._immortal``.
    """

def mind_signals() -> None:
    """In the main thread: have no signal slept over that comes just before a sleep."""

def offer_stack() -> None:
    """Say that this process writes its stack on the stack signal."""

def own_threads() -> int:
    """Threads of this process, by the system's count."""

def parse_size(text: str) -> int | None:
    """Bytes of a size as in ``64M``; None where it is none."""

def prepare_runtime() -> None:
    """Make the runtime, if there is none."""

def prepare_stacks(
    fd: int,
    install_faulthandler: Callable[[], Any],
    install_interpreter: Callable[[], Any] | None,
) -> None:
    """Take over the stack signal, with two functions that install what writes stacks to ``fd``."""

def prepare_thread_interrupts() -> None:
    """Install the handler that :func:`wake_sleeper` needs."""

def prepare_zygote() -> None:
    """Ask for a zygote before one is needed."""

def report_after() -> float | None:
    """After how many seconds a wait is reported; None for never."""

def request_stack(slot: int, timeout: float) -> str | None:
    """Have a process write its main thread's stack; None when it does not answer in time."""

def send_to_zygote(bytes: bytes) -> None:  # noqa: A002
    """Send the zygote a message: see ``tarefa._task._child.message``."""

def join_runtime(root: int, memory_fd: int, id: int, slot: int) -> None:  # noqa: A002
    """Join a runtime in the process slot that its root has taken for this process."""

def serve(child: ModuleType) -> None:
    """Serve as the zygote of the runtime this process has joined. Does not return."""

def set_report_after(seconds: float | None) -> None:
    """Say after how many seconds a wait is reported; None for never."""

def set_spares(count: int) -> None:
    """Say how many processes are kept ready."""

def set_thread_name(name: str) -> None:
    """Name the calling thread for ``ps`` and ``top``."""

def set_zygote(argv: list[bytes], envp: list[bytes]) -> None:
    """Say how a zygote is started."""

def signal_name(signal: int) -> str:
    """``SIGKILL`` for 9."""

def sleep(seconds: float) -> None:
    """Sleep; an interrupt of the task, or a signal's exception, ends it at once.

    Args:
        seconds: how long, 0 or more.

    Raises:
        Interrupted: the calling task was interrupted.
        ValueError: a time below 0.
    """

def spawn_program(
    paths: list[bytes],
    argv: list[bytes],
    envp: list[bytes],
    folder: bytes | None,
    streams: tuple[int, int, int],
) -> int:
    """Start a program that ends with the calling thread.

    Args:
        paths: where it may be: the first that can be executed is.
        argv: its arguments, the first its name.
        envp: its environment, as ``name=value``.
        folder: its working directory; None is the caller's.
        streams: what becomes its input, output and error; -1 leaves the caller's.

    Returns:
        Its pid.

    Raises:
        OSError: it is not there, cannot be executed, or the system refused.
    """

def write_stack(signal: int, frame: FrameType | None, /) -> None:
    """The interpreter's handler of the stack signal."""

def stack_signal() -> int:
    """The signal that makes a process write its stack."""

def stop_timekeeper() -> None:
    """Interrupt no thread of this process for its time limit any more: the program ends."""

def system_limits() -> tuple[int | None, int | None, int | None]:
    """Descriptors, processes, and the cgroup's memory; None is without limit."""

def thread_context(pid: int, tid: int) -> _ThreadContext | None:
    """What the system knows of a thread; None when there is none."""

def time_limit_grace() -> float:
    """Seconds that a task whose time is up has to clean up."""

def wake_sleeper(tid: int) -> bool:
    """End the call in which a thread of this process sleeps; False if it does not sleep."""
