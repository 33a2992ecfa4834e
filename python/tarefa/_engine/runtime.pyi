"""The runtime and the system below it."""

from typing import Any, Self, TypedDict, final

from tarefa._collections._dict import Dict

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

def address() -> tuple[int, int, int]:
    """Of the runtime: its root's pid, the descriptor of the memory there, and its number."""

def cpu_count() -> int:
    """How many processors this process can use.

    Returns:
        The number, at least 1: of those its affinity allows, as far as the cgroup's quota goes.
    """

def core_of(object: Any) -> Any:  # noqa: A002
    """Make a bare core for another handle of an object: what a subclass's ``__new__`` takes."""

def diagnostics() -> _Diagnostics | None:
    """What is in the runtime now; None where there is no runtime."""

def is_root() -> bool | None:
    """Whether this process made its runtime; None without one."""

def has_references() -> bool:
    """Whether this process has references to shared objects."""

def keep_for_child() -> None:
    """What this process has of shared objects stays from the calling thread's next fork on."""

def child_is_there() -> None:
    """In the parent of that fork: the child has references of its own, or there is none."""

def keep_after_fork() -> None:
    """In the child of a fork: hold what it inherited."""

def was_forked() -> bool:
    """Whether this process was forked from a member, otherwise than as a task."""

def parse_size(text: str) -> int | None:
    """Bytes of a size as in ``64M``; None where it is none."""

def prepare_runtime() -> None:
    """Make the runtime, if there is none."""

def held_objects() -> list[int]:
    """The numbers of the shared objects of which this process has handles."""

def program_dict() -> Dict[str, Any]:
    """The dict that lives as long as the runtime, which is made now if there is none."""

@final
class Names:
    """What a dict's names stood for at one time. It keeps nothing alive."""

    def __new__(cls, of: dict[str, Any]) -> Self: ...
    def changed(self, now: dict[str, Any], /) -> tuple[list[str], list[str]] | None:
        """Names that are new or stand for something else, and those that are gone.

        Returns:
            Both; None if all is as it was.
        """

    def forget(self, name: str, /) -> None:
        """From now on this name has changed, whatever it stands for."""

def prepare_title() -> None:
    """Look where this process's command line is, for :func:`show_name` here and in children."""

def show_name(name: str) -> None:
    """Show it as the calling thread's name, and once it is known where, as the command line."""

def signal_name(signal: int) -> str:
    """``SIGKILL`` for 9."""

def no_thread() -> str:
    """Which limit keeps this process from another thread, most likely, and what to do."""

def system_limits() -> tuple[int | None, int | None, int | None]:
    """Descriptors, processes, and the cgroup's memory; None is without limit."""

def use_large_pages(least: int) -> None:
    """Have the system keep this process's own large pieces of memory in large pages.

    Args:
        least: the bytes of a piece at least.
    """

def keep_daemon_threads() -> None:
    """From now on daemon threads that the interpreter would end sleep for ever.

    The program is about to end: what the interpreter does up to 3.13 aborts it.
    """
