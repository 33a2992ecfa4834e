"""What the private memory of an idle process consists of.

    python -m benches.idle_memory

An idle process is compared with the zygote that it was forked from, page by page: a page is its own
when it has written to it, or the zygote has, since the fork. Shown are the pages by mapping, and of
each how many have no counterpart in the zygote, differ from it, or hold byte for byte the same: the
last were written to and back, as a reference count is. Beside it a spare, which no task has run in.
"""

import os
import struct
import sys
from collections import Counter
from pathlib import Path

if not __package__:
    # Run as a file: modules in its folder have the names of some in the standard library.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

import tarefa
from benches.measure import machine, spares_ready, wait_until

PAGE = os.sysconf("SC_PAGE_SIZE")
# Of an entry of /proc/PID/pagemap.
PRESENT, FILE_OR_SHARED, EXCLUSIVE = 1 << 63, 1 << 61, 1 << 56
# So many bytes of a page differ at most where only counts of references have changed.
FEW = 64


def mappings(pid):
    """(first address, end, whether it may be written to, name) of each mapping."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, permissions, _, _, _, *name = line.split(maxsplit=5)
        first, end = (int(part, 16) for part in span.split("-"))
        yield first, end, "w" in permissions, name[0] if name else "anonymous"


def own_pages(pid):
    """The pages that the process shares with nobody: their addresses, their mappings' names."""
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for first, end, writable, name in mappings(pid):
            if not writable or end - first > 1 << 36:  # the arena, which all share
                continue
            pagemap.seek(first // PAGE * 8)
            data = pagemap.read((end - first) // PAGE * 8)
            for number, (entry,) in enumerate(struct.iter_unpack("<Q", data)):
                if entry & PRESENT and entry & EXCLUSIVE:
                    where = name if not entry & FILE_OR_SHARED else f"{name} (of a file)"
                    yield first + number * PAGE, where


def beside(address, mine, theirs):
    """How a page of an idle process compares with the zygote's."""
    try:
        other = os.pread(theirs, PAGE, address)
    except OSError:
        return "new"
    page = os.pread(mine, PAGE, address)
    if len(other) < PAGE:
        return "new"
    if page == other:
        return "the same"
    differing = sum(a != b for a, b in zip(page, other, strict=True))
    return f"up to {FEW} bytes" if differing <= FEW else "more"


def profile(pid, zygote):
    """Pages of its own, by mapping and by what is in them."""
    found = Counter()
    mine = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    theirs = os.open(f"/proc/{zygote}/mem", os.O_RDONLY)
    try:
        for address, name in own_pages(pid):
            found[os.path.basename(name), beside(address, mine, theirs)] += 1
    finally:
        os.close(mine)
        os.close(theirs)
    return found


KINDS = ("new", "more", f"up to {FEW} bytes", "the same")


def show(title, found):
    total = sum(found.values())
    print(f"{title}: {total} pages, {total * PAGE / (1 << 20):.2f} MiB")
    by_mapping = Counter()
    for (name, _), count in found.items():
        by_mapping[name] += count
    print(f"  {'':32}{'pages':>8}" + "".join(f"{kind:>16}" for kind in KINDS))
    rows = [(name, [found[name, kind] for kind in KINDS]) for name, _ in by_mapping.most_common()]
    rows.append(("together", [sum(row[1][i] for row in rows) for i in range(len(KINDS))]))
    for name, counts in rows:
        print(f"  {name[:31]:32}{sum(counts):>8}" + "".join(f"{count:>16}" for count in counts))


def idle(ready, go):
    ready.set()
    go.wait()


def main():
    tarefa.Process(target=int).start().join()
    wait_until(spares_ready(1))
    tarefa.Event().wait(1.0)  # the zygote has rehearsed, and its spares are warm
    ready, go = tarefa.Event(), tarefa.Event()
    task = tarefa.Process(target=idle, args=(ready, go)).start()
    ready.wait()
    tarefa.Event().wait(0.5)
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{task.pid}/status").read_text().splitlines()
    )
    zygote = int(status["PPid"])
    children = Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()
    print(machine())
    show("a process that waits for an event", profile(task.pid, zygote))
    spare = next((int(pid) for pid in children if int(pid) != task.pid), None)
    if spare is not None:
        show("a spare", profile(spare, zygote))
    go.set()
    task.join()


if __name__ == "__main__":
    main()
