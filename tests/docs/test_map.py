"""ARCHITECTURE.md's map is of the tree there is: what it names exists, where it says."""

import re

import pytest
from pages import ROOT

MAP = re.compile(r"^## The map$.*?^```\n(?P<lines>.*?)^```$", re.DOTALL | re.MULTILINE)
# Of a sentence about a folder: `name`, `name/` or `name (what it is)` between commas. What has more
# words than one says something else.
NAME = re.compile(r"_?[a-z][a-z0-9_]*/?")


def entries():
    """Each folder or file of the first column, with the sentence beside it."""
    text = MAP.search((ROOT / "ARCHITECTURE.md").read_text())["lines"]
    found, above = [], []
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if indent > 8:
            found[-1][1] += " " + line.strip()
            continue
        match = re.fullmatch(r" *(\S+(?:, \S+)*)(?:  +(\S.*))?", line)
        above = [(depth, place) for depth, place in above if depth < indent]
        base = above[-1][1] if above else ""
        places = [base + place for place in match[1].split(", ")]
        above.append((indent, places[0]))
        found.append([places, match[2] or ""])
    return found


ENTRIES = entries()


def is_there(place):
    return any(ROOT.glob(place.rstrip("/"))) or any(ROOT.glob(f"{place}.*"))


def names(words):
    while "(" in words:
        words = re.sub(r"\([^()]*\)", "", words)
    for item in re.split(r"[,;:]", words):
        if NAME.fullmatch(item.strip().removesuffix(".")):
            yield item.strip().strip("./")


@pytest.mark.parametrize(("places", "words"), ENTRIES, ids=lambda value: str(value)[:40])
def test_what_the_map_names_is_there(places, words):
    for place in places:
        assert is_there(place), f"the map has {place}"
    folders = [place.rstrip("/") for place in places if place.endswith("/")]
    for name in names(words) if folders else ():
        below = [path for folder in folders for path in ROOT.glob(f"{folder}/**/{name}*")]
        stems = {path.name.split(".")[0] for path in below}
        assert name in stems, f"the map has {name} in {places[0]}"
