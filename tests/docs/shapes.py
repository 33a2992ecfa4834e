"""The shape of a program: what stays when names that it chose, texts and comments are others.

Names that a program did not choose, such as `tarefa`, `append` or `range`, belong to its shape. So
do short texts and those in capitals, which are arguments and not words: `"d"`, `"200M"`.
"""

import ast
import re


class _Names:
    """Numbers the chosen names in the order in which they come."""

    def __init__(self, chosen):
        self.chosen = chosen
        self.numbers = {}

    def __call__(self, name):
        if name not in self.chosen:
            return name
        return f"_{self.numbers.setdefault(name, len(self.numbers))}"


def text_shape(text):
    return text if len(text) <= 2 or (text.isupper() and " " not in text) else "text"


class _Rename(ast.NodeTransformer):
    def __init__(self, names):
        self.names = names

    def visit_Name(self, node):
        node.id = self.names(node.id)
        return node

    def visit_arg(self, node):
        self.generic_visit(node)
        node.arg = self.names(node.arg)
        return node

    def visit_FunctionDef(self, node):
        node.name = self.names(node.name)
        self.generic_visit(node)
        return node

    def visit_ClassDef(self, node):
        node.name = self.names(node.name)
        self.generic_visit(node)
        return node

    def visit_ExceptHandler(self, node):
        if node.name:
            node.name = self.names(node.name)
        self.generic_visit(node)
        return node

    def visit_keyword(self, node):
        self.generic_visit(node)
        if node.arg is not None:
            node.arg = self.names(node.arg)
        return node

    def visit_Constant(self, node):
        if isinstance(node.value, str):
            node.value = text_shape(node.value)
        return node


def _chosen_in_python(tree):
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.ExceptHandler(name=str(name)):
                yield name
            case ast.Call(func=ast.Attribute(attr="Dict" | "Namespace"), keywords=keywords):
                yield from (word.arg for word in keywords if word.arg)


def python_shape(source):
    tree = ast.parse(source)
    names = _Names(set(_chosen_in_python(tree)))
    return ast.dump(_Rename(names).visit(tree), indent=1)


_RUST_TOKEN = re.compile(
    r"""
      (?P<comment>//[^\n]*|/\*.*?\*/)
    | (?P<text>b?"(?:\\.|[^"\\])*")
    | (?P<char>'(?:\\.|[^'\\])')
    | (?P<word>[A-Za-z_]\w*)
    | (?P<number>\d\w*(?:\.\d\w*)?)
    | (?P<mark>::|->|=>|&&|\|\||[^\s\w])
    """,
    re.VERBOSE | re.DOTALL,
)
_RUST_BINDING = re.compile(
    r"""
      \b(?:let|for)\s+(?P<pattern>[^=;]*?)(?:\s+in\b|\s*:(?!:)|\s*=)  # let (a, b) =, for a in
    | \bfn\s+(?P<function>\w+)
    | (?<![:\w])(?P<argument>[a-z_]\w*)\s*:(?!:)                      # a: List<u32>
    | \|(?P<closure>[^|\n]*)\|                                        # |a, b|
    | \((?P<inner>[a-z_]\w*)\)+\s*=>                                   # Err(a) =>
    | ^\s*(?P<other>[a-z_]\w*)\s*=>                                   # a =>
    """,
    re.VERBOSE | re.MULTILINE,
)
_RUST_WORDS = {"mut", "ref", "_", "self"}


def _chosen_in_rust(source):
    for found in _RUST_BINDING.finditer(source):
        for part in found.groupdict().values():
            if part:
                yield from set(re.findall(r"\b[a-z_]\w*", part)) - _RUST_WORDS


def rust_shape(source):
    bare = _RUST_TOKEN.sub(lambda found: "" if found["comment"] else found[0], source)
    names = _Names(set(_chosen_in_rust(bare)))
    shape = []
    for found in _RUST_TOKEN.finditer(bare):
        if found["word"]:
            ahead, behind = bare[: found.start()], bare[found.end() :]
            in_path = (
                ahead.endswith("::") or re.search(r"[^.]\.$", ahead) or behind.startswith("::")
            )
            shape.append(found[0] if in_path else names(found[0]))
        elif found["text"]:
            shape.append(text_shape(found[0][1:-1]))
        else:
            shape.append(found[0])
    return shape


def shape(language, source):
    """The shape of a program; of a block in another language, its number of lines."""
    if language == "python":
        return python_shape(source)
    if language == "rust":
        return rust_shape(source)
    return source.count("\n")
