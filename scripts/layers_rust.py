"""The rooms of the Rust crates: imports run one way, in no circle; `unsafe` stays in its place.

A file of a room may name its own room and those before it in `rooms.py`. A module beside the rooms
(an `error.rs`, say) is ground that all may name, and may name no room. An item is named by the room
that has it, not through a re-export at the crate's root. `lib.rs` is exempt.

Inside a room no two files name each other, be it over others: `rust_modules.py` says what counts.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from circles import circles
from rooms import CRATES, PARTS, UNSAFE, says
from rust_modules import Crate, groups
from rust_text import blank, closing_brace, line_of, rust_files

_ENGINE = "crates/tarefa-engine/src"
_PATH = re.compile(r"(?<![\w:])(?P<head>crate|super(?:\s*::\s*super)*)\s*::\s*(?=(?P<next>[\w{*]))")
_MODULE = re.compile(r"\bmod\s+\w+\s*\{")
_NAME = re.compile(r"\w+!?|\*")
# `in crate::x` of a visibility is about who may look, not about what is used.
_VISIBILITY = re.compile(r"\(\s*in\s+$")
_UNSAFE = re.compile(r"\bunsafe\b")


def room_of(relative: Path) -> str:
    """Return the first part of a path inside `src`: the room, or a module beside them."""
    return relative.parts[0].removesuffix(".rs")


def names_at_root(code: str, relative: Path) -> Iterator[tuple[int, str]]:
    """Yield each name that `code` takes from the crate's root, with its offset."""
    modules = [
        (match.start(), closing_brace(code, match.end() - 1)) for match in _MODULE.finditer(code)
    ]
    depth_of_file = len(relative.parts) - (relative.name == "mod.rs")
    for match in _PATH.finditer(code):
        if match["head"] != "crate":
            inline = sum(start < match.start() < end for start, end in modules)
            ups = match["head"].count("super")
            if ups < depth_of_file + inline:
                continue
        if match["next"] == "{":
            yield from _group_heads(code, match.end())
        elif not _VISIBILITY.search(code[: match.start()]):
            name = _NAME.match(code, match.end())
            yield match.start(), name[0] if name else "*"


def _group_heads(code: str, opening: int) -> Iterator[tuple[int, str]]:
    depth = 0
    expects_name = False
    for match in re.compile(r"[{},]|\w+|\*").finditer(code, opening):
        token = match[0]
        if token == "{":
            depth += 1
            expects_name = depth == 1
        elif token == "}":
            depth -= 1
            if depth == 0:
                return
        elif token == ",":
            expects_name = depth == 1
        elif expects_name:
            expects_name = False
            yield match.start(), token


def wrong_ways(
    src: Path, path: Path, ground: set[str], order: tuple[str, ...]
) -> Iterator[tuple[int, str]]:
    """Yield the offset and the sentence of each import of `path` that runs the wrong way."""
    relative = path.relative_to(src)
    own = room_of(relative)
    code = blank(path.read_text(encoding="utf-8"))
    for offset, name in names_at_root(code, relative):
        if name.endswith("!") or name == own or name in ground:
            continue
        if name not in order:
            if name == "self":
                continue
            yield (
                offset,
                f"names crate::{name} through the crate's root: name the room that has it",
            )
        elif own not in order:
            yield offset, f"{own} stands beside the rooms and may name none, but names {name}"
        elif order.index(name) >= order.index(own):
            yield offset, f"{own} may not name {name}: imports run one way, {says(order)}"


def inside_rooms(crate: Crate, parts: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield a sentence for each circle inside a room, and for each arrow against its parts."""
    arrows = crate.arrows()
    for room, graph in groups(arrows).items():
        for way in circles(graph):
            steps = [
                f"{a}:{arrows[a][b]} names {b}"
                for a, b in zip(way, [*way[1:], way[0]], strict=True)
            ]
            yield f"a circle inside {room}: {', '.join(steps)}"
        order = parts.get(room)
        if order is None:
            continue
        for path, targets in graph.items():
            for target in targets:
                own, other = path.parts[1], target.parts[1]
                if own in order and other in order and order.index(other) > order.index(own):
                    yield (
                        f"{path}:{arrows[path][target]}: {own} may not name {other}:"
                        f" imports run one way, {says(order)}"
                    )


def read_allowlist(path: Path) -> dict[str, str]:
    """Return the reason of each file that may hold `unsafe`."""
    entries: dict[str, str] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, reason = line.partition("#")[0].strip().partition(" ")
            if name:
                entries[name] = reason.strip()
    return entries


def misplaced_unsafe(root: Path) -> Iterator[str]:
    """Yield a sentence for each file of the engine that holds `unsafe` without leave."""
    src = root / _ENGINE
    allowed = read_allowlist(root / "scripts/unsafe_allowlist.txt")
    used = set()
    for path in rust_files(src):
        relative = path.relative_to(src)
        text = path.read_text(encoding="utf-8")
        found = _UNSAFE.search(blank(text))
        if found is None or room_of(relative) in UNSAFE or relative == Path("lib.rs"):
            continue
        used.add(relative.as_posix())
        if relative.as_posix() not in allowed:
            yield (
                f"{path.relative_to(root)}:{line_of(text, found.start())}: unsafe outside os/ and"
                " shm/: move it there, or list the file with a reason in"
                " scripts/unsafe_allowlist.txt"
            )
    for name, reason in allowed.items():
        if not reason:
            yield f"scripts/unsafe_allowlist.txt: {name} gives no reason"
        if name not in used:
            yield f"scripts/unsafe_allowlist.txt: {name} holds no unsafe: remove the line"


def problems(root: Path) -> Iterator[str]:
    """Yield one sentence for each fault found in the crates below `root`."""
    for name, order in CRATES.items():
        src = root / name
        if not src.is_dir():
            yield f"{src} is not there: nothing was checked"
            continue
        files = [path for path in rust_files(src) if path.relative_to(src) != Path("lib.rs")]
        ground = {room_of(path.relative_to(src)) for path in files} - set(order)
        for path in files:
            text = path.read_text(encoding="utf-8")
            for offset, sentence in wrong_ways(src, path, ground, order):
                yield f"{path.relative_to(root)}:{line_of(text, offset)}: {sentence}"
        parts = {room: order for (crate, room), order in PARTS.items() if crate == name}
        for sentence in inside_rooms(Crate(src), parts):
            yield f"{name}/: {sentence}"
    yield from misplaced_unsafe(root)
