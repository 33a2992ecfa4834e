"""The context variables that a pool's tasks have.

A task has its caller's. What its caller has left as it was when the pool was made is what the
worker made of it, if it did: its initializer, or a module as it was imported there. Of ``decimal``,
whose context is an object that changes, each task has a copy.

    Origin    where the pool was made: workers of both kinds begin in a copy of that, whoever hires
    Own       what a worker has of its own
    pack      what goes to a worker process with a batch; see ``Own.unpacked``
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextvars import Context, ContextVar, copy_context
from typing import Any

from tarefa._convert import _pickling
from tarefa._runtime._contexts import context_for_task, set_copy, with_own_decimal
from tarefa._task._environment import arrived
from tarefa._task._interpreter_state import decimals_in, is_decimals

_NOTHING = object()


class Origin:
    """The variables as they were where a pool was made."""

    __slots__ = ("_context", "decimals")

    def __init__(self) -> None:
        self._context = context_for_task()
        self.decimals = decimals_in(self._context)

    def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function where the pool was made."""
        return with_own_decimal(self._context.copy()).run(function, *args, **kwargs)

    def has(self, var: ContextVar[Any], value: Any) -> bool:
        """Whether a variable had that value."""
        return self._context.get(var, _NOTHING) is value

    def pack(self, context: Context | None) -> list[bytes] | None:
        """What travels of a caller's variables; None for nothing."""
        if context is None:
            # The decimal context that a thread begins with.
            return None if self.decimals is None else [_pickling.dumps((None, None, False))]
        packed: list[bytes] = []
        decimals = None
        for var, value in context.items():
            if is_decimals(var):
                decimals = value
                continue
            try:
                packed.append(_pickling.dumps((var, value, self.has(var, value))))
            except Exception:  # noqa: S112 - one that does not pickle stays behind, by design
                continue
        found = decimals_in(context)
        if found != self.decimals:
            packed.append(_pickling.dumps((None, None if found is None else decimals, False)))
        return packed or None


class Own:
    """What a worker has of its own: what its initializer set, and modules as they were imported.

    Args:
        begin: what it does before its first task, in the thread that runs them.
    """

    __slots__ = ("_decimals", "_main", "_variables")

    def __init__(self, begin: Callable[[], object]) -> None:
        before = copy_context()
        begin()
        self._main = context = copy_context()
        self._variables: dict[ContextVar[Any], Any] = {}
        self._decimals: Any = None
        for var, value in context.items():
            if is_decimals(var):
                if decimals_in(context) is not None:
                    self._decimals = value.copy()
            elif before.get(var, _NOTHING) is not value:
                self._variables[var] = value

    def run(self, function: Callable[..., Any], /, *args: Any) -> Any:
        """Call a function in another thread of the worker, as in its main one."""
        return with_own_decimal(self._main.copy()).run(function, *args)

    def unpacked(self, packed: Iterable[bytes] | None) -> Context:
        """The variables of a batch in a worker process, of what :meth:`Origin.pack` made.

        Called in the thread that runs tasks, once what they need was imported.
        """
        context, here = Context(), copy_context()
        decimals = None
        for var, value in here.items():
            if is_decimals(var):
                if decimals_in(here) is not None:
                    decimals = value
            elif arrived.get(var, _NOTHING) is not value:
                context.run(var.set, value)
        if packed is not None:
            for data in packed:
                try:
                    var, value, as_at_first = _pickling.loads(data)
                except Exception:  # noqa: S112 - what cannot be made here stays behind
                    continue
                if var is None:
                    decimals = value
                elif not (as_at_first and var in context):
                    context.run(var.set, value)
        if decimals is not None:
            context.run(_set_decimals, decimals)
        return context

    def onto(self, context: Context, origin: Origin) -> None:
        """Add what an initializer set to the variables of a batch on a thread."""
        for var, value in self._variables.items():
            theirs = context.get(var, _NOTHING)
            if theirs is _NOTHING or origin.has(var, theirs):
                context.run(var.set, value)
        if "decimal" in sys.modules and decimals_in(context) == origin.decimals:
            context.run(_set_decimals, self._decimals)


def _set_decimals(decimals: Any) -> None:
    import decimal

    set_copy(decimal, decimal.DefaultContext if decimals is None else decimals)
