"""In the zygote and its children: the script's module, as other processes have it.

A process that is executed anew has a ``__main__`` of its own. Here it becomes the script's: with
its name, file, functions, classes and data, all in one dictionary, and without running it again.

The script comes in parts. Each is an element ``(pickle, digests, shared)`` of a list that does not
change, and a list of these lists is an *image*: what the script was when somebody made it. A
process that has the first parts of an image loads the others; one that has another image starts
with an empty module.
"""

from __future__ import annotations

import copyreg
import sys
from collections.abc import Callable
from types import ModuleType

from tarefa import _engine
from tarefa._convert import _definitions
from tarefa._convert._pickling import loads
from tarefa._convert._plain_pickle import is_of_process
from tarefa._runtime._errors import NotReadable
from tarefa._task import _left_out
from tarefa._task._reach import look_up, put
from tarefa._task._snapshot import Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What is in `__main__` here: the number of the image, its list, and the numbers of its parts.
image_id = 0
image: Any = None
parts: tuple[int, ...] = ()
# What the script was when the last part was loaded.
then: Any = None

# Of the module itself, besides what the script has made.
ATTRIBUTES = ("__file__", "__doc__", "__package__", "__spec__", "__loader__", "__cached__")
OWN_NAMES = {
    *ATTRIBUTES,
    "__name__",
    "__builtins__",
    "__annotations__",
    "__annotate__",
    "__conditional_annotations__",
    "__path__",
    "__warningregistry__",
}

_own: ModuleType | None = None

# Bytes of data from which on the zygote has it in large pages: each child copies an entry a page.
_LARGE = 4 << 20
# Bytes of all parts that were loaded.
_loaded = 0

# What could not be built as a whole, and the names that are missing for it.
_broken: list[tuple[Any, list[str]]] = []


def become(wanted: int, handle: bytes | memoryview) -> None:
    """Have the script as that image has it."""
    if image_id != wanted:
        try:
            load(wanted, loads(handle))
        except Exception as e:
            raise NotReadable(
                "the script's names and values cannot be built in this process: "
                f"{type(e).__name__}: {e}"
            ) from e


def number(shared: Any) -> int:
    """The number of a shared object, which no other in the runtime ever has."""
    found: int = shared.object_id[1]
    return found


def is_here(main: dict[str, Any]) -> bool:
    """Whether these are the names of the module that came in parts."""
    return image is not None and _own is not None and _own.__dict__ is main


def load_newest(can_import: Callable[[str], bool]) -> bool:
    """In the zygote: load what the root has put into the image; whether there was any.

    Args:
        can_import: whether a module is there, or could be imported without harm.
    """
    found = _engine.program_dict().get("image")
    if found is None or number(found) == image_id:
        return False
    before = parts
    most = 0
    for part in found:
        if not all(module in sys.modules or can_import(module) for module in part[1]):
            break
        most += 1
    already = _loaded
    try:
        load(number(found), found, most)
        if _loaded - already >= _LARGE:
            _engine.use_large_pages(_LARGE)
    except Exception:
        # Children will fail likewise, and say so.
        _uninstall()
        return before != ()
    return parts != before


def load(wanted: int, found: Any, most: int | None = None) -> None:
    """Load the parts of an image that are not there yet; the first ``most``, or all."""
    global image_id, image, parts, then
    coming = list(found)
    numbers = tuple(map(number, coming))
    if numbers[: len(parts)] != parts or _own is None:
        _install()
        _definitions.forget_image()
        parts = ()
    for part in coming[len(parts) : most]:
        _load_part(part[0])
        parts = (*parts, number(part))
    image = found
    if parts == numbers:
        image_id = wanted
    main = _definitions.main_dict()
    then = Snapshot(main)
    _definitions.known_names.update(main)


def _uninstall() -> None:
    """An image that cannot be loaded: what has come of it is not to be seen."""
    global image_id, image, parts
    image_id, image, parts = 0, None, ()


def _install() -> None:
    """An empty module, as ``__main__``."""
    global _own, image_id
    image_id = 0
    _left_out.here.clear()
    _broken.clear()
    _own = ModuleType("__main__")
    import builtins

    _own.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = _own


def _load_part(part: tuple[Any, Any, Any]) -> None:
    global _loaded
    data, digests, _shared = part
    _load(data, digests)
    _loaded += len(data)
    _definitions.note_found(digest for _, digest in digests)


def differ(difference: bytes | memoryview) -> None:
    """In a child: the script is not as its image has it.

    What came so is known here, and to whom this process tells it.
    """
    data, digests, plain = loads(difference)
    if data:
        _load(data, digests)
    _definitions.main_dict().update(plain)


def _load(data: Any, digests: list[tuple[str, bytes]]) -> None:
    state, error_of = _read(data)
    apply(state, error_of)
    if error_of is not _is_whole:
        _broken.append((data, [n for n, v in state["names"].items() if error_of(v) is not None]))
    for qualname, digest in digests:
        found = _definitions.find(qualname)
        # The name may stand for something that has the definition in it by now.
        if found is not None and _definitions.is_kind(found):
            _definitions.learn(found, digest)
            _definitions.mention(found)
            if type(found) is type:
                # Looked for once, as `pickle` does with the first instance of each class.
                copyreg._slotnames(found)  # type: ignore[attr-defined]


_ErrorOf = Callable[[object], "BaseException | None"]


def _is_whole(_value: object) -> None:
    return None


def _read(data: Any) -> tuple[dict[str, Any], _ErrorOf]:
    """What was sent of the script, and what tells why a value is not what it was."""
    try:
        return loads(data), _is_whole
    except BaseException as e:
        if is_of_process(e):
            raise
    from tarefa._convert._piecewise import Piecewise

    reader = Piecewise(data)
    return reader.load(), reader.error_of


def try_again() -> None:
    """In a child that has another folder, path or environment than the zygote: build the rest."""
    main = _definitions.main_dict()
    for data, names in _broken:
        state, error_of = _read(data)
        for name in names:
            if (
                name not in main
                and name in _left_out.here
                and error_of(state["names"][name]) is None
            ):
                main[name] = state["names"][name]
                del _left_out.here[name]


def apply_reached(data: bytes | memoryview) -> None:
    """In a child: what the code of its task reaches, as it is now.

    Raises:
        Exception: that of a part which cannot be built here, and which the code names.
    """
    state, error_of = _read(data)
    apply(state, error_of)
    if error_of is _is_whole:
        return
    guessed = state.get("guessed", ())
    for name, value in state["names"].items():
        error = error_of(value)
        if error is not None and name not in guessed:
            what = f"global {name!r} of __main__, which the task uses, was built from what was sent"
            if type(error) is SystemExit:  # which would be the task's own wish
                raise NotReadable(f"sys.exit() was called as {what}{_left_out.REMEDY}") from error
            error.add_note(f"raised as {what}{_left_out.REMEDY}")
            raise error


def apply(state: dict[str, Any], error_of: _ErrorOf = _is_whole) -> None:
    """Set the names of the script that have changed; those that cannot be built are left out."""
    main = _definitions.main_dict()
    module = state.get("module")
    if module is not None:
        main.update(module)
        for alias in state.get("aliases", ()):
            sys.modules[alias] = sys.modules["__main__"]
    names = state["names"]
    if error_of is _is_whole:
        main.update(names)
    else:
        for name, value in names.items():
            error = error_of(value)
            if error is None:
                main[name] = value
            else:
                main.pop(name, None)
                _left_out.here[name] = _left_out.why_not_built(error)
    if "left_out" in state:
        _left_out.here.update(state["left_out"])
    for name in state.get("gone", ()):
        main.pop(name, None)
    for path, value in state.get("held", ()):
        error = error_of(value)
        if error is not None:
            _take_out(main, path, error)
            continue
        try:
            put(main, path, value)
        except (AttributeError, IndexError, KeyError, TypeError):  # it is not the same here
            continue
    for path in state.get("lost", ()):
        try:
            delattr(look_up(main, path[:-1]), path[-1])
        except (AttributeError, KeyError):
            continue


def _take_out(main: dict[str, Any], path: tuple[Any, ...], error: BaseException) -> None:
    """What is at the end of a path cannot be built here: better nothing than what it was."""
    why = _left_out.why_not_built(error)
    try:
        holder, last = look_up(main, path[:-1]), path[-1]
        if isinstance(last, int):
            del holder.__closure__[last].cell_contents
            _left_out.here[holder.__code__.co_freevars[last]] = why
        elif isinstance(holder, type):
            _left_out.here[f"{holder.__qualname__}.{last}"] = why
            delattr(holder, last)
        else:
            _left_out.here[path[0]] = why
            main.pop(path[0], None)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # it is not there
        return
