"""Open files, which stay in the process that has opened them."""

from __future__ import annotations

import io
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FILES = (
    io.TextIOWrapper,
    io.BufferedReader,
    io.BufferedWriter,
    io.BufferedRandom,
    io.BufferedRWPair,
    io.FileIO,
)
# Modules whose classes wrap a file: their objects are what a user knows, and not what they hold.
_WRAPPERS = frozenset(
    ("_bz2", "_lzma", "bz2", "codecs", "gzip", "lzma", "socket", "tarfile", "tempfile", "zipfile")
)
_STREAMS = ("stdout", "stderr")


def reduce_text_file(file: Any) -> Any:
    """How a text file is pickled: not at all, but for the streams, which each process has.

    `cloudpickle` reads the file and sends what is in it: what is written to that is lost.
    """
    for name in _STREAMS:
        if file is getattr(sys, name, None):
            return getattr, (sys, name)
    raise TypeError("cannot pickle '_io.TextIOWrapper' object")


def hint(obj: Any) -> str:
    """What to do instead of sending an open file."""
    if obj is sys.stdin:
        return "; read from it in the program, and hand over what was read"
    kind = type(obj)
    module = (kind.__module__ or "").partition(".")[0]
    is_wrapper = module in _WRAPPERS and (hasattr(kind, "read") or hasattr(kind, "close"))
    if not (isinstance(obj, _FILES) or is_wrapper) or _is_socket(obj):
        return ""
    return (
        "; an open file stays in its process: hand over its path and open it once more, or make it "
        "descriptor 1"
    )


def _is_socket(obj: Any) -> bool:
    socket: Any = sys.modules.get("socket")
    return socket is not None and isinstance(obj, socket.socket)
