"""A handle, in another process, of a thread."""

from __future__ import annotations

from tarefa._task._base import TaskBase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Base = TaskBase[Any]
else:
    Base = TaskBase


class RemoteThread(Base):
    """A thread of another process: its state, its end, and interrupting it where it waits."""

    __module__ = "tarefa"

    def __init__(self, core: Any) -> None:
        self._tarefa_core = core

    @property
    def name(self) -> str:
        """Its name."""
        name: str = self._tarefa_core.name
        return name

    @property
    def daemon(self) -> bool:
        """Whether its program may end without it."""
        daemon: bool = self._tarefa_core.daemon
        return daemon

    def interrupt(self) -> None:
        if self._need_started():
            self._tarefa_core.request_interrupt()

    terminate = kill = interrupt

    def _stack(self) -> tuple[str, ...]:
        return ()

    def _find_outcome(self) -> tuple[bool, Any]:
        from tarefa._runtime._errors import StateError
        from tarefa._task._state_numbers import KILLED

        if self._tarefa_core.state == KILLED:
            return TaskBase._find_outcome(self)
        raise StateError(f"{self._label()} ran in another process, where its result is")
