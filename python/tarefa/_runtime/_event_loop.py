"""The event loop that runs in the calling thread, without loading asyncio for the question."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio


def running() -> asyncio.AbstractEventLoop | None:
    """Return it, if there is one."""
    # While another thread imports asyncio, there is not all of it yet.
    get = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    return None if get is None else get()


def refuse_its_own(fn: object, instead: str) -> None:
    """Refuse a callback of ``asyncio.wait()``, which nobody may call but the loop's thread.

    It takes anything that has ``add_done_callback`` for a future of asyncio's, and would wait for
    ever: a callback from another thread does not wake its loop.

    Raises:
        TypeError: it is one; the text says what to do ``instead``.
    """
    if getattr(fn, "__module__", None) == "asyncio.tasks":
        raise TypeError(f"asyncio.wait() takes only asyncio's own tasks and futures: {instead}")
