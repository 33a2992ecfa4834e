"""What a process is told about its task: made by the starter, taken apart in the child."""

from __future__ import annotations

import struct
from typing import Any

from tarefa._convert._function_cache import dumps_bare_call, dumps_function
from tarefa._convert._pickling import dumps, dumps_call
from tarefa._task import _environment, _image

_HEAD = struct.Struct("<Q6I")
_NO_ARGUMENTS = dumps_call((None, (), {}))[0]


def dumps_payload(payload: tuple[Any, Any]) -> bytes:
    """What a child is told: the number of the script's image, lengths, and parts of those lengths.

    They are: what prepares the process; the image's handle; how the script differs from it; the
    script's data that the call reaches; the target, if it is kept pickled; what is called before
    it, if anything is; the call.
    """
    extra, call = payload
    head = b"" if extra is None else dumps(extra)
    target = dumps_function(call[0])
    if target is None:
        target = b""
        bare = None if call[1] or call[2] else dumps_bare_call(call[0], dumps_call)
        body, met = dumps_call(call) if bare is None else (bare, [])
    else:
        body, met = _NO_ARGUMENTS, []
        if call[1] or call[2]:
            body, met = dumps_call((None, call[1], call[2]))
        met = [call[0], *met]
    first = b""
    if _environment.initializer is not None:
        first, more = dumps_call(_environment.initializer)
        met = [*more, *met]
    image, *script = _image.message(met)
    return _packed(image, (head, *script, target, first), body)


def dumps_for_warm_up(target: Any, args: tuple[Any, ...]) -> bytes:
    """The same for a process that has no script."""
    return _packed(0, (b"",) * 6, dumps_call((target, args, {}))[0])


def _packed(image: int, parts: tuple[bytes, ...], body: bytes) -> bytes:
    return b"".join((_HEAD.pack(image, *map(len, parts)), *parts, body))


def split(data: bytes) -> tuple[int, list[memoryview], memoryview]:
    """The number of the image, the six parts, the call."""
    image, *lengths = _HEAD.unpack_from(data)
    view, at = memoryview(data), _HEAD.size
    parts = []
    for length in lengths:
        parts.append(view[at : at + length])
        at += length
    return image, parts, view[at:]
