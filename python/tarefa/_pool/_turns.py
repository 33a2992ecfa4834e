"""Who takes results out of a pool's queue: of all threads that wait for some, one at a time.

A thread that waits for results takes all that come, its own and those of others, so nothing is
handed from thread to thread where one waits alone. The others sleep until their own have come, or
until it is their turn. A thread in the background takes its turn only where nobody else does.
"""

from __future__ import annotations

import _thread
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import starmap
from typing import Any

from tarefa._channel._errors import Empty

# Messages that are taken at once.
_MOST = 4096


class _Follower:
    """A thread that waits while another takes the results."""

    __slots__ = ("done", "lock")

    def __init__(self, done: Callable[[], bool]) -> None:
        self.done = done
        self.lock = _thread.allocate_lock()
        self.lock.acquire()


class Turns:
    """The turns of the threads that wait for a queue's messages.

    Args:
        queue: where the messages come from.
        handle: what is done with a list of them. It may be called again with the same one, after
            an interrupt.
        recount: called after such an interrupt.
        on_free: called when it is nobody's turn.
    """

    def __init__(
        self,
        queue: Any,
        handle: Callable[[list[Any]], None],
        recount: Callable[[], None],
        on_free: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._handle = handle
        self._recount = recount
        self._on_free = on_free
        self._mutex = threading.Lock()
        self._leader: int | None = None
        # How deep the leader is: what it handles may call what waits again.
        self._depth = 0
        self._in_background = False
        self._followers: list[_Follower] = []
        # Taken and not handled: pairs of messages, as a deque, and an error.
        self._taken: deque[Any] = deque()
        # Counts what was waited for, but not in the background.
        self.waits = 0

    def wait(
        self, done: Callable[[], bool], timeout: float | None = None, *, background: bool = False
    ) -> bool:
        """Wait until ``done()``, handling what comes; whether it is.

        ``done`` is called by any thread.
        """
        until = None if timeout is None else time.monotonic() + timeout
        if not background:
            self.waits += 1
        while not done():
            if self._queue is None:
                return done()
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                # What has come already counts.
                self.look()
                return done()
            if self._take_lead(background):
                self._lead(done, left)
                if background and self._followers:
                    return done()
            elif background:
                return done()
            else:
                self._follow(done, left)
        return True

    def look(self) -> None:
        """Handle what has come, without waiting; nothing where another thread does."""
        if self._queue is not None and self._take_lead(False):
            self._lead(lambda: False, 0)

    @property
    def is_taken(self) -> bool:
        """Whether it is somebody's turn now."""
        return self._leader is not None

    def _take_lead(self, background: bool) -> bool:
        me = threading.get_ident()
        with self._mutex:
            if self._leader is None:
                self._leader = me
                self._depth = 0
                self._in_background = background
            # It may be its own: from what it handles, or from before an interrupt.
            return self._leader == me

    def _lead(self, done: Callable[[], bool], left: float | None) -> None:
        self._depth += 1
        try:
            self._take(done, left)
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._pass_on()

    def _take(self, done: Callable[[], bool], left: float | None) -> None:
        until = None if left is None else time.monotonic() + left
        taken = self._taken
        if taken:
            self._handle_taken()
        while not done():
            left = None if until is None else max(0.0, until - time.monotonic())
            try:
                # In one step: an interrupt does not come between taking and keeping.
                taken.extend(starmap(self._queue._take_many, [(_MOST, False, left != 0, left)]))
            except Empty:
                return
            self._handle_taken()
            if self._followers:
                self._let_go()
                if self._in_background:
                    return

    def _handle_taken(self) -> None:
        try:
            self._handle_all()
        except BaseException:
            self._recount()
            self._handle_all()
            raise

    def _handle_all(self) -> None:
        taken, handle = self._taken, self._handle
        while taken:
            some = taken[0]
            handle(some[0])
            if taken and taken[0] is some:
                taken.popleft()

    def _let_go(self) -> None:
        """Wake those whose wait is over."""
        for follower in list(self._followers):
            if follower.done():
                _open(follower.lock)

    def _pass_on(self) -> None:
        """It is the turn of another."""
        with self._mutex:
            self._leader = None
            for follower in self._followers:
                _open(follower.lock)
                if not follower.done():
                    return
        self._on_free()

    def _follow(self, done: Callable[[], bool], left: float | None) -> None:
        follower = _Follower(done)
        with self._mutex:
            if self._leader is None:
                return
            self._followers.append(follower)
            kick = self._in_background
        try:
            if kick:
                # Its wait ends, and it sees that somebody else wants the turn.
                self._queue.put(None)
            if not done():
                follower.lock.acquire(timeout=-1 if left is None else left)
        finally:
            with self._mutex:
                self._followers.remove(follower)

    def wake(self) -> None:
        """Have those who wait look around."""
        if self._queue is not None:
            self._queue.put(None)

    @property
    def is_closed(self) -> bool:
        """Whether nothing comes any more."""
        return self._queue is None

    def close(self) -> None:
        """Nothing comes any more: let go of the queue, and of who handles messages."""
        self._queue = None
        self._handle = self._recount = self._on_free = _nothing


def _nothing(*_: Any) -> None:
    pass


def _open(lock: Any) -> None:
    try:
        lock.release()
    except RuntimeError:
        pass  # it is open
