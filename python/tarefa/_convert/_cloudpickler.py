"""The pickler for what cannot be imported where it is read."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextvars import ContextVar
from types import CodeType
from typing import Any

import cloudpickle

from tarefa._convert._context_vars import reduce_context_var


class ByValue(cloudpickle.Pickler):  # type: ignore[misc]
    """Functions and classes as what they consist of; context variables, too."""

    def reducer_override(self, obj: Any) -> Any:
        """What ``pickle`` asks first."""
        if type(obj) is ContextVar:
            return reduce_context_var(obj, _pickles)
        if type(obj) is CodeType:
            return self._reduce_code(obj)
        if isinstance(obj, type) and "_ctypes" in sys.modules and _is_ctypes(obj):
            from tarefa._convert._ctypes_pickling import reduce_type

            importable = cloudpickle.cloudpickle._should_pickle_by_reference(obj)
            reduced = reduce_type(obj, importable)
            if reduced is not NotImplemented:
                return reduced
        return super().reducer_override(obj)

    def _reduce_code(self, code: CodeType) -> Any:
        """With the name of its file, which tracebacks and reports show."""
        make, args = self.dispatch_table[CodeType](code)
        return make, tuple(code.co_filename if a == "<dynamic-code>" else a for a in args)


def _is_ctypes(obj: type) -> bool:
    ctypes: Any = sys.modules["_ctypes"]
    return issubclass(obj, (ctypes.Structure, ctypes.Union, ctypes.Array))


def dumps_by_value(obj: Any, keep: Callable[[Any], bool] | None = None) -> bytes:
    """Pickle ``obj``; ``keep`` says of each large buffer whether it stays in the pickle."""
    buffer = io.BytesIO()
    ByValue(buffer, protocol=5, buffer_callback=keep).dump(obj)
    return buffer.getvalue()


def _pickles(obj: Any) -> bool:
    try:
        dumps_by_value(obj)
    except Exception:
        return False
    return True
