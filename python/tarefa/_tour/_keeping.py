"""Tasks in a list: their author keeps them, looks at them, interrupts them, joins them."""

from __future__ import annotations

from typing import Any

import tarefa
from tarefa._tour import _work
from tarefa._tour._experiment import Experiment, Figure, Outcome, number
from tarefa._tour._language import Text
from tarefa._tour._picture import Bars, Table


def _interrupting() -> Outcome:
    kinds = (tarefa.Thread, tarefa.Thread, tarefa.Process, tarefa.Process)
    tarefas = [kind(target=_work.work_for_long).start() for kind in kinds]
    running = tarefa.State.RUNNING
    # What has started but not run yet is to be seen running.
    end = _work.clock() + 10
    while _work.clock() < end and any(t.state is not running for t in tarefas):
        tarefa.sleep(0.005)
    before = [task.state for task in tarefas]
    begin = _work.clock()
    for task in tarefas:
        task.interrupt()
    for task in tarefas:
        task.join()
    seconds = _work.clock() - begin
    after = [task.state for task in tarefas]
    for task in tarefas:
        task.exception()
    kind = {tarefa.Thread: Text("thread", "thread"), tarefa.Process: Text("process", "processo")}
    return Outcome(
        holds=before == [running] * len(kinds) and after == [tarefa.State.INTERRUPTED] * len(kinds),
        sentence=Text(
            "Four tasks that would have worked for an hour were kept in a list, seen {before},"
            " interrupted, and joined {ms} ms later.",
            "Quatro tarefas que trabalhariam uma hora foram guardadas numa lista, vistas"
            " {before}, interrompidas, e aguardadas até o fim em {ms} ms.",
        ).format(before=before[0].name, ms=number(seconds * 1000)),
        figures=(
            Figure("tasks", Text("tasks", "tarefas"), len(tarefas)),
            Figure(
                "joined",
                Text("interrupted and joined in", "interrompidas e aguardadas em"),
                seconds * 1000,
                "ms",
            ),
        ),
        picture=Table(
            (
                Text("task", "tarefa"),
                Text("looked at", "vista"),
                Text("interrupted, joined", "interrompida, aguardada"),
            ),
            [
                (kind[k], was.name, is_.name)
                for k, was, is_ in zip(kinds, before, after, strict=True)
            ],
        ),
    )


INTERRUPTING = Experiment(
    "interrupting",
    Text("Keep, look at, interrupt, join", "Guardar, ver, interromper, aguardar"),
    Text(
        "It is up to the programmer to keep a reference to the threads or processes, so that we"
        " can look at their state or interrupt them. For that we keep each one in a list called"
        " tarefas.",
        "É função do programador armazenar uma referência para as suas threads ou processos, de"
        " maneira que possamos verificar seu estado ou interrompê-las. Para isso, armazenamos cada"
        " thread ou processo criado em uma lista chamada tarefas.",
    ),
    _interrupting,
)

_TASKS, _EACH = 3, 20


def _counting() -> Outcome:
    counts: list[tuple[str, Text, int]] = []
    kinds: tuple[tuple[Any, Text], ...] = (
        (tarefa.Thread, Text("threads", "threads")),
        (tarefa.Process, Text("processes", "processos")),
    )
    for make, label in kinds:
        minha_lista: tarefa.List[int] = tarefa.List()
        tarefas = [
            make(target=_work.fill, args=(minha_lista, _EACH, 0.005)).start() for _ in range(_TASKS)
        ]
        before = len(minha_lista)
        for task in tarefas:
            task.join()
        after = len(minha_lista)
        for task in tarefas:
            task.result()
        name = label.en
        counts += [
            (f"{name}_before", Text(f"{name}, before join", f"{label.pt}, antes"), before),
            (f"{name}_after", Text(f"{name}, after join", f"{label.pt}, depois"), after),
        ]
    numbers = {key: value for key, _, value in counts}
    wanted = _TASKS * _EACH
    return Outcome(
        holds=numbers["threads_after"] == numbers["processes_after"] == wanted
        and numbers["threads_before"] < wanted
        and numbers["processes_before"] < wanted,
        sentence=Text(
            "Right after the start the list had {threads_before} items with threads and"
            " {processes_before} with processes; after join() it had {threads_after} and"
            " {processes_after}.",
            "Logo após a criação, a lista tinha {threads_before} itens com threads e"
            " {processes_before} com processos; depois de join(), {threads_after} e"
            " {processes_after}.",
        ).format(**numbers),
        figures=tuple(Figure(key, label, value) for key, label, value in counts),
        picture=Bars([(label, value) for _, label, value in counts], ""),
        because=Text(
            "the tasks were done before the list was looked at: this program was off its core for"
            " longer than they took",
            "as tarefas terminaram antes de a lista ser vista: este programa ficou fora do núcleo"
            " por mais tempo do que elas levaram",
        ),
    )


COUNTING = Experiment(
    "counting",
    Text("Count, join, count", "Contar, aguardar, contar"),
    Text(
        "Right after creating the threads or processes we print the number of items of"
        " minha_lista; wait for the end of the threads or processes by join(); and print the final"
        " number of items.",
        "Logo após a criação das threads ou processos, vamos imprimir o número de itens na"
        " variável minha_lista; aguardar o término da execução utilizando o método join(); e, por"
        " fim, imprimimos o número de itens final.",
    ),
    _counting,
)
