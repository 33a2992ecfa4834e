"""What a page consists of: sections, blocks of code, tables, links."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {"target", "dist", "build", "__pycache__"}
SHOWN_FOLDERS = {".github", ".ci"}

FENCE = re.compile(
    r"(?:<!-- before:(?P<before>(?:(?!-->).)*)-->\n+)?^```(?P<language>\S*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
HEADING = re.compile(r"^(?P<level>#+) (?P<title>.+)$")


@dataclass
class Block:
    """A block of code; `before` is what runs ahead of it and the page does not show."""

    language: str
    text: str
    before: str = ""


@dataclass
class Section:
    level: int
    title: str
    blocks: list[Block] = field(default_factory=list)
    tables: list[tuple[int, int]] = field(default_factory=list)  # rows, columns
    paragraphs: int = 0
    items: int = 0
    code: set[str] = field(default_factory=set)  # the words in its sentences' `code`


def everything():
    """The project's own files and folders; what was built and links are left out."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(
            name
            for name in folders
            if name not in SKIPPED and (name[0] != "." or name in SHOWN_FOLDERS)
        )
        for name in sorted(names) + folders:
            path = Path(folder, name)
            if not path.is_symlink():
                yield path


def markdown():
    return [path for path in everything() if path.suffix == ".md"]


def without_code(text):
    """The page with its blocks of code as empty lines."""
    return FENCE.sub(lambda found: "\n" * found[0].count("\n"), text)


def headings(text):
    for line in without_code(text).splitlines():
        if found := HEADING.match(line):
            yield len(found["level"]), found["title"]


def anchor(title):
    """The fragment by which hosts and editors know a heading."""
    bare = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", title).replace("`", "")
    return re.sub(r"[^\w\- ]", "", bare.lower()).replace(" ", "-")


def anchors(text):
    seen = {}
    for _, title in headings(text):
        name = anchor(title)
        count = seen[name] = seen.get(name, -1) + 1
        yield f"{name}-{count}" if count else name


def sections(text):
    """The page in pieces, each from one heading to the next."""
    found = []
    starts = [
        (match.start(), len(match["level"]), match["title"])
        for match in re.finditer(HEADING.pattern, hide_code(text), re.MULTILINE)
    ]
    for (start, level, title), end in zip(
        starts, [*(begin for begin, _, _ in starts[1:]), len(text)], strict=True
    ):
        piece = text[start:end]
        section = Section(level, title)
        for block in FENCE.finditer(piece):
            before = (block["before"] or "").strip("\n") + "\n"
            section.blocks.append(Block(block["language"], block["text"], before))
        section.tables = list(tables(piece))
        prose = without_code(piece)
        section.paragraphs = len(re.findall(r"(?:\A|\n\n)[^\n#|<-]", prose))
        section.items = len(re.findall(r"^ *- ", prose, re.MULTILINE))
        spans = re.findall(r"`([^`]+)`", prose)
        section.code = {word for span in spans for word in re.findall(r"[A-Za-z_]\w*", span)}
        found.append(section)
    return found


def hide_code(text):
    """The page with the same length, and no heading inside a block."""
    return FENCE.sub(lambda found: found[0].replace("#", " "), text)


def tables(text):
    rows = []
    for line in [*without_code(text).splitlines(), ""]:
        if line.startswith("|"):
            rows.append(line.count("|"))
        elif rows:
            yield len(rows), rows[0] - 1
            rows = []
