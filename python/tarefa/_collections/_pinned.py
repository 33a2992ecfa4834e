"""``pin``: memory of an array that stays where it is, whatever becomes of the array."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self, final

from tarefa._convert import _views


def pin(array: Any, /) -> Pinned:
    """Keep the memory of an array in shared memory where it is, until that is released.

    For what is told an address and uses it on its own: a driver of a graphics card, a network card,
    a library with threads of its own. The memory is neither given back nor used for anything else
    meanwhile, also when all arrays that look at it are gone, in all processes. It is this process
    that has it pinned: when it ends, or is killed, what it had pinned is released.

    >>> import numpy, tarefa
    >>> table = tarefa.share(numpy.arange(6.0))
    >>> with tarefa.pin(table) as pinned:
    ...     pinned.nbytes
    48

    Args:
        array: what :func:`share` or :func:`empty` made, or came in a message; an ``Array``; a view
            or a slice of one, of any shape.

    Raises:
        ValueError: it does not lie in shared memory.
        TypeError: it is no array.
        ImportError: NumPy is not installed.
    """
    try:
        import numpy as np
    except ImportError as e:
        raise ImportError(
            "tarefa.pin() takes NumPy arrays, and NumPy is not installed: pip install numpy"
        ) from e
    view: Any = array
    if not isinstance(array, np.ndarray):
        try:
            view = np.asarray(memoryview(array))
        except TypeError:
            what = type(array).__name__
            raise TypeError(f"pin() takes an array in shared memory, not {what}") from None
    found = _views.owner_of(view) if view.size else None
    if found is None:
        raise ValueError(
            "pin() takes an array that lies in shared memory, and this one does not, or has no "
            "items: tarefa.share() makes one that does"
        )
    low, high = _views.bounds(view)
    first = view.__array_interface__["data"][0]
    return Pinned(found[0], first + low, high - low)


@final
class Pinned:
    """Memory that stays where it is, as :func:`pin` makes it; a context manager."""

    __module__ = "tarefa"
    __slots__ = ("_address", "_nbytes", "_owner")

    def __init__(self, owner: Any, address: int, nbytes: int) -> None:
        self._owner = owner
        self._address = address
        self._nbytes = nbytes

    @property
    def address(self) -> int:
        """Where it begins, in this process.

        Raises:
            ValueError: it was released.
        """
        if self._owner is None:
            raise ValueError("the memory was released: it is where it was no longer")
        return self._address

    @property
    def nbytes(self) -> int:
        """How many bytes it has."""
        return self._nbytes

    @property
    def released(self) -> bool:
        """Whether :meth:`release` was called."""
        return self._owner is None

    def release(self) -> None:
        """Let go of it; again does nothing."""
        self._owner = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.release()

    def __reduce__(self) -> Any:
        raise TypeError(
            "what is pinned is this process's: send the array, and pin it where it arrives"
        )

    def __repr__(self) -> str:
        where = "released" if self._owner is None else f"at {self._address:#x}"
        return f"<tarefa.Pinned {self._nbytes} bytes {where}>"
