"""Objects of a program's own classes that a module makes: their constructors run once.

The class of tarefa's below makes such an object whole, but what the program's constructor does is
known only when that returns. So what stands in the program's dict under the object's identity goes
through two states:

.. code-block:: text

    (nothing) --> (BEING_MADE, object, guard) --> (WHOLE, object, attributes)
                                              --> (EACH, object, None)

Who makes it has the guard, a lock. Who comes meanwhile waits for that, and then finds the object
whole: the content is shared, the attributes are copied, and the constructor is not called again,
as with any object of a subclass that travels. Where an attribute cannot travel the constructor is
called in each process.

If the maker is killed the guard is free, and the next one who comes makes another object. If the
constructor fails nothing stands there any more. Who waits does so for some time only: the
constructor may wait for a process that imports the module itself.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

from tarefa import _engine
from tarefa._runtime._errors import NotPicklable, OwnerDied
from tarefa._runtime._shared import set_state, state_of

BEING_MADE, WHOLE, EACH = "being made", "whole", "each"
# Seconds.
PATIENCE = 10.0

Constructor = Callable[..., Any]
# What is called in place of a constructor: with the object, the constructor, its arguments.
Instead = Callable[[Any, Constructor, tuple[Any, ...], dict[str, Any]], None]

_ABSENT = object()
_lock = threading.RLock()
_standing_in: dict[type, dict[tuple[int, int], Instead]] = {}


def take_turn(
    key: str,
    again: bool,
    make: Callable[[], Any],
    token: Callable[[Any], tuple[int, int]],
    at_once: bool,
) -> tuple[Any, Instead | None, bool]:
    """The object of that identity.

    With it what is to be called in place of its constructor, and whether this process makes it.

    Args:
        key: the identity.
        again: whether to make a new one in any case.
        make: makes an object, empty as yet.
        token: what tells objects apart.
        at_once: whether it is there for all as soon as it is made.
    """
    shared = _engine.program_dict()
    guard: Any = None
    while True:
        found = None if again else shared.get(key)
        if found is None:
            if not at_once:
                guard = _engine.LockCore("recursive")
                guard.acquire()
            made = make()
            entry = (EACH, made, None) if at_once else (BEING_MADE, made, guard)
            if again:
                shared[key] = entry
                break
            found = shared.setdefault(key, entry)
            if token(found[1]) == token(made):
                break
            if not at_once:
                guard.release()
        stage, there, more = found
        if stage == WHOLE:
            return there, _give(more), False
        if stage == EACH or not _wait(more):
            return there, None, False
        # The guard is this thread's.
        now = shared.get(key)
        if now is not None and now[0] == BEING_MADE and token(now[1]) == token(there):
            # Its maker has died.
            guard, made = more, make()
            shared[key] = (EACH, made, None) if at_once else (BEING_MADE, made, guard)
            if at_once:
                guard.release()
            break
        more.release()
    return made, None if at_once else _publish(key, made, guard, token), True


def _wait(guard: Any) -> bool:
    """Wait until the guard is this thread's; false if that takes too long."""
    while True:
        try:
            if guard.acquire(timeout=PATIENCE):
                return True
        except OwnerDied:
            continue
        warnings.warn(
            f"another process that imports the same module has not made this object within "
            f"{PATIENCE:g} s: it is used as it is now",
            RuntimeWarning,
            4,
        )
        return False


def _publish(key: str, made: Any, guard: Any, token: Callable[[Any], tuple[int, int]]) -> Instead:
    """Has the object's constructor called, and others find what came of it."""

    def construct(
        self: Any, constructor: Constructor, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        shared = _engine.program_dict()
        try:
            try:
                constructor(*args, **kwargs)
            except BaseException:
                now = shared.get(key)
                if now is not None and token(now[1]) == token(made):
                    shared.pop(key, None)
                raise
            try:
                shared[key] = (WHOLE, made, state_of(self))
            except NotPicklable:
                # An attribute that cannot travel.
                shared[key] = (EACH, made, None)
        finally:
            guard.release()

    return construct


def _give(state: Any) -> Instead:
    """Gives the object the attributes that its constructor gave it elsewhere."""

    def take(
        self: Any,
        constructor: Constructor,  # noqa: ARG001
        args: tuple[Any, ...],  # noqa: ARG001
        kwargs: dict[str, Any],  # noqa: ARG001
    ) -> None:
        set_state(self, state)

    return take


def stand_in(
    cls: Any, which: tuple[int, int], instead: Instead, token: Callable[[Any], tuple[int, int]]
) -> None:
    """Have that called in place of the constructor of one object of ``cls``, which comes next."""
    with _lock:
        waiting = _standing_in.get(cls)
        if waiting is not None:
            waiting[which] = instead
            return
        waiting = _standing_in[cls] = {which: instead}
        own = cls.__dict__.get("__init__", _ABSENT)

        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            with _lock:
                call = waiting.pop(token(self), None)
                if not waiting and _standing_in.get(cls) is waiting:
                    del _standing_in[cls]
                    if own is _ABSENT:
                        type.__delattr__(cls, "__init__")
                    else:
                        type.__setattr__(cls, "__init__", own)
            found: Any = super(cls, self) if own is _ABSENT else None
            bound = found.__init__ if own is _ABSENT else own.__get__(self, type(self))
            if call is None:
                bound(*args, **kwargs)
            else:
                call(self, bound, args, kwargs)

        type.__setattr__(cls, "__init__", __init__)
