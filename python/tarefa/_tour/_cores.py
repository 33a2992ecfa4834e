"""Concurrency and parallelism: tasks on one core, and on two."""

from __future__ import annotations

import os
import time

import tarefa
from tarefa._tour import _work
from tarefa._tour._experiment import (
    Experiment,
    Figure,
    Outcome,
    cores,
    number,
    why_not_parallel,
)
from tarefa._tour._language import Text
from tarefa._tour._picture import Timeline

_SECONDS = 0.4


def _timeline(count: int, core: int | None) -> tuple[list[list[_work.Span]], str]:
    """Return when each of so many processes was on a core, from one moment on; and who says so."""
    together = tarefa.Barrier(count)
    with tarefa.timeline() as recording:
        tasks = [
            tarefa.Process(target=_work.turns, args=(together, _SECONDS, core)).start()
            for _ in range(count)
        ]
        seen = [task.result() for task in tasks]
    timeline = recording.timeline()
    start = min(row[0][0] for row in seen)
    rows = []
    for task in tasks:
        spans = [(on.start, on.end) for on in timeline.on_core if on.thread == task.pid]
        inside = [(max(a, start), b) for a, b in spans if b > start and a < start + _SECONDS]
        if not inside:
            # A system that does not say when: what each has seen of the clock itself.
            return _work.from_start(seen, _SECONDS), "unknown"
        rows.append(_work.joined(inside))
    return _work.from_start(rows, _SECONDS), timeline.on_core_source


def _told(sentence: Text, source: str) -> Text:
    """Return the sentence, with how it is known when they were on a core."""
    how = {
        "kernel": Text(" The kernel told each switch.", " O kernel contou cada troca."),
        "unknown": Text("", ""),
    }.get(source, Text(" The times are sampled.", " Os tempos são de amostras."))
    return Text(sentence.en + how.en, sentence.pt + how.pt)


def _picture(rows: list[list[_work.Span]]) -> Timeline:
    labels = [Text(f"process {i + 1}", f"processo {i + 1}") for i in range(len(rows))]
    return Timeline(list(zip(labels, rows, strict=True)), _SECONDS)


def _concurrency() -> Outcome:
    core = min(os.sched_getaffinity(0))
    rows, source = _timeline(3, core)
    _, several = _work.at_once(rows)
    together = several / _SECONDS
    turns = [len(row) for row in rows]
    shares = [sum(b - a for a, b in row) / _SECONDS for row in rows]
    return Outcome(
        holds=min(turns) >= 2 and together < 0.1,
        sentence=_told(
            Text(
                "Three processes on core {core} took {turns} turns in {ms} ms, and had it for"
                " {shares} of the time: all got on, one at a time.",
                "Três processos no núcleo {core} revezaram-se {turns} vezes em {ms} ms, e o tiveram"
                " por {shares} do tempo: todos avançaram, um de cada vez.",
            ).format(
                core=core,
                turns=sum(turns),
                ms=number(_SECONDS * 1000),
                shares=", ".join(f"{share:.0%}" for share in shares),
            ),
            source,
        ),
        figures=(
            Figure("turns", Text("turns", "vezes"), sum(turns)),
            Figure(
                "together",
                Text("of the time two ran at once", "do tempo com dois ao mesmo tempo"),
                together * 100,
                "%",
            ),
        ),
        picture=_picture(rows),
        because=Text(
            "the system gave one of them no turn in that time: other programs may have had the"
            " core, or a cgroup grants little of it",
            "o sistema não deu vez a um deles nesse tempo: outros programas podem ter ocupado o"
            " núcleo, ou um cgroup concede pouco dele",
        ),
    )


CONCURRENCY = Experiment(
    "concurrency",
    Text("Many tasks on one core take turns", "Muitas tarefas num núcleo revezam-se"),
    Text(
        "Concurrency can be had even on processors of one core only, for it lets the processor be"
        " shared so that several processes run.",
        "Ela pode ser alcançada mesmo em processadores de apenas um núcleo, pois permite"
        " compartilhar o processador de forma a rodar vários processos.",
    ),
    _concurrency,
)

_ROUNDS = 1_500_000


def _parallelism() -> Outcome:
    # The best of three: others may have the cores for a while.
    (rows, source), part = _timeline(2, None), 0.0
    for again in range(3):
        tried, how = (rows, source) if not again else _timeline(2, None)
        if _work.part_at_once(tried) >= part:
            rows, source, part = tried, how, _work.part_at_once(tried)
        if part > 0.5:
            break
    speed_up = 0.0
    for _ in range(3):
        alone, both = _one_after_another(), _at_once()
        speed_up = max(speed_up, alone / both)
        if speed_up > 1.5:
            break
        time.sleep(0.1)
    return Outcome(
        holds=speed_up > 1.3 and part > 0.1,
        sentence=_told(
            Text(
                "Two processes ran at once for {part} of the time that either ran, and were done"
                " {speed} times as fast as one after the other.",
                "Dois processos rodaram ao mesmo tempo em {part} do tempo, e terminaram {speed}"
                " vezes mais rápido que um depois do outro.",
            ).format(part=f"{part:.0%}", speed=number(speed_up)),
            source,
        ),
        figures=(
            Figure("cores", Text("cores", "núcleos"), cores()),
            Figure(
                "together",
                Text("of the time two ran at once", "do tempo com dois ao mesmo tempo"),
                part * 100,
                "%",
            ),
            Figure("speed_up", Text("speed-up by two", "ganho com dois"), speed_up, "x"),
        ),
        picture=_picture(rows),
        because=why_not_parallel(),
    )


def _one_after_another() -> float:
    """Return how long two processes compute, each for itself; starting them does not count."""
    spans = [_computing().result() for _ in range(2)]
    return sum(end - begin for begin, end in spans)


def _at_once() -> float:
    """Return how long it takes until two have computed that begin together."""
    begin = _work.clock() + 0.05
    spans = [task.result() for task in [_computing(begin), _computing(begin)]]
    return max(end for _, end in spans) - min(begin for begin, _ in spans)


def _computing(begin: float = 0.0) -> tarefa.Process[_work.Span]:
    return tarefa.Process(target=_work.computing, args=(_ROUNDS, begin)).start()


PARALLELISM = Experiment(
    "parallelism",
    Text("On two cores they run at once", "Em dois núcleos rodam ao mesmo tempo"),
    Text(
        "Parallelism is a technique that lets programs run faster, by doing several operations at"
        " the same time. It needs several machines, or a processor with more than one core.",
        "O paralelismo é uma técnica para permitir que programas rodem mais rápido, executando"
        " várias operações ao mesmo tempo. Ela requer várias máquinas ou um processador com mais"
        " de um núcleo.",
    ),
    _parallelism,
)
