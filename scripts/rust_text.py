"""Reading Rust source as text, just well enough for the checks of this folder.

Everything works on offsets: `blank` returns a text of the same length in which comments and
literals are spaces, so that what is found in it can be looked up in the original.
"""

import re
from pathlib import Path

_TOKEN = re.compile(
    r"""
      (?P<line>//[^\n]*)
    | (?P<block>/\*)
    | (?P<raw>\b(?:b|c)?r(?P<hashes>\#*)")
    | (?P<string>\b[bc]?"|")
    | (?P<char>b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[0-9a-fA-F_]+\}|.)|[^\\'\n])')
    """,
    re.VERBOSE,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_STRING_END = re.compile(r'(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_NEWLINE = re.compile(r"[^\n]")
_TEST_ATTRIBUTE = re.compile(r"#\[\s*(?:cfg\s*\((?P<cfg>[^\]]*)\)|(?:\w+\s*::\s*)?test)\s*\]")


def blank(text: str, *, literals: bool = True) -> str:
    """Return `text` with comments and string and character literals turned into spaces.

    Without `literals` only the comments are.
    """
    pieces: list[str] = []
    at = 0
    while match := _TOKEN.search(text, at):
        pieces.append(text[at : match.start()])
        end = _literal_end(text, match)
        found = text[match.start() : end]
        if literals or match["line"] or match["block"]:
            found = _NOT_NEWLINE.sub(" ", found)
        pieces.append(found)
        at = end
    pieces.append(text[at:])
    return "".join(pieces)


def _literal_end(text: str, match: re.Match[str]) -> int:
    if match["block"]:
        depth, at = 1, match.end()
        while depth:
            edge = _BLOCK_EDGE.search(text, at)
            if edge is None:
                return len(text)
            depth += 1 if edge[0] == "/*" else -1
            at = edge.end()
        return at
    if match["raw"]:
        close = text.find('"' + match["hashes"], match.end())
        return len(text) if close < 0 else close + 1 + len(match["hashes"])
    if match["string"]:
        end = _STRING_END.match(text, match.end())
        return len(text) if end is None else end.end()
    return match.end()


def line_of(text: str, offset: int) -> int:
    """Return the number, from 1, of the line in which `offset` lies."""
    return text.count("\n", 0, offset) + 1


def closing_brace(code: str, opening: int) -> int:
    """Return the offset of the brace that closes the one at `opening`, in blanked text."""
    depth = 0
    for match in re.compile(r"[{}]").finditer(code, opening):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return match.start()
    return len(code)


def body_start(code: str, at: int) -> int | None:
    """Return the offset of the brace that opens the body of the item at `at`, if it has one."""
    depth = 0
    for match in re.compile(r"[()\[\]{};]").finditer(code, at):
        if match[0] in "([":
            depth += 1
        elif match[0] in ")]":
            depth -= 1
        elif depth == 0:
            return match.start() if match[0] == "{" else None
    return None


def test_spans(code: str) -> list[tuple[int, int]]:
    """Return the spans of what is compiled for tests only, in blanked text."""
    spans = []
    for match in _TEST_ATTRIBUTE.finditer(code):
        cfg = match["cfg"]
        if cfg is not None and not re.search(r"(?<!not\()\btest\b", cfg):
            continue
        opening = body_start(code, match.end())
        if opening is not None:
            spans.append((match.start(), closing_brace(code, opening)))
    return spans


def rust_files(folder: Path) -> list[Path]:
    """Return the Rust files below `folder`, without those that hold a module of tests."""
    return sorted(
        path
        for path in folder.rglob("*.rs")
        if path.name != "tests.rs" and "tests" not in path.relative_to(folder).parts[:-1]
    )
