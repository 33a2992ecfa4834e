"""What of the script a task's code reaches by name, directly or by way of other code.

From a function to the globals in its code, to what its closure and its default arguments hold,
and to the functions inside it; from a class to its methods, bases and attributes; from a method
to its object's class; from a partial to what it calls. Modules that can be imported are not looked
into: their functions are what they are in every process.

Data that is not in a global but in a class, a function or a closure is found again in the other
process by the *path* on which it is reached: a global's name, and steps from there.
"""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Callable, Iterable
from types import CodeType, FunctionType, MethodType

from tarefa._convert._definitions import is_definition, is_of_script, main_dict
from tarefa._convert._globals_of import names_in, words_in
from tarefa._convert._plain_pickle import MAIN_NAMES
from tarefa._task._kinds import Kind, kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# From one thing to the next: a number is a variable of a closure, text an attribute.
_Step = int | str
Path = tuple[_Step, ...]

_DATA = (Kind.DATA, Kind.TASK)
# What leads to nothing else, and mentions nothing of the script.
SIMPLE = (int, float, str, bytes, bool, type(None))
# Attributes of a function, as steps.
_DEFAULTS = ("__defaults__", "__kwdefaults__")
ATTRIBUTES = "__dict__"
# Steps into what does not let its parts be set: a property, say.
_FIXED = ("__func__", "__self__", "fget", "fset", "fdel", "__wrapped__", "func")


class Reach:
    """What code reaches.

    Attributes:
        data: names of the script that stand for data that may change.
        held: paths of data that classes, functions and closures of the script have.
        classes: classes of the script, with their paths.
        through: names of the script, with the function that uses each.
        functions: functions of the script, with their paths.
        guessed: those of the names that the code may only ask for as text or attributes.
    """

    def __init__(self, start: list[Any]) -> None:
        self.data: dict[str, None] = {}
        self.held: dict[Path, None] = {}
        self.classes: dict[Path, type] = {}
        self.through: dict[str, str] = {}
        self.functions: list[tuple[Path, FunctionType]] = []
        self.guessed: set[str] = set()
        self._seen: dict[int, Any] = {}
        # All names that were asked for, whether or not the script has them.
        self._names: set[str] = set()
        # Those of them that stood for more than a number or a text.
        self._leading: set[str] = set()
        self._main = main_dict()
        self._module = sys.modules["__main__"]
        todo: list[tuple[Any, Path | None]] = [(one, path_of(one)) for one in start]
        while todo:
            one, path = todo.pop()
            if id(one) not in self._seen:
                self._seen[id(one)] = one
                if isinstance(one, (FunctionType, type)):
                    self._leading.add(one.__qualname__.partition(".")[0])
                self._look_at(one, path, todo)

    def depends_on(self, names: Iterable[str]) -> bool:
        """Whether it may be another now that these names of the script have changed."""
        main = self._main
        return any(
            name in self._leading or (name in self._names and type(main.get(name)) not in SIMPLE)
            for name in names
        )

    def has_seen(self, one: Any) -> bool:
        """Whether that was looked at."""
        return id(one) in self._seen

    def key(self) -> tuple[Any, ...]:
        """What is reached, to tell it from what other code does."""
        return (*self.data, *self.held)

    def values(self, main: dict[str, Any]) -> dict[str, Any]:
        """The data that the names stand for now."""
        return {name: main[name] for name in self.data if name in main}

    def held_values(self) -> list[tuple[Path, Any]]:
        """What is held now."""
        return values_at(self._main, self.held)

    def state(
        self, names: dict[str, Any], held: list[tuple[Path, Any]], lost: list[Path]
    ) -> dict[str, Any]:
        """What a process is sent of it: these values, and which it may not mean after all."""
        state = {"names": names, "held": held, "lost": lost}
        guessed = [name for name in names if name in self.guessed]
        return {**state, "guessed": guessed} if guessed else state

    def let_go(self, refuses: Callable[[Any], bool]) -> bool:
        """Leave out what need not be sent and cannot be; whether there was any.

        Attributes of classes, and names that the code need not mean, with what they lead to.
        """
        values = dict(self.held_values())
        classes, guessed = set(self.classes), self.guessed
        found = [
            p for p, v in values.items() if (p[:-1] in classes or p[0] in guessed) and refuses(v)
        ]
        for path in found:
            del self.held[path]
        main = self._main
        names = [n for n in self.data if n in self.guessed and n in main and refuses(main[n])]
        for name in names:
            del self.data[name]
        return bool(found or names)

    def _look_at(self, one: Any, path: Path | None, todo: list[Any]) -> None:
        def step(value: Any, *steps: _Step) -> None:
            todo.append((value, None if path is None else (*path, *steps)))

        if type(one) is CodeType:
            self._look_at_code(one, one.co_qualname, todo)
        elif type(one) is FunctionType:
            if is_of_script(one):
                self._look_at_function(one, path, todo, step)
            elif one.__closure__ and (one.__module__ in MAIN_NAMES or "<" in one.__qualname__):
                # Made by a decorator, say, around what is of the script.
                for number, cell in enumerate(one.__closure__):
                    try:
                        step(cell.cell_contents, number)
                    except ValueError:  # still empty
                        continue
        elif type(one) is MethodType:
            step(one.__func__, "__func__")
            step(one.__self__, "__self__")
        elif isinstance(one, type):
            if one.__module__ in MAIN_NAMES:
                self._look_at_class(one, path, todo, step)
        elif isinstance(one, functools.partial):
            parts = (one.func, *one.args, *one.keywords.values())
            todo += ((part, None) for part in parts)
        elif type(one) in (tuple, frozenset):
            todo += ((part, None) for part in one)
        elif isinstance(one, (staticmethod, classmethod)):
            step(one.__func__, "__func__")
        elif type(one) is property:
            for part in ("fget", "fset", "fdel"):
                if getattr(one, part) is not None:
                    step(getattr(one, part), part)
        else:
            for inside in ("__wrapped__", "func"):  # the second of a cached_property
                function = getattr(one, inside, None)
                if type(function) is FunctionType:
                    step(function, inside)
            if type(one).__module__ in MAIN_NAMES:
                todo.append((type(one), path_of(type(one))))

    def _look_at_function(
        self, function: FunctionType, path: Path | None, todo: list[Any], step: Callable[..., None]
    ) -> None:
        if path is not None:
            self.functions.append((path, function))
        # A function that goes as its code has its closure and all else with it.
        self._seen[id(function.__code__)] = function.__code__
        self._look_at_code(function.__code__, function.__qualname__, todo)
        for number, cell in enumerate(function.__closure__ or ()):
            try:
                contents = cell.cell_contents
            except ValueError:  # still empty
                continue
            self._hold(path, number, contents)
            step(contents, number)
        for attribute in _DEFAULTS:
            values = getattr(function, attribute)
            if values:
                for value in values.values() if isinstance(values, dict) else values:
                    todo.append((value, None))
                    self._hold(path, attribute, value)
        if function.__dict__:
            self._hold(path, ATTRIBUTES, function.__dict__)
            for name, value in function.__dict__.items():
                step(value, name)

    def _look_at_code(self, code: CodeType, qualname: str, todo: list[Any]) -> None:
        main = self._main
        names = names_in(code)
        asks = any(main.get(name) is self._module for name in names)
        self._names.update(names)
        self.guessed.difference_update(names)
        self._follow(names, qualname, todo)
        # A file is not sent on a guess: what comes of it there is another one.
        words = [
            name
            for name in words_in(code, asks)
            if name not in self._names and not isinstance(main.get(name), io.IOBase)
        ]
        self._names.update(words)
        self.guessed.update(words)
        self._follow(words, qualname, todo)

    def _follow(self, names: Iterable[str], qualname: str, todo: list[Any]) -> None:
        main = self._main
        for name in names:
            if name in main and name not in self.through:
                self.through[name] = qualname
                value = main[name]
                if type(value) in SIMPLE:
                    continue
                self._leading.add(name)
                if kind_of(value) in _DATA:
                    self.data[name] = None
                todo.append((value, (name,)))

    def _look_at_class(
        self, cls: type, path: Path | None, todo: list[Any], step: Callable[..., None]
    ) -> None:
        todo += ((base, path_of(base)) for base in (*cls.__bases__, type(cls)))
        if path is not None:
            self.classes[path] = cls
        for name, value in list(cls.__dict__.items()):
            if name.startswith("__") and name.endswith("__") and type(value) is not FunctionType:
                continue
            step(value, name)
            # What works as an attribute is part of its class's definition.
            if not hasattr(type(value), "__get__"):
                self._hold(path, name, value)

    def _hold(self, path: Path | None, last: _Step, value: Any) -> None:
        if path is not None and kind_of(value) in _DATA:
            self.held[*path, last] = None


def path_of(one: Any) -> Path | None:
    """Where the script has a function or class, if it has it under its name."""
    if (type(one) is FunctionType or isinstance(one, type)) and is_definition(one):
        return tuple(one.__qualname__.split("."))
    return None


def look_up(main: dict[str, Any], path: Path) -> Any:
    """What is at the end of a path."""
    found = main[str(path[0])]
    for step in path[1:]:
        found = _step_to(found, step)
    return found


def values_at(main: dict[str, Any], paths: Iterable[Path]) -> list[tuple[Path, Any]]:
    """What is at the ends of paths, with them."""
    found = []
    for path in paths:
        try:
            found.append((path, look_up(main, path)))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # it is gone
            continue
    return found


def where_set(path: Path) -> Path:
    """Where a function on that path is to be set anew: what is around it may be fixed."""
    for at, step in enumerate(path):
        if step in _FIXED:
            return path[:at]
    return path


def _step_to(found: Any, step: _Step) -> Any:
    if isinstance(step, int):
        return found.__closure__[step].cell_contents
    if step == ATTRIBUTES and type(found) is FunctionType:
        return dict(found.__dict__)
    if isinstance(found, type):
        return found.__dict__[step]
    return getattr(found, step)


def put(main: dict[str, Any], path: Path, value: Any) -> None:
    """Set what is at the end of a path."""
    holder, last = look_up(main, path[:-1]), path[-1]
    if isinstance(last, int):
        holder.__closure__[last].cell_contents = value
    elif last == ATTRIBUTES and type(holder) is FunctionType:
        holder.__dict__.clear()
        holder.__dict__.update(value)
    else:
        setattr(holder, last, value)
