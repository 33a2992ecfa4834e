"""The names of its module that a function's code uses, or may use."""

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


# Code with one of these asks for names as text, or as attributes of the script's module: these
# are global names, not those of methods (a model's `eval`, say).
_ASKING_GLOBALS = {"eval", "exec", "globals", "vars"}
_ASKING = {"__main__", "modules"}
_LONGEST_TEXT = 1 << 12
_known_words: weakref.WeakKeyDictionary[CodeType, tuple[str, ...]] = weakref.WeakKeyDictionary()


def words_in(code: CodeType, always: bool = False) -> tuple[str, ...]:
    """What else may be the name of a global there: attributes, and words in texts.

    Args:
        code: the code, with that of functions inside it.
        always: also where nothing in it says that it asks for globals so.
    """
    known = _known_words.get(code)
    if known is None:
        found: dict[str, None] = {}
        _collect_words(code, found)
        known = _known_words[code] = tuple(found)
    asks = always or not (_ASKING.isdisjoint(known) and _ASKING_GLOBALS.isdisjoint(names_in(code)))
    return known if asks else ()


def _words(text: str) -> list[str]:
    """What in a text may be names, in their order."""
    return "".join(c if c.isalnum() or c == "_" else " " for c in text).split()


def _collect_words(code: CodeType, found: dict[str, None]) -> None:
    found.update(dict.fromkeys(code.co_names))
    for constant in code.co_consts:
        if type(constant) is CodeType:
            _collect_words(constant, found)
        elif type(constant) is str and len(constant) < _LONGEST_TEXT:
            found.update(dict.fromkeys(_words(constant)))
        elif type(constant) is tuple:
            found.update(dict.fromkeys(c for c in constant if type(c) is str))


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
