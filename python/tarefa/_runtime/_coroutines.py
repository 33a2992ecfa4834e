"""Functions written as ``async def``: what type checkers know of them, and how they are run."""

from __future__ import annotations

from types import CoroutineType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypeVar

    # A function that never returns is taken for any coroutine, of which nothing is known.
    C = TypeVar("C", default=Any)
else:
    from tarefa._runtime._untyped import TypeVar

    C = TypeVar("C")

_IS_ASYNC = 0x80  # inspect.CO_COROUTINE


def is_async(function: object) -> bool:
    """Whether a function, method or ``partial`` is an ``async def``."""
    while True:
        inner = getattr(function, "__func__", None) or getattr(function, "func", None)
        if inner is None:
            break
        function = inner
    code = getattr(function, "__code__", None)
    return bool(getattr(code, "co_flags", 0) & _IS_ASYNC)


def run_if_coroutine(value: Any) -> Any:
    """What a coroutine returns, run in an event loop of its own; any other value as it is."""
    if type(value) is not CoroutineType:
        return value
    import asyncio

    return asyncio.run(value)


def refuse_async(function: object, what: str) -> None:
    """Raise ``TypeError`` where a function is an ``async def`` that would not be run."""
    if is_async(function):
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(
            f"{what} must be a plain function, for it runs in the middle of a call: {name} is an "
            f"`async def`; give a function that calls asyncio.run({name}())"
        )
