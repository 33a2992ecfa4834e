"""The Python blocks of README.md and of docs/ run as they stand, each in its own interpreter.

What a page's reader has in mind is in comments that the page does not show:

- `<!-- before: ... -->` right above a block is code that runs before it;
- `<!-- not run: why -->` right above a block leaves it out;
- `print(...)  # words` in a block: it must print these words, as a whole line. Words in brackets
  describe what is printed.
"""

import re
from pathlib import Path

import pytest
from support import run_script

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
BLOCK = re.compile(
    r"(?:<!-- (?P<what>before|not run):(?P<text>.*?)-->\n+)?```python\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
SHOWN = re.compile(r"^\s*print\(.*\)\s+# ([^(].*)$", re.MULTILINE)


def blocks():
    for page in PAGES:
        text = page.read_text()
        for found in BLOCK.finditer(text):
            line = text.count("\n", 0, found.start("code")) + 1
            name = f"{page.stem}_line_{line}"
            marks = []
            if found["what"] == "not run":
                marks.append(pytest.mark.skip(reason=found["text"].strip()))
            marks.append(pytest.mark.once("what a page shows has a test of its own, on all"))
            before = found["text"].strip("\n") + "\n" if found["what"] == "before" else ""
            yield pytest.param(before, found["code"], id=name, marks=marks)


@pytest.mark.parametrize(("before", "code"), list(blocks()))
def test_runs_and_prints_what_it_says(before, code, tmp_path):
    done = run_script(before + code, cwd=tmp_path)
    assert not done.stderr, done.stderr
    lines = done.stdout.splitlines()
    for shown in SHOWN.findall(code):
        assert shown in lines


def test_every_python_block_is_found():
    for page in PAGES:
        text = page.read_text()
        begun = re.findall(r"^ *```python", text, re.MULTILINE)
        assert len(BLOCK.findall(text)) == len(begun), page
