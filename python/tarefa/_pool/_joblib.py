"""The backend ``tarefa`` of joblib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from joblib import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    register_parallel_backend,
)
from joblib._parallel_backends import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    AutoBatchingMixin,
    FallbackToBackend,
    ParallelBackendBase,
    SequentialBackend,
)

from tarefa._pool import _budget
from tarefa._pool._copies import Copies
from tarefa._pool._warm import warm_pool

if TYPE_CHECKING:
    from tarefa._pool._pool import Pool


class TarefaBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc,unused-ignore]
    """Batches of joblib as tasks of a pool, which stays warm between calls."""

    supports_retrieve_callback = True
    supports_inner_max_num_threads = False
    uses_threads = False
    supports_sharedmem = False
    # As those of joblib's own; a batch costs less here.
    MIN_IDEAL_BATCH_DURATION = 0.02

    _pool: Pool | None = None
    _copies: Copies | None = None

    def __init__(self, *, kind: str = "process", **given: Any) -> None:
        super().__init__(**given)
        self._kind = kind
        if kind == "thread":
            self.uses_threads = self.supports_sharedmem = True
        self._futures: set[Any] = set()

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """How many tasks run at once for what was asked for."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        return max(_budget.cores() + 1 + n_jobs, 1) if n_jobs < 0 else n_jobs

    def configure(
        self,
        n_jobs: int = 1,
        parallel: Any = None,
        max_nbytes: int | None = None,
        mmap_mode: str | None = "r",
        **_given: Any,
    ) -> int:
        """Have a pool for a call of ``Parallel``; how many workers it has.

        An array of at least ``max_nbytes`` that several tasks have is copied once, as joblib's own
        backends write it to a file once. ``mmap_mode`` says whether tasks may write to it; with
        ``"c"``, where each writes to a copy of its own, and ``None`` each task is sent one.
        """
        n_jobs = self.effective_n_jobs(n_jobs)
        if n_jobs == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        self.parallel = parallel
        self._pool = warm_pool(n_jobs, self._kind)
        self._copies = None
        if self._kind != "thread" and max_nbytes is not None and mmap_mode in {"r", "r+", "w+"}:
            self._copies = Copies(max_nbytes, writable=mmap_mode != "r")
        return n_jobs

    def submit(self, func: Any, callback: Any = None) -> Any:
        """Have a worker run a batch."""
        pool = self._pool
        if pool is None:
            raise RuntimeError("the backend has no pool: configure() it first")
        if self._copies is None:
            future = pool.submit(func)
        else:
            with self._copies.in_use():
                future = pool.submit(func)
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Any) -> Any:
        """The results of a batch, or the exception of one of its calls."""
        return out.result()

    def terminate(self) -> None:
        """The call is over; the workers stay for the next."""
        self._pool = None
        self._copies = None
        self.reset_batch_stats()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """End what runs for this call, and nothing of others that use the pool."""
        for future in list(self._futures):
            future.cancel(kill=True)
        if not ensure_ready:
            self._pool = None

    def get_nested_backend(self) -> tuple[Any, int | None]:
        """Calls in calls run where they are, if no other backend is chosen there."""
        level = (self.nesting_level or 0) + 1
        return SequentialBackend(nesting_level=level), None


def register() -> None:
    """Make the backend known to joblib under its name."""
    register_parallel_backend("tarefa", TarefaBackend)
