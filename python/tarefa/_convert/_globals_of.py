"""The names of its module that a function's code uses."""

from __future__ import annotations

import weakref
from opcode import EXTENDED_ARG, opmap
from types import CodeType

# Of each operation on a global name: by how many bits its argument is shifted.
_OPERATIONS = {
    opmap[name]: int(name == "LOAD_GLOBAL")
    for name in (
        "LOAD_GLOBAL",
        "STORE_GLOBAL",
        "DELETE_GLOBAL",
        "LOAD_NAME",
        "LOAD_FROM_DICT_OR_GLOBALS",
    )
    if name in opmap
}
_known: weakref.WeakKeyDictionary[CodeType, tuple[str, ...]] = weakref.WeakKeyDictionary()


def names_in(code: CodeType) -> tuple[str, ...]:
    """The global names that the code uses, and the code of functions inside it, each once."""
    known = _known.get(code)
    if known is None:
        found: dict[str, None] = {}
        _collect(code, found)
        known = _known[code] = tuple(found)
    return known


def _collect(code: CodeType, found: dict[str, None]) -> None:
    names, data = code.co_names, code.co_code
    extended = 0
    for at in range(0, len(data), 2):
        operation, argument = data[at], data[at + 1] | extended
        if operation == EXTENDED_ARG:
            extended = argument << 8
            continue
        extended = 0
        shift = _OPERATIONS.get(operation)
        if shift is not None:
            found[names[argument >> shift]] = None
    for constant in code.co_consts:
        if type(constant) is CodeType:
            _collect(constant, found)
