"""What stands for names of ``typing`` where they are evaluated, without the time to import it.

``typing``, and what it imports, takes as long as all of tarefa that a program's first process
needs. Type checkers read the real names: modules import them ``if TYPE_CHECKING``, and these else.
"""

from __future__ import annotations

from types import GenericAlias


def overload(function: object) -> object:
    """The function, which the implementation after it replaces."""
    return function


def TypeVar(name: str, **_options: object) -> str:  # noqa: N802
    """The name of a type variable: all that a generic base keeps of it."""
    return name


class Generic:
    """A base whose classes can be given type arguments in brackets."""

    __module__ = "tarefa"

    __slots__ = ()

    def __class_getitem__(cls, arguments: object) -> GenericAlias:
        return GenericAlias(cls, arguments)
