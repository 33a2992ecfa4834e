"""What the classes of shared objects have in common: subclasses that stay what they are.

An object of tarefa's own travels as its handle. One of a subclass travels as its handle, its class
and the attributes of its own. The content is shared; the attributes are copied, as those of any
object that is pickled. The class is found as pickle finds classes: by its name, or by value where
it has none that others can import.
"""

from __future__ import annotations

import copyreg
import sys
import threading
from collections.abc import Callable, Iterable
from types import FunctionType

from tarefa import _engine
from tarefa._runtime._of_init import OfInit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Attributes that are of this process: views of memory, an action that is published otherwise, and
# how a queue is waited for here.
_LOCAL = frozenset({"_tarefa_view", "_action", "_descriptor", "_is_awaited"})


def own_class(shared: object) -> type:
    """The class of a shared object, as somebody wrote it: not one that was made for its items."""
    kind = type(shared)
    return getattr(kind, "_tarefa_base", kind)


def base_of(cls: type) -> Any:
    """The nearest class of tarefa's."""
    return next(c for c in cls.__mro__ if c.__module__ == "tarefa")


def state_of(shared: Any) -> Any:
    """The attributes of an object of a subclass, as pickle has them; None without any."""
    kind: Any = type(shared)
    if kind.__module__ == "tarefa":
        return None
    if kind.__getstate__ is not object.__getstate__:
        return kind.__getstate__(shared)
    own = getattr(shared, "__dict__", {})
    names = {name: value for name, value in own.items() if name not in _LOCAL} or None
    slots = {
        name: getattr(shared, name)
        for name in copyreg._slotnames(kind)  # type: ignore[attr-defined]
        if name not in _LOCAL and hasattr(shared, name)
    }
    return (names, slots) if slots else names


def set_state(shared: Any, state: Any) -> None:
    """Give an object the attributes that :func:`state_of` found."""
    if state is None:
        return
    if hasattr(type(shared), "__setstate__"):
        shared.__setstate__(state)
        return
    names, slots = state if isinstance(state, tuple) else (state, {})
    if names:
        shared.__dict__.update(names)
    for name, value in slots.items():
        setattr(shared, name, value)


def attach_as(cls: type, attach: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """The object of a pickled handle, of a subclass."""
    return base_of(cls)._tarefa_as(cls, attach(*arguments))


def copied(shared: Any, state: Any, /, *args: Any, **kwargs: Any) -> Any:
    """A new object of the same class, made of the arguments that the class of tarefa's takes.

    A subclass's constructor may take others, so it is not called; ``state`` is of its attributes.
    """
    cls = type(shared)
    base = base_of(cls)
    if cls is base:
        return cls(*args, **kwargs)
    copying.on = True
    try:
        made = base.__new__(cls)
    finally:
        copying.on = False
    base.__init__(made, *args, **kwargs)
    set_state(made, state)
    return made


class _Copying(threading.local):
    """Whether this thread makes a copy, which is nothing that a constructor has made."""

    on = False


copying = _Copying()


def shown_names(shown: object, names: Iterable[str]) -> list[str]:
    """What ``dir()`` shows of an object: not what is only there for this package.

    A subclass's own private names are shown.
    """
    found = set(names)
    private = {name for name in found if name.startswith("_") and not name.startswith("__")}
    if private:
        ours = _private_names(type(shown))
        found -= {name for name in private if name in ours or name.startswith("_tarefa")}
    return sorted(found)


def shown_dir(self: object) -> list[str]:
    """``__dir__`` of classes that have names which are only there for this package."""
    return shown_names(self, object.__dir__(self))


def _private_names(cls: type) -> set[str]:
    """Names that this package's classes, and the standard ones below them, define or set."""
    ours: set[str] = set()
    others: set[str] = set()
    for base in cls.__mro__:
        top = base.__module__.partition(".")[0]
        if top != "tarefa" and top not in sys.stdlib_module_names:
            others.update(n for n, value in vars(base).items() if type(value) is not OfInit)
            continue
        for name, value in vars(base).items():
            ours.add(name)
            function = getattr(value, "fget", value)
            function = getattr(function, "__func__", function)
            if isinstance(function, FunctionType):
                # What it sets of an object, or asks of it.
                ours.update(function.__code__.co_names)
    return ours - others


class Shared:
    """A base of the classes whose objects stand for something in shared memory."""

    __module__ = "tarefa"

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        made: tuple[Any, ...] = super().__reduce__()  # type: ignore[assignment]
        if type(self).__module__ == "tarefa":
            return made
        call = (own_class(self), *made)
        state = state_of(self)
        return (attach_as, call) if state is None else (attach_as, call, state)

    def __dir__(self) -> list[str]:
        return shown_names(self, super().__dir__())

    @classmethod
    def _tarefa_as(cls, kind: type, found: Any) -> Any:
        """The same object as ``found``, of the subclass ``kind``."""
        return cls.__new__(kind, _engine.core_of(found))  # type: ignore[call-arg]


class Content(Shared):
    """A base of those that hold values, which serializers do not know."""

    __module__ = "tarefa"

    __slots__ = ()

    if not TYPE_CHECKING:

        @property
        def __class__(self) -> type:
            # The encoder of `json` has no way to be told of other classes: it names this one in its
            # error, and the error is to say what to do.
            asks = sys._getframe(1)
            if asks.f_code.co_name == "default" and asks.f_globals.get("__name__") in _ENCODERS:
                name = type(self).__name__
                raise TypeError(
                    f"Object of type {name} is not JSON serializable: it is shared with other "
                    f"processes; give json a plain copy, which its snapshot() makes"
                )
            return type(self)


_ENCODERS = ("json.encoder", "simplejson.encoder")
