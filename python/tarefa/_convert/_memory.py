"""``memoryview`` on its way: what it shows, as bytes that are copied once."""

from __future__ import annotations

import _pickle as pickle

from tarefa import _engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def reduce(view: memoryview) -> Any:
    """How a ``memoryview`` travels in our encoding; ``pickle`` has no way for one.

    Raises:
        TypeError: it is not contiguous, or of items that ``memoryview.cast`` does not know.
    """
    if not view.c_contiguous:
        raise TypeError(
            "a memoryview that is not contiguous cannot travel: send memoryview(view.tobytes())"
        )
    shape = None if view.ndim == 1 else view.shape
    code = view.format.removeprefix("@")
    try:
        memoryview(b"").cast(code)  # type: ignore[call-overload]
    except ValueError as e:
        raise TypeError(
            f"a memoryview of items {view.format!r} cannot travel: send view.cast('B')"
        ) from e
    return _rebuild, (pickle.PickleBuffer(_engine.lend(view)), code, shape, view.readonly)


def _rebuild(buffer: Any, code: str, shape: tuple[int, ...] | None, readonly: bool) -> memoryview:
    view = memoryview(buffer)
    if code != "B" or shape is not None:
        whole: Any = view.cast("B")
        view = whole.cast(code) if shape is None else whole.cast(code, shape)
    return view.toreadonly() if readonly and not view.readonly else view
