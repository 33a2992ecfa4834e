"""``AsyncResult``: what the ``_async`` ways of ``multiprocessing.Pool`` return."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from tarefa._pool._errors import also_of_multiprocessing
from tarefa._runtime._errors import TaskTimeout
from tarefa._runtime._shared import shown_dir
from tarefa._task._base import check_timeout

Callback = Callable[[Any], object] | None

R = TypeVar("R")


class AsyncResult(Generic[R]):
    """The result of ``apply_async``, ``map_async`` or ``starmap_async``."""

    __module__ = "tarefa"

    def __init__(self, future: Any, callback: Callback, error_callback: Callback) -> None:
        self._future = future
        # Set once the callbacks were called, where there are any; and who calls them.
        self._told: threading.Event | None = None
        self._teller: int | None = None
        if callback is not None or error_callback is not None:
            told = self._told = threading.Event()

            def tell(ended: Any) -> None:
                self._teller = threading.get_ident()
                try:
                    if ended.cancelled():
                        return
                    error = ended.exception()
                    if error is None:
                        if callback is not None:
                            callback(ended.result())
                    elif error_callback is not None:
                        error_callback(error)
                finally:
                    told.set()

            future.add_done_callback(tell)

    def _until_told(self, until: float | None) -> None:
        """Wait for the end of the callbacks, which come before the result as in multiprocessing."""
        if self._told is not None and self._teller != threading.get_ident():
            left = None if until is None else max(0.0, until - time.monotonic())
            self._told.wait(left)

    def get(self, timeout: float | None = None) -> R:
        """The result; raises what the call raised.

        Raises:
            TimeoutError: it is not there within ``timeout`` seconds. It is a
                ``multiprocessing.TimeoutError`` as well.
        """
        until = None if timeout is None else time.monotonic() + timeout
        try:
            value: R = self._future.result(timeout)
        except Exception as e:
            self._until_told(until)
            if not isinstance(e, TaskTimeout):
                raise
            if not self.ready():
                raise also_of_multiprocessing(e) from None
            # It has come in between, or the call has raised that itself.
            value = self._future.result(0)
        self._until_told(until)
        return value

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it is there, for ``timeout`` seconds at most."""
        until = None if timeout is None else time.monotonic() + timeout
        with contextlib.suppress(TimeoutError, CancelledErrors):
            self._future.exception(timeout)
        self._until_told(until)

    def ready(self) -> bool:
        """Whether it is there."""
        done: bool = self._future.done()
        return done

    def successful(self) -> bool:
        """Whether the call returned.

        Raises:
            ValueError: it has not ended.
        """
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return not self._future.cancelled() and self._future.exception() is None

    __dir__ = shown_dir


class Collected:
    """All results of a map, as a future has one."""

    def __init__(self, results: Any) -> None:
        self._results = results
        self._lock = threading.Lock()
        self._outcome: tuple[bool, Any] | None = None

    def _collect(self, timeout: float | None) -> tuple[bool, Any]:
        mapping = self._results._mapping
        timeout = check_timeout(timeout)
        if self._outcome is None and not mapping.wait_all(timeout):
            raise TaskTimeout(f"the results are not all there within {timeout} s; they go on")
        with self._lock:
            if self._outcome is None:
                try:
                    self._outcome = True, list(self._results)
                except Exception as e:
                    self._outcome = False, e
            return self._outcome

    def result(self, timeout: float | None = None) -> Any:
        """The list of results; raises what the first call raised that raised."""
        ok, value = self._collect(timeout)
        if ok:
            return value
        raise value

    def exception(self, timeout: float | None = None) -> Exception | None:
        """What ``result()`` would raise."""
        ok, value = self._collect(timeout)
        return None if ok else value

    def done(self) -> bool:
        """Whether all results are there."""
        mapping = self._results._mapping
        mapping.crew.look()
        return self._outcome is not None or mapping.all_there()

    def cancelled(self) -> bool:
        """Never: see the results."""
        return False

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Have a function called once all results are there, in a thread of its own."""

        def later() -> None:
            self._collect(None)
            fn(self)

        threading.Thread(target=later, name="results of a map", daemon=True).start()


def _cancelled() -> type[BaseException]:
    from concurrent.futures import CancelledError

    return CancelledError


CancelledErrors = _cancelled()
