"""What a process is told about its task: made by the starter, taken apart in the child."""

from __future__ import annotations

import struct
import sys
import weakref
from types import FunctionType

from tarefa._convert import _descriptors
from tarefa._convert._definitions import is_of_script
from tarefa._convert._function_cache import dumps_bare_call, dumps_function
from tarefa._convert._pickling import dumps, dumps_call
from tarefa._task import _environment, _image

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HEAD = struct.Struct("<Q6I")
_NO_ARGUMENTS = dumps_call((None, (), {}))[0]


def dumps_payload(payload: tuple[Any, Any, list[int]]) -> bytes:
    """What a child is told: the number of the script's image, lengths, and parts of those lengths.

    They are: what prepares the process; the image's handle; how the script differs from it; the
    script's data that the call reaches; the target, if it is kept pickled; what is called before
    it, if anything is; the call. What it names of descriptors is added to the payload's list.
    """
    extra, call, descriptors = payload
    is_bare = extra is None and not call[1] and not call[2] and _environment.initializer is None
    if is_bare:
        ready = _ready.get(id(call[0]))
        if ready is not None and ready.holds(call[0]):
            return ready.data
    if not _descriptors.may_travel():
        return _dumps(extra, call, is_bare)
    data, found = _descriptors.collect(lambda: _dumps(extra, call, is_bare))
    descriptors += found
    return data


def _dumps(extra: Any, call: Any, is_bare: bool) -> bytes:
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
    data = _packed(image, (head, *script, target, first), body)
    # A target that is pickled, or found in its module, by name alone.
    if is_bare and not any(script[1:]) and (target or not met) and type(call[0]) is FunctionType:
        state = _image.state(met)
        if state is not None:
            _keep(_Ready(call[0], state, data))
    return data


# Messages of calls without arguments of functions that reach no data, by the functions' numbers.
_ready: dict[int, _Ready] = {}
_MOST_READY = 64


def _keep(ready: _Ready) -> None:
    if not ready.is_found():
        return
    if len(_ready) >= _MOST_READY:
        _ready.clear()
    _ready[id(ready.function())] = ready


class _Ready:
    """A message that holds as long as all is as it was: most starts are of what was started before.

    Few lines of code, for each that has left the processor's caches costs a start.
    """

    __slots__ = (
        "code",
        "data",
        "function",
        "image",
        "is_of_script",
        "module",
        "name",
        "names",
        "others",
    )

    def __init__(self, function: FunctionType, state: tuple[Any, ...], data: bytes) -> None:
        self.function = weakref.ref(function)
        self.code = function.__code__
        self.module, self.name = function.__module__, function.__qualname__
        self.is_of_script = is_of_script(function)
        self.image, self.names, functions = state
        # Its own code is looked at anyway.
        self.others = [f for f in functions if f is not function]
        self.data = data

    def holds(self, function: FunctionType) -> bool:
        """Whether the message would be made like this now."""
        if (
            self.function() is not function
            or function.__code__ is not self.code
            or function.__module__ != self.module
            or function.__qualname__ != self.name
        ):
            return False
        if self.is_of_script and (
            function.__defaults__ or function.__kwdefaults__ or function.__dict__
        ):
            return False
        return self.is_found() and _image.is_as_in(self.image, self.names, self.others)

    def is_found(self) -> bool:
        """Whether its module has it under its name."""
        module = sys.modules.get(self.module)
        return module is not None and module.__dict__.get(self.name) is self.function()


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
