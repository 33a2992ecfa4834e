"""What the script was at one time, to tell what has changed since."""

from __future__ import annotations

from tarefa import _engine
from tarefa._convert._definitions import is_definition
from tarefa._convert._plain_pickle import MAIN_NAMES
from tarefa._task._kinds import Kind, kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DATA = (Kind.DATA, Kind.TASK)


class Snapshot:
    """What names of the script, and attributes of its classes, stood for.

    They are told by where in memory they are, so what is known is kept alive, but for data: where
    another list, say, is at the same place, the name is taken to stand for the same one.
    """

    def __init__(self, main: dict[str, Any]) -> None:
        self._names = _engine.Names(main)
        self.kept = _fixed(main)
        # Classes, and those that were sent since, which the script may replace again and again.
        self._classes: dict[type, Any] = {}
        self._sent: dict[type, Any] = {}
        self._note([v for v in main.values() if isinstance(v, type)], self._classes)

    def note_sent(self, classes: list[type]) -> None:
        """These and those in them are known as they are now, while the script has them."""
        for cls in [cls for cls in self._sent if not is_definition(cls)]:
            del self._sent[cls]
        self._note(classes, self._sent)

    def _note(self, todo: list[type], known: dict[type, Any]) -> None:
        seen: set[type] = set()
        while todo:
            cls = todo.pop()
            if cls.__module__ in MAIN_NAMES and cls not in seen:
                seen.add(cls)
                attributes = dict(cls.__dict__)
                known[cls] = _engine.Names(attributes), _fixed(attributes)
                todo += (v for v in attributes.values() if isinstance(v, type))

    def changed(self, main: dict[str, Any]) -> tuple[list[str], list[str]]:
        """Names that stand for something else now, and names that are gone."""
        changed, gone = self._names.changed(main) or ([], [])
        for name in (*changed, *gone):
            if name in self.kept:
                # For good, so that what it stood for can go.
                del self.kept[name]
                self._names.forget(name)
        return changed, gone

    def kept_value(self, name: str) -> Any:
        """What the name stood for, if that is kept."""
        return self.kept.get(name)

    def classes(self) -> list[type]:
        """The classes whose attributes are known."""
        return list(self._classes | self._sent)

    def changed_attributes(self, cls: type) -> tuple[list[str], list[str]]:
        """The same for the attributes of a class; nothing for one that was not there."""
        known = self._sent.get(cls) or self._classes.get(cls)
        if known is None:
            return [], []
        changed, gone = known[0].changed(dict(cls.__dict__)) or ([], [])
        return [n for n in changed if n not in _MADE], [n for n in gone if n not in _MADE]


# Attributes that the interpreter sets as it goes.
_MADE = {
    "__doc__",
    "__abstractmethods__",
    "_abc_impl",
    "__annotations__",
    "__annotations_cache__",
    "__annotate__",
    "__annotate_func__",
    "__firstlineno__",
    "__static_attributes__",
}


def _fixed(names: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in names.items() if kind_of(value) not in _DATA}
