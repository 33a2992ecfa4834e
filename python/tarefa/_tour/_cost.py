"""What a thread costs and what a process: time to start it, and memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from typing import Any

import tarefa
from tarefa._tour import _work
from tarefa._tour._experiment import Experiment, Figure, Outcome, number
from tarefa._tour._language import Text
from tarefa._tour._picture import Bars

# In an interpreter of its own, so that what it measures has nothing of tarefa in it.
_STANDARD = """
import json, multiprocessing, os, statistics, threading, time

def started(make, count):
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        task = make()
        task.start()
        task.join()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)

def private(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        lines = [line.split() for line in file if line.startswith("Private_")]
    return sum(int(words[1]) for words in lines) * 1024

def threads(count):
    done = threading.Event()
    before = private("self")
    kept = [threading.Thread(target=done.wait) for _ in range(count)]
    for thread in kept:
        thread.start()
    memory = (private("self") - before) / count
    done.set()
    for thread in kept:
        thread.join()
    return memory

def process(method):
    context = multiprocessing.get_context(method)
    task = context.Process(target=time.sleep, args=(60,), daemon=True)
    task.start()
    memory = last = 0
    for _ in range(100):
        time.sleep(0.02)
        memory = private(task.pid)
        if memory == last:
            break
        last = memory
    task.kill()
    task.join()
    return memory

found = {"thread": started(lambda: threading.Thread(target=os.getpid), 100)}
found["thread_memory"] = threads(30)
for method, count in ("fork", 20), ("forkserver", 10), ("spawn", 4):
    context = multiprocessing.get_context(method)
    make = lambda: context.Process(target=os.getpid)
    started(make, 1)
    found[method] = started(make, count)
found["process_memory"] = process("spawn")
found["fork_memory"] = process("fork")
print(json.dumps(found))
"""


def _started(kind: Any, count: int) -> float:
    def once() -> float:
        return _work.timed(lambda: kind(target=_work.compute, args=(1,)).start().join())

    once()
    return statistics.median(once() for _ in range(count))


def _private(pid: int | str) -> int:
    """Return the bytes that only this process has."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        lines = [line.split() for line in file if line.startswith("Private_")]
    return sum(int(words[1]) for words in lines) * 1024


def _settled(pid: int | str) -> int:
    """Return the same, once it does not change any more."""
    last = -1
    for _ in range(100):
        now = _private(pid)
        if now == last:
            break
        last = now
        tarefa.sleep(0.02)
    return last


def _memory() -> tuple[float, float]:
    """Return what a thread of ours costs, and a process."""
    done = tarefa.Event()
    count = 30
    before = _settled("self")
    threads = [tarefa.Thread(target=_work.wait_for, args=(done,)).start() for _ in range(count)]
    thread = max(0, _settled("self") - before) / count
    process = tarefa.Process(target=_work.wait_for, args=(done,)).start()
    private = _settled(process.pid or 0)
    done.set()
    for task in [*threads, process]:
        task.join()
    return thread, float(private)


def _cost() -> Outcome:
    command = [sys.executable, "-I", "-W", "ignore", "-c", _STANDARD]
    done = subprocess.run(command, check=True, capture_output=True, timeout=60)
    standard: dict[str, float] = json.loads(done.stdout)
    ours = {"thread": _started(tarefa.Thread, 100), "process": _started(tarefa.Process, 30)}
    thread_memory, process_memory = _memory()
    times = (
        ("threading", Text("threading.Thread", "threading.Thread"), standard["thread"]),
        ("tarefa_thread", Text("tarefa.Thread", "tarefa.Thread"), ours["thread"]),
        ("tarefa_process", Text("tarefa.Process", "tarefa.Process"), ours["process"]),
        ("fork", Text("multiprocessing fork", "multiprocessing fork"), standard["fork"]),
        ("forkserver", Text("  forkserver", "  forkserver"), standard["forkserver"]),
        ("spawn", Text("  spawn", "  spawn"), standard["spawn"]),
    )
    memory = (
        ("threading_memory", "threading.Thread", standard["thread_memory"]),
        ("tarefa_thread_memory", "tarefa.Thread", thread_memory),
        ("tarefa_process_memory", "tarefa.Process", process_memory),
        ("fork_memory", "multiprocessing fork", standard["fork_memory"]),
        ("spawn_memory", "multiprocessing spawn", standard["process_memory"]),
    )
    mib = 1024 * 1024
    slower = standard["fork"] / standard["thread"]
    return Outcome(
        holds=all(standard["thread"] < standard[m] for m in ("fork", "forkserver", "spawn"))
        and ours["thread"] < ours["process"]
        and standard["thread_memory"] < standard["fork_memory"]
        and thread_memory < process_memory,
        sentence=Text(
            "A thread is there and gone in {thread} µs, a process of multiprocessing in {fork} to"
            " {spawn} µs, at least {slower} times as long, and one of tarefa in {ours} µs; a thread"
            " has {little} MiB for itself, a process {much} MiB and more.",
            "Uma thread começa e termina em {thread} µs, um processo de multiprocessing em {fork} a"
            " {spawn} µs, pelo menos {slower} vezes mais, e um de tarefa em {ours} µs; uma thread"
            " tem {little} MiB só para si, um processo {much} MiB ou mais.",
        ).format(
            thread=number(standard["thread"] * 1e6),
            fork=number(standard["fork"] * 1e6),
            spawn=number(standard["spawn"] * 1e6),
            slower=number(slower),
            ours=number(ours["process"] * 1e6),
            little=number(standard["thread_memory"] / mib),
            much=number(min(standard["fork_memory"], process_memory) / mib),
        ),
        figures=(
            *(Figure(key, label, value * 1e6, "µs") for key, label, value in times),
            *(
                Figure(key, Text(f"memory: {name}", f"memória: {name}"), value / mib, "MiB")
                for key, name, value in memory
            ),
        ),
        picture=Bars([(label, value * 1e6) for _, label, value in times], "µs"),
        because=Text(
            "the times are medians of a few starts, and other programs may have had the cores"
            " during some of them",
            "os tempos são medianas de poucas criações, e outros programas podem ter ocupado os"
            " núcleos durante algumas delas",
        ),
    )


COST = Experiment(
    "cost",
    Text("What a thread costs, and a process", "Quanto custam uma thread e um processo"),
    Text(
        "Creating new processes can be slow and use much memory, while creating threads is faster"
        " and uses less memory.",
        "Criar novos processos pode ser lento e consumir muita memória, enquanto a criação de"
        " threads é mais rápida e consome menos memória.",
    ),
    _cost,
)
