"""The pickler for what cannot be imported where it is read."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import cloudpickle

from tarefa._pickling import reduce_context_var


class ByValue(cloudpickle.Pickler):  # type: ignore[misc]
    """Functions and classes as what they consist of; context variables, too."""

    def reducer_override(self, obj: Any) -> Any:
        """What ``pickle`` asks first."""
        if type(obj) is ContextVar:
            return reduce_context_var(obj)
        return super().reducer_override(obj)
