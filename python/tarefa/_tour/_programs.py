"""Programs and processes: one program run twice, and how a process changes while it runs."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from itertools import pairwise

import tarefa
from tarefa._tour import _work
from tarefa._tour._experiment import Experiment, Figure, Outcome, why_not_parallel
from tarefa._tour._language import Text
from tarefa._tour._picture import Table, Timeline

# The program that is run twice. What it is told becomes its data.
_PROGRAM = """
import json, os, sys
numbers = [int(word) for word in sys.argv[1:]]
total = 0
for number in numbers:
    total += number
print(json.dumps({"pid": os.getpid(), "numbers": numbers, "total": total, "parent": os.getppid()}))
"""


def _program() -> Outcome:
    argv = [sys.executable, "-I", "-S", "-c", _PROGRAM]
    given = (("1", "2", "3"), ("40", "50", "60"))
    tasks = [
        tarefa.Process(target=tarefa.Program(*argv, *numbers, capture=True, check=True)).start()
        for numbers in given
    ]
    runs = [json.loads(task.result().stdout) for task in tasks]
    pids = {run["pid"] for run in runs}
    totals = [run["total"] for run in runs]
    rows = [
        (f"{run['pid']}", " ".join(map(str, run["numbers"])), f"{run['total']}") for run in runs
    ]
    return Outcome(
        holds=len(pids) == 2 and totals == [6, 150],
        sentence=Text(
            "One program of {size} bytes, run twice, made processes {a} and {b}; each had a list"
            " of its own, and came to {x} and {y}.",
            "Um programa de {size} bytes, executado duas vezes, gerou os processos {a} e {b}; cada"
            " um teve a sua própria lista, e chegou a {x} e {y}.",
        ).format(size=len(_PROGRAM), a=runs[0]["pid"], b=runs[1]["pid"], x=totals[0], y=totals[1]),
        figures=(
            Figure("programs", Text("programs", "programas"), 1),
            Figure("processes", Text("processes", "processos"), len(pids)),
        ),
        picture=Table(
            (Text("process", "processo"), Text("data", "dados"), Text("total", "total")), rows
        ),
    )


PROGRAM = Experiment(
    "program",
    Text("A program run twice is two processes", "Um programa executado duas vezes"),
    Text(
        "The same program run more than once makes different processes, whose data and moment of"
        " execution (context) differ, too.",
        "O mesmo programa executado mais de uma vez gera processos diferentes, que contêm dados e"
        " momento de execução (contexto) também diferentes.",
    ),
    _program,
)

_PHASE = 0.15
_STATES = (
    ("S", Text("it waits", "espera")),
    ("R", Text("it runs", "roda")),
    ("T", Text("it is stopped", "está parado")),
)


def _letter(pid: int) -> str:
    """Return the kernel's letter for how the process is, as `ps` shows it."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[0].decode()


def _states() -> Outcome:
    task = tarefa.Process(target=_work.phases, args=(_PHASE,))
    seen = [task.state]
    begin = _work.clock()
    task.start()
    looks: list[tuple[float, str]] = []
    pid = task.pid or 0
    stopped_at = None
    while task.is_alive():
        at = _work.clock() - begin
        try:
            looks.append((at, _letter(pid)))
        except (FileNotFoundError, ProcessLookupError):
            break
        seen.append(task.state)
        # Somebody else may stop a process, and have it go on.
        if stopped_at is None and at > 2.5 * _PHASE:
            stopped_at = at
            os.kill(pid, signal.SIGSTOP)
        elif stopped_at is not None and at - stopped_at > _PHASE:
            os.kill(pid, signal.SIGCONT)
        time.sleep(0.004)
    task.join()
    seen.append(task.state)
    total = _work.clock() - begin
    ends = [at for at, _ in looks[1:]] + [total]
    rows = [
        (
            Text(f"{label.en} ({letter})", f"{label.pt} ({letter})"),
            [(a, b) for (a, state), b in zip(looks, ends, strict=True) if _is(state, letter)],
        )
        for letter, label in _STATES
    ]
    times = {letter: sum(b - a for a, b in rows[i][1]) for i, (letter, _) in enumerate(_STATES)}
    changes = sum(a[1] != b[1] for a, b in pairwise(looks))
    own = list(dict.fromkeys(seen))
    return Outcome(
        holds=all(times.values())
        and own[0] is tarefa.State.NEW
        and own[-1] is tarefa.State.FINISHED,
        sentence=Text(
            "Seen from outside, process {pid} waited, ran and was stopped, in {changes} changes;"
            " to its author it was {own}.",
            "Visto de fora, o processo {pid} esperou, rodou e ficou parado, em {changes} mudanças;"
            " para o seu autor, esteve {own}.",
        ).format(pid=pid, changes=changes, own=", ".join(state.name for state in own)),
        figures=(
            Figure("changes", Text("changes of state", "mudanças de estado"), changes),
            *(Figure(letter, label, times[letter] * 1000, "ms") for letter, label in _STATES),
        ),
        picture=Timeline(rows, total),
        because=why_not_parallel(),
    )


def _is(state: str, letter: str) -> bool:
    # D is a wait that nothing interrupts.
    return {"D": "S", "I": "S", "t": "T"}.get(state, state) == letter


STATES = Experiment(
    "states",
    Text("The state of a process changes", "O estado de um processo muda"),
    Text(
        "The process is dynamic and lives for a short time. While it runs, its state changes. It"
        " consists of code, data and context.",
        "O processo é dinâmico e tem uma vida curta. Ao longo da sua execução, tem seu estado"
        " alterado. Ele é composto por código, dados e contexto.",
    ),
    _states,
)
