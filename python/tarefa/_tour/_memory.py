"""Whose memory it is: one list for threads, one each for processes; changes at the same time."""

from __future__ import annotations

from typing import Any

import tarefa
from tarefa._tour import _work
from tarefa._tour._experiment import Experiment, Figure, Outcome, cores, number
from tarefa._tour._language import Text
from tarefa._tour._picture import Bars

_TASKS, _EACH = 4, 1000
_ALL = _TASKS * _EACH


def _filled(kind: Any, numbers: Any) -> int:
    tasks = [kind(target=_work.fill, args=(numbers, _EACH)).start() for _ in range(_TASKS)]
    for task in tasks:
        task.result()
    return len(numbers)


def _lists() -> Outcome:
    plain_list: list[int] = []
    threads = _filled(tarefa.Thread, plain_list)
    processes = _filled(tarefa.Process, list(range(0)))
    shared = _filled(tarefa.Process, tarefa.List())
    rows = (
        ("threads", Text("threads, list", "threads, lista"), threads),
        ("processes", Text("processes, list", "processos, lista"), processes),
        ("shared", Text("processes, tarefa.List", "processos, tarefa.List"), shared),
    )
    return Outcome(
        holds=(threads, processes, shared) == (_ALL, 0, _ALL),
        sentence=Text(
            "Of {all} numbers that four tasks appended, {threads} were in the list of threads,"
            " {processes} in that of processes, and {shared} in the one that processes share.",
            "Dos {all} números que quatro tarefas acrescentaram, {threads} estavam na lista das"
            " threads, {processes} na dos processos, e {shared} na que os processos compartilham.",
        ).format(
            all=number(_ALL),
            threads=number(threads),
            processes=number(processes),
            shared=number(shared),
        ),
        figures=tuple(Figure(key, label, value) for key, label, value in rows),
        picture=Bars([(label, value) for _, label, value in rows], ""),
    )


LISTS = Experiment(
    "lists",
    Text("Threads see one list, processes do not", "Threads veem uma lista só, processos não"),
    Text(
        "In a program with several processes each has a memory space of its own.",
        "Em um programa com múltiplos processos, cada um tem seu próprio espaço de memória.",
    ),
    _lists,
)

_TIMES = 20_000
_ROUNDS = 20


def _counted(lock: Any) -> int:
    counter = tarefa.RawValue("q", 0)
    together = tarefa.Barrier(2)
    tasks = [
        tarefa.Process(target=_work.increase, args=(counter, _TIMES, lock, together)).start()
        for _ in range(2)
    ]
    for task in tasks:
        task.result()
    return counter.value


def _races() -> Outcome:
    wanted = 2 * _TIMES
    # By bad luck the two never meet; so there are some chances.
    unguarded = wanted
    for _ in range(_ROUNDS):
        unguarded = _counted(None)
        if unguarded != wanted:
            break
    guarded = _counted(tarefa.Lock())
    lost = wanted - unguarded
    return Outcome(
        holds=lost > 0 and guarded == wanted,
        sentence=Text(
            "Two processes counted to {wanted} in one shared number: without a lock they came to"
            " {unguarded}, so {lost} counts were lost; with a lock to {guarded}.",
            "Dois processos contaram até {wanted} num número compartilhado: sem trava chegaram a"
            " {unguarded}, ou seja, {lost} contagens se perderam; com a trava, a {guarded}.",
        ).format(
            wanted=number(wanted),
            unguarded=number(unguarded),
            lost=number(lost),
            guarded=number(guarded),
        ),
        figures=(
            Figure("wanted", Text("counts", "contagens"), wanted),
            Figure("unguarded", Text("without a lock", "sem trava"), unguarded),
            Figure("guarded", Text("with a lock", "com trava"), guarded),
            Figure("lost", Text("lost without it", "perdidas sem ela"), lost),
        ),
        picture=Bars(
            (
                (Text("counted", "contadas"), wanted),
                (Text("without a lock", "sem trava"), unguarded),
                (Text("with a lock", "com trava"), guarded),
            ),
            "",
        ),
        because=Text(
            f"the two never read and wrote at the same moment: seldom on few cores, and there"
            f" are {cores()} here",
            f"os dois nunca leram e escreveram no mesmo instante: raro com poucos núcleos, e aqui"
            f" há {cores()}",
        ),
    )


RACES = Experiment(
    "races",
    Text("An unguarded change loses counts", "Uma mudança sem trava perde contagens"),
    Text(
        "Without the lock of the GIL a simple assignment to a variable could make inconsistent"
        " data, if two threads assigned a value to one variable at the same time. [With processes]"
        " it is up to the programmer to see to the right access to the data.",
        "Sem a “trava” do GIL, uma operação simples de atribuição de variável poderia gerar um"
        " dado inconsistente caso duas threads atribuíssem um valor a uma mesma variável ao mesmo"
        " tempo. [Com processos] cabe ao programador garantir o acesso correto aos dados.",
    ),
    _races,
)
