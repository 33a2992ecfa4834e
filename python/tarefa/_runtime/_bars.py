"""Pictures for notebooks: a bar for each row, as long as its time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tarefa._runtime import _tables
from tarefa._runtime._tables import in_one_line

_LEFT, _WIDTH, _ROW, _BAR = 190, 500, 24, 16
_LIGHT, _DARK, _BAD = "#9ecae1", "#1f4e79", "#b3261e"
_STYLE = "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12px;background:#fff"


class Bar(NamedTuple):
    """A row."""

    name: str
    says: str
    """What stands behind the bar."""
    whole: float
    """Seconds."""
    dark: float
    """Seconds of them that are drawn darker."""
    is_bad: bool = False


def svg(title: str, bars: Sequence[Bar], legend: str, nothing: str) -> str:
    """Draw them: an SVG document that needs nothing else."""
    from html import escape

    most = max((bar.whole for bar in bars), default=0.0) or 1.0
    parts = [f"<title>{escape(title)}</title>"]
    if not bars:
        parts.append(_words(10, 22, nothing))
    for i, bar in enumerate(bars):
        y = 10 + _ROW * i
        whole = max(_WIDTH * bar.whole / most, 1.0)
        dark = min(_WIDTH * bar.dark / most, whole)
        tip = f"<title>{escape(in_one_line(bar.name))}: {escape(in_one_line(bar.says))}</title>"
        parts += [
            _words(10, y + 12, in_one_line(bar.name)[:24]),
            f'<rect x="{_LEFT}" y="{y}" width="{whole:.2f}" height="{_BAR}" fill="{_LIGHT}">',
            f"{tip}</rect>",
            f'<rect x="{_LEFT}" y="{y + _BAR}" width="{dark:.2f}" height="4" fill="{_DARK}"/>',
        ]
        if bar.is_bad:
            x = _LEFT + whole - min(whole, 2.0)
            parts.append(f'<rect x="{x:.2f}" y="{y}" width="2" height="{_BAR}" fill="{_BAD}"/>')
        parts.append(_words(_LEFT + whole + 8, y + 12, in_one_line(bar.says)))
    below = 10 + _ROW * max(len(bars), 1)
    if bars:
        parts += [
            f'<line x1="{_LEFT}" y1="{below}" x2="{_LEFT + _WIDTH}" y2="{below}" stroke="#888"/>',
            _words(_LEFT, below + 16, "0"),
            _words(_LEFT + _WIDTH, below + 16, _tables.seconds(most), "end"),
            _words(_LEFT, below + 34, legend),
        ]
    width, height = _LEFT + _WIDTH + 260, below + 44
    inside = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
        f' height="{height}" role="img" aria-label="{escape(title)}" style="{_STYLE}">\n'
        f"{inside}\n</svg>\n"
    )


def _words(x: float, y: float, text: str, anchor: str = "start") -> str:
    from html import escape

    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" fill="#222">{escape(text)}</text>'
