"""Check that every function of the engine that changes shared memory names a crash point.

A function that stores to an atomic, writes through a pointer or sets through a transaction must
hold a `crash_point!("name")`, so that the harness can kill a member there. Where that is wrong, a
comment says so, on the line, above the statement or above the function:

    // not shared: <why no other process sees this memory>
    // crash: <which crash point covers it, or why none is needed>

What is compiled for tests only is left out. A name stands in one place only. `--list` prints all
names, one a line, for the harness.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rust_text import blank, body_start, closing_brace, line_of, rust_files, test_spans

LAYERS = ("shm", "sync", "collections", "channel", "task", "pool")

_CHANGE = re.compile(
    r"""
      \.\s*(?:store|swap|fetch_\w+|compare_exchange(?:_weak)?|compare_and_swap)\s*\(
    | \btx\s*\.\s*set\w*\s*\(
    | \b(?:copy|copy_nonoverlapping|write_bytes|write_volatile|write_unaligned)\s*\(
    | \.\s*(?:copy_from|copy_from_nonoverlapping|copy_to|copy_to_nonoverlapping)\s*\(
    | \bptr\s*::\s*(?:write|replace|swap)\s*\(
    """,
    re.VERBOSE,
)
_FUNCTION = re.compile(r"\bfn\s+\$?\w+")
_POINT = re.compile(r"\bcrash_point!\s*\(")
_NAME = re.compile(r'\s*"([^"\\]+)"')
_EXCUSE = re.compile(r"//[/!]?\s*(?:not shared|crash):[ \t]*\S")
_LEAD = re.compile(r"\s*(?://|#\[|#!\[|\*|/\*)")


@dataclass
class Source:
    """One file, as it is and blanked, with its functions and its test-only parts."""

    path: Path
    text: str
    code: str = field(init=False)
    tests: list[tuple[int, int]] = field(init=False)
    functions: list[tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.code = blank(self.text)
        self.tests = test_spans(self.code)
        self.functions = []
        for match in _FUNCTION.finditer(self.code):
            opening = body_start(self.code, match.end())
            if opening is not None:
                self.functions.append((match.start(), closing_brace(self.code, opening)))

    def in_tests(self, offset: int) -> bool:
        return any(start <= offset < end for start, end in self.tests)

    def function_at(self, offset: int) -> tuple[int, int] | None:
        """Return the innermost function around `offset`."""
        around = [span for span in self.functions if span[0] <= offset < span[1]]
        return max(around, default=None)

    def points(self) -> Iterator[tuple[int, str | None]]:
        """Yield the offset and the name of each crash point; None for a name that is no literal."""
        for match in _POINT.finditer(self.code):
            if not self.in_tests(match.start()):
                # Looked up in the original: the blanked text has spaces where the name stands.
                name = _NAME.match(self.text, match.end())
                yield match.start(), name[1] if name else None

    def excused(self, offset: int, function: tuple[int, int] | None) -> bool:
        """Tell whether the statement at `offset`, or its function, says why it needs no point."""
        start = max(self.code.rfind(mark, 0, offset) for mark in ";{}") + 1
        line_end = self._line_end(start)
        if line_end < offset and not self.code[start:line_end].strip():
            start = line_end  # what follows on that line belongs to the statement before
        if _EXCUSE.search(self.text, start, self._line_end(offset)):
            return True
        return function is not None and bool(_EXCUSE.search(self._above(function[0])))

    def _line_end(self, offset: int) -> int:
        end = self.text.find("\n", offset)
        return len(self.text) if end < 0 else end

    def _above(self, offset: int) -> str:
        """Return the line at `offset` with the comments and attributes directly above it."""
        end = self._line_end(offset)
        start = self.text.rfind("\n", 0, offset) + 1
        while start > 0:
            before = self.text.rfind("\n", 0, start - 1) + 1
            if not _LEAD.match(self.text[before:start]):
                break
            start = before
        return self.text[start:end]


def read(root: Path) -> list[Source]:
    """Return the engine's files."""
    src = root / "crates/tarefa-engine/src"
    return [Source(path, path.read_text(encoding="utf-8")) for path in rust_files(src)]


def problems(root: Path, sources: list[Source]) -> Iterator[str]:
    """Yield one sentence for each fault."""
    if not sources:
        yield f"{root}/crates/tarefa-engine/src holds no Rust: nothing was checked"
    seen: dict[str, str] = {}
    for source in sources:
        relative = source.path.relative_to(root)
        pointed = set()
        for offset, name in source.points():
            pointed.add(source.function_at(offset))
            place = f"{relative}:{line_of(source.text, offset)}"
            if name is None:
                yield f"{place}: a crash point's name must be a string literal"
            elif name in seen:
                yield f"{place}: the crash point {name!r} has that name already at {seen[name]}"
            else:
                seen[name] = place
        if relative.parts[3].removesuffix(".rs") not in LAYERS:
            continue
        for change in _CHANGE.finditer(source.code):
            function = source.function_at(change.start())
            if (
                source.in_tests(change.start())
                or (function is not None and function in pointed)
                or source.excused(change.start(), function)
            ):
                continue
            call = "".join(change[0].split()).rstrip("(").lstrip(".")
            yield (
                f"{relative}:{line_of(source.text, change.start())}: {call} changes memory, but its"
                ' function names no crash point: add crash_point!("..."), or say why not with'
                " `// not shared: ...` or `// crash: ...`"
            )


def main() -> int:
    parser = argparse.ArgumentParser(description="Check the engine's crash points, or list them.")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--list", action="store_true", help="print all names, one a line")
    options = parser.parse_args()
    root = options.root.resolve()
    sources = read(root)
    names = sorted({name for source in sources for _, name in source.points() if name})
    if options.list:
        print(*names, sep="\n", end="\n" if names else "")
        return 0
    found = list(problems(root, sources))
    for sentence in found:
        print(sentence, file=sys.stderr)
    if found:
        return 1
    print(f"crash points: {len(names)}, each named once")
    return 0


if __name__ == "__main__":
    sys.exit(main())
