"""Which file of a Rust crate names which: its imports and paths, resolved to files.

Reads text, not types: a path counts (`crate::a::b`, `super::b`, an imported name, a child module),
a method that is called through a value does not. A module's `mod x;` and its `pub use` of what its
children have are how the tree is held together and no arrows; using such a name in the module
itself is one. What is compiled for tests only is left out.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rust_text import blank, closing_brace, line_of, rust_files, test_spans

Module = tuple[str, ...]

_USE = re.compile(r"(?P<public>\bpub(?:\s*\([^)]*\))?\s+)?\buse\s+(?P<tree>[^;]*);")
_TOKEN = re.compile(r"\w+|::|[{},*]")
_PATH = re.compile(r"(?<![\w.$:])(?:r#)?[A-Za-z_]\w*(?:\s*::\s*(?:r#)?[A-Za-z_]\w*)*(?!\w)")
# `in crate::x` of a visibility is about who may look, not about what is used.
_VISIBILITY = re.compile(r"\(\s*in\s+$")
_INLINE = re.compile(r"\bmod\s+(\w+)\s*\{")


@dataclass
class Source:
    """A file, as the module it is."""

    path: Path
    module: Module
    text: str
    code: str
    inline: list[tuple[str, int, int]] = field(default_factory=list)
    # What `use` brings in, where, and what each name is; what of it the module gives on.
    imports: list[tuple[int, str, Module]] = field(default_factory=list)
    names: dict[str, Module] = field(default_factory=dict)
    given_on: dict[str, Module] = field(default_factory=dict)
    globs_given_on: list[Module] = field(default_factory=list)
    uses: list[tuple[int, int]] = field(default_factory=list)


class Crate:
    """The files below one `src`, and the arrows between them."""

    def __init__(self, src: Path) -> None:
        self.src = src
        self.sources: dict[Module, Source] = {}
        for path in rust_files(src):
            source = _read(src, path)
            self.sources[source.module] = source
        self.modules = {module[:i] for module in self.sources for i in range(len(module) + 1)}
        for source in self.sources.values():
            self._imports(source)

    def arrows(self) -> dict[Path, dict[Path, int]]:
        """Return for each file the files that it names, with the line where it first does."""
        found: dict[Path, dict[Path, int]] = {}
        for source in self.sources.values():
            its: dict[Path, int] = {}
            for offset, target in self._named(source):
                at = self.sources[target].path.relative_to(self.src)
                line = line_of(source.text, offset)
                if target != source.module and line < its.get(at, line + 1):
                    its[at] = line
            found[source.path.relative_to(self.src)] = its
        return found

    def _imports(self, source: Source) -> None:
        for match in _USE.finditer(source.code):
            source.uses.append(match.span())
            here = _inside(source, match.start())
            for path, alias in _tree(match["tree"]):
                whole = self._absolute(source, here, path)
                if whole is None:
                    continue
                source.imports.append((match.start("tree"), alias, whole))
                given_on = match["public"] and here == source.module
                if alias == "*":
                    if given_on:
                        source.globs_given_on.append(whole)
                    continue
                source.names.setdefault(alias, whole)
                if given_on:
                    source.given_on[alias] = whole

    def _absolute(self, source: Source, here: Module, path: list[str]) -> Module | None:
        """Return a path as seen from the root; `None` for another crate's."""
        match path[0]:
            case "crate":
                return tuple(path[1:])
            case "self":
                return (*here, *path[1:])
            case "super":
                ups = 0
                while path[ups : ups + 1] == ["super"]:
                    ups += 1
                return (*here[: len(here) - ups], *path[ups:])
        if (*here, path[0]) in self.modules:
            return (*here, *path)
        if known := source.names.get(path[0]):
            return (*known, *path[1:])
        return None

    def _file_of(self, path: Module, depth: int = 0) -> Module | None:
        """Return the module whose file has what `path` names, through what modules give on."""
        at: Module = ()
        for i, name in enumerate(path):
            if (*at, name) in self.modules:
                at = (*at, name)
                continue
            source = self.sources.get(at)
            if source and depth < 20:
                if on := source.given_on.get(name):
                    return self._file_of((*on, *path[i + 1 :]), depth + 1)
                for glob in source.globs_given_on:
                    inner = self._file_of(glob)
                    if inner and _defines(self.sources[inner].code, name):
                        return inner
            break
        return at if at in self.sources else None

    def _named(self, source: Source) -> Iterator[tuple[int, Module]]:
        used = set()
        for match in _PATH.finditer(source.code):
            start = match.start()
            if any(a <= start < b for a, b in source.uses):
                continue
            if _VISIBILITY.search(source.code, max(0, start - 20), start):
                continue
            path = [part.strip().removeprefix("r#") for part in match[0].split("::")]
            used.add(path[0])
            if len(path) == 1:
                # A name that `use` brought in: the import itself is the arrow.
                continue
            whole = self._absolute(source, _inside(source, start), path)
            target = None if whole is None else self._file_of(whole)
            if target is not None:
                yield start, target
        for start, alias, whole in source.imports:
            if alias == "*":
                given_on, is_module = whole in source.globs_given_on, False
            else:
                given_on = alias in source.given_on and alias not in used
                # A module that is only imported is named by what is used of it.
                is_module = whole in self.modules
            target = self._file_of(whole)
            if target is not None and not given_on and not is_module:
                yield start, target


def _read(src: Path, path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    code = blank(text)
    for start, end in test_spans(code):
        code = code[:start] + re.sub(r"[^\n]", " ", code[start : end + 1]) + code[end + 1 :]
    parts = path.relative_to(src).with_suffix("").parts
    module = parts[:-1] if parts[-1] in {"mod", "lib", "main"} else parts
    source = Source(path, module, text, code)
    for match in _INLINE.finditer(code):
        source.inline.append((match[1], match.start(), closing_brace(code, match.end() - 1)))
    return source


def _inside(source: Source, offset: int) -> Module:
    """Return the module, perhaps one within the file, that has what stands at `offset`."""
    names = [name for name, start, end in source.inline if start < offset < end]
    return (*source.module, *names)


def _defines(code: str, name: str) -> bool:
    kinds = r"(?:fn|struct|enum|union|trait|type|const|static|mod|macro_rules!)"
    return re.search(rf"\b{kinds}\s+(?:mut\s+)?{re.escape(name)}\b", code) is not None


def _tree(text: str) -> Iterator[tuple[list[str], str]]:
    """Yield each path of a `use`, with the name it has from there on."""
    tokens = _TOKEN.findall(text)
    at = 0

    def walk(prefix: list[str]) -> Iterator[tuple[list[str], str]]:
        nonlocal at
        path = list(prefix)
        while at < len(tokens):
            token = tokens[at]
            at += 1
            if token == "{":
                while tokens[at : at + 1] != ["}"]:
                    yield from walk(path)
                    if tokens[at : at + 1] == [","]:
                        at += 1
                at += 1
                return
            if token == "*":
                yield path, "*"
                return
            if token in {",", "}"}:
                at -= 1
                break
            if token == "as":
                alias = tokens[at]
                at += 1
                yield _without_self(path), alias
                return
            if token != "::":
                path.append(token)
        if len(path) > len(prefix):
            whole = _without_self(path)
            yield whole, whole[-1]

    yield from walk([])


def _without_self(path: list[str]) -> list[str]:
    return path[:-1] if len(path) > 1 and path[-1] == "self" else path


def groups(graph: dict[Path, dict[Path, int]]) -> dict[str, dict[Path, set[Path]]]:
    """Return the graph of each room: the first part of a path."""
    rooms: dict[str, dict[Path, set[Path]]] = defaultdict(dict)
    for path, targets in graph.items():
        room = path.parts[0]
        rooms[room][path] = {target for target in targets if target.parts[0] == room}
    return rooms
