"""Check that states and kinds are compared by name.

A state or a kind is a small number in shared memory. Compared with a bare number it says nothing to
a reader, and goes wrong without a sound when the numbers change: `state >= FINISHED`, not
`state >= 3`; `kind == kinds::LOCK`, not `kind == 1`.

What counts is a name that is or ends with `state`, `kind` or `role`, or a call or a load of one,
beside `==`, `!=`, `<`, `<=`, `>`, `>=` or `in` and whole numbers; in Rust also the patterns of a
`match` or `matches!` on one. A state that is handed over as a number (`finish(3, 0)`) counts too.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from rust_text import blank, closing_brace, line_of, rust_files

FOLDERS = ("crates", "python", "tests", "benches", "examples", "scripts")
SKIPPED = {"target", "__pycache__", "ui"}

_WORD = r"(?:\w+_)?(?:state|kind|role)"
# What may stand between the name and what it is compared with: a call, a load, a cast, a mask.
_TAIL = r"(?:\(\)|\.load\([^()]*\)| as [ui]\d+|\)|\s*&\s*(?:0x[0-9a-f]+|[A-Z_]+))*"
_COMPARED = re.compile(rf"\b{_WORD}{_TAIL}\s*(?:[=!]=|[<>]=?)\s*-?(?:0x)?\d")
_REVERSED = re.compile(
    rf"(?<![\w.])\d+(?:_?[ui]\d+)?\s*(?:[=!]=|[<>]=?)\s*\*?(?:\w+(?:\.|::))*{_WORD}\b(?!::)"
)
_MATCHES = re.compile(rf"\bmatches!\(\s*\*?(?:\w+\.)*{_WORD}{_TAIL}\s*,\s*\d")
_MATCH = re.compile(rf"\bmatch\s+\*?(?:\w+\.)*{_WORD}{_TAIL}\s*\{{")
_ARM = re.compile(r"^\s*\d+\s*(?:\|[^=]*)?=>", re.MULTILINE)
_FINISH = re.compile(r"\.finish\(\s*\d")

_NAME = re.compile(rf"^{_WORD}$")


def in_rust(text: str) -> Iterator[int]:
    """Yield the offset of each comparison by number."""
    code = blank(text)
    for pattern in (_COMPARED, _REVERSED, _MATCHES, _FINISH):
        yield from (match.start() for match in pattern.finditer(code))
    for match in _MATCH.finditer(code):
        arms = code[match.end() : closing_brace(code, match.end() - 1)]
        if _ARM.search(arms):
            yield match.start()


def in_python(text: str) -> Iterator[int]:
    """Yield the line of each comparison by number."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(map(_is_named, sides)) and any(map(_is_number, sides)):
                yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr == "finish" and node.args and _is_number(node.args[0]):
                yield node.lineno
        elif isinstance(node, ast.Match) and _is_named(node.subject):
            values = [p for case in node.cases for p in ast.walk(case.pattern)]
            if any(isinstance(p, ast.MatchValue) and _is_number(p.value) for p in values):
                yield node.lineno


def _is_named(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        node = node.func
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return _NAME.match(name) is not None


def _is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(map(_is_number, node.elts))
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    return isinstance(node, ast.Constant) and type(node.value) is int


def problems(root: Path) -> Iterator[str]:
    """Yield one sentence for each comparison by number below `root`."""
    looked_at = 0
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py*")):
            if path.suffix not in (".py", ".pyi") or SKIPPED & set(path.relative_to(root).parts):
                continue
            looked_at += 1
            for line in sorted(in_python(path.read_text(encoding="utf-8"))):
                yield _sentence(path.relative_to(root), line)
    for path in rust_files(root / "crates"):
        if SKIPPED & set(path.relative_to(root).parts):
            continue
        looked_at += 1
        text = path.read_text(encoding="utf-8")
        for offset in sorted(set(in_rust(text))):
            yield _sentence(path.relative_to(root), line_of(text, offset))
    if not looked_at:
        yield f"{root}: no source was found: nothing was checked"


def _sentence(path: Path, line: int) -> str:
    return f"{path}:{line}: a state or a kind goes by number here: use its name"


def main() -> int:
    parser = argparse.ArgumentParser(description="Check that states and kinds go by name.")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    found = list(problems(parser.parse_args().root.resolve()))
    for sentence in found:
        print(sentence, file=sys.stderr)
    if found:
        return 1
    print("numbers: states and kinds are compared by name")
    return 0


if __name__ == "__main__":
    sys.exit(main())
