"""No page leads nowhere: links, fragments and paths of files exist."""

import fnmatch
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from pages import ROOT, anchors, everything, markdown, without_code

LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
# `sync/wait.rs`, `tests/docs/`: in a page's sentences, the end of the path of a file or folder.
PATH = re.compile(
    r"`(?P<path>[\w.*-]+(?:/[\w.*-]+)*(?:\.(?:rs|py|md|sh|toml|yml|json|jsonl|pyi)|/))`"
)
BUILT = {"dist/", "target/"}
NAMED_IN = ("ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "SECURITY.md", "docs")
PAGES = markdown()
EVERYTHING = [f"/{path.relative_to(ROOT)}" for path in everything()]


def name(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for found in LINK.finditer(without_code(page.read_text())):
        target = unquote(found["target"])
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} of {name(page)} is not there"
        if fragment and file.suffix == ".md":
            assert fragment in set(anchors(file.read_text())), f"{target} of {name(page)}"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if name(page).split("/")[0] in NAMED_IN], ids=name
)
def test_files_that_are_named_exist(page):
    for found in PATH.finditer(without_code(page.read_text())):
        if found["path"] in BUILT:
            continue
        wanted = f"*/{found['path'].rstrip('/')}"
        assert fnmatch.filter(EVERYTHING, wanted), f"{found['path']} of {name(page)}"


def test_a_page_is_reached_from_the_readme():
    reached, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached:
            continue
        reached.add(page)
        for found in LINK.finditer(without_code(page.read_text())):
            path = found["target"].partition("#")[0]
            file = (page.parent / path).resolve() if path and ":" not in path else page
            if file.suffix == ".md" and file.exists():
                ahead.append(file)
    docs = {page for page in PAGES if Path("docs") in page.relative_to(ROOT).parents}
    assert docs <= reached, sorted(map(name, docs - reached))
