"""Check that the documented environment variables are those of the engine's table.

`crates/tarefa-engine/src/settings.rs` has the rows. The table between the comments
`<!-- settings -->` and `<!-- /settings -->` of `docs/settings.md` shows them; `--write` writes it.
The table between `<!-- development variables -->` and `<!-- /development variables -->` of
`CONTRIBUTING.md` names those that tests, benchmarks and make use. A `TAREFA_` name in a source or a
page that is in neither is a mistake, and so is a name of the second table that nothing uses.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path("crates/tarefa-engine/src/settings.rs")
PAGE = Path("docs/settings.md")
DEVELOPMENT = Path("CONTRIBUTING.md")
COLUMNS = (
    ("variable", "name"),
    ("value", "value"),
    ("without it", "default"),
    ("what it sets", "meaning"),
    ("who reads it, and when", "read"),
    ("in code", "in_code"),
)
ENDINGS = {".rs", ".py", ".pyi", ".md", ".toml", ".yml"}
NAMES = {"Makefile", "run"}
SKIPPED = {"target", "dist", "build", "__pycache__", "node_modules"}

_ROW = re.compile(r"\bSetting \{\n(?P<fields>.*?)\n\s*\}", re.DOTALL)
_FIELD = re.compile(r'(?P<key>\w+): "(?P<text>(?:[^"\\]|\\.)*)"', re.DOTALL)
_INTERNAL = re.compile(r'pub const \w+: &str = "(TAREFA_\w+)";')
_NAME = re.compile(r"\bTAREFA_[A-Z][A-Z_]*[A-Z]\b")


def rows(source: str) -> list[dict[str, str]]:
    """Return the rows of the engine's table."""
    found = []
    for row in _ROW.finditer(source):
        # A line that ends in a backslash goes on with the first letter of the next.
        fields = {
            field["key"]: re.sub(r"\\\n\s*", "", field["text"])
            for field in _FIELD.finditer(row["fields"])
        }
        if "name" in fields:
            found.append(fields)
    return found


def table(settings: list[dict[str, str]]) -> str:
    """Return the rows as the page shows them."""
    lines = [
        "| " + " | ".join(title for title, _ in COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
    ]
    for setting in settings:
        cells = [setting.get(key, "") for _, key in COLUMNS]
        cells[0] = f"`{cells[0]}`"
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines).replace("|  |", "| |") + "\n"


def between(text: str, name: str) -> tuple[int, int] | None:
    """Return where the text between two comments begins and ends; None where they are not."""
    opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    start = text.find(opening)
    end = text.find(closing)
    return None if start < 0 or end < 0 else (start + len(opening), end)


def uses(root: Path) -> Iterator[tuple[Path, int, str]]:
    """Yield each file, line and name of a variable below `root`, but for the tables."""
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if any(part in SKIPPED or part.startswith(".venv") for part in relative.parts):
            continue
        if relative.parts[0] == ".git" or not path.is_file():
            continue
        if path.suffix not in ENDINGS and path.name not in NAMES:
            continue
        if relative in (SOURCE, PAGE, DEVELOPMENT) or relative.parts[:2] == ("tests", "scripts"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for name in _NAME.findall(line):
                yield relative, number, name


def problems(root: Path, write: bool) -> Iterator[str]:
    """Yield one sentence for each fault found below `root`."""
    source = (root / SOURCE).read_text(encoding="utf-8")
    settings = rows(source)
    if not settings:
        yield f"{SOURCE}: no row was found: nothing was checked"
        return
    page = (root / PAGE).read_text(encoding="utf-8")
    place = between(page, "settings")
    if place is None:
        yield f"{PAGE}: the comments <!-- settings --> and <!-- /settings --> are not there"
        return
    wanted = page[: place[0]] + table(settings) + page[place[1] :]
    if wanted != page:
        if write:
            (root / PAGE).write_text(wanted, encoding="utf-8")
        else:
            yield f"{PAGE}: the table is not that of {SOURCE}: run {Path(__file__).name} --write"
    contributing = (root / DEVELOPMENT).read_text(encoding="utf-8")
    place = between(contributing, "development variables")
    if place is None:
        yield f"{DEVELOPMENT}: the comments <!-- development variables --> are not there"
        return
    development = set(_NAME.findall(contributing[slice(*place)]))
    public = {setting["name"] for setting in settings}
    known = public | set(_INTERNAL.findall(source)) | development
    used = set()
    for relative, number, name in uses(root):
        used.add(name)
        if name not in known:
            yield (
                f"{relative}:{number}: {name} is no row of {SOURCE}, and not among the development"
                f" variables of {DEVELOPMENT}"
            )
    for name in sorted(development - used):
        yield f"{DEVELOPMENT}: {name} is used nowhere: remove the row"


def main() -> int:
    parser = argparse.ArgumentParser(description="Check the tables of environment variables.")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--write", action="store_true", help="write the page's table anew")
    arguments = parser.parse_args()
    found = list(problems(arguments.root.resolve(), arguments.write))
    for sentence in found:
        print(sentence, file=sys.stderr)
    if found:
        return 1
    print("settings: the pages have the variables of the engine's table")
    return 0


if __name__ == "__main__":
    sys.exit(main())
