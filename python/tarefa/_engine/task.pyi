"""Tasks: their records, the zygote and its spares, interrupts, limits, programs."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, Self, TypedDict, final

from tarefa._engine.sync import Selectable

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
class Unchanged:
    """Whether what tasks inherit is as it was.

    Args:
        same: objects, names of their attributes, and what these were: the very same objects.
        equal: the same, of which equal ones will do.
        calls: functions, and what they returned.
        modules: ``sys.modules``.
        folder: the current one, if that matters.
    """

    def __new__(
        cls,
        same: list[tuple[Any, str, Any]],
        equal: list[tuple[Any, str, Any]],
        calls: list[tuple[Callable[[], Any], Any]],
        modules: dict[str, Any],
        folder: bytes | None = None,
    ) -> Self: ...
    def holds(self) -> bool:
        """Whether all is as it was; False where that cannot be told."""

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

    def selectable(self) -> Selectable:
        """What waits for its end beside other things."""

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
        """Whether somebody has sent its process a signal that kills."""

    def last_line(self) -> tuple[str, bool] | None:
        """Where it was when its process died; whether it was broken there, or only seen last."""

    def note_retrieved(self) -> None:
        """Note that somebody has asked for its outcome and gets it."""

    def is_untold(self) -> bool:
        """Whether it has failed, and nobody has asked about that or told of it."""

    def claim_telling(self) -> bool:
        """Whether the caller is to tell of its failure: says so once."""

    def keep_quiet(self) -> None:
        """Before its end, by who runs it: nobody is to be told of that."""

    @property
    def tell_at(self) -> int | None:
        """When its failure is to be told at the latest, in nanoseconds of the monotonic clock."""

    @property
    def remind_at(self) -> int:
        """When who is to tell of it is to be reminded."""

    def is_last_handle(self, handles: int) -> bool:
        """Whether nothing refers to it but so many handles of this process, or fewer."""

    @property
    def pid(self) -> int | None:
        """The process it runs in."""

    @property
    def tid(self) -> int | None:
        """The thread it runs in."""

    def starter(self) -> tuple[int, TaskCore | None] | None:
        """The process that started it, while that lives: its pid, and the task that it runs."""

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

    def over_time_words(self) -> str:
        """``ran longer than its time limit of 0.5 s``."""

    def time_limit_words(self) -> str:
        """Its time limit, as in ``0.5 s``."""

    def memory_limit_words(self) -> str:
        """Its memory limit, as in ``512 MiB``."""

    def death_words(self) -> str:
        """What there is to say of the end of its process, of a task that was killed."""

    def set_limits(self, time: int | None = None, memory: int | None = None) -> None:
        """Set its limits: nanoseconds, and bytes. Before it is started."""

    def arm_time_limit(self, ident: int, exception: object) -> None:
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
        """Free what was to run, which this process has read, if it mentions ends of pipes."""

    def start_process(self, descriptors: list[int] = []) -> None:
        """Start it as a process, which is given the descriptors.

        Raises:
            StartError: the system refused, or the runtime's root has ended.
        """

    def run_thread(self) -> bool:
        """The calling thread runs it from now on. True if it was interrupted before."""

    def run_here(self) -> bool:
        """The calling thread runs it from now on; False if it is not to be run."""

    def deliver(
        self,
        is_error: bool = False,
        value: object = None,
        dumps: Callable[[Any], bytes] | None = None,
    ) -> None:
        """Have its outcome before it ends: :meth:`finish` without one follows."""

    def delivered(self) -> bool:
        """Whether its outcome is there, though it may run still."""

    def join_outcome(self, timeout: float | None = None) -> bool:
        """Wait for its outcome; False when the time passes first."""

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

    def wake(self) -> None:
        """Make its thread look around."""

    def waits_here(self) -> bool:
        """Whether its thread sleeps in a wait of tarefa's."""

    def send_signal(self, signal: int, kills: bool = False) -> bool:
        """Send its process a signal; False when that has ended.

        Args:
            signal: its number.
            kills: whether a death that follows is our own doing.

        Raises:
            OSError: the system refused: the process is another user's by now, say.
        """

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

def has_zygote() -> bool:
    """Whether :func:`set_zygote` was called."""

def interrupt_signal() -> int:
    """The signal that makes a task's blocked call return."""

def was_reminded() -> bool:
    """Whether this process was reminded to tell of failures, since this was asked last."""

def listen_for_reminders() -> None:
    """See to it that reminders reach this process: the root and tasks get them without this."""

def remind_at(at: int) -> None:
    """Have this process reminded at ``at``, in nanoseconds of the monotonic clock."""

def take_orphaned() -> list[tuple[str, int, int, str | None, int, bytes | None]]:
    """What the root has to tell of tasks whose starter has died.

    Returns:
        For each its name, its pid, its exit code; words of its death and the most memory it had,
        or the pickle of its exception.
    """

def join_several(tasks: list[TaskCore], timeout: float | None, when: str) -> bool:
    """Wait for tasks until ``when``, a constant of ``concurrent.futures``, is met.

    False when the time passes first.
    """

def take_descriptors() -> list[int]:
    """Return the descriptors that came with this process's task, once; they are the caller's."""

def most_descriptors() -> int:
    """Return how many descriptors come with a task at most."""

def watch_termination() -> bool:
    """Have SIGTERM call the interpreter's handler first, and end the process a while later."""

def watch_keyboard(core: TaskCore) -> None:
    """Have SIGINT of the program's processes call the interpreter's handler, and no other."""

def default_termination() -> None:
    """Have SIGTERM end the process."""

def die_of_termination() -> None:
    """End this process by SIGTERM."""

def leave(code: int) -> None:
    """End a child whose task has its outcome. Does not return."""

def lift_memory_limit() -> None:
    """End the memory limit of the task that runs here: its target is over."""

def make_immortal(objects: list[Any], passing: tuple[type, ...], /) -> None:
    """Give objects the count of those that are never freed, nor counted.

    With what they refer to that the garbage collector does not know, but for what is of the types
    in ``passing``. Only where that is known: see ``tarefa._task._immortal``.
    """

def watch_signals() -> None:
    """In the main thread: have no signal slept over that comes just before a sleep."""

def own_threads() -> int:
    """Threads of this process, by the system's count."""

def prepare_thread_interrupts() -> None:
    """Install the handler that :func:`wake_sleeper` needs."""

def prepare_zygote() -> None:
    """Ask for a zygote before one is needed."""

def send_to_zygote(bytes: bytes, makes_spares_stale: bool = False) -> None:  # noqa: A002
    """Send the zygote a message: see ``tarefa._task._zygote.message``."""

def join_runtime(root: int, memory_fd: int, id: int, slot: int) -> None:  # noqa: A002
    """Join a runtime in the process slot that its root has taken for this process."""

def serve(child: ModuleType) -> None:
    """Serve as the zygote of the runtime this process has joined. Does not return."""

GRACE: float
STATE_NAMES: tuple[str, ...]
"""The names of a task's states, by their numbers."""

def usual_spares() -> int:
    """Return how many processes are kept ready unless somebody sets another number.

    Raises:
        ValueError: what the environment says is none.
    """

def most_spares() -> int:
    """Return the most processes that may be kept ready."""

def usual_depth() -> int:
    """How deep processes may start processes unless somebody says so.

    Raises:
        ValueError: the environment says something else than a number.
    """

def usual_kind() -> str:
    """What the tasks of a pool run on where its maker does not say it.

    Raises:
        ValueError: the environment says something else than a kind.
    """

def set_usual_depth(depth: int) -> None:
    """Set that, unless somebody has set another."""

def set_max_depth(depth: int) -> None:
    """Set how deep processes may start processes."""

def set_spares(count: int) -> None:
    """Say how many processes are kept ready."""

def set_zygote(argv: list[bytes], envp: list[bytes]) -> None:
    """Say how a zygote is started."""

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

def stop_thread_timer() -> None:
    """Interrupt no thread of this process for its time limit any more: the program ends."""

def thread_context(pid: int, tid: int) -> _ThreadContext | None:
    """What the system knows of a thread; None when there is none."""

def wake_sleeper(tid: int) -> bool:
    """End the call in which a thread of this process sleeps; False if it does not sleep."""
