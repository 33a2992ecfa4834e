"""The rooms of the Python package: imports run one way, in no circle; one way in from outside.

- A module lies in a room, a folder of `python/tarefa`, and may import from its own room and from
  those before it in `rooms.py`. Nothing in a room imports what stands beside the rooms: the
  package itself, which has everything, and `_hooks`, its way in from outside.
- A program of the package's own (`_tour`) imports the package as any other program does, and its
  own modules; nothing in a room imports it.
- No two modules import each other, be it over others. An import inside a function is an import. One
  under `if TYPE_CHECKING:` never runs and may name any module: it is for types.
- Outside of docstrings no text names a module of the package, but `_hooks` and `_engine`: such an
  import would be seen by nobody. The extension, too, imports `tarefa._hooks` only.
- A room's `__init__.py` is empty: who imports a module of it waits for nothing else.

The stubs in `_engine/` are for type checkers and are not looked at.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from circles import circles
from rooms import EXTENSION, PACKAGE, PACKAGE_ENTRY, PACKAGE_PROGRAMS, PACKAGE_ROOMS, says
from rust_text import blank, line_of

_NAMED = re.compile(r"\btarefa\._(?!hooks\b|engine\b)\w+")
_IN_RUST = re.compile(r'(?P<before>\bmodule\s*=\s*)?"(?P<name>tarefa\.\w[\w.]*)"')
_IMPORT_IN_RUST = re.compile(r'\bimport\s*\([^()"]*"(?P<name>tarefa)"')
_ROOM = {room: f"_{room}" for room in PACKAGE_ROOMS}


class Module:
    """A module of the package: its file, and what it imports, with the lines."""

    def __init__(self, package: Path, path: Path, names: set[str]) -> None:
        self.path = path
        self.name = _dotted(package, path)
        self.parts = self.name.split(".")[1:]
        self.code = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.code)
        self.imports: dict[str, int] = {}
        for node in _that_run(self.tree):
            for target in self._targets(node, names):
                self.imports.setdefault(target, node.lineno)

    @property
    def room(self) -> str | None:
        """The folder that it lies in; None for what stands beside the rooms."""
        return self.parts[0] if len(self.parts) > 1 else None

    def _targets(self, node: ast.stmt, names: set[str]) -> Iterator[str]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "tarefa":
                    yield alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                is_package = self.path.name == "__init__.py"
                above = self.name.split(".")
                above = above[: len(above) - node.level + is_package]
                base = ".".join([*above, *filter(None, [node.module])])
            if base.split(".")[0] == "tarefa":
                for alias in node.names:
                    inside = f"{base}.{alias.name}"
                    yield inside if inside in names else base


def _dotted(package: Path, path: Path) -> str:
    relative = path.relative_to(package.parent).with_suffix("")
    parts = relative.parts[:-1] if relative.name == "__init__" else relative.parts
    return ".".join(parts)


def _that_run(tree: ast.AST) -> Iterator[ast.stmt]:
    """Yield each import of a module, but those for type checkers."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif isinstance(node, ast.If) and _is_type_checking(node.test):
            todo.extend(node.orelse)
        else:
            todo.extend(ast.iter_child_nodes(node))


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def _texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the texts of a module that are no docstrings."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in docstrings:
            yield node.lineno, node.value


def wrong_ways(module: Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the sentence of each import that runs the wrong way."""
    order = tuple(_ROOM.values())
    if module.room is None:
        beside = (*PACKAGE_ENTRY, *PACKAGE_PROGRAMS, *order)
        if module.parts and module.parts[0] not in beside:
            yield 1, f"{module.parts[0]} stands beside the rooms: move it into one"
        return
    if module.room in PACKAGE_PROGRAMS:
        for target, line in module.imports.items():
            if target.split(".")[1:2] not in ([], [module.room]):
                yield line, f"{module.room} is a program: it may not import {target}, but tarefa"
        return
    if module.room not in order:
        yield 1, f"{module.room} is no room: these are {says(order)}"
        return
    for target, line in module.imports.items():
        parts = target.split(".")[1:]
        if parts[:1] == ["_engine"]:
            continue
        if not parts or parts[0] not in order:
            yield line, f"{module.room} may not import {target}: name the room that has it"
        elif order.index(parts[0]) > order.index(module.room):
            yield (
                line,
                f"{module.room} may not import {target}: imports run one way, {says(order)}",
            )


def _of_package(root: Path, package: Path) -> Iterator[str]:
    files = sorted(package.rglob("*.py"))
    names = {_dotted(package, path) for path in files} | {"tarefa._engine"}
    modules = []
    for path in files:
        try:
            modules.append(Module(package, path, names))
        except SyntaxError as e:
            yield f"{path.relative_to(root)}:{e.lineno}: {e.msg}: it was not looked at"
    for module in modules:
        place = module.path.relative_to(root)
        for line, sentence in wrong_ways(module):
            yield f"{place}:{line}: {sentence}"
        for line, text in _texts(module.tree):
            named = _NAMED.search(text)
            if named:
                yield f"{place}:{line}: {named[0]} is named in a text: import it where it is seen"
        if module.path.name == "__init__.py" and module.parts and module.code.strip():
            yield f"{place}:1: a room's __init__.py is empty: move this into a module"
    by_name = {module.name: module for module in modules}
    graph = {
        module.path: {
            by_name[target].path
            for target in module.imports
            if target in by_name and target != module.name
        }
        for module in modules
    }
    lines = {
        (module.path, by_name[target].path): line
        for module in modules
        for target, line in module.imports.items()
        if target in by_name
    }
    for way in circles(graph):
        steps = [
            f"{a.relative_to(package)}:{lines[a, b]} imports {b.relative_to(package)}"
            for a, b in zip(way, [*way[1:], way[0]], strict=True)
        ]
        yield f"{package.relative_to(root)}: a circle: {', '.join(steps)}"


def _of_extension(root: Path, source: Path) -> Iterator[str]:
    for path in sorted(source.rglob("*.rs")):
        code = blank(path.read_text(encoding="utf-8"), literals=False)
        found = [m for m in _IN_RUST.finditer(code) if not m["before"]]
        for match in sorted([*found, *_IMPORT_IN_RUST.finditer(code)], key=lambda m: m.start()):
            if match["name"] != "tarefa._hooks":
                yield (
                    f"{path.relative_to(root)}:{line_of(code, match.start())}: the extension names"
                    f" {match['name']}: it imports tarefa._hooks only"
                )


def problems(root: Path) -> Iterator[str]:
    """Yield one sentence for each fault found in the package below `root`."""
    package = root / PACKAGE
    if not package.is_dir():
        yield f"{package} is not there: nothing was checked"
        return
    yield from _of_package(root, package)
    yield from _of_extension(root, root / EXTENSION)
