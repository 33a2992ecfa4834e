"""Attributes that ``__init__`` sets, where a subclass has forgotten to call it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class OfInit:
    """Stands in a class for an attribute that its ``__init__`` sets on each instance.

    It is only asked where the instance has none.
    """

    def __get__(self, obj: Any, cls: type | None = None) -> Any:
        if obj is None:
            return self
        raise RuntimeError(
            f"{missing(obj)}: call super().__init__() in that of {type(obj).__name__!r}, before "
            "anything else of it is used"
        )


def guard(cls: type, *names: str) -> None:
    """Have a new class say so, unless it is our own or has that from a base.

    Ours call it: their attributes are found sooner where no class has one of the same name.
    """
    if str(cls.__module__).partition(".")[0] == "tarefa":
        return
    for name in names:
        if name not in _declared(cls) and not any(name in vars(base) for base in cls.__mro__):
            setattr(cls, name, OfInit())


def _declared(cls: type) -> Any:
    """Names that it has types of: for a dataclass a value would be a default."""
    try:
        return cls.__annotations__
    except Exception:  # of a type that is not there yet, where they are read late
        return ()


def missing(obj: object) -> str:
    """What is wrong with an instance whose ``__init__`` was not called."""
    ours = next(cls.__name__ for cls in type(obj).__mro__ if cls.__module__ == "tarefa")
    return f"{ours}.__init__() was not called"


def shown(obj: object) -> str:
    """Its ``repr``, which always has one."""
    return f"<{type(obj).__name__}: {missing(obj)}>"
