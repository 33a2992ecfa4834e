"""What this process owns at one moment, and what it owns more at a later one."""

import contextlib
import gc
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import tarefa


@dataclass(frozen=True)
class Belongings:
    children: frozenset
    descriptors: Counter
    runtime_processes: int
    task_processes: int
    objects: int

    @classmethod
    def now(cls):
        tarefa.active_tasks()  # lets go of those that have ended and were never joined
        gc.collect()
        known = tarefa._engine.diagnostics()
        return cls(
            children=frozenset(children_of(os.getpid())) - frozenset(known["pids"]),
            descriptors=Counter(descriptors()),
            runtime_processes=len(known["pids"]),
            task_processes=known["task_processes"],
            objects=known["objects"],
        )


def describe_surplus(before, after):
    """Say what `after` has more than `before`; empty when it has nothing more."""
    found = []
    if new := after.children - before.children:
        found.append(f"child processes {sorted(new)}")
    if after.task_processes > before.task_processes:
        found.append(f"{after.task_processes - before.task_processes} task processes")
    if after.objects > before.objects:
        found.append(f"{after.objects - before.objects} shared objects")
    # The runtime watches each of its processes by one pidfd, and its spares come and go. One that
    # had just come before may not have been watched yet.
    watched = min(before.runtime_processes, before.descriptors[PIDFD])
    allowed = Counter({PIDFD: max(0, after.runtime_processes - watched)})
    if surplus := after.descriptors - before.descriptors - allowed:
        found.append(f"descriptors {dict(surplus)}")
    return "; ".join(found)


PIDFD = "anon_inode:[pidfd]"


def descriptors():
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue  # the descriptor that listed the directory
        yield re.sub(r":\[\d+\]$", "", target)


def own_descriptors():
    """The same, sorted, but for those by which the runtime watches its processes."""
    return sorted(name for name in descriptors() if name != PIDFD)


def children_of(parent):
    """Pids of the direct children of `parent`, zombies too."""
    threads = Path(f"/proc/{parent}/task")
    if Path(f"/proc/{parent}/task/{parent}/children").exists():
        for thread in threads.iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                yield from map(int, (thread / "children").read_text().split())
        return
    # A kernel without CONFIG_PROC_CHILDREN.
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(stat.rpartition(")")[2].split()[1]) == parent:
                yield int(entry.name)
