"""Tables, as text and for notebooks."""

from __future__ import annotations

from collections.abc import Sequence

_STYLE = "border-collapse:collapse;font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12px"
_CELL = "text-align:{};padding:2px 12px"

Rows = Sequence[Sequence[str]]


def text(titles: Sequence[str], rows: Rows, right: Sequence[int] = ()) -> str:
    """Lines with columns; those whose numbers stand in ``right`` end below one another."""
    table = [[in_one_line(cell) for cell in row] for row in (titles, *rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def html(titles: Sequence[str], rows: Rows, right: Sequence[int] = (), caption: str = "") -> str:
    """The same as a part of a page."""
    from html import escape

    def line(tag: str, cells: Sequence[str]) -> str:
        sides = ("right" if i in right else "left" for i in range(len(cells)))
        styled = (
            f'<{tag} style="{_CELL.format(side)}">{escape(in_one_line(cell))}</{tag}>'
            for side, cell in zip(sides, cells, strict=True)
        )
        return f"<tr>{''.join(styled)}</tr>"

    head = ""
    if caption:
        head = f'<caption style="text-align:left">{escape(in_one_line(caption))}</caption>'
    body = "\n".join(line("td", row) for row in rows)
    return f'<table style="{_STYLE}">{head}\n{line("th", titles)}\n{body}\n</table>'


def page(lines: str) -> str:
    """Lines of text, as a part of a page."""
    from html import escape

    return f'<pre style="font-size:12px">{escape(lines)}</pre>'


def seconds(value: float) -> str:
    """A time, as a cell has it."""
    return f"{value:.2f} s" if value < 100 else f"{value / 60:.1f} min"


def size(value: int) -> str:
    """A size, as a cell has it."""
    return f"{value / (1 << 20):.1f} MiB"


def in_one_line(cell: str) -> str:
    """A name may have anything in it, and a cell, or a word of a picture, is a part of one line."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in cell)
