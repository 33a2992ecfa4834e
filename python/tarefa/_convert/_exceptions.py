"""What an exception consists of: its class, its arguments and its attributes.

Of this an exception is made again, a copy of one or one that has travelled, without calling its
class: the constructor of a class of its own may take anything, and need not do again what it did.
The built-in class that it comes from is initialised from ``args``, and the attributes are set.
"""

from __future__ import annotations

import copyreg
from types import GetSetDescriptorType, MemberDescriptorType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    # Fields (what C code or ``__slots__`` keep outside of the dictionary), and the dictionary, or
    # what ``__getstate__`` of the class gave.
    Attributes = tuple[dict[str, Any], Any]


def own(cls: type, name: str) -> bool:
    """Whether a class has that attribute from a class that is not built in."""
    for base in cls.__mro__:
        if name in vars(base):
            return base.__module__ != "builtins"
    return False


def reduces_itself(error: BaseException) -> bool:
    """Whether its class says itself how it is pickled."""
    cls = type(error)
    return cls in copyreg.dispatch_table or own(cls, "__reduce__") or own(cls, "__reduce_ex__")


def attributes(error: BaseException) -> Attributes:
    """Its attributes, as :func:`set_attributes` takes them."""
    state: Any = dict(error.__dict__)
    if own(type(error), "__getstate__"):
        state = error.__getstate__()
    return _fields(error), state


def set_attributes(made: BaseException, found: Attributes) -> None:
    """Give an exception that was made anew the attributes of another."""
    fields, state = found
    _set_fields(made, fields)
    if not state:
        return
    if own(type(made), "__setstate__"):
        made.__setstate__(state)
    else:
        made.__dict__.update(state)


def arguments(error: BaseException) -> tuple[Any, ...]:
    """What :func:`bare` takes besides the class."""
    args: tuple[Any, ...] = _ARGS.__get__(error)
    if isinstance(error, BaseExceptionGroup):
        return args[2:], (_MESSAGE.__get__(error), list(_EXCEPTIONS.__get__(error)))
    return (args,)


def bare(
    cls: type[BaseException], args: tuple[Any, ...], group: tuple[Any, ...] | None = None
) -> BaseException:
    """An exception with these arguments, and only what its built-in class makes of them.

    That of a group needs its message and its exceptions, which ``group`` has.
    """
    base = _built_in(cls)
    if group is not None:
        made = base.__new__(cls, *group)
        args = (*group, *args)
    else:
        try:
            made = base.__new__(cls, *args)
            if type(made) is not cls:
                # OSError chooses a class of its own by the number.
                made = base.__new__(cls)
            base.__init__(made, *args)
        except Exception:
            # Arguments that were given to it later; the fields say what it was made with.
            made = base.__new__(cls)
    _ARGS.__set__(made, args)
    found: BaseException = made
    return found


def copy(error: BaseException) -> BaseException:
    """Another like it, to be raised: what it refers to is the same.

    The exception itself where it cannot be made again.
    """
    try:
        made = bare(type(error), *arguments(error))
        _set_fields(made, _fields(error))
        made.__dict__.update(error.__dict__)
        notes = made.__dict__.get("__notes__")
        if isinstance(notes, list):
            made.__dict__["__notes__"] = list(notes)
        if isinstance(error, AttributeError):
            _OBJ.__set__(made, _OBJ.__get__(error))
    except Exception:
        return error
    made.__cause__, made.__context__ = error.__cause__, error.__context__
    made.__suppress_context__ = error.__suppress_context__
    return made


def _built_in(cls: Any) -> Any:
    """The class made in C that gives its instances their shape."""
    while cls.__flags__ & _HEAP_TYPE:
        cls = cls.__base__
    return cls


def _fields(error: BaseException) -> dict[str, Any]:
    found = {}
    for name, descriptor in _descriptors(type(error)).items():
        try:
            found[name] = descriptor.__get__(error)
        except AttributeError:
            pass  # not set
    return found


def _set_fields(made: BaseException, fields: dict[str, Any]) -> None:
    descriptors = _descriptors(type(made))
    for name, value in fields.items():
        descriptor = descriptors.get(name)
        if descriptor is None:
            continue
        try:
            # Not even None in the place of nothing: it would be shown.
            if descriptor.__get__(made) is value:
                continue
        except AttributeError:
            pass
        try:
            descriptor.__set__(made, value)
        except (AttributeError, TypeError):
            pass  # not to be set


def _descriptors(cls: type[BaseException]) -> dict[str, Any]:
    """Of its fields."""
    found: dict[str, Any] = {}
    for base in cls.__mro__:
        if base not in _LEFT_OUT:
            for name, value in vars(base).items():
                if type(value) in (MemberDescriptorType, GetSetDescriptorType):
                    found.setdefault(name, value)
    for name in ("__dict__", "__weakref__"):
        found.pop(name, None)
    if found.get("obj") is _OBJ:
        # The object without the attribute, which may be anything, of any size. CPython does not
        # pickle it either.
        del found["obj"]
    return found


_HEAP_TYPE = 1 << 9
# What these have is no field, or is given in another way.
_LEFT_OUT = (object, BaseException, BaseExceptionGroup)
_OBJ: Any = vars(AttributeError)["obj"]
_ARGS: Any = vars(BaseException)["args"]
_MESSAGE: Any = vars(BaseExceptionGroup)["message"]
_EXCEPTIONS: Any = vars(BaseExceptionGroup)["exceptions"]
