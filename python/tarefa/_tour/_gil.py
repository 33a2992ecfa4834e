"""The global interpreter lock: threads that compute and threads that wait; a lock a process."""

from __future__ import annotations

import socket
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
from tarefa._tour._picture import Bars, Timeline

_ROUNDS = 1_000_000
_SECONDS = 0.3


def _gil() -> Outcome:
    barrier = tarefa.Barrier(2)
    tasks = [tarefa.Thread(target=_work.turns, args=(barrier, _SECONDS)).start() for _ in range(2)]
    rows = _work.from_start([task.result() for task in tasks], _SECONDS)
    together = _work.part_at_once(rows)
    alone = _work.timed(lambda: [_work.compute(_ROUNDS) for _ in range(2)])
    both = _work.timed(lambda: _all(tarefa.Thread, 2, _ROUNDS))
    speed_up = alone / both
    return Outcome(
        holds=together < 0.2,
        sentence=Text(
            "Two threads that compute ran at once for {part} of the time, and were done {speed}"
            " times as fast as one after the other: they take turns.",
            "Duas threads que calculam rodaram ao mesmo tempo em {part} do tempo, e terminaram"
            " {speed} vezes mais rápido que uma depois da outra: elas se revezam.",
        ).format(part=f"{together:.0%}", speed=number(speed_up)),
        figures=(
            Figure("gil", Text("locks of the interpreter", "travas do interpretador"), has_gil()),
            Figure(
                "together",
                Text("of the time two ran at once", "do tempo com duas ao mesmo tempo"),
                together * 100,
                "%",
            ),
            Figure("speed_up", Text("speed-up by two threads", "ganho com duas"), speed_up, "x"),
        ),
        picture=Timeline(
            [(Text(f"thread {i + 1}", f"thread {i + 1}"), row) for i, row in enumerate(rows)],
            _SECONDS,
        ),
        because=why_not_parallel() if has_gil() else WITHOUT_GIL,
    )


def _all(kind: Any, count: int, rounds: int) -> None:
    tasks = [kind(target=_work.compute, args=(rounds,)).start() for _ in range(count)]
    for task in tasks:
        task.result()


GIL = Experiment(
    "gil",
    Text("Threads that compute take turns", "Threads que calculam revezam-se"),
    Text(
        "Within one process the GIL lets only one thread run at a time, so they do not run in"
        " parallel, but concurrently.",
        "Para um mesmo processo, o GIL só permite executar uma thread de cada vez, ou seja, elas"
        " não executam de forma paralela, mas concorrentes.",
    ),
    _gil,
)

_CALL = 0.2  # seconds


def _own_gil() -> Outcome:
    # A call that never lets the interpreter's lock go: adding up happens in C.
    size = 1_000_000
    size = int(size * _CALL / _work.timed(lambda: sum(range(size))))
    seconds = 3 * _CALL
    all_here = tarefa.Barrier(3)
    other = tarefa.Process(target=_work.longest_pause, args=(all_here, seconds)).start()
    here = tarefa.Thread(target=_work.longest_pause, args=(all_here, seconds)).start()
    all_here.wait()
    tarefa.sleep(_CALL / 2)
    call = _work.timed(lambda: sum(range(size)))
    paused = {"thread": here.result(), "process": other.result()}
    return Outcome(
        holds=paused["thread"] > 0.7 * call and paused["process"] < 0.5 * call,
        sentence=Text(
            "While one call kept the lock for {call} ms, a thread of the same process stood still"
            " for {thread} ms, and another process for {process} ms.",
            "Enquanto uma chamada segurou a trava por {call} ms, uma thread do mesmo processo ficou"
            " parada {thread} ms, e outro processo {process} ms.",
        ).format(call=number(call * 1000), **{k: number(v * 1000) for k, v in paused.items()}),
        figures=(
            Figure("call", Text("the call", "a chamada"), call * 1000, "ms"),
            Figure(
                "thread",
                Text("longest pause of a thread", "maior pausa de uma thread"),
                paused["thread"] * 1000,
                "ms",
            ),
            Figure(
                "process",
                Text("longest pause of a process", "maior pausa de um processo"),
                paused["process"] * 1000,
                "ms",
            ),
        ),
        picture=Bars(
            (
                (Text("the call", "a chamada"), call * 1000),
                (Text("thread beside it", "thread ao lado"), paused["thread"] * 1000),
                (Text("process beside it", "processo ao lado"), paused["process"] * 1000),
            ),
            "ms",
        ),
        because=why_not_parallel() if has_gil() else WITHOUT_GIL,
    )


OWN_GIL = Experiment(
    "own-gil",
    Text("Each process has a lock of its own", "Cada processo tem a sua própria trava"),
    Text(
        "For processes it is different. For each of them there is a separate GIL, so they can run"
        " in parallel.",
        "Para os processos, por sua vez, o funcionamento é diferente. Para cada um, temos um GIL"
        " separado. Ou seja: podem ser executados paralelamente.",
    ),
    _own_gil,
)

_DOWNLOAD = 0.3  # seconds


def _serve(connection: socket.socket) -> None:
    """Send a file, after a while."""
    tarefa.sleep(_DOWNLOAD)
    connection.sendall(b"file")


def _redraw(until: Any) -> tuple[int, float]:
    """Draw every 10 ms until the download is there: how often, and the longest pause."""
    drawn, longest, last = 0, 0.0, _work.clock()
    while not until():
        tarefa.sleep(0.01)
        drawn += 1
        now = _work.clock()
        longest, last = max(longest, now - last), now
    return drawn, longest


def _downloading(in_thread: bool) -> tuple[int, float]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server = tarefa.Thread(target=_serve, args=(theirs,)).start()
        if in_thread:
            download = tarefa.Thread(target=ours.recv, args=(4,)).start()
            drawn = _redraw(lambda: not download.is_alive())
            download.result()
        else:
            drawn = 0, _work.timed(lambda: ours.recv(4))
        server.result()
    return drawn


def _waits(count: int) -> None:
    tasks = [tarefa.Thread(target=tarefa.sleep, args=(0.1,)).start() for _ in range(count)]
    for task in tasks:
        task.result()


def _waiting() -> Outcome:
    none, frozen = _downloading(in_thread=False)
    drawn, pause = _downloading(in_thread=True)
    count = 8
    together = _work.timed(lambda: _waits(count))
    return Outcome(
        holds=pause < frozen / 2 and drawn > 0 and together < 0.1 * count / 2,
        sentence=Text(
            "While a download of {ms} ms was waited for, the interface was drawn {none} times, and"
            " {drawn} times when a thread waited; {count} waits of 100 ms took {together} ms.",
            "Enquanto se esperava um download de {ms} ms, a interface foi desenhada {none} vezes, e"
            " {drawn} vezes quando uma thread esperou; {count} esperas de 100 ms levaram"
            " {together} ms.",
        ).format(
            ms=number(_DOWNLOAD * 1000),
            none=none,
            drawn=drawn,
            count=count,
            together=number(together * 1000),
        ),
        figures=(
            Figure(
                "frozen",
                Text("frozen without a thread", "congelada sem thread"),
                frozen * 1000,
                "ms",
            ),
            Figure(
                "pause", Text("longest pause with one", "maior pausa com uma"), pause * 1000, "ms"
            ),
            Figure(
                "together",
                Text(f"{count} waits of 100 ms", f"{count} esperas de 100 ms"),
                together * 1000,
                "ms",
            ),
        ),
        picture=Bars(
            (
                (Text("frozen without", "congelada sem"), frozen * 1000),
                (Text("longest pause with", "maior pausa com"), pause * 1000),
                (Text("waits, all together", "esperas, todas juntas"), together * 1000),
                (Text("waits, one by one", "esperas, uma a uma"), 100 * count),
            ),
            "ms",
        ),
        because=why_not_parallel(),
    )


WAITING = Experiment(
    "waiting",
    Text("Threads for what waits", "Threads para o que espera"),
    Text(
        "Usually we use threads for the graphical interface, access to databases and to the"
        " network, for the program cannot stop, nor the interface freeze, while we wait for a"
        " download, say.",
        "Normalmente, utilizamos thread para interface gráfica, acesso ao banco de dados, acesso à"
        " rede etc., pois o programa não pode parar, ou a interface congelar, enquanto esperamos"
        " baixar um arquivo, por exemplo.",
    ),
    _waiting,
)

_JOBS = 4


def _computing() -> Outcome:
    seconds = {"threads": 0.0, "processes": 0.0}
    gain = 0.0
    for _ in range(3):
        seconds = {
            "threads": _work.timed(lambda: _all(tarefa.Thread, _JOBS, _ROUNDS)),
            "processes": _work.timed(lambda: _all(tarefa.Process, _JOBS, _ROUNDS)),
        }
        gain = seconds["threads"] / seconds["processes"]
        if gain > 1.4:
            break
    return Outcome(
        holds=gain > 1.25,
        sentence=Text(
            "{jobs} computations took {threads} ms as threads and {processes} ms as processes:"
            " processes are {gain} times as fast.",
            "{jobs} cálculos levaram {threads} ms como threads e {processes} ms como processos:"
            " processos são {gain} vezes mais rápidos.",
        ).format(
            jobs=_JOBS, gain=number(gain), **{k: number(v * 1000) for k, v in seconds.items()}
        ),
        figures=(
            Figure("threads", Text("as threads", "como threads"), seconds["threads"] * 1000, "ms"),
            Figure(
                "processes",
                Text("as processes", "como processos"),
                seconds["processes"] * 1000,
                "ms",
            ),
            Figure("gain", Text("gain", "ganho"), gain, "x"),
        ),
        picture=Bars(
            (
                (Text("threads", "threads"), seconds["threads"] * 1000),
                (Text("processes", "processos"), seconds["processes"] * 1000),
            ),
            "ms",
        ),
        because=why_not_parallel() if has_gil() else WITHOUT_GIL,
    )


COMPUTING = Experiment(
    "computing",
    Text("Processes for what computes", "Processos para o que calcula"),
    Text(
        "When a program needs much of the processor and can be made parallel, we should choose to"
        " create several processes.",
        "Quando temos um programa que necessita muito dos recursos do processador e temos como"
        " paralelizar nosso programa, devemos optar pela criação de múltiplos processos.",
    ),
    _computing,
)
