"""``Pool.amap``: the results of a map for ``async for``."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import AsyncIterator
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tarefa._pool._timeline import boards
from tarefa._runtime._awaits import Awaiting
from tarefa._runtime._shared import shown_dir

if TYPE_CHECKING:
    from tarefa._pool._results import Results

R = TypeVar("R")


class AsyncResults(AsyncIterator[R]):
    """What ``amap()`` returns: the results, for ``async for``.

    A thread waits for them where none is there, and hands over all that have come.
    """

    __module__ = "tarefa"

    def __init__(self, results: Results[R]) -> None:
        self._results = results
        self._run: deque[R] = deque()
        self._over = self._asked = False
        self._error: BaseException | None = None
        self._news: asyncio.Event | None = None
        self._requests: SimpleQueue[asyncio.AbstractEventLoop | None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> R:
        while not self._run:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._over:
                raise StopAsyncIteration
            await self._more()
        return self._run.popleft()

    async def _more(self) -> None:
        loop = asyncio.get_running_loop()
        if self._news is None:
            self._news = asyncio.Event()
        self._news.clear()
        # One that was asked for before a cancellation still comes.
        if not self._asked:
            self._asked = True
            if self._requests is None:
                self._requests = SimpleQueue()
                threading.Thread(
                    target=_take_runs,
                    # Not to keep alive who asks.
                    args=(self._requests, self._results, weakref.WeakMethod(self._come)),
                    name="takes results for asyncio",
                    daemon=True,
                ).start()
            self._requests.put(loop)
        with Awaiting(*boards(self._results._mapping.crew)):
            await self._news.wait()

    def _come(self, run: list[Any], error: BaseException | None, over: bool) -> None:
        """In the loop: results have come."""
        self._asked = False
        if not self._over:
            self._run.extend(run)
            self._error, self._over = error, over
        if self._news is not None:
            self._news.set()

    async def aclose(self) -> None:
        """Stop: what has not begun is not begun any more."""
        self._end()

    def _end(self) -> None:
        self._over = True
        self._run.clear()
        self._results.close()
        if self._requests is not None:
            self._results._mapping.crew.wake()
            self._requests.put(None)
            self._requests = None

    def __del__(self) -> None:
        if getattr(self, "_requests", None) is not None:
            self._end()

    __dir__ = shown_dir


def _take_runs(requests: Any, results: Results[Any], come: Any) -> None:
    """What the thread does: for each request it takes what is there, waiting for the first."""
    while (loop := requests.get()) is not None:
        run: list[Any] = []
        error: BaseException | None = None
        over = False
        try:
            run.append(next(results))
            run.extend(results._runs.rest())
        except StopIteration:
            over = True
        except BaseException as e:
            error, over = e, True
        tell = come()
        if tell is None:
            return
        try:
            loop.call_soon_threadsafe(tell, run, error, over)
        except RuntimeError:
            return  # the loop is closed
        del run, error, tell
