"""``process_only``: functions that must not run on threads."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

MARK = "__tarefa_process_only__"


def process_only(function: F) -> F:
    """Mark a function that must never run on threads.

    A pool of kind ``"auto"`` has processes run it, whatever it measures, and a pool of threads
    refuses it. The mark travels with the function, and wrappers made with ``functools.wraps`` have
    it, too.

    >>> import os
    >>> @process_only
    ... def list_folder(path):
    ...     os.chdir(path)
    ...     return os.listdir()

    Raises:
        TypeError: it cannot be called, or takes no attributes, as functions of C.
    """
    if not callable(function):
        raise TypeError(
            f"process_only() marks a function, not {type(function).__name__} {function!r}"
        )
    try:
        setattr(function, MARK, True)
    except (AttributeError, TypeError) as error:
        raise TypeError(
            f"process_only() cannot mark {function!r}, which takes no attributes: mark a function "
            "that calls it"
        ) from error
    return function


def is_process_only(function: Any) -> bool:
    """Whether a function, or what it calls as ``functools.partial``, is marked."""
    while isinstance(function, functools.partial):
        function = function.func
    if getattr(function, MARK, False) is True:
        return True
    call = getattr(type(function), "__call__", None)  # noqa: B004 - of an object that is called
    return getattr(call, MARK, False) is True
