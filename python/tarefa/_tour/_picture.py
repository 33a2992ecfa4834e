"""Pictures: when each task ran, how long things took, what lay where; as text and as SVG."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from tarefa._tour._experiment import number

if TYPE_CHECKING:
    from tarefa._tour._language import Text

# From nothing to all of a character's time.
_SHADES = " ░▒█"
_LABEL = 18
_LEAST = 6
_COLOURS = ("#2f6f9f", "#d9822b", "#4f9d69", "#a34d7d")
_STYLE = "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px"
Span = tuple[float, float]


@dataclass(frozen=True)
class Timeline:
    """Rows of spans of time, in seconds from the start."""

    rows: Sequence[tuple[Text, Sequence[Span]]]
    seconds: float

    def lines(self, language: str, width: int) -> list[str]:
        """Return a line for each row: how dark a character is says how much of its time it ran."""
        cells = width - _LABEL - 1
        step = self.seconds / cells
        lines = []
        for label, spans in self.rows:
            shades = [_shade(_covered(spans, i * step, step) / step) for i in range(cells)]
            lines.append(f"{label.of(language)[:_LABEL]:<{_LABEL}} {''.join(shades)}".rstrip())
        axis = f"{'0':<{cells - 8}}{number(self.seconds * 1000).of(language) + ' ms':>8}"
        return [*lines, " " * (_LABEL + 1) + axis]

    def svg(self, language: str) -> str:
        """Return a bar for each span."""
        parts = []
        for i, (label, spans) in enumerate(self.rows):
            y = 10 + 28 * i
            parts.append(_words(10, y + 14, label.of(language)))
            for start, end in spans:
                x = 190 + 500 * start / self.seconds
                width = max(500 * (end - start) / self.seconds, 0.5)
                parts.append(_box(x, y, width, 20, _COLOURS[i % len(_COLOURS)]))
        below = 10 + 28 * len(self.rows)
        parts += [
            f'<line x1="190" y1="{below}" x2="690" y2="{below}" stroke="#888"/>',
            _words(190, below + 18, "0"),
            _words(690, below + 18, f"{number(self.seconds * 1000).of(language)} ms", "end"),
        ]
        return _document(700, below + 28, parts)


@dataclass(frozen=True)
class Bars:
    """Rows of one number each."""

    rows: Sequence[tuple[Text, float]]
    unit: str

    def lines(self, language: str, width: int) -> list[str]:
        """Return a line for each row: a bar, and the number behind it."""
        label = max((len(text.of(language)) for text, _ in self.rows), default=0)
        label = min(label, width // 2)
        shown = [f"{number(value).of(language)} {self.unit}".rstrip() for _, value in self.rows]
        room = max(width - label - max(map(len, shown), default=0) - 3, 1)
        most = max((value for _, value in self.rows), default=0) or 1
        lines = []
        for (text, value), words in zip(self.rows, shown, strict=True):
            bar = "█" * round(room * value / most) or ("·" if value else "")
            *before, last = wrapped(text.of(language), label)
            lines += [*before, f"{last:<{label}} {bar} {words}"]
        return lines

    def svg(self, language: str) -> str:
        """Return a bar for each row."""
        most = max((value for _, value in self.rows), default=0) or 1
        parts = []
        for i, (text, value) in enumerate(self.rows):
            y = 10 + 28 * i
            width = 300 * value / most
            parts += [
                _words(10, y + 14, text.of(language)),
                _box(300, y, max(width, 1), 20, _COLOURS[i % len(_COLOURS)]),
                _words(306 + width, y + 14, f"{number(value).of(language)} {self.unit}".rstrip()),
            ]
        return _document(720, 18 + 28 * len(self.rows), parts)


@dataclass(frozen=True)
class Table:
    """What lay where: cells below titles."""

    titles: Sequence[Text]
    rows: Sequence[Sequence[Text | str]]

    def _cells(self, language: str) -> list[list[str]]:
        rows = [self.titles, *self.rows]
        return [[c if isinstance(c, str) else c.of(language) for c in row] for row in rows]

    def lines(self, language: str, width: int) -> list[str]:
        """Return the titles, a rule, and a line for each row."""
        cells = self._cells(language)
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.titles))]
        gaps = 3 * (len(widths) - 1)
        # The widest column gives way, until all fit.
        while sum(widths) + gaps > width and max(widths) > _LEAST:
            widths[widths.index(max(widths))] -= 1
        rows = [_in_lines(row, widths) for row in cells]
        rule = "─" * min(sum(widths) + gaps, width)
        return [line[:width] for line in (*rows[0], rule, *itertools.chain(*rows[1:]))]

    def svg(self, language: str) -> str:
        """Return the cells in columns."""
        cells = self._cells(language)
        widths = [14 + 8 * max(len(row[i]) for row in cells) for i in range(len(self.titles))]
        parts = []
        for i, row in enumerate(cells):
            y, x = 22 + 24 * i, 10
            for cell, width in zip(row, widths, strict=True):
                parts.append(_words(x, y, cell, weight="bold" if i == 0 else "normal"))
                x += width
        parts.append(f'<line x1="10" y1="30" x2="{sum(widths)}" y2="30" stroke="#888"/>')
        return _document(sum(widths) + 20, 16 + 24 * len(cells), parts)


def wrapped(text: str, width: int) -> list[str]:
    """Return a text in lines, broken between words where that can be; its indent in each."""
    indent = text[: len(text) - len(text.lstrip())]
    lines = textwrap.wrap(
        text.strip(), width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
    return lines or [text[:width]]


def _in_lines(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Return a row whose cells may have several lines."""
    cells = [wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
    return [
        " │ ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in itertools.zip_longest(*cells, fillvalue="")
    ]


def _covered(spans: Sequence[Span], start: float, length: float) -> float:
    end = start + length
    return sum(max(0.0, min(end, b) - max(start, a)) for a, b in spans)


def _shade(part: float) -> str:
    if part <= 0:
        return _SHADES[0]
    return _SHADES[1 + min(2, int(part * 3))]


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" fill="{colour}"/>'


def _words(x: float, y: float, text: str, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}"'
        f' fill="#222">{escape(text)}</text>'
    )


def _document(width: int, height: int, parts: Sequence[str]) -> str:
    inside = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
        f' height="{height}" role="img" style="{_STYLE};background:#fff">\n{inside}\n</svg>\n'
    )
