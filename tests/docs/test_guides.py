"""The guide says the same in English and in Portuguese.

Both have the same sections, with the same tables, and the same programs but for names and texts.
"""

import builtins
import re

import pytest
from pages import ROOT, anchors, headings, sections
from shapes import python_shape, rust_shape, shape

import tarefa

GUIDE, GUIA = ROOT / "docs/guide.md", ROOT / "docs/guia.md"
BOTH = list(zip(sections(GUIDE.read_text()), sections(GUIA.read_text()), strict=False))
# What a sentence may name that is not the program's own: of tarefa, its objects, and Python itself.
OBJECTS = (tarefa, tarefa.Process, tarefa.List, tarefa.Dict, tarefa.Value, tarefa.Lock, builtins)
KNOWN = {name for thing in OBJECTS for name in dir(thing) if name[0] != "_"}
KNOWN -= {"add", "type", "value"}  # the programs in English have names like these
EXPECTED_OUTPUT = re.compile(r"^\s*print\(.*\)\s+# (\S+)$", re.MULTILINE)


def test_both_have_the_same_sections():
    english, portuguese = (list(headings(page.read_text())) for page in (GUIDE, GUIA))
    assert [level for level, _ in english] == [level for level, _ in portuguese]
    assert len(english) == len(BOTH) > 10


@pytest.mark.parametrize("page", [GUIDE, GUIA], ids=lambda page: page.name)
def test_the_contents_are_the_sections(page):
    text = page.read_text()
    listed = re.findall(r"^- \[(.+?)\]\(#(.+?)\)$", text, re.MULTILINE)
    wanted = [title for level, title in headings(text) if level == 2]
    assert [title for title, _ in listed] == wanted
    assert {fragment for _, fragment in listed} <= set(anchors(text))


@pytest.mark.parametrize(("english", "portuguese"), BOTH, ids=[e.title for e, _ in BOTH])
class TestSection:
    def test_has_the_same_programs(self, english, portuguese):
        assert [b.language for b in english.blocks] == [b.language for b in portuguese.blocks]
        for one, other in zip(english.blocks, portuguese.blocks, strict=True):
            assert shape(one.language, one.before + one.text) == shape(
                other.language, other.before + other.text
            )

    def test_shows_the_same_output(self, english, portuguese):
        for one, other in zip(english.blocks, portuguese.blocks, strict=True):
            assert EXPECTED_OUTPUT.findall(one.text) == EXPECTED_OUTPUT.findall(other.text)

    def test_has_the_same_tables(self, english, portuguese):
        assert english.tables == portuguese.tables

    def test_has_the_same_paragraphs(self, english, portuguese):
        assert english.paragraphs == portuguese.paragraphs
        assert english.items == portuguese.items

    def test_speaks_of_the_same_names(self, english, portuguese):
        assert english.code & KNOWN == portuguese.code & KNOWN


# What the comparison tells apart, and what it does not.


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("for n in range(4): f(n)", "for numero in range(4): f(numero)"),
        ("def add(a): return a", "def soma(x): return x"),
        ("print('after', 1)  # shown", "print('depois', 1)  # mostrado"),
        ("try: f()\nexcept E as error: g(error)", "try: f()\nexcept E as erro: g(erro)"),
        ("def f(a=1): pass\nf(a=2)", "def f(b=1): pass\nf(b=2)"),
    ],
)
def test_names_and_texts_may_differ(one, other):
    assert python_shape(one) == python_shape(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("t = tarefa.Thread()", "t = tarefa.Process()"),
        ("for n in range(4): f(n)", "for n in range(5): f(n)"),
        ("def f(a, b): return a", "def f(a, b): return b"),
        ("f(limit='200M')", "f(limit='300M')"),
        ("a.append(1)", "a.extend(1)"),
        ("f(timeout=1)", "f(limit=1)"),
    ],
)
def test_what_a_program_does_may_not(one, other):
    assert python_shape(one) != python_shape(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("for number in 0..4 { list.append(number)?; }", "for n in 0..4 { list.append(n)?; }"),
        ("fn store(numbers: List<u32>) {}", "fn guarda(lista: List<u32>) {}"),
        ('let (a, mut b) = f("some text"); // why', 'let (x, mut y) = f("um texto");'),
        ("let f = |one| one + 1;", "let g = |um| um + 1;"),
        (
            "match x { Err(e) => g(e), other => other, }",
            "match x { Err(d) => g(d), outro => outro, }",
        ),
    ],
)
def test_names_and_texts_may_differ_in_rust(one, other):
    assert rust_shape(one.replace(", other", ",\nother")) == rust_shape(
        other.replace(", outro", ",\noutro")
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("let t = Thread::spawn(f, ());", "let t = Process::spawn(f, ());"),
        ("let a = f(1);", "let a = f(2);"),
        ("let a = b.lock(None);", "let a = b.read(None);"),
        ("fn f(a: u32, b: u32) { g(a) }", "fn f(a: u32, b: u32) { g(b) }"),
        ("let a: List<u32> = f();", "let a: List<u64> = f();"),
    ],
)
def test_what_a_program_does_may_not_in_rust(one, other):
    assert rust_shape(one) != rust_shape(other)
