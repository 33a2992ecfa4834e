"""The picklers for what plain ``pickle`` does not send, or sends as a name of ``__main__``.

:class:`ByName` knows the script's own functions and classes, which travel by name where they can,
and functions that were made while the script ran, which travel as their code. The pickler in
`_cloudpickler` knows everything else, and is only imported when it is needed.
"""

from __future__ import annotations

import _pickle as pickle
import copyreg
import functools
import gc
import io
import marshal
import sys
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from types import CellType, CodeType, FunctionType, MappingProxyType, MethodType, ModuleType

from tarefa import _engine
from tarefa._convert import _definitions, _own_ways
from tarefa._convert._context_vars import reduce_context_var
from tarefa._convert._definitions import main_dict
from tarefa._convert._globals_of import names_in
from tarefa._convert._plain_pickle import MAIN_NAMES, NOT_AS_IT_IS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class NeedsMore(Exception):
    """The smaller pickler met something that the larger one knows."""


_VERSION = sys.hexversion >> 16

# Set by `_dump`, which has both picklers.
dumps_whole: Callable[[Any], bytes] = repr  # type: ignore[assignment]
pickles: Callable[[Any], bool] = bool


class Reducing:
    """What both picklers have in common.

    Args:
        met: the script's functions and classes that were met by name, and the code of functions
            that were met as such.
        whole: a definition that is to be pickled as what it consists of.
        in_image: definitions are to be pickled so, unless every process finds them.
        is_call: this goes to a process that is given what the script has by that name.
    """

    def _set(
        self,
        whole: Any = None,
        in_image: bool = False,
        is_call: bool = False,
    ) -> None:
        self.met: list[Any] = []
        # Definitions that were pickled as what they consist of, and what others are in.
        self.defined: list[Any] = []
        self.modules: set[str] = set()
        self.shared: list[Any] = []
        self.whole = whole
        self.in_image = in_image
        self.is_call = is_call
        # Names for functions whose reader has none of his own.
        self.private: dict[str, Any] = {}
        self._own_ways = _own_ways.reducers()

    def reduce_here(self, obj: Any) -> Any:
        """How something of the script is pickled; NotImplemented for what is not."""
        kind = type(obj)
        own = self._own_ways.get(kind)
        if own is not None:
            return own(obj)
        if kind is FunctionType:
            if _definitions.is_of_script(obj):
                return self._named(obj) or self._function(obj)
            if obj.__module__ in MAIN_NAMES:
                return self._named(obj) or self._made_by_module(obj)
            if obj.__module__ is not None:
                self.modules.add(obj.__module__)
            # One that the module has made as it ran, and that nobody finds by its name.
            return self._made_by_module(obj) if "<" in obj.__qualname__ else NotImplemented
        if isinstance(obj, type):
            if obj.__module__ in MAIN_NAMES:
                return self._named(obj) or self._class(obj)
            self.modules.add(obj.__module__)
            return NotImplemented
        if kind is CellType:
            return _make_cell, (), *_cell_state(obj)
        if kind is CodeType:
            return _load_code, (_VERSION, marshal.dumps(obj))
        if kind is MethodType:
            return MethodType, (obj.__func__, obj.__self__)
        if kind is ModuleType:
            if obj is sys.modules.get("__main__"):
                return _main_module, ()
            name = obj.__name__
            if sys.modules.get(name) is obj:
                self.modules.add(name)
                inside = _loaded_inside(name) if hasattr(obj, "__path__") else []
                return _import, (name, *inside)
            return NotImplemented
        if kind is functools.cached_property:
            return _make_cached_property, (obj.func, obj.attrname)
        by_value = self.in_image or self.whole is not None
        if by_value and kind is functools._lru_cache_wrapper:
            if obj.__module__ in MAIN_NAMES:
                return _make_cached, (obj.__wrapped__, obj.cache_parameters())
            return NotImplemented
        if by_value and kind.__module__ in MAIN_NAMES:
            reduced = obj.__reduce_ex__(5)
            # By its name, which the reader does not have yet.
            return object.__reduce_ex__(obj, 5) if isinstance(reduced, str) else reduced
        if kind.__module__ == "typing":
            from tarefa._convert import _type_parameters

            of_main = by_value and getattr(obj, "__module__", None) in MAIN_NAMES
            if of_main or _type_parameters.is_unnamed(obj):
                return _type_parameters.reduce(obj) or NotImplemented
        if kind is MappingProxyType:
            # Itself, not a copy: a function of one dispatch has both it and the mapping.
            return MappingProxyType, tuple(gc.get_referents(obj))
        if kind is weakref.WeakKeyDictionary:
            return weakref.WeakKeyDictionary, (), None, None, iter(list(obj.items()))
        if kind is ContextVar:
            return reduce_context_var(obj, pickles)
        if kind.__name__ == "Struct" and kind.__module__ in ("_struct", "struct"):
            return kind, (obj.format,)
        if is_of_library(obj):
            self.shared.append(obj)
            from tarefa._convert import _ctypes_libraries

            return _ctypes_libraries.reduce(obj)
        if kind.__module__ == "tarefa":
            self.shared.append(obj)
        return NotImplemented

    def _named(self, obj: Any) -> Any:
        """How a definition is pickled by name; None where it is not to be."""
        mentioned = _definitions.mention(obj)
        if mentioned is None:
            return None
        qualname, digest = mentioned[1]
        self.met.append(obj)
        found = _definitions.can_be_found(digest)
        if self.whole is not None and self._is_part_of_whole(obj, qualname):
            return None
        if self.in_image:
            if not _definitions.is_in_image(digest):
                self.defined.append(obj)
                return None
        elif not found and not (self.is_call and _definitions.find(qualname) is obj):
            _definitions.publish(obj, dumps_whole)
        return mentioned

    def _is_part_of_whole(self, obj: Any, qualname: str) -> bool:
        whole = self.whole
        return obj is whole or (
            type(obj) is FunctionType and qualname.startswith(whole.__qualname__ + ".")
        )

    def _function(self, function: FunctionType) -> Any:
        """A function as its code; its names are the reader's."""
        code = function.__code__
        self.met.append(code)
        extra: dict[str, Any] = {}
        if not (self.in_image or self.is_call):
            extra = _unknown_globals(code)
        args = (
            _VERSION,
            marshal.dumps(code),
            function.__name__,
            function.__closure__,
            tuple(extra),
            self.private if extra else None,
            *_used_inside(code),
        )
        return _make_function, args, _state(function, extra), None, None, _set_function

    def _made_by_module(self, function: FunctionType) -> Any:
        """A function with the names of a module, such as a decorator makes: as its code."""
        home = function.__globals__.get("__name__")
        module = sys.modules.get(home) if isinstance(home, str) else None
        if (
            module is None
            or module.__dict__ is not function.__globals__
            or getattr(module, "__spec__", None) is None
        ):
            return self._of_elsewhere(function)
        self.modules.add(module.__name__)
        code = marshal.dumps(function.__code__)
        args = (_VERSION, code, function.__name__, function.__closure__, home)
        return _make_in_module, args, _state(function, {}), None, None, _set_function

    def _of_elsewhere(self, function: FunctionType) -> Any:
        """A function whose names are of no module that can be imported."""
        raise NeedsMore(function)

    def _class(self, cls: type) -> Any:
        raise NeedsMore(cls)


def is_of_library(value: object) -> bool:
    """Whether it is a library that ctypes has loaded, or a function of one."""
    if type(value).__module__ != "ctypes":
        return False
    import _ctypes
    import ctypes

    return isinstance(value, (ctypes.CDLL, _ctypes.CFuncPtr))


class ByName(Reducing, pickle.Pickler):
    """For what mentions the script's functions and classes, and closures of its own."""

    def __init__(self, file: Any, keep: Callable[[Any], bool] | None = None, **how: Any) -> None:
        super().__init__(file, protocol=5, buffer_callback=keep)
        self._set(**how)

    def reducer_override(self, obj: Any) -> Any:
        """What ``pickle`` asks first."""
        return self.reduce_here(obj)


# For instances of the script's classes, and these: what most results are made of.
_OfScript: Any = type(
    "_OfScript", (pickle.Pickler,), {"reducer_override": _engine.reduce_of_script}
)
# What `Reducing.reduce_here` does more with than to name it, or to leave it to `pickle`.
_KINDS: Any = (
    CellType,
    CodeType,
    MethodType,
    ModuleType,
    MappingProxyType,
    ContextVar,
    functools.cached_property,
    weakref.WeakKeyDictionary,
)
_engine.give_script_pickler(
    io.BytesIO,
    _OfScript,
    _engine.keep_out_of_band,
    *_definitions.tables(),
    FunctionType,
    frozenset(_KINDS),
    frozenset(("typing", "ctypes", "_ctypes", "struct", "_struct")),
    _own_ways,
    sys.modules,
    copyreg.dispatch_table,
    (*NOT_AS_IT_IS, NeedsMore),
)


def _unknown_globals(code: CodeType) -> dict[str, Any]:
    """The names that the code uses and that another process of the program may not have."""
    names = main_dict()
    known = _definitions.known_names
    found = {n: names[n] for n in names_in(code) if n in names and n not in known}
    return {n: value for n, value in found.items() if pickles(value)}


def _state(function: FunctionType, extra: dict[str, Any]) -> tuple[Any, ...]:
    """What is set once the function is made; see `_set_function`."""
    return (
        function.__qualname__,
        function.__module__,
        function.__doc__,
        function.__defaults__,
        function.__kwdefaults__,
        _annotations(function),
        getattr(function, "__type_params__", None) or None,  # from 3.12 on
        function.__dict__ or None,
        extra or None,
    )


def _annotations(function: FunctionType) -> Any:
    try:
        return function.__annotations__ or None
    except Exception:  # made when asked for, from names that may be missing
        return None


def _cell_state(cell: CellType) -> tuple[Any, ...]:
    try:
        return ((cell.cell_contents,), None, None, _fill_cell)
    except ValueError:
        return ()


def _make_cell() -> CellType:
    return CellType()


def _fill_cell(cell: CellType, contents: tuple[Any]) -> None:
    (cell.cell_contents,) = contents


def _loaded_inside(package: str) -> list[str]:
    """Modules inside a package that are loaded here, and that code may reach by its name.

    Of the standard library all of them; of others those whose names are in the script's code.
    """
    prefix = package + "."
    inside = [name for name in list(sys.modules) if name.startswith(prefix)]
    if not inside or package.partition(".")[0] in sys.stdlib_module_names:
        return inside
    words = _words()
    return [name for name in inside if words.issuperset(name[len(prefix) :].split("."))]


def _words() -> set[str]:
    """All names in the code of the script's functions."""
    found: set[str] = set()
    todo: list[Any] = list(main_dict().values())
    while todo:
        one = todo.pop()
        if isinstance(one, type):
            if one.__module__ in MAIN_NAMES:
                todo += (v for v in one.__dict__.values() if v is not one)
        elif type(one) is FunctionType:
            todo.append(one.__code__)
        elif isinstance(one, (staticmethod, classmethod)):
            todo.append(one.__func__)
        elif type(one) is property:
            todo += (one.fget, one.fset, one.fdel)
        elif type(one) is CodeType:
            found.update(one.co_names)
            todo += (c for c in one.co_consts if type(c) is CodeType)
    return found


def _used_inside(code: CodeType) -> list[str]:
    """Modules inside packages that a function's code reaches by way of the packages."""
    names, found = main_dict(), []
    for name in names_in(code):
        package = names.get(name)
        if isinstance(package, ModuleType) and hasattr(package, "__path__"):
            prefix = package.__name__ + "."
            words = set(code.co_names)
            found += [
                n
                for n in list(sys.modules)
                if n.startswith(prefix) and words.issuperset(n[len(prefix) :].split("."))
            ]
    return found


def _import(name: str, *inside: str) -> Any:
    __import__(name)
    for one in inside:
        try:
            __import__(one)
        except ImportError:  # code that uses it says so
            continue
    return sys.modules[name]


def _make_cached_property(function: Any, name: str | None) -> Any:
    made = functools.cached_property(function)
    made.attrname = name
    return made


def _make_cached(function: Any, parameters: dict[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)


def _main_module() -> Any:
    return sys.modules["__main__"]


def _load_code(version: int, data: bytes) -> CodeType:
    if version != _VERSION:
        from tarefa._runtime._errors import NotReadable

        made = f"{version >> 8}.{version & 0xFF}"
        raise NotReadable(
            f"it has a function's code of Python {made}, which this is not: "
            "put the function into a module that both sides can import"
        )
    code: CodeType = marshal.loads(data)  # noqa: S302 - from a process of the same user's
    return code


def _make_function(
    version: int,
    code: bytes,
    name: str,
    closure: Any,
    extra: tuple[str, ...],
    private: dict[str, Any] | None,
    *modules: str,
) -> FunctionType:
    for module in modules:
        _import(module)
    names = main_dict()
    if private is not None and any(n not in names for n in extra):
        if not private:
            private.update({k: v for k, v in names.items() if k.startswith("__")})
        names = private
    return FunctionType(_load_code(version, code), names, name, None, closure)


def _make_in_module(
    version: int, code: bytes, name: str, closure: Any, module: str
) -> FunctionType:
    names = _import(module).__dict__
    return FunctionType(_load_code(version, code), names, name, None, closure)


def _set_function(function: FunctionType, state: tuple[Any, ...]) -> None:
    qualname, module, doc, defaults, kwdefaults, annotations, parameters, attributes, extra = state
    function.__qualname__ = qualname
    function.__module__ = module
    function.__doc__ = doc
    function.__defaults__ = defaults
    function.__kwdefaults__ = kwdefaults
    if annotations:
        function.__annotations__ = annotations
    if parameters:
        function.__type_params__ = parameters  # type: ignore[attr-defined]
    if attributes:
        function.__dict__.update(attributes)
    if extra and function.__globals__ is not main_dict():
        mine = main_dict()
        private = function.__globals__
        for name in names_in(function.__code__):
            if name in mine:
                private.setdefault(name, mine[name])
            elif name in extra:
                private.setdefault(name, extra[name])
