"""``Barrier``."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable

from tarefa._engine import BarrierCore, register_class
from tarefa._runtime._module_objects import is_attached
from tarefa._runtime._shared import Shared
from tarefa._runtime._showing import full_title, place
from tarefa._runtime._timeouts import TIMEOUT_MAX, too_large

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, SupportsIndex

_local = threading.local()


def _publishing() -> set[tuple[int, int]]:
    """The barriers whose actions this thread is pickling."""
    found: set[tuple[int, int]] = _local.__dict__.setdefault("barriers", set())
    return found


class Barrier(Shared, BarrierCore):
    """A point where a number of threads and processes wait for each other.

    It has the habits of ``threading.Barrier``. If a process dies while it waits, the barrier is
    broken, and the others are told which it was. It can be pickled into any other process and is
    the same barrier there.

    Args:
        parties: how many have to come.
        action: what the last to come does before all go on. It is pickled when the barrier goes
            to another process; one that does not pickle runs in this process only.
        timeout: seconds that a ``wait()`` without a timeout waits at most; None waits for ever.

    Raises:
        ValueError: less than one party.
        TypeError: a timeout that is no number.
        OverflowError: a timeout above ``TIMEOUT_MAX``.
    """

    __module__ = "tarefa"
    __slots__ = ("_action",)

    _action: Callable[[], Any]

    def __init__(
        self,
        parties: SupportsIndex,
        action: Callable[[], Any] | None = None,
        timeout: float | None = None,
    ) -> None:
        super().__init__()
        number = operator.index(parties)
        if number < 1:
            raise ValueError("parties must be >= 1")
        if action is not None and not callable(action):
            raise TypeError(f"action must be callable or None, not {type(action).__name__}")
        if isinstance(timeout, (int, float)) and timeout > TIMEOUT_MAX:
            raise too_large("timeout value", timeout, "waits for ever")
        if not is_attached(self):
            self._set_up(number, timeout, action is not None)
        if action is not None:
            self._action = action

    def _act(self) -> None:
        action = getattr(self, "_action", None)
        if action is None:
            action = self._action = self._published_action()
        action()

    def _publish(self) -> None:
        # An action that mentions its barrier comes here again while it is pickled.
        if hasattr(self, "_action") and not self._published and self.object_id not in _publishing():
            _publishing().add(self.object_id)
            try:
                self._publish_action(self._action)
            finally:
                _publishing().discard(self.object_id)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, ...]]:
        self._publish()
        return super().__reduce__()

    def __repr__(self) -> str:
        broken = self.broken
        state = "broken" if broken else f"waiters={self.n_waiting}/{self.parties}"
        return f"<{full_title(self)} {place(self)}: {state}>"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, BarrierCore):
            return self.object_id == other.object_id
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.object_id)


register_class("Barrier", Barrier)
