"""Context variables of a new task: a copy of the caller's, with a `decimal` context of its own."""

from __future__ import annotations

import sys
from contextvars import Context, copy_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def context_for_task() -> Context:
    """A copy of the caller's, of which a task changes nothing for the caller."""
    return with_own_decimal(copy_context())


def with_own_decimal(context: Context) -> Context:
    """The same context; that of ``decimal`` in it, an object that changes, becomes a copy.

    Its flags are clear, for they say what the caller computed.
    """
    decimal = sys.modules.get("decimal")
    if decimal is not None and len(context):
        context.run(_copy, decimal)
    return context


def _copy(decimal: Any) -> None:
    try:
        set_copy(decimal, decimal.getcontext())
    except AttributeError:  # the module is only being loaded, by another thread
        return


def set_copy(decimal: Any, of: Any) -> None:
    """Have the calling context compute as that of ``decimal`` says, of which it gets a copy."""
    found = of.copy()
    found.clear_flags()
    decimal.setcontext(found)
