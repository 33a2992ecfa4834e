"""What a pool has of its timeline; what that is made of is loaded when it is asked for."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tarefa._pool._timeline import PoolRecording, Timeline


class Recorded:
    """A pool whose calls can be recorded."""

    __module__ = "tarefa"

    name: str
    _crew: Any
    _lock: threading.Lock
    _recording: PoolRecording | None = None

    def timeline(self) -> Timeline:
        """Who ran what when: all calls since ``Pool(timeline=True)``, or the first call of this.

        It is there after the end of the pool, too, and tells of workers that have died.
        """
        return self._record().look(self)

    def save_timeline(self, path: str | os.PathLike[str]) -> None:
        """Write :meth:`timeline` to a file: see :meth:`Timeline.save`.

        Raises:
            ValueError: nothing is recorded yet, or the file's name has another ending.
            OSError: the file cannot be written.
        """
        from tarefa._pool._timeline import check_suffix

        check_suffix(path)
        if self._recording is None:
            raise ValueError(
                f"{self.name} has recorded nothing: make it with timeline=True, or call timeline() "
                "before what is to be seen"
            )
        self.timeline().save(path)

    def _record(self) -> PoolRecording:
        from tarefa._pool._timeline import PoolRecording

        with self._lock:
            if self._recording is None:
                self._recording = PoolRecording()
            return self._recording

    def _end_recording(self) -> None:
        if self._recording is not None:
            self._recording.end(self)
