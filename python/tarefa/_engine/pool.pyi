"""What pools are made of."""

from collections.abc import Callable, Iterator
from typing import Any, Self, final

from typing_extensions import disjoint_base

@disjoint_base
class BoardCore:
    """What each worker of a pool is at, in shared memory: a seat for each."""

    def __new__(cls, *args: object) -> Self: ...
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, ...]]: ...
    @property
    def seats(self) -> int:
        """How many seats it has."""

    def note_ready(self, seat: int) -> bool:
        """The seat's worker takes work from now on; false if it was given up."""

    def give_up(self, seat: int) -> bool:
        """Have the seat's worker take no work, if it is not ready yet; whether it is not."""

    def is_ready(self, seat: int) -> bool:
        """Whether the seat's worker takes work, or did."""

    def begin(self, seat: int, batch: int, count: int) -> bool:
        """Begin a batch that nobody has begun before; false if it was called off."""

    def take_over(self, seat: int, batch: int, count: int) -> list[tuple[int, int]] | None:
        """Go on with a batch that another worker had: tasks to blame for that, with their workers.

        None if the batch was called off before anybody began it.
        """

    def taken_over(self, seat: int, batch: int) -> None:
        """What the former workers of the batch had begun is told."""

    def claim(self, seat: int) -> int:
        """Claim the next task: its place in the batch; -1: none is left; -2: the worker is held."""

    def run(self, seat: int, calls: Iterator[Any]) -> int | tuple[int, Any]:
        """Run the tasks of the seat's batch: each next item of ``calls`` makes one call.

        Results that are words are kept at the seat. Returns why it stops: -1: no task is left; -2:
        the worker is held; -3: what is kept is to be told; or a task's place and its result, which
        is no word. What a task raises is raised.
        """

    def kept(self, seat: int, batch: int) -> tuple[int, bytes] | None:
        """The results that a seat keeps of a batch: the first task's place, and all as bytes."""

    def kept_of(self, batch: int) -> list[tuple[int, bytes]]:
        """The same of all seats that keep any."""

    def told(self, seat: int) -> None:
        """The worker has told all results that it kept."""

    def resume(self, seat: int) -> None:
        """The worker has had the interrupt that held it."""

    def is_held(self, seat: int) -> bool:
        """Whether the worker is held in the task that it runs."""

    def disown(self, seat: int) -> None:
        """The worker leaves, and gives its batch back after this."""

    def leave(self, seat: int, carried: int) -> None:
        """The worker has acknowledged its batch; its messages had so many bytes so far."""

    def usage(self, seat: int) -> tuple[int, int, int, int]:
        """What the seat's worker has done so far.

        Tasks that it has claimed, nanoseconds that it has had work and waited for some, and the
        bytes of its messages until its last batch.
        """

    def assign(self, seat: int, worker: int) -> None:
        """Give a seat to a worker."""

    def batch_of(self, seat: int) -> int:
        """The batch that a seat is at; 0 for none."""

    def claimed(self, seat: int) -> int:
        """Tasks that the seat's worker has claimed."""

    def running(self, seat: int) -> tuple[int, int, int, int] | None:
        """The task that the seat's worker runs.

        Its batch, its place there, when it was claimed in nanoseconds of the monotonic clock, and
        how many of the batch wait.
        """

    def hold(self, seat: int, batch: int, task: int) -> bool:
        """Forbid the seat's worker to go on after that task; false if it is past it."""

    def take_rest(self, seat: int, batch: int) -> tuple[int, int] | None:
        """Take what the seat's worker has not claimed of that batch: first and end."""

    def call_off(self, batch: int) -> bool:
        """Call off a batch that nobody has begun; false if somebody has, or may have."""

    @property
    def object_id(self) -> tuple[int, int]:
        """Number of its runtime, and of it there: the same for all handles of one object."""

@final
class BatchSizes:
    """The measured length of tasks, and how many of them a batch gets."""

    def __new__(cls, unit: int) -> Self: ...
    def measured(self, count: int, ns: int) -> None:
        """Note that a batch of ``count`` tasks took so many nanoseconds."""

    def next(self, workers: int, left: int | None) -> int:
        """How many tasks the next batch gets, with so many left if that is known."""

    @property
    def mean(self) -> float | None:
        """The mean length of a task in nanoseconds; None before one was measured."""

@final
class WorkerGrowth:
    """The private memory of this process, beside what it had when this was made."""

    def __new__(cls, most: int) -> Self: ...
    def is_past(self) -> bool:
        """Whether it has grown by more than that."""

def kept_results(packed: bytes) -> list[Any]:
    """The results in the bytes of :meth:`BoardCore.kept`."""

def is_traced() -> bool:
    """Whether somebody wants to know what workers do."""

@final
class TracedCall:
    """A function of a batch, each call of which is written down."""

    def __new__(
        cls,
        called: tuple[Callable[..., Any], str],
        batch: tuple[int, int],
        place: tuple[Any, ...],
        finish: Callable[[Any], Any],
        interrupt: type[BaseException],
    ) -> Self: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

@final
class WorkerPinning:
    """Which processors the workers of a pool may use.

    Raises:
        ValueError: there are no sets, an empty one, or a processor that this process may not use.
    """

    def __new__(cls, sets: list[list[int]] | None = None) -> Self: ...
    def at(self, place: int) -> list[int]:
        """The processors of the worker at a place."""

    @staticmethod
    def free_place(taken: list[int]) -> int:
        """The first place that none of these workers has."""

@final
class WorkerStarts:
    """The starts of a pool's workers."""

    def __new__(cls, workers: int, initializes: bool) -> Self: ...
    def ended(self, ready: bool, killed: bool, another_is_ready: bool) -> bool:
        """Note the end of a worker; whether the pool is to give up."""
