"""Work that waits and work that computes: which workers are faster, and what ``auto`` chooses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tarefa
from tarefa._tour import _work
from tarefa._tour._experiment import (
    WITHOUT_GIL,
    Experiment,
    Figure,
    Outcome,
    has_gil,
    number,
    why_not_parallel,
)
from tarefa._tour._language import Text
from tarefa._tour._picture import Bars

_TASKS = 40
_WAIT = 0.01  # seconds
_ROUNDS = 200_000
_TRIES = 3

_CHOICES = {
    "caller": Text("one thread", "uma thread"),
    "threads": Text("threads", "threads"),
    "processes": Text("processes", "processos"),
}
_OPEN = Text("nothing yet", "nada ainda")


def _mapped(kind: str, function: Callable[[Any], object], value: float) -> tuple[float, str | None]:
    """How long a map takes with a pool of that kind; what that chose."""
    with tarefa.Pool(2, kind) as pool:
        seconds = _work.timed(lambda: list(pool.map(function, [value] * _TASKS)))
        return seconds, pool.explain().choice


def _kinds(function: Callable[[Any], object], value: float) -> tuple[dict[str, float], str | None]:
    """The same with each kind."""
    seconds: dict[str, float] = {}
    choice = None
    for kind in ("thread", "process", "auto"):
        seconds[kind], choice = _mapped(kind, function, value)
    return seconds, choice


def _choosing() -> Outcome:
    waits, computes = dict[str, float](), dict[str, float]()
    of_waits = of_computes = None
    for _ in range(_TRIES):
        waits, of_waits = _kinds(_work.rest, _WAIT)
        computes, of_computes = _kinds(_work.compute, _ROUNDS)
        if (of_waits, of_computes) == ("threads", "processes"):
            break
    rows = {"waits": waits, "computes": computes}
    words = {
        "waits": Text("waits", "espera"),
        "computes": Text("computes", "calcula"),
        "thread": Text("threads", "threads"),
        "process": Text("processes", "processos"),
        "auto": Text("auto", "auto"),
    }
    labels = {
        (work, kind): Text(
            f"{words[work].en}, {words[kind].en}", f"{words[work].pt}, {words[kind].pt}"
        )
        for work in rows
        for kind in waits
    }
    chosen = {"w": _CHOICES.get(of_waits or "", _OPEN), "c": _CHOICES.get(of_computes or "", _OPEN)}
    numbers = {
        f"{work}_{kind}": number(value * 1000)
        for work, row in rows.items()
        for kind, value in row.items()
    }
    said = Text(
        "For work that waits `auto` chose {w} and took {waits_auto} ms (threads {waits_thread},"
        " processes {waits_process}); for work that computes it chose {c} and took"
        " {computes_auto} ms (threads {computes_thread}, processes {computes_process}).",
        "Para o trabalho que espera, `auto` escolheu {w} e levou {waits_auto} ms (threads"
        " {waits_thread}, processos {waits_process}); para o que calcula, escolheu {c} e levou"
        " {computes_auto} ms (threads {computes_thread}, processos {computes_process}).",
    )
    english = said.format(w=chosen["w"].en, c=chosen["c"].en, **numbers)
    portuguese = said.format(w=chosen["w"].pt, c=chosen["c"].pt, **numbers)
    return Outcome(
        holds=(of_waits, of_computes) == ("threads", "processes"),
        sentence=Text(english.en, portuguese.pt),
        figures=tuple(
            Figure(f"{work}_{kind}", labels[work, kind], value * 1000, "ms")
            for work, row in rows.items()
            for kind, value in row.items()
        ),
        picture=Bars(
            [
                (labels[work, kind], value * 1000)
                for work, row in rows.items()
                for kind, value in row.items()
            ],
            "ms",
        ),
        because=why_not_parallel() if has_gil() else WITHOUT_GIL,
    )


CHOOSING = Experiment(
    "choosing",
    Text(
        "What waits, what computes: `auto` chooses", "O que espera, o que calcula: `auto` escolhe"
    ),
    Text(
        "Several processes can run in parallel, while several threads (of one process) can run"
        " concurrently.",
        "Múltiplos processos podem rodar em paralelo, enquanto múltiplas threads (de um mesmo"
        " processo) podem rodar concorrentemente.",
    ),
    _choosing,
)
