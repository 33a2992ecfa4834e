"""The tour as files: a picture of each experiment, and one HTML page that needs nothing else."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Sequence
from html import escape
from pathlib import Path

from tarefa._tour._experiment import Experiment, Outcome, cores
from tarefa._tour._language import Text

Found = Sequence[tuple[int, Experiment, Outcome]]

_TITLE = Text("A tour of threads and processes", "Uma visita a threads e processos")
_LESSON = Text("The lesson says", "A lição diz")
_HOLDS = Text("holds here", "vale aqui")
_FAILS = Text("does not hold here", "não vale aqui")
_CSS = """
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif;
       color: #222; background: #fff }
h2 { margin-top: 2.5rem } blockquote { margin: 0; padding-left: 1rem; border-left: 3px solid #ccc }
svg { max-width: 100%; height: auto } table { border-collapse: collapse; margin: 1rem 0 }
td { padding: .1rem 1.5rem .1rem 0 } td + td { text-align: right }
.holds { color: #2e6b41 } .fails { color: #a33 } footer { color: #666; margin: 3rem 0 }
"""


def make(folder: Path) -> None:
    """Make the folder, if files can be written into it: before anything is measured for nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()


def save(folder: Path, language: str, found: Found) -> list[Path]:
    """Write a picture of each experiment into the folder, and a page with all; return the files."""
    written = []
    for place, experiment, outcome in found:
        path = folder / f"{place:02}-{experiment.key}.svg"
        _write(path, outcome.picture.svg(language))
        written.append(path)
    page = folder / "index.html"
    _write(page, html(language, found))
    return [*written, page]


def _write(path: Path, text: str) -> None:
    """Write a file, which is there whole or as it was."""
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    path = path.resolve()
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        if path.exists():
            shutil.copymode(path, beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def html(language: str, found: Found) -> str:
    """Return the page."""
    title = escape(_TITLE.of(language))
    parts = [
        "<!doctype html>",
        f'<html lang="{language}"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{_CSS}</style></head><body>",
        f"<h1>{title}</h1>",
    ]
    for place, experiment, outcome in found:
        parts += _section(language, place, experiment, outcome)
    parts += [f"<footer>{escape(_machine())}</footer>", "</body></html>", ""]
    return "\n".join(parts)


def _section(language: str, place: int, experiment: Experiment, outcome: Outcome) -> list[str]:
    rows = [
        f"<tr><td>{escape(figure.label.of(language).strip())}</td>"
        f"<td>{escape(figure.shown(language))}</td></tr>"
        for figure in outcome.figures
    ]
    lesson = experiment.lesson.of(language)
    parts = [
        f'<section id="{experiment.key}">',
        f"<h2>{place}. {escape(experiment.title.of(language))}</h2>",
        f"<blockquote>{_LESSON.of(language)}: {escape(lesson)}</blockquote>",
        outcome.picture.svg(language),
        f"<table>{''.join(rows)}</table>",
        f"<p>{escape(outcome.sentence.of(language))}</p>",
    ]
    if outcome.holds:
        parts.append(f'<p class="holds">✓ {_HOLDS.of(language)}</p>')
    else:
        because = outcome.because
        why = "" if because is None else f": {escape(because.of(language))}"
        parts.append(f'<p class="fails">✗ {_FAILS.of(language)}{why}</p>')
    return [*parts, "</section>"]


def _machine() -> str:
    system = os.uname()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    day = time.strftime("%Y-%m-%d")
    return f"{python}, {system.sysname} {system.release}, {cores()} × {system.machine}, {day}"  # noqa: RUF001
