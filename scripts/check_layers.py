"""Check that imports inside the engine run one way, and that `unsafe` stays where it is reviewed.

    trace, pool > task > channel > collections > sync > shm > os

A file of a layer may name its own layer and those to the right of it; `trace` and `pool` do not
name each other. A module beside the layers (an `error.rs`, say) is ground that all may name, and
may name no layer. An item is named by the layer that has it, not through a re-export at the
crate's root. `lib.rs` is exempt.

`unsafe` is free in `os/` and `shm/`. Any other file that needs it stands in
`scripts/unsafe_allowlist.txt` with a reason.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from rust_text import blank, closing_brace, line_of, rust_files

ORDER = "trace, pool > task > channel > collections > sync > shm > os"
RANK = {
    "os": 0,
    "shm": 1,
    "sync": 2,
    "collections": 3,
    "channel": 4,
    "task": 5,
    "pool": 6,
    "trace": 6,
}
UNSAFE_LAYERS = {"os", "shm"}

_PATH = re.compile(r"(?<![\w:])(?P<head>crate|super(?:\s*::\s*super)*)\s*::\s*(?=(?P<next>[\w{*]))")
_MODULE = re.compile(r"\bmod\s+\w+\s*\{")
_NAME = re.compile(r"\w+!?|\*")
# `in crate::x` of a visibility is about who may look, not about what is used.
_VISIBILITY = re.compile(r"\(\s*in\s+$")
_UNSAFE = re.compile(r"\bunsafe\b")


def layer_of(relative: Path) -> str:
    """Return the first part of a path inside `src`: the layer, or a module beside them."""
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


def check_file(src: Path, path: Path, ground: set[str]) -> Iterator[tuple[int, str]]:
    """Yield the offset and the sentence of each import of `path` that runs the wrong way."""
    relative = path.relative_to(src)
    own = layer_of(relative)
    code = blank(path.read_text(encoding="utf-8"))
    for offset, name in names_at_root(code, relative):
        if name.endswith("!") or name == own or name in ground:
            continue
        if name not in RANK:
            if name == "self":
                continue
            yield (
                offset,
                f"names crate::{name} through the crate's root: name the layer that has it",
            )
        elif own not in RANK:
            yield offset, f"{own} stands beside the layers and may name none, but names {name}"
        elif RANK[name] >= RANK[own]:
            yield offset, f"{own} may not name {name}: imports run one way, {ORDER}"


def read_allowlist(path: Path) -> dict[str, str]:
    """Return the reason of each file that may hold `unsafe`."""
    entries: dict[str, str] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, reason = line.partition("#")[0].strip().partition(" ")
            if name:
                entries[name] = reason.strip()
    return entries


def problems(root: Path) -> Iterator[str]:
    """Yield one sentence for each fault found in the engine below `root`."""
    src = root / "crates/tarefa-engine/src"
    if not src.is_dir():
        yield f"{src} is not there: nothing was checked"
        return
    files = rust_files(src)
    ground = {layer_of(path.relative_to(src)) for path in files} - RANK.keys() - {"lib"}
    allowed = read_allowlist(root / "scripts/unsafe_allowlist.txt")
    used = set()
    for path in files:
        relative = path.relative_to(src)
        if relative == Path("lib.rs"):
            continue
        text = path.read_text(encoding="utf-8")
        place = path.relative_to(root)
        for offset, sentence in check_file(src, path, ground):
            yield f"{place}:{line_of(text, offset)}: {sentence}"
        found = _UNSAFE.search(blank(text))
        if found is None or layer_of(relative) in UNSAFE_LAYERS:
            continue
        used.add(relative.as_posix())
        if relative.as_posix() not in allowed:
            yield (
                f"{place}:{line_of(text, found.start())}: unsafe outside os/ and shm/:"
                " move it there, or list the file with a reason in scripts/unsafe_allowlist.txt"
            )
    for name, reason in allowed.items():
        if not reason:
            yield f"scripts/unsafe_allowlist.txt: {name} gives no reason"
        if name not in used:
            yield f"scripts/unsafe_allowlist.txt: {name} holds no unsafe: remove the line"


def main() -> int:
    parser = argparse.ArgumentParser(description="Check the engine's layers and its use of unsafe.")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    found = list(problems(parser.parse_args().root.resolve()))
    for sentence in found:
        print(sentence, file=sys.stderr)
    if found:
        return 1
    print(f"layers: imports run one way, {ORDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
