"""What the items of an array can be: typecodes, ctypes types, NumPy dtypes.

ctypes and NumPy are imported only for those who use them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

from tarefa._runtime._errors import BadItemType

# Typecode -> format as PEP 3118 writes it. The sizes are those of C on 64-bit Linux.
CODES = {code: code for code in "cbBhHiIlLqQnNfd?"} | {"u": "w", "F": "Zf", "D": "Zd"}
_SIZES = {"c": 1, "b": 1, "B": 1, "?": 1, "h": 2, "H": 2, "i": 4, "I": 4, "f": 4, "w": 4}
_SIZES |= {"l": 8, "L": 8, "q": 8, "Q": 8, "n": 8, "N": 8, "d": 8, "Zf": 8, "Zd": 16}
_OF_BUILTIN: dict[Any, str] = {bool: "?", int: "q", float: "d", complex: "D"}

# Format of a scalar -> name of its type in ctypes.
_CTYPES = {
    "c": "c_char",
    "w": "c_wchar",
    "b": "c_byte",
    "B": "c_ubyte",
    "h": "c_short",
    "H": "c_ushort",
    "i": "c_int",
    "I": "c_uint",
    "l": "c_long",
    "L": "c_ulong",
    "q": "c_longlong",
    "Q": "c_ulonglong",
    "n": "c_ssize_t",
    "N": "c_size_t",
    "f": "c_float",
    "d": "c_double",
    "?": "c_bool",
}
# Format of a scalar -> NumPy's name of it, where that is another.
NUMPY_NAMES = {"Zf": "F", "Zd": "D", "w": "U1", "c": "S1", "n": "l", "N": "L"}
# The same scalars inside a structure, with sizes that do not depend on the machine.
_STANDARD = {"l": "q", "L": "Q", "n": "q", "N": "Q", "u": "w"}
_POINTERS = {"P": "a pointer", "z": "a pointer to bytes", "Z": "a pointer to text"}
_POINTERS |= {"O": "a Python object"}


class ItemType(NamedTuple):
    """A type of items.

    Attributes:
        format: as PEP 3118 writes it.
        size: bytes of an item.
        of: the ctypes type or NumPy dtype whose views read and write it; None for a scalar.
    """

    format: str
    size: int
    of: Any = None


def resolve(typecode_or_type: Any) -> ItemType:
    """The type that a user names; :class:`BadItemType` for what cannot be shared."""
    if isinstance(typecode_or_type, str):
        code = CODES.get(typecode_or_type)
        if code is not None:
            return ItemType(code, _SIZES[code])
        if len(typecode_or_type) > 1:
            dtype = _dtype(typecode_or_type)
            if dtype is not None:
                return _of_dtype(dtype)
        _refuse(typecode_or_type)
    if isinstance(typecode_or_type, type):
        code = _OF_BUILTIN.get(typecode_or_type)
        if code is not None:
            return ItemType(CODES[code], _SIZES[CODES[code]])
        ctypes = sys.modules.get("ctypes")
        if ctypes is not None and issubclass(typecode_or_type, _data_of(ctypes)):
            return _of_ctype(typecode_or_type)
    dtype = _dtype(typecode_or_type) if names_numpy(typecode_or_type) else None
    if dtype is None:
        _refuse(typecode_or_type)
    return _of_dtype(dtype)


def is_dtype(of: Any) -> bool:
    """Whether the type of an :class:`ItemType` is NumPy's."""
    return not isinstance(of, type)


def is_ctypes_array(of: Any) -> bool:
    """Whether it is an array of ctypes'."""
    return hasattr(of, "_length_")


def names_numpy(typecode_or_type: Any) -> bool:
    """Whether a type that :func:`resolve` knows was named as NumPy has it."""
    if isinstance(typecode_or_type, str):
        return typecode_or_type not in CODES
    numpy = sys.modules.get("numpy")
    return numpy is not None and (
        isinstance(typecode_or_type, (numpy.dtype, list, tuple))
        or (isinstance(typecode_or_type, type) and issubclass(typecode_or_type, numpy.generic))
    )


def _refuse(asked: Any) -> NoReturn:
    known = " ".join(CODES)
    raise BadItemType(
        f"bad typecode or type {asked!r}: give one of the typecodes {known}, "
        "a ctypes type (c_int, a Structure), or a NumPy dtype"
    )


# ctypes


def _data_of(ctypes: Any) -> type:
    """The class of all ctypes types."""
    data: type = ctypes.c_int.__mro__[2]
    return data


def ctype_of(format: str) -> Any:  # noqa: A002 - what it is
    """The ctypes type of a scalar; None if ctypes has none."""
    name = _CTYPES.get(format)
    if name is None:
        return None
    import ctypes

    return getattr(ctypes, name)


def _of_ctype(ctype: Any) -> ItemType:
    import ctypes

    refuse_pointers(ctype, "")
    size = ctypes.sizeof(ctype)
    if size == 0:
        raise BadItemType(f"{_name(ctype)} has no bytes: there is nothing to share")
    if issubclass(ctype, ctypes._SimpleCData):
        for format, name in _CTYPES.items():  # noqa: A001 - what it is
            if getattr(ctypes, name) is ctype:
                return ItemType(format, size)
    return ItemType(_format(ctype) or f"({size})B", size, ctype)


def _name(ctype: type) -> str:
    return f"ctypes type {ctype.__name__}"


def refuse_pointers(ctype: Any, path: str) -> None:
    """:class:`BadItemType`, with the field's name, if there is an address in it."""
    import ctypes

    if issubclass(ctype, ctypes.Array):
        refuse_pointers(ctype._type_, f"{path}[...]" if path else "")
    elif issubclass(ctype, (ctypes.Structure, ctypes.Union)):
        for name, field_type in _fields(ctype):
            refuse_pointers(field_type, f"{path}.{name}" if path else f"field {name}")
    else:
        simple = issubclass(ctype, ctypes._SimpleCData)
        what = _POINTERS.get(ctype._type_) if simple else "a pointer"
        if what is None:
            return
        place = f"{path}, {_name(ctype)}," if path else f"{_name(ctype)}"
        raise BadItemType(
            f"{place} is {what}: an address means nothing in another process; share the data "
            "itself (an array of c_char for text, a shared List for objects)"
        )


def _fields(ctype: Any) -> Iterator[tuple[str, Any]]:
    for base in reversed(ctype.__mro__):
        for field in base.__dict__.get("_fields_", ()):
            yield field[0], field[1]


def field_names(ctype: Any) -> list[str]:
    """All names under which a structure's parts are read, those of anonymous parts too."""
    kind = type(next((getattr(ctype, name) for name, _ in _fields(ctype)), None))
    names = [name for name in dir(ctype) if type(getattr(ctype, name, None)) is kind]
    return names if kind is not type(None) else []


def _format(ctype: Any) -> str | None:
    """The format of a type with parts; None for what the notation does not have."""
    import ctypes

    if issubclass(ctype, ctypes._SimpleCData):
        swapped = getattr(ctype, "__ctype_le__", ctype) is not ctype
        code = _STANDARD.get(ctype._type_, ctype._type_)
        if code not in "cbBhHiIqQfd?w":
            return None
        return f"{'>' if swapped else '<'}{code}"
    if issubclass(ctype, ctypes.Array):
        inner = _format(ctype._type_)
        if inner is None:
            return None
        if inner == "<c":
            return f"{ctype._length_}s"
        if inner.startswith("("):
            return f"({ctype._length_},{inner[1:]}"
        return f"({ctype._length_}){inner}"
    if not issubclass(ctype, ctypes.Structure):
        return None
    text, at, named = "", 0, 0
    for base in reversed(ctype.__mro__):
        for field in base.__dict__.get("_fields_", ()):
            inner = _format(field[1]) if len(field) == 2 else None
            offset = getattr(ctype, field[0]).offset
            if inner is None or offset < at:
                continue  # a union, or bits: bytes without a name
            text += f"{offset - at}x" * (offset > at) + f"{inner}:{field[0]}:"
            at = offset + ctypes.sizeof(field[1])
            named += 1
    left = ctypes.sizeof(ctype) - at
    return f"T{{{text}{f'{left}x' if left else ''}}}" if named else None


def check(ctype: Any, value: Any, where: str) -> None:
    """``OverflowError`` for a number that a field of ``ctype`` cannot hold; ctypes cuts it."""
    import ctypes

    if isinstance(value, ctype):
        return
    if issubclass(ctype, ctypes._SimpleCData):
        check_bits(ctype, value, 8 * ctypes.sizeof(ctype), where)
    elif issubclass(ctype, ctypes.Array):
        if isinstance(value, (tuple, list)):
            for i, part in enumerate(value):
                check(ctype._type_, part, f"{where}[{i}]")
    elif issubclass(ctype, ctypes.Structure) and isinstance(value, tuple):
        for part, (name, _) in zip(value, _fields(ctype), strict=False):
            check_field(ctype, name, part, f"{where}.{name}" if where else name)


def check_field(ctype: Any, name: str, value: Any, where: str) -> None:
    """The same for the field ``name`` of ``ctype``."""
    for base in ctype.__mro__:
        for field in base.__dict__.get("_fields_", ()):
            if field[0] == name:
                if len(field) == 3:
                    check_bits(field[1], value, field[2], where)
                else:
                    check(field[1], value, where)
                return


def check_bits(ctype: Any, value: Any, bits: int, where: str) -> None:
    """The same for a number of so many bits."""
    code = ctype._type_
    least: float
    most: float
    if code in "bhilq" and isinstance(value, int):
        least, most = -(1 << bits - 1), (1 << bits - 1) - 1
    elif code in "BHILQ" and isinstance(value, int):
        least, most = 0, (1 << bits) - 1
    elif code == "f" and isinstance(value, (int, float)):
        least, most = -3.4028235677973366e38, 3.4028235677973366e38
        if value != value or value in (float("inf"), float("-inf")):
            return
        if least < value < most:
            return
    else:
        return
    if not least <= value <= most:
        shown = value if abs(value) < 1 << 200 else "the number"
        raise OverflowError(
            f"{where + ': ' if where else ''}{shown} is out of range for {_name(ctype)} "
            f"of {bits} bits: {least} to {most}"
        )


# NumPy


def _dtype(asked: Any) -> Any:
    """The dtype that NumPy makes of ``asked``; None if it makes none, or is not there."""
    try:
        import numpy as np
    except ImportError:
        return None
    try:
        return np.dtype(asked)
    except (TypeError, ValueError, SyntaxError):
        return None


def _of_dtype(dtype: Any) -> ItemType:
    import numpy as np

    if dtype.hasobject:
        names = [name for name in dtype.names or () if dtype[name].hasobject]
        place = f"field {names[0]} of dtype {dtype}" if names else f"dtype {dtype}"
        raise BadItemType(
            f"{place} holds Python objects: an address means nothing in another process; "
            "share them in a tarefa.List"
        )
    if dtype.itemsize == 0:
        raise BadItemType(f"dtype {dtype} has no bytes: there is nothing to share")
    if dtype.isnative and dtype.char in CODES and dtype.char not in "cu":
        return ItemType(CODES[dtype.char], dtype.itemsize)
    zero: Any = np.zeros((), dtype)
    try:
        buffer = memoryview(zero)
    except (ValueError, BufferError) as e:
        raise BadItemType(
            f"dtype {dtype} cannot be lent as a buffer ({e}); "
            "for dates use int64, and .view(dtype) of the array"
        ) from None
    inner = ",".join(map(str, buffer.shape or ()))
    text = f"({inner})" * bool(inner) + buffer.format
    return ItemType(text if _is_read_back(dtype) else _written(dtype), dtype.itemsize, dtype)


def _is_read_back(dtype: Any) -> bool:
    """Whether NumPy reads the format that it writes for a dtype as that dtype.

    It writes one for a single item as if the next began where its alignment wants it, which that of
    a packed structure does not; and it leaves out what lies behind the last field.
    """
    import numpy as np

    if dtype.names is None and dtype.subdtype is None:
        return True
    one: Any = np.zeros((), dtype)
    try:
        return bool(np.asarray(memoryview(one)).dtype == dtype.base)
    except (ValueError, RuntimeError):
        return False


def _written(dtype: Any) -> str:
    """The format with all that lies between and behind the fields, and no alignment."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return f"({','.join(map(str, shape))}){_written(base)}"
    if dtype.names is None:
        return _written_scalar(dtype)
    text, at = "", 0
    for name in dtype.names:
        field, offset = dtype.fields[name][:2]
        text += f"{offset - at}x" * (offset > at) + f"{_written(field)}:{name}:"
        at = offset + field.itemsize
    left = dtype.itemsize - at
    return f"T{{{text}{f'{left}x' if left else ''}}}"


def _written_scalar(dtype: Any) -> str:
    import numpy as np

    one: Any = np.zeros(1, dtype)
    text = memoryview(one).format.lstrip("@=<>^")
    if text[-1] in "gx":
        return f"^{text}" if text[-1] == "g" else text
    order = ">" if dtype.byteorder == ">" else "<"
    return order + text[:-1] + _STANDARD.get(text[-1], text[-1])
