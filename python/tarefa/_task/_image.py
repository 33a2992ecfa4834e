"""In a process that starts others: what of the script they have, and what each must be told.

The root makes an *image* of its script when the first process is made: all of it that can be sent.
The zygote loads it, so its children have it for nothing. What changes afterwards goes with each
task until it has gone unchanged with a few; then the root adds a part to the image.

A task's message names the image it goes with, so that a process forked before the last part was
made loads that part itself. It has, besides:

- the *difference*: names that stand for something else than in the image;
- the *data* that the task's code reaches by name (see `_reach`), if it is not as in the image.

A process that starts others tells them the image it was made from itself, and the difference.
"""

from __future__ import annotations

import _pickle as pickle
import io
import sys
import threading
from types import CodeType

from tarefa import _engine
from tarefa._collections._list import List
from tarefa._convert import _definitions, _descriptors, _instead
from tarefa._convert._by_name import ByName
from tarefa._convert._dump import dump, dumps_whole, pickles
from tarefa._convert._plain_pickle import MAIN_NAMES, is_of_process
from tarefa._runtime import _fork
from tarefa._runtime._digest import blake2b
from tarefa._runtime._errors import NotPicklable
from tarefa._task import _left_out, _main
from tarefa._task._kinds import Kind, is_of_users_alone, is_plain, kind_of
from tarefa._task._reach import SIMPLE, Path, Reach, path_of, values_at, where_set
from tarefa._task._snapshot import Snapshot
from tarefa._task._zygote_command import IMAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_lock = threading.Lock()

# A difference or data of so many bytes goes into the image at once, not with each task.
_LARGE = 1 << 16
# After so many tasks it went with unchanged, it goes into the image too.
_PATIENCE = 4
# An image of so many parts is followed by one that begins anew.
_MOST_PARTS = 32
# Data that nobody is known to reach is in the image up to this size.
_MOST_UNREACHED = 1 << 20
# A part of so many bytes takes longer to load than a fork: no process from before is given a task.
_SLOW_TO_LOAD = 1 << 20
# Data from this size on that is sent again is worth a word.
_WARN_FROM = 1 << 20


# A number or text of so many bytes is no small one.
_LONG = 1 << 10

# In a message: where descriptors cannot be.
_IMAGE = "what the script has for all its processes"

_NOTHING: tuple[bytes, list[Any]] = (b"", [])


class Script:
    """What this process knows of what others have of its script."""

    def __init__(self, main: dict[str, Any]) -> None:
        self.main = main
        self.is_root = bool(_engine.is_root())
        self.image: Any = None
        self.image_id = 0
        self.handle = b""
        self.parts: list[Any] = []
        # As the image has it.
        self.then = Snapshot({})
        # As the names were at the last start, and what makes that right: see `Snapshot`.
        self.last: Any = None
        self.kept_since: dict[str, Any] = {}
        self.plain_since: dict[str, Any] = {}
        self.gone_since: list[str] = []
        self.others: tuple[bytes, list[Any]] = _NOTHING
        self.difference = b""
        self.in_difference: set[bytes] = set()
        # Where functions are that are the same, and have got other code since.
        self.rewritten: dict[Path, None] = {}
        self.sent_before = 0
        self.tried: dict[str, tuple[int, bool]] = {}
        self.reaches: dict[tuple[int, ...], tuple[list[Any], Reach]] = {}
        # By what is reached: digests of what the image has, and of what went with the last task,
        # and with how many before it.
        self.data_in_image: dict[Any, bytes] = {}
        self.data_sent: dict[Any, tuple[bytes, int]] = {}
        self.constants_sent: set[str] = set()
        self.warned: set[str] = set()
        # Names that have once made a difference large, and may be set anew at every start.
        self.once_large: set[str] = set()
        # Functions and classes that cannot be sent, and why.
        self.left_out: dict[str, tuple[Any, str]] = {}

    # -- the image -------------------------------------------------------------------------

    def publish(self, reached: Reach | None) -> None:
        """Put what the script has now into the image."""
        if len(self.parts) >= _MOST_PARTS:
            self._begin_anew()
        changed, gone = self._changed()
        fixed, data, unnamed, added = {}, {}, {}, 0
        for name in changed:
            value = self.main[name]
            if kind_of(value) not in _DATA:
                fixed[name] = value
            elif _is_sent_unreached(value, _MOST_UNREACHED):
                data[name] = value
            else:
                unnamed[name] = _left_out.why_unnamed(value)
        extra: dict[str, Any] = {"gone": gone} if gone else {}
        if unnamed:
            extra["left_out"] = unnamed
        anew = self._held_anew()
        lost: list[Path] = []
        for cls in self.then.classes():
            path = path_of(cls)
            if path is not None:
                self._note_attributes(path, cls, anew, lost)
        if not self.parts:
            extra["module"] = self._attributes()
            extra["aliases"] = [n for n in MAIN_NAMES[1:] if n in sys.modules]
        if fixed or extra or anew or lost:
            added += self._add_part({"names": fixed, **extra, "held": anew, "lost": lost})
        held: list[Any] = []
        if reached is not None:
            found = reached.values(self.main)
            data |= {name: value for name, value in found.items() if _may_stay(value)}
            if self.image is not None:
                held = [each for each in reached.held_values() if _may_stay(each[1])]
        if data or held:
            added += self._add_part({"names": data, "held": held})
        image = List(self.parts)
        self.use(image, _main.number(image))
        if self.is_root:
            _engine.program_dict()["image"] = image
            _engine.send_to_zygote(IMAGE + b"\n", added > _SLOW_TO_LOAD)

    def _begin_anew(self) -> None:
        """Have the next image begin with the script as it is: much of this one has been replaced.

        A cell of a notebook that is run again and again makes new classes and functions each time.
        """
        self.parts, self.then, self.rewritten = [], Snapshot({}), {}
        self.left_out.clear()
        _definitions.forget_image()

    def _add_part(self, state: dict[str, Any]) -> int:
        data, pickler = self._dump_state(state)
        digests = _digests(pickler)
        modules = sorted(m for m in pickler.modules if not _is_safe(m))
        part = (pickle.PickleBuffer(data), digests, pickler.shared)
        self.parts.append(List([part, modules]))
        _definitions.note_found(digest for _, digest in digests)
        return len(data)

    def _dump_state(self, state: dict[str, Any]) -> Any:
        """Pickle of the names and what is held all that can be; what cannot is noted."""
        try:
            return dump(state, in_image=True)
        except NotPicklable:
            pass
        names = {}
        for name, value in state["names"].items():
            why = None if is_plain(value) else _left_out.why_not(value)
            if why is None:
                names[name] = value
            else:
                self.left_out[name] = value, why
        held = [h for h in state.get("held", ()) if _left_out.why_not(h) is None]
        why_not = {name: why for name, (_, why) in self.left_out.items()}
        rest = {"names": names, "held": held, "left_out": state.get("left_out", {}) | why_not}
        return dump(state | rest, in_image=True)

    def _refuse_left_out(self, reach: Reach) -> None:
        """Refuse a task whose code names what cannot be sent."""
        for name, (value, why) in self.left_out.items():
            if isinstance(value, type) or self.main.get(name) is not value:
                continue
            if name in reach.through and name not in reach.guessed:
                raise _left_out.refused(name, value, reach.through[name], why)

    def _attributes(self) -> dict[str, Any]:
        found = {"__name__": self.main.get("__name__", "__main__")}
        for name in _main.ATTRIBUTES:
            value = self.main.get(name)
            found[name] = value if value is None or pickles(value) else None
        return found

    def use(self, image: Any, image_id: int, then: Snapshot | None = None) -> None:
        """The image has what the script has now, or had then."""
        self.image, self.image_id = image, image_id
        self.handle = pickle.dumps(image, 5)
        self.last = None if then is not None else _engine.Names(self.main)
        self.then = then or Snapshot(self.main)
        self.kept_since, self.plain_since, self.gone_since, self.others = {}, {}, [], _NOTHING
        self.difference, self.sent_before = b"", 0
        self.in_difference = set()
        self.rewritten = {}
        self.tried = {}
        self.data_in_image.clear()
        _definitions.known_names.update(self.main)

    # -- what a task must be told ------------------------------------------------------------

    def message(self, met: list[Any]) -> tuple[int, bytes, bytes, bytes]:
        """For a task that mentions these: (image, its handle, difference, data)."""
        if self.image is None:
            self.publish(None)
        if met:
            self._look_for_other_code(met)
        since = ([*self.main], []) if self.last is None else self.last.changed(self.main)
        if since is not None:
            self._look_again([*since[0], *since[1]])
        if self.difference:
            is_large = len(self.difference) > _LARGE
            is_new = is_large and self.once_large.isdisjoint(self.kept_since)
            if is_large:
                self.once_large.update(self.kept_since)
            if is_new or self.sent_before >= _PATIENCE:
                self.publish(None)
            self.sent_before += 1
        data = self._data(met) if met else b""
        self._publish_unknown(met)
        _engine.mention(self.image)
        return self.image_id, self.handle, self.difference, data

    def _publish_unknown(self, met: list[Any]) -> None:
        """Put what the task is told of by name, and has not, where it finds it."""
        for definition in met:
            if type(definition) is CodeType:
                continue
            digest = _definitions.digest_of(definition)
            if not _definitions.can_be_found(digest) and digest not in self.in_difference:
                _definitions.publish(definition, dumps_whole)

    def _changed(self) -> tuple[list[str], list[str]]:
        """Names that stand for something else than in the image, and those that are gone."""
        changed, gone = self.then.changed(self.main)
        own = _main.OWN_NAMES
        names = (str(path[0]) for path in self.rewritten if len(path) == 1)
        changed += [n for n in names if n in self.main and n not in changed]
        return [n for n in changed if n not in own], [n for n in gone if n not in own]

    def _look_for_other_code(self, met: list[Any]) -> None:
        """Whether functions have got other code, or defaults, and so are to be sent anew."""
        for path, function in self.reach(met).functions:
            if _definitions.take_rewritten(function):
                self.rewritten[where_set(path)] = None
                # The names stand for the same functions, which are others nevertheless.
                self.last, self.kept_since = None, {}

    def _held_anew(self) -> list[tuple[Path, Any]]:
        """Functions inside classes and others that have got other code."""
        return values_at(self.main, [path for path in self.rewritten if len(path) > 1])

    def _look_again(self, since: list[str]) -> None:
        """Make the difference anew: these names of the script have changed."""
        self.last = _engine.Names(self.main)
        main = self.main
        for key in [k for k, (_, reach) in self.reaches.items() if reach.depends_on(since)]:
            del self.reaches[key]
        before = self.then.kept.copy()
        changed, gone = self._changed()
        for name in (*changed, *gone):
            _definitions.keep_replaced(before.get(name))
        plain, others = {}, {}
        for name in changed:
            value = main[name]
            if _is_plain(value):
                plain[name] = value
                continue
            kind = kind_of(value)
            # Handles of tasks go to those that use them: a loop makes one each time.
            if kind not in _DATA or (kind == Kind.DATA and self._is_small(name, value)):
                others[name] = value
        held = self._held_anew()
        if held or gone != self.gone_since or not _are_same(others, self.kept_since):
            self.gone_since, self.kept_since = gone, others
            self._dump_others(others, gone, held)
        elif not self.others[0]:
            self.sent_before = 0
        # As long as `last` knows them by their places, nothing else may come to be there.
        self.plain_since = plain
        self.difference = pickle.dumps((*self.others, plain), 5) if plain or self.others[0] else b""

    def _dump_others(self, values: dict[str, Any], gone: list[str], held: list[Any]) -> None:
        """Make the part of the difference anew that is more than numbers and short texts."""
        self.sent_before, self.others, self.in_difference = 0, _NOTHING, set()
        if not (values or gone or held):
            return
        data, pickler = self._dump_state({"names": values, "gone": gone, "held": held})
        self.then.note_sent([d for d in pickler.defined if isinstance(d, type)])
        digests = _digests(pickler)
        self.others = data, digests
        self.in_difference = {digest for _, digest in digests}
        if len(data) > _WARN_FROM:
            for name, value in values.items():
                if type(value) in (str, bytes, tuple) and sys.getsizeof(value) > _WARN_FROM:
                    if name in self.constants_sent:
                        self._warn(name, sys.getsizeof(value), "is set anew between starts")
                    self.constants_sent.add(name)

    def _is_small(self, name: str, value: Any) -> bool:
        """Whether data that nobody is known to reach is sent; looked at once."""
        known = self.tried.get(name)
        if known is not None and known[0] == id(value):
            return known[1]
        small = _is_sent_unreached(value, 4096)
        self.tried[name] = id(value), small
        return small

    # -- data that code reaches ---------------------------------------------------------------

    def reach(self, met: list[Any]) -> Reach:
        """What these reach; found out once, until the script changes."""
        key = tuple(map(id, met))
        known = self.reaches.get(key)
        if known is None:
            if len(self.reaches) > 200:
                self.reaches.clear()
            known = self.reaches[key] = (met, Reach(met))
        return known[1]

    def _data(self, met: list[Any]) -> bytes:
        """The data that it reaches, unless the image has it as it is."""
        reach, asked = self.reach(met), tuple(map(id, met))
        if self.left_out:
            self._refuse_left_out(reach)
        if not reach.data and not reach.held and not reach.classes:
            return b""
        before = _engine.collected()
        while True:
            attributes, lost = self._attributes_changed(reach)
            held = reach.held_values() + attributes
            names = reach.values(self.main)
            if not names and not held and not lost:
                return b""
            state = reach.state(names, held, lost)
            try:
                data, pickler = dump(state, is_call=True)
            except NotPicklable as e:
                _engine.discard_collected(before)
                if reach.let_go(lambda value: not pickles(value)):
                    continue
                raise _refused(state, reach, e) from e.__cause__
            more = [m for m in pickler.met if not reach.has_seen(m)]
            if not more:
                break
            _engine.discard_collected(before)
            met = [*met, *more]
            reach = Reach(met)
            self.reaches[asked] = met, reach
        digest = blake2b(data, digest_size=16).digest()
        key = (*reach.key(), *(path for path, _ in attributes))
        if self.data_in_image.get(key) != digest:
            old, count = self.data_sent.get(key, (b"", -1))
            is_used = old == digest and (len(data) > _LARGE or count >= _PATIENCE)
            if is_used and not _may_go(pickler):
                self.publish(reach)
                # Attributes of classes are in the image now for all who reach them.
                state = reach.state(names, reach.held_values(), [])
                data = dump(state, is_call=True)[0]
                self.data_in_image[reach.key()] = blake2b(data, digest_size=16).digest()
            else:
                if old and old != digest and len(data) > _WARN_FROM:
                    self._warn_of_largest(state, "may have changed")
                self.data_sent[key] = digest, (count if old == digest else -1) + 1
                self._publish_unknown(pickler.met)
                return data
        if len(data) > _WARN_FROM:
            self._warn_of_largest(state, "is compared at each start")
        _engine.discard_collected(before)
        return b""

    def _attributes_changed(self, reach: Reach) -> tuple[list[Any], list[Path]]:
        """Attributes of classes that are not as in the image: with their values, and gone."""
        changed: list[tuple[Path, Any]] = []
        lost: list[Path] = []
        for path, cls in reach.classes.items():
            self._note_attributes(path, cls, changed, lost)
        return [(at, value) for at, value in changed if at not in reach.held], lost

    def _note_attributes(
        self, path: Path, cls: type, changed: list[tuple[Path, Any]], lost: list[Path]
    ) -> None:
        new, gone = self.then.changed_attributes(cls)
        changed += [((*path, name), cls.__dict__[name]) for name in new]
        lost += [(*path, name) for name in gone]

    def _warn_of_largest(self, state: dict[str, Any], why: str) -> None:
        sizes = {n: _size(v) for n, v in state["names"].items()}
        for name, size in sizes.items():
            if size > _WARN_FROM:
                self._warn(name, size, why)

    def _warn(self, name: str, size: int, why: str) -> None:
        if name in self.warned:
            return
        self.warned.add(name)
        depth, frame = 1, sys._getframe()
        while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("tarefa"):
            depth, frame = depth + 1, frame.f_back
        import warnings

        warnings.warn(
            f"global {name!r} of __main__ ({size / 2**20:.1f} MiB) {why}, which costs every task "
            "that uses it: put it into a tarefa.Array, List or Dict, which all processes share, "
            "or hand a task the part it needs as an argument",
            stacklevel=depth,
        )


_DATA = (Kind.DATA, Kind.TASK)


def _is_plain(value: Any) -> bool:
    """Whether it may be sent again and again."""
    kind = type(value)
    return kind in SIMPLE and (kind not in (int, str, bytes) or sys.getsizeof(value) < _LONG)


def _are_same(some: dict[str, Any], others: dict[str, Any]) -> bool:
    """Whether the names stand for the very same objects."""
    return len(some) == len(others) and all(others.get(n, some) is v for n, v in some.items())


def _digests(pickler: Any) -> list[tuple[str, bytes]]:
    return [(d.__qualname__, _definitions.digest_of(d)) for d in pickler.defined]


def _refused(state: dict[str, Any], reach: Reach, error: NotPicklable) -> NotPicklable:
    """The error for data of the script that cannot go to a process."""
    import reprlib

    for name, value in state["names"].items():
        if not pickles(value):
            shown = f"{type(value).__qualname__} {reprlib.repr(value)}"
            return NotPicklable(
                f"global {name!r} of __main__ ({shown}), which {reach.through[name]!r} uses, "
                f"cannot be pickled, so it cannot be sent to another process: make it in the "
                f"process that uses it ({error.__cause__ or error}){_instead.hint(value)}"
            )
    for path, value in state["held"]:
        if not pickles(value):
            holder = values_at(_definitions.main_dict(), [path[:-1]])
            return _left_out.held_refused(value, path, holder[0][1] if holder else None)
    return error


class _TooLarge(Exception):
    pass


class _Limited(io.BytesIO):
    """A file that takes no more than so many bytes."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self._most:
            raise _TooLarge
        return super().write(data)


def _is_sent_unreached(value: Any, most: int) -> bool:
    """Whether data that nobody is known to reach is sent: it is small, and survives the way."""
    file = _Limited(most)
    try:
        pickler = ByName(file, is_call=True)
        with _descriptors.refused(_IMAGE):
            pickler.dump(value)
        if _may_go(pickler):
            return False
        pickle.loads(file.getbuffer())
    except BaseException as e:
        if is_of_process(e) and not isinstance(e, MemoryError):
            raise
        return False
    return True


def _may_go(pickler: Any) -> bool:
    """Whether it has what may be gone by the time that another process builds it.

    An end of a pipe closes, a segment of multiprocessing's is unlinked, a manager shut down: no
    process could have the script from then on. A library is not for the zygote.
    """
    return any(map(is_of_users_alone, pickler.shared)) or any(
        module.partition(".")[0] == "multiprocessing" for module in pickler.modules
    )


def _may_stay(value: Any) -> bool:
    """Whether it can be in the image: it has no ends of pipes, and no descriptors.

    They would stay open as long as the image is there.
    """
    try:
        with _descriptors.refused(_IMAGE):
            return not _may_go(dump(value, is_call=True)[1])
    except NotPicklable:
        return False


def _size(value: Any) -> int:
    """About how many bytes it has."""
    try:
        with _descriptors.tried():
            return len(dump(value, is_call=True)[0])
    except NotPicklable:
        return 0


def _is_safe(module: str) -> bool:
    """Whether importing it in the zygote does no harm."""
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names or top == "tarefa" or top == "__main__"


_script: Script | None = None


def script() -> Script:
    """What this process knows of what others have of its script, now."""
    global _script
    main = _definitions.main_dict()
    found = _script
    if found is None or found.main is not main:
        found = _script = Script(main)
        if _main.is_here(main):
            found.parts = list(_main.image)
            found.use(_main.image, _main.image_id, _main.then)
    return found


_made = False


def make(target: Any) -> None:
    """In the root, when the first process is made: make the image, with what its target reaches."""
    global _made
    if _made:
        return
    with _lock:
        _made = True
        found = script()
        if found.image is None and found.is_root:
            found.publish(None if target is None else found.reach([target]))


def message(met: list[Any]) -> tuple[int, bytes, bytes, bytes]:
    """For a task that mentions these functions and classes: (image, its handle, difference, data).

    To be called while the task's message is being encoded.
    """
    with _lock:
        return script().message(met)


def state(met: list[Any]) -> tuple[Any, Any, list[Any]] | None:
    """What tells later whether a message for these would be what :func:`message` just gave.

    Returns:
        For :func:`is_as_in`; None for what reaches data, which may change at any time.
    """
    with _lock:
        found = script()
        if found.last is None or found.difference or any(type(m) is CodeType for m in met):
            return None
        if not met:
            return found.image, found.last, []
        reach = found.reach(met)
        if reach.data or reach.held or reach.classes:
            return None
        return found.image, found.last, [function for _, function in reach.functions]


def is_as_in(image: Any, names: Any, functions: list[Any]) -> bool:
    """Whether all is as :func:`state` found it: the script's names, and the code of functions.

    To be called while the task's message is being encoded.
    """
    found = _script
    if found is None or found.last is not names or found.image is not image:
        return False
    main = sys.modules["__main__"].__dict__
    if main is not found.main or names.changed(main) is not None:
        return False
    if not _definitions.are_as_told(functions):
        return False
    _engine.mention(image)
    return True


def _forked() -> None:
    """In a child of a fork: the zygote's image is its parent's to change."""
    global _lock
    _lock = threading.Lock()
    if _script is not None:
        _script.is_root = False


_fork.in_child(_forked)
