"""``Event``."""

from __future__ import annotations

from tarefa._engine import EventCore, register_class


class Event(EventCore):
    """A flag that threads and processes wait for, with the habits of ``threading.Event``.

    It can be pickled into any other process and is the same event there.
    """

    __module__ = "tarefa"
    __slots__ = ()

    def __repr__(self) -> str:
        return f"<tarefa.Event {self.object_id[1]}: {'set' if self.is_set() else 'unset'}>"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, EventCore):
            return self.object_id == other.object_id
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.object_id)


register_class("Event", Event)
