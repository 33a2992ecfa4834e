"""The pickler of exceptions; its base is slow to import, so this is, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tarefa._convert._cloudpickler import ByValue


class ExceptionPickler(ByValue):
    """Has exceptions go as what they consist of, also among arguments and attributes."""

    reduce_exception: Callable[[BaseException], Any]

    def reducer_override(self, obj: Any) -> Any:
        """What ``pickle`` asks first."""
        if isinstance(obj, BaseException):
            reduced = self.reduce_exception(obj)
            if reduced is not None:
                return reduced
        return super().reducer_override(obj)
