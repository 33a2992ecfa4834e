"""``python -m tarefa tour``: the experiments in the lesson's order, and what came of them."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tarefa._tour import _language
from tarefa._tour._choosing import CHOOSING
from tarefa._tour._cores import CONCURRENCY, PARALLELISM
from tarefa._tour._cost import COST
from tarefa._tour._experiment import Experiment, Figure, Outcome
from tarefa._tour._gil import COMPUTING, GIL, OWN_GIL, WAITING
from tarefa._tour._keeping import COUNTING, INTERRUPTING
from tarefa._tour._language import Text
from tarefa._tour._memory import LISTS, RACES
from tarefa._tour._page import make, save
from tarefa._tour._picture import Table, wrapped
from tarefa._tour._programs import PROGRAM, STATES

EXPERIMENTS: tuple[Experiment, ...] = (
    PROGRAM,
    STATES,
    CONCURRENCY,
    PARALLELISM,
    LISTS,
    GIL,
    RACES,
    OWN_GIL,
    WAITING,
    COMPUTING,
    COST,
    INTERRUPTING,
    COUNTING,
    CHOOSING,
)
"""In the order of the lesson's statements. An experiment is one more value here."""

_WIDTH, _LEAST = 80, 40
_LABEL = 38
_FAILED, _IMPOSSIBLE, _INTERRUPTED = 1, 2, 130

_LESSON = Text("The lesson", "A lição")
_HOLDS = Text("✓ holds here", "✓ vale aqui")
_FAILS = Text("✗ does not hold here: {why}", "✗ não vale aqui: {why}")
_UNKNOWN = Text("the figures do not say why", "os números não dizem por quê")
_ALL = Text(
    "{held} of {all} statements hold on this machine ({seconds:.0f} s)",
    "{held} de {all} afirmações valem nesta máquina ({seconds:.0f} s)",
)
_SAVED = Text("saved: {path}", "gravado: {path}")
_NOT_MEASURED = Text("it could not be measured: {error}", "não foi possível medir: {error}")
_NO_SUCH = Text(
    "there is no experiment {name}: they have numbers from 1 to {last}, and names that"
    " `tarefa tour --list` says",
    "não existe a experiência {name}: elas têm números de 1 a {last}, e nomes que"
    " `tarefa tour --list` diz",
)


_NOT_HERE = Text(
    "there is no {what} here; tarefa tour --help says what there is",
    "{what} não existe aqui; tarefa tour --help diz o que há",
)
_WRONG = Text(
    "these arguments do not fit; tarefa tour --help says which there are",
    "estes argumentos não servem; tarefa tour --help diz quais há",
)
_NOT_SAVED = Text(
    "the pictures cannot be saved in {folder}: {error}; name another folder",
    "não é possível gravar as figuras em {folder}: {error}; indique outra pasta",
)
_NOT_SAID = Text(
    "what there is to say cannot be written to standard output: {error}",
    "não é possível escrever na saída padrão: {error}",
)


class Voice:
    """Where the tour speaks, in which language, and with which letters."""

    def __init__(self, language: str, *, unicode: bool) -> None:
        self.language = language
        self.unicode = unicode
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH
        self.width = max(_LEAST, min(columns, _WIDTH))

    def fail(self, said: Text) -> NoReturn:
        """Say on standard error why nothing comes of it, and end."""
        lines = textwrap.wrap(
            f"tarefa: {said.of(self.language)}",
            _WIDTH,
            break_long_words=False,
            break_on_hyphens=False,
        )
        text = "\n".join(lines)
        text = text if self.unicode else _language.ascii_only(text)
        sys.stderr.buffer.write(text.encode(errors="surrogateescape") + b"\n")
        raise SystemExit(_IMPOSSIBLE)

    def say(self, *lines: str) -> None:
        """Write lines, as they come: an experiment takes its time."""
        for line in lines:
            text = line if self.unicode else _language.ascii_only(line)
            # Whatever the interpreter thinks of its streams: the letters were chosen above.
            self._write(text.encode() + b"\n")

    def _write(self, text: bytes) -> None:
        try:
            sys.stdout.buffer.write(text)
            sys.stdout.buffer.flush()
        except OSError as error:
            # No word about what is left at the interpreter's end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            if isinstance(error, BrokenPipeError):
                # Who reads no further wants no more.
                raise SystemExit(_IMPOSSIBLE) from None
            self.fail(_NOT_SAID.format(error=error.strerror))

    def wrapped(self, text: str, indent: str = "    ") -> list[str]:
        """Return a text in lines of the terminal's width."""
        return wrapped(indent + text, self.width)


def main(arguments: Sequence[str]) -> int:
    """Run the experiments that the arguments name, or all; return the exit code."""
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _run(arguments: Sequence[str]) -> int:
    voice, options = _parsed(arguments)
    chosen = []
    for name in options.number or range(1, len(EXPERIMENTS) + 1):
        found = _chosen(str(name))
        if found is None:
            voice.fail(_NO_SUCH.format(name=name, last=len(EXPERIMENTS)))
        chosen.append(found)
    if options.list:
        _list(voice, chosen, as_json=options.json)
        return 0
    if options.save:
        _saving(voice, options.save, lambda: make(options.save))
    begin = time.monotonic()
    results = []
    for place, experiment in chosen:
        if not options.json:
            _announce(voice, place, experiment)
        outcome = _outcome(experiment)
        results.append((place, experiment, outcome))
        if not options.json:
            _tell(voice, outcome)
    seconds = time.monotonic() - begin
    saved: list[Path] = []
    if options.save:
        saved = _saving(voice, options.save, lambda: save(options.save, voice.language, results))
    held = sum(outcome.holds for _, _, outcome in results)
    if options.json:
        report = _report(voice.language, results, seconds, [str(path) for path in saved])
        voice.say(json.dumps(report, ensure_ascii=not voice.unicode))
    else:
        total = _ALL.format(held=held, all=len(results), seconds=seconds)
        voice.say(*voice.wrapped(total.of(voice.language), ""))
        if saved:
            voice.say(_SAVED.format(path=saved[-1]).of(voice.language))
    return 0 if held == len(results) else _FAILED


def _saving(voice: Voice, folder: Path, act: Callable[[], Any]) -> Any:
    try:
        return act()
    except OSError as error:
        voice.fail(_NOT_SAVED.format(folder=folder, error=error.strerror or error))


class _Parser(argparse.ArgumentParser):
    """One that leaves to others what is said of wrong arguments."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _parsed(arguments: Sequence[str]) -> tuple[Voice, argparse.Namespace]:
    environ = _language.at_start()
    language, unicode = _language.of_locale(environ), _language.is_unicode(environ)
    parser = _parser(language)
    try:
        options, unknown = parser.parse_known_args(arguments)
    except ValueError:
        Voice(language, unicode=unicode).fail(_WRONG)
    voice = Voice(options.lang or language, unicode=unicode and not options.ascii)
    if unknown:
        voice.fail(_NOT_HERE.format(what=unknown[0]))
    return voice, options


def _parser(language: str) -> _Parser:
    parser = _Parser(
        prog="tarefa tour",
        description=Text(
            "What a lesson says of programs, processes and threads, each statement as an"
            " experiment that runs here. Exit code 1: a statement does not hold here.",
            "O que uma lição diz de programas, processos e threads, cada afirmação como uma"
            " experiência que roda aqui. Código de saída 1: uma afirmação não vale aqui.",
        ).of(language),
    )
    parser.add_argument("number", nargs="*", metavar="N", help="only these, by number or name")
    parser.add_argument("--list", action="store_true", help="only say which there are")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="write SVG and one HTML page")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    parser.add_argument("--lang", choices=_language.LANGUAGES, help="English or Portuguese")
    parser.add_argument("--ascii", action="store_true", help=argparse.SUPPRESS)
    return parser


def _chosen(name: str) -> tuple[int, Experiment] | None:
    for place, experiment in enumerate(EXPERIMENTS, 1):
        if name in (str(place), experiment.key):
            return place, experiment
    return None


def _list(voice: Voice, chosen: Sequence[tuple[int, Experiment]], *, as_json: bool) -> None:
    if as_json:
        rows = [
            {"number": place, "name": it.key, "title": it.title.of(voice.language)}
            for place, it in chosen
        ]
        voice.say(json.dumps(rows, ensure_ascii=not voice.unicode))
        return
    for place, it in chosen:
        head, *rest = wrapped(" " * 18 + it.title.of(voice.language), voice.width)
        voice.say(f"{place:>2}  {it.key:<13} {head.lstrip()}", *rest)


def _announce(voice: Voice, place: int, experiment: Experiment) -> None:
    lesson = f"{_LESSON.of(voice.language)}: “{experiment.lesson.of(voice.language)}”"
    title, *rest = (line.strip() for line in voice.wrapped(experiment.title.of(voice.language)))
    if voice.unicode and sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        title, *rest = (f"\x1b[1m{line}\x1b[0m" for line in (title, *rest))
    voice.say(f"{place:>2}  {title}", *(f"    {line}" for line in rest), *voice.wrapped(lesson), "")


def _outcome(experiment: Experiment) -> Outcome:
    """Run it; what goes wrong is an outcome, too, and the tour goes on."""
    try:
        return experiment.measure()
    except Exception as error:
        said = _NOT_MEASURED.format(error=f"{type(error).__name__}: {error}")
        return Outcome(False, said, (), Table((Text("", ""),), ()), said)


def _tell(voice: Voice, outcome: Outcome) -> None:
    language = voice.language
    if outcome.figures:
        lines = outcome.picture.lines(language, voice.width - 4)
        voice.say(*(f"    {line}".rstrip() for line in lines), "")
        for figure in outcome.figures:
            room = min(_LABEL, voice.width - 21)
            *before, last = wrapped(figure.label.of(language), room)
            voice.say(*(f"    {line}" for line in before))
            voice.say(f"    {last:<{room}} {figure.shown(language):>16}")
        voice.say("", *voice.wrapped(outcome.sentence.of(language)))
    if outcome.holds:
        voice.say(f"    {_HOLDS.of(language)}", "")
    else:
        why = outcome.because or _UNKNOWN
        voice.say(*voice.wrapped(_FAILS.of(language).format(why=why.of(language))), "")


def _report(
    language: str,
    results: Sequence[tuple[int, Experiment, Outcome]],
    seconds: float,
    saved: Sequence[str],
) -> dict[str, Any]:
    return {
        "holds": all(outcome.holds for _, _, outcome in results),
        "seconds": round(seconds, 3),
        "saved": saved,
        "experiments": [
            {
                "number": place,
                "name": experiment.key,
                "title": experiment.title.of(language),
                "lesson": experiment.lesson.of(language),
                "holds": outcome.holds,
                "because": None
                if outcome.holds or outcome.because is None
                else outcome.because.of(language),
                "sentence": outcome.sentence.of(language),
                "figures": [_figure(figure, language) for figure in outcome.figures],
            }
            for place, experiment, outcome in results
        ],
    }


def _figure(figure: Figure, language: str) -> dict[str, Any]:
    return {
        "name": figure.key,
        "label": figure.label.of(language).strip(),
        "value": figure.value,
        "unit": figure.unit,
    }
