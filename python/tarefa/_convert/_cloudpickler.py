"""The pickler for everything: classes and functions as what they consist of, with cloudpickle."""

from __future__ import annotations

import io
import sys
import weakref
from collections import ChainMap
from collections.abc import Callable
from types import FunctionType, MemberDescriptorType, resolve_bases
from typing import Any, ClassVar

import cloudpickle
from cloudpickle import cloudpickle as parts

from tarefa._convert import _files
from tarefa._convert._by_name import Reducing
from tarefa._convert._plain_pickle import MAIN_NAMES


class ByValue(Reducing, cloudpickle.Pickler):  # type: ignore[misc]
    """Functions and classes as what they consist of; the script's by name, where they can."""

    dispatch_table: ClassVar[Any] = ChainMap(
        {io.TextIOWrapper: _files.reduce_text_file}, *cloudpickle.Pickler.dispatch_table.maps
    )

    def __init__(self, file: Any, keep: Callable[[Any], bool] | None = None, **how: Any) -> None:
        super().__init__(file, protocol=5, buffer_callback=keep)
        self._set(**how)

    def reducer_override(self, obj: Any) -> Any:
        """What ``pickle`` asks first."""
        reduced = self.reduce_here(obj)
        if reduced is not NotImplemented:
            return reduced
        if isinstance(obj, type):
            reduced = self._ctypes(obj)
            if reduced is NotImplemented:
                reduced = super().reducer_override(obj)
            return reduced if reduced is NotImplemented else _once(reduced, obj)
        return super().reducer_override(obj)

    def _class(self, cls: type) -> Any:
        reduced = self._ctypes(cls)
        if reduced is NotImplemented:
            reduced = parts._dynamic_class_reduce(cls)
        return _once(reduced, cls)

    def _of_elsewhere(self, function: FunctionType) -> Any:
        return super().reducer_override(function)

    def _ctypes(self, cls: type) -> Any:
        if not _is_ctypes(cls):
            return NotImplemented
        from tarefa._convert._ctypes_pickling import reduce_type

        return reduce_type(cls, parts._should_pickle_by_reference(cls))


def _is_ctypes(obj: type) -> bool:
    ctypes: Any = sys.modules.get("_ctypes")
    if ctypes is None:
        return False
    made = (ctypes.Structure, ctypes.Union, ctypes.Array, ctypes._Pointer, ctypes.CFuncPtr)
    return issubclass(obj, made)


def _once(reduced: Any, cls: type) -> Any:
    """What makes the class, unless the reader has it: then it is left as it is."""
    if reduced[0] in (parts._make_skeleton_class, parts._make_skeleton_enum):
        make, args, state, _, _, _ = reduced
        is_enum = make is parts._make_skeleton_enum
        if not is_enum:
            args[3]["__qualname__"] = cls.__qualname__
            if "__slots__" in vars(cls):
                # Set afterwards they would be a name and nothing else.
                args[3]["__slots__"] = vars(cls)["__slots__"]
                state = _without_slots(state[0], cls), *state[1:]
        return _make_class, (is_enum, *args), state, None, None, _complete
    return reduced


def _without_slots(attributes: dict[str, Any], cls: type) -> dict[str, Any]:
    """Without what a class makes of its slots, also of those with a private name."""
    return {
        name: value
        for name, value in attributes.items()
        if name != "__slots__"
        and not (type(value) is MemberDescriptorType and value.__objclass__ is cls)
    }


# Classes that were made and are still empty.
_empty: weakref.WeakSet[Any] = weakref.WeakSet()


def _make_class(is_enum: bool, *args: Any) -> Any:
    tracker_id = args[-2]
    known = parts._DYNAMIC_CLASS_TRACKER_BY_ID.get(tracker_id)
    if known is not None:
        return known
    if is_enum:
        made = parts._make_skeleton_enum(*args)
    else:
        meta, name, bases, names, *rest = args
        if all(issubclass(meta, type(base)) for base in resolve_bases(bases)):
            meta = _without_registering(meta)
        else:
            # NamedTuple and its like, which make something else of what they are given.
            names = {n: value for n, value in names.items() if n != "__slots__"}
        made = parts._make_skeleton_class(meta, name, bases, names, *rest)
    _empty.add(made)
    return made


def _without_registering(meta: Any) -> Callable[..., Any]:
    """What makes an empty class of a metaclass, without what the script does for a new one.

    It has done that: what came of it is sent with its names.
    """
    own = next(cls for cls in meta.__mro__ if cls.__module__ not in MAIN_NAMES)

    def make(name: str, bases: tuple[type, ...], names: dict[str, Any]) -> Any:
        hooks = {}
        for base in {one for cls in bases for one in cls.__mro__}:
            if base.__module__ in MAIN_NAMES and _HOOK in vars(base):
                hooks[base] = vars(base)[_HOOK]
        for base in hooks:
            type.__delattr__(base, _HOOK)
        try:
            return own.__new__(meta, name, bases, names)
        finally:
            for base, hook in hooks.items():
                type.__setattr__(base, _HOOK, hook)

    return make


_HOOK = "__init_subclass__"


def _complete(cls: Any, state: Any) -> None:
    if cls in _empty:
        _empty.discard(cls)
        parts._class_setstate(cls, state)


def dumps_by_value(obj: Any) -> bytes:
    """Pickle ``obj``, to look whether that can be done."""
    buffer = io.BytesIO()
    ByValue(buffer, is_call=True).dump(obj)
    return buffer.getvalue()
