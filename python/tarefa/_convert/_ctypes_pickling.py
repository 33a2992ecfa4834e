"""ctypes structures that travel: those of ``__main__`` by value, and those of another language.

A structure that another process cannot import is sent as its fields, with its methods; it is
one class there, however often it comes.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import weakref
from _ctypes import FUNCFLAG_PYTHONAPI, FUNCFLAG_USE_ERRNO, _Pointer
from typing import Any

# Where a class was made, and its number there -> the class here.
_Key = tuple[int, int]
_known: weakref.WeakValueDictionary[_Key, Any] = weakref.WeakValueDictionary()
_keys: weakref.WeakKeyDictionary[Any, _Key] = weakref.WeakKeyDictionary()
_numbers = itertools.count()

_LAYOUT = ("_pack_", "_align_", "_layout_", "_anonymous_", "_fields_")
_NOT_SENT = {*_LAYOUT, "__dict__", "__weakref__", "__module__", "__qualname__"}


def reduce_type(ctype: Any, importable: bool) -> Any:
    """How a ctypes type is pickled; NotImplemented where the usual way will do."""
    if issubclass(ctype, ctypes.Array):
        return array_of, (ctype._type_, ctype._length_)
    # As ctypes makes them, which has one of each kind.
    if ctype.__bases__ == (_Pointer,) and ctype is ctypes.POINTER(ctype._type_):
        return ctypes.POINTER, (ctype._type_,)
    if ctype.__qualname__.endswith("FUNCTYPE.<locals>.CFunctionType"):
        return function_type, (ctype._flags_, ctype._restype_, *ctype._argtypes_)
    if importable:
        return NotImplemented
    key = _keys.get(ctype)
    if key is None:
        key = (os.getpid(), next(_numbers))
        _keys[ctype] = key
        _known[key] = ctype
    namespace = ctype.__dict__
    layout = [(name, namespace[name]) for name in _LAYOUT if name in namespace]
    fields = {field[0] for field in namespace.get("_fields_", ())}
    rest = {
        name: value
        for name, value in namespace.items()
        if name not in _NOT_SENT and name not in fields and not _is_descriptor(value)
    }
    names = (ctype.__name__, ctype.__qualname__, ctype.__module__)
    return _make, (key, names, ctype.__bases__, layout), rest, None, None, _complete


def function_type(flags: int, result: Any, *arguments: Any) -> Any:
    """The type of C functions that ``CFUNCTYPE`` or ``PYFUNCTYPE`` makes of these."""
    if flags & FUNCFLAG_PYTHONAPI:
        return ctypes.PYFUNCTYPE(result, *arguments)
    return ctypes.CFUNCTYPE(result, *arguments, use_errno=bool(flags & FUNCFLAG_USE_ERRNO))


def _is_descriptor(value: Any) -> bool:
    """Whether ctypes made it: of a field of an anonymous part, or of the instance itself."""
    return type(value).__module__ in ("_ctypes", "builtins") and (
        type(value).__name__ in ("CField", "getset_descriptor")
    )


def array_of(ctype: Any, length: int) -> Any:
    """The type of arrays of so many."""
    return ctype * length


def _make(key: _Key, names: tuple[str, str, str], bases: Any, layout: list[tuple[str, Any]]) -> Any:
    known = _known.get(key)
    if known is not None:
        return known
    name, qualname, module = names
    made = type(bases[0])(name, bases, {"__qualname__": qualname, "__module__": module})
    for attribute, value in layout:
        setattr(made, attribute, value)
    _keys[made] = key
    _known[key] = made
    return made


def _complete(made: Any, rest: dict[str, Any]) -> None:
    for name, value in rest.items():
        if name not in made.__dict__:
            setattr(made, name, value)


# From a format, as PEP 3118 writes it

_CODES: dict[str, Any] = {
    "b": ctypes.c_int8,
    "B": ctypes.c_uint8,
    "h": ctypes.c_int16,
    "H": ctypes.c_uint16,
    "i": ctypes.c_int32,
    "I": ctypes.c_uint32,
    "q": ctypes.c_int64,
    "Q": ctypes.c_uint64,
    "f": ctypes.c_float,
    "d": ctypes.c_double,
    "?": ctypes.c_bool,
    "c": ctypes.c_char,
    "w": ctypes.c_wchar,
}


def of_format(text: str, size: int) -> Any:
    """The ctypes type that a format stands for; bytes where it is not understood.

    Formats of other languages are read: every field has a standard size (``<``), a name, and the
    padding before it written out.
    """
    try:
        made, rest = _item(text)
    except (ValueError, KeyError, IndexError):
        made, rest = None, ""
    if made is None or rest or ctypes.sizeof(made) != size:
        return ctypes.c_uint8 * size
    return made


def _item(text: str) -> tuple[Any, str]:
    text = text.lstrip("<=")
    if text.startswith("("):
        inner, _, text = text[1:].partition(")")
        made, text = _item(text)
        for n in reversed(inner.split(",")):
            made = made * int(n)
        return made, text
    digits = len(text) - len(text.lstrip("0123456789"))
    if digits:
        count, code = int(text[:digits]), text[digits]
        if code == "s":
            return ctypes.c_char * count, text[digits + 1 :]
        if code == "x":
            return ctypes.c_uint8 * count, text[digits + 1 :]
        return _CODES[code] * count, text[digits + 1 :]
    if text.startswith("T{"):
        return _structure(text[2:])
    return _CODES[text[0]], text[1:]


def _structure(text: str) -> tuple[Any, str]:
    fields: list[tuple[str, Any]] = []
    padding = 0
    while not text.startswith("}"):
        made, text = _item(text)
        if text.startswith(":"):
            name, _, text = text[1:].partition(":")
        else:
            # Bytes without a name.
            name, padding = f"_padding{padding}", padding + 1
        fields.append((name, made))
    # Padding is written out: nothing is aligned besides.
    return type("Structure", (ctypes.Structure,), {"_pack_": 1, "_fields_": fields}), text[1:]
