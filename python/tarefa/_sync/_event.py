"""``Event``."""

from __future__ import annotations

from tarefa._engine import EventCore, register_class
from tarefa._runtime._shared import Shared
from tarefa._runtime._showing import full_title, place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tarefa._sync._descriptor import Descriptor


class Event(Shared, EventCore):
    """A flag that threads and processes wait for, with the habits of ``threading.Event``.

    It can be pickled into any other process and is the same event there.
    """

    __module__ = "tarefa"
    _descriptor: Descriptor | None
    __slots__ = ("_descriptor",)

    def fileno(self) -> int:
        """A descriptor that is readable while the flag is up.

        For ``select`` and ``asyncio``: nothing is to be read from it. It is made at the first call,
        with a thread that waits for what others do to the event, and is gone with this handle.
        """
        from tarefa._sync._descriptor import Descriptor

        return Descriptor.of(self).fileno()

    def isSet(self) -> bool:  # noqa: N802 - the name that threading had first
        """Deprecated, as in ``threading``: use ``is_set()``."""
        import warnings

        warnings.warn("isSet() is deprecated, use is_set() instead", DeprecationWarning, 2)
        return self.is_set()

    def __repr__(self) -> str:
        state = "set" if self.is_set() else "unset"
        return f"<{full_title(self)} {place(self)}: {state}>"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, EventCore):
            return self.object_id == other.object_id
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.object_id)


register_class("Event", Event)
