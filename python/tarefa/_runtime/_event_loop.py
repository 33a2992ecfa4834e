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
