"""Handles of shared objects on their way to other processes and programs."""

from collections.abc import Callable
from pickle import PickleBuffer
from typing import Any, final

def attach(root: int, memory_fd: int, runtime: int, off: int, id: int, kind: int) -> Any:  # noqa: A002
    """Make the object of a pickled handle.

    Raises:
        HandleGone: the object or its runtime is gone, or another user's.
    """

def address_of(object: object) -> str | None:  # noqa: A002
    """Where a shared object is, as text; None if it, or a part of it, is not shared."""

def parse_address(text: str) -> tuple[int, int, int, int, int, int]:
    """The arguments of :func:`attach` that a text stands for.

    Raises:
        ValueError: it is none.
    """

def collected() -> tuple[int, int, int]:
    """How much the encoding that goes on has met: for :func:`discard_collected`."""

def discard_collected(since: tuple[int, int, int]) -> None:
    """Forget what the encoding that goes on has met since then: that part begins anew."""

def mention(object: object) -> None:  # noqa: A002
    """Have the encoding that goes on keep a shared object that is not in its bytes."""

def register_class(kind: str, class_: type[Any] | Callable[[Any], Any], /) -> None:
    """Have objects of that kind be of ``class_``, whose ``__new__`` takes a core.

    Or what that function makes of one.
    """

def keep_out_of_band(buffer: PickleBuffer, /) -> bool:
    """Whether a buffer is to be in the pickle; else the encoding that goes on has noted it."""

def give_script_pickler(*tools: Any) -> None:
    """Hand over what :func:`pickle_of_script` needs, once."""

def pickle_of_script(object: object, keep: Callable[[Any], bool] | None, /) -> bytes | None:  # noqa: A002
    """Pickle instances of the script's classes; None where other picklers are to do it."""

def reduce_of_script(object: object, /) -> Any:  # noqa: A002
    """How an object is pickled by that."""

def reducers_known(modules: dict[str, Any], table: dict[Any, Any], /) -> tuple[int, int, int]:
    """How many modules are loaded, and types known to ``copyreg`` and to multiprocessing."""

@final
class Block:
    """Memory that arrays and memory views look into, which it keeps: a buffer of bytes."""

    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, ...]]: ...
    def show(self, bytes: int) -> None:  # noqa: A002
        """Count what is shown of it for the message that is being encoded."""

def make_block(len: int, /) -> Block:  # noqa: A002
    """Make a block of that many bytes, which have what the memory had before."""

def block_at(address: int, len: int, /) -> tuple[Block, int] | None:  # noqa: A002
    """Find the block in which that many bytes from an address on lie, and where they begin."""

def attach_block(
    root: int,
    memory_fd: int,
    runtime: int,
    off: int,
    id: int,  # noqa: A002
    kind: int,
) -> Block:
    """Make the block of a pickled one; it is writable if nobody else has it.

    Raises:
        HandleGone: the block or its runtime is gone, or another user's.
    """

def lend(view: memoryview, /) -> Any:
    """Lend the bytes of a contiguous view, as a buffer of their own."""
