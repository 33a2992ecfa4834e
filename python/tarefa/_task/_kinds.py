"""What sorts of things a script's names stand for, as far as their way to a process goes."""

from __future__ import annotations

import functools
import sys
import types

from tarefa._convert._by_name import is_of_library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Kind:
    """How a value is sent: a number, the larger the more its sending takes."""

    # Does not change: there always, and sent again only when the name stands for another one.
    CONSTANT = 0
    CODE = 1
    MODULE = 2
    SHARED = 3
    # May change without its name's being set: sent where a task's code reaches it.
    DATA = 4
    # A handle of a task, which is the program's business.
    TASK = 5


_PLAIN: tuple[type, ...] = (
    int,
    float,
    complex,
    str,
    bytes,
    bool,
    range,
    slice,
    type(None),
    type(...),
    type(NotImplemented),
)
_CODE: tuple[type, ...] = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.GenericAlias,
    types.UnionType,
    staticmethod,
    classmethod,
    property,
    functools._lru_cache_wrapper,
)
# Of the standard library: what is never changed once it is made.
_UNCHANGING = {
    ("datetime", "date"),
    ("datetime", "time"),
    ("datetime", "datetime"),
    ("datetime", "timedelta"),
    ("datetime", "timezone"),
    ("zoneinfo", "ZoneInfo"),
    ("decimal", "Decimal"),
    ("fractions", "Fraction"),
    ("uuid", "UUID"),
    ("re", "Pattern"),
    ("pathlib", "PosixPath"),
    ("pathlib", "PurePosixPath"),
    ("pathlib", "PureWindowsPath"),
    ("pathlib._local", "PosixPath"),
    ("pathlib._local", "PurePosixPath"),
    ("pathlib._local", "PureWindowsPath"),
    ("ipaddress", "IPv4Address"),
    ("ipaddress", "IPv6Address"),
    ("ipaddress", "IPv4Network"),
    ("ipaddress", "IPv6Network"),
    ("typing", "TypeVar"),
    ("typing", "_GenericAlias"),
    ("typing", "_SpecialForm"),
    ("typing", "_UnionGenericAlias"),
    ("_contextvars", "ContextVar"),
    ("struct", "Struct"),
    ("_struct", "Struct"),
}
# Handles that go to those that use them alone. An end of a pipe closes with the last who has it:
# the script's image, which all processes read, would keep it open.
_HANDLES = ("Process", "Thread", "Timer", "MainProcess", "Run", "TaskView", "Connection")


def is_of_users_alone(value: Any) -> bool:
    """Whether it is for processes that use it, and not for what all have.

    An end of a pipe closes with the last who has it; what a library starts as it is loaded, threads
    perhaps, is not for the zygote.
    """
    kind = type(value)
    is_end = kind.__module__ == "tarefa" and kind.__name__ == "Connection"
    return is_end or is_of_library(value)


def is_plain(value: Any) -> bool:
    """Whether it is of a class whose every object can be pickled."""
    return type(value) in _PLAIN


def kind_of(value: Any) -> int:
    """What sort of thing a value is."""
    kind = type(value)
    if kind in _PLAIN:
        return Kind.CONSTANT
    if kind in _CODE or isinstance(value, type):
        return Kind.CODE
    if kind is types.ModuleType or isinstance(value, types.ModuleType):
        return Kind.MODULE
    if kind is tuple or kind is frozenset:
        kinds = {kind_of(v) for v in value} if len(value) < 1000 else {Kind.DATA}
        return max(kinds, default=Kind.CONSTANT)
    enum: Any = sys.modules.get("enum")
    if enum is not None and isinstance(value, enum.Enum):
        return Kind.CONSTANT
    module = kind.__module__
    if module == "tarefa":
        return Kind.TASK if kind.__name__ in _HANDLES else Kind.SHARED
    if (module, kind.__name__) in _UNCHANGING:
        return Kind.CONSTANT
    if kind is functools.partial:
        parts = (value.func, *value.args, *value.keywords.values())
        return kind_of(parts)
    from tarefa._task._base import TaskBase

    return Kind.TASK if isinstance(value, TaskBase) else Kind.DATA
