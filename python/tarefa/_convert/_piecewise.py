"""Reading what can be read of a pickle of which a part cannot be built here.

A part whose ``__setstate__`` raises, say, or whose module is gone, is left empty, and whatever has
it, directly or by way of others, is known to be *broken*, with the reason. This is the slow reader
of the standard library, and is only asked after the fast one has failed.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from tarefa._convert._plain_pickle import is_of_process

# What has no parts, and is never broken.
_ATOMS = (int, float, complex, str, bytes, bool, type(None), type(...))


class _Missing:
    """In the place of what could not be built."""


# The reader of the standard library that is written in Python.
_Reader: Any = pickle._Unpickler


class Piecewise(_Reader):  # type: ignore[misc]
    """An unpickler that goes on after a part that cannot be built."""

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(_Reader.dispatch)

    def __init__(self, data: Any) -> None:
        super().__init__(io.BytesIO(data))
        # By where in memory they are: what is broken, and why; and what has it.
        self._errors: dict[int, BaseException] = {}
        self._holders: dict[int, list[Any]] = {}
        self._kept: list[Any] = []
        # What the last call was given and returned: a setter of state is called so, and dropped.
        self._called: tuple[Any, Any] | None = None

    def error_of(self, value: Any) -> BaseException | None:
        """Why a value is not what it was; None where it is."""
        return None if type(value) in _ATOMS else self._errors.get(id(value))

    def _break(self, value: Any, error: BaseException) -> None:
        todo = [value]
        while todo:
            one = todo.pop()
            if type(one) not in _ATOMS and id(one) not in self._errors:
                self._kept.append(one)
                self._errors[id(one)] = error
                todo += self._holders.get(id(one), ())

    def _hold(self, holder: Any, parts: Iterable[Any]) -> None:
        """``holder`` has these parts: it is broken where one is, or comes to be."""
        if type(holder) in _ATOMS:
            return
        self._kept.append(holder)
        for part in parts:
            if type(part) in _ATOMS:
                continue
            self._kept.append(part)
            self._holders.setdefault(id(part), []).append(holder)
            error = self._errors.get(id(part))
            if error is not None:
                self._break(holder, error)

    def _missing(self, error: BaseException) -> Any:
        made = _Missing()
        self._break(made, error)
        return made

    def _make(self, act: Callable[[], Any], *parts: Any) -> Any:
        """What ``act`` makes of these parts."""
        for part in parts:
            error = self.error_of(part)
            if error is not None:
                return self._missing(error)
        try:
            made = act()
        except BaseException as e:
            if is_of_process(e):
                raise
            return self._missing(e)
        self._hold(made, parts)
        return made

    def _change(self, holder: Any, parts: Iterable[Any], act: Callable[[], None]) -> None:
        """Have ``act`` put these parts into their holder."""
        self._hold(holder, parts)
        if isinstance(holder, _Missing):
            return
        try:
            act()
        except BaseException as e:
            if is_of_process(e):
                raise
            self._break(holder, e)

    def find_class(self, module: str, name: str) -> Any:
        """A class or function by its name."""
        return self._make(lambda: super(Piecewise, self).find_class(module, name))

    def _reduce(self) -> None:
        args = self.stack.pop()
        function = self.stack[-1]
        made = self._make(lambda: function(*args), function, args)
        self.stack[-1] = made
        self._called = made, args

    def _pop(self) -> None:
        called = self._called
        if called is not None and self.stack and self.stack[-1] is called[0] and called[1]:
            changed, *parts = called[1]
            self._hold(changed, (called[0], *parts))
        self._called = None
        super().load_pop()

    def _new(self) -> None:
        args = self.stack.pop()
        cls = self.stack.pop()
        self.append(self._make(lambda: cls.__new__(cls, *args), cls, args))

    def _new_with_names(self) -> None:
        kwargs = self.stack.pop()
        args = self.stack.pop()
        cls = self.stack.pop()
        self.append(self._make(lambda: cls.__new__(cls, *args, **kwargs), cls, args, kwargs))

    def _build(self) -> None:
        state, made = self.stack[-1], self.stack[-2]
        error = self.error_of(state)
        if error is not None or isinstance(made, _Missing):
            self.stack.pop()
            self._hold(made, (state,))
            return
        depth = len(self.stack) - 1
        self._change(made, (state,), super().load_build)
        del self.stack[depth:]

    def _append(self) -> None:
        value = self.stack.pop()
        found = self.stack[-1]
        self._change(found, (value,), lambda: found.append(value))

    def _appends(self) -> None:
        items = self.pop_mark()
        found = self.stack[-1]

        def act() -> None:
            if hasattr(found, "extend"):
                found.extend(items)
            else:
                for item in items:
                    found.append(item)

        self._change(found, items, act)

    def _set_item(self) -> None:
        value = self.stack.pop()
        key = self.stack.pop()
        found = self.stack[-1]
        self._change(found, (key, value), lambda: found.__setitem__(key, value))

    def _set_items(self) -> None:
        items = self.pop_mark()
        found = self.stack[-1]

        def act() -> None:
            for at in range(0, len(items), 2):
                found[items[at]] = items[at + 1]

        self._change(found, items, act)

    def _add_items(self) -> None:
        items = self.pop_mark()
        found = self.stack[-1]

        def act() -> None:
            for item in items:
                found.add(item)

        self._change(found, items, act)

    def _frozen_set(self) -> None:
        items = self.pop_mark()
        self.append(self._collected(items, frozenset))

    def _tuple(self) -> None:
        items = self.pop_mark()
        self.append(self._collected(items, tuple))

    def _tuple_of(self, count: int) -> None:
        items = self.stack[-count:]
        del self.stack[-count:]
        self.append(self._collected(items, tuple))

    def _collected(self, items: list[Any], kind: Callable[[list[Any]], Any]) -> Any:
        made = self._make(lambda: kind(items))
        self._hold(made, items)
        return made

    dispatch |= {
        pickle.REDUCE[0]: _reduce,
        pickle.POP[0]: _pop,
        pickle.NEWOBJ[0]: _new,
        pickle.NEWOBJ_EX[0]: _new_with_names,
        pickle.BUILD[0]: _build,
        pickle.APPEND[0]: _append,
        pickle.APPENDS[0]: _appends,
        pickle.SETITEM[0]: _set_item,
        pickle.SETITEMS[0]: _set_items,
        pickle.ADDITEMS[0]: _add_items,
        pickle.FROZENSET[0]: _frozen_set,
        pickle.TUPLE[0]: _tuple,
        pickle.TUPLE1[0]: lambda reader: reader._tuple_of(1),
        pickle.TUPLE2[0]: lambda reader: reader._tuple_of(2),
        pickle.TUPLE3[0]: lambda reader: reader._tuple_of(3),
    }
