"""Coroutines that wait, in reports of who waits for whom."""

import asyncio
import json
import os
import re
import subprocess
import sys
import sysconfig
import textwrap
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from support import run

import tarefa

COMMAND = str(Path(sysconfig.get_path("scripts"), "tarefa"))


def hold(go):
    go.wait()


def take(lock, ready):
    ready.set()
    with lock:
        pass


async def gets(queue, _):
    await queue.aget()


async def puts(_, go):
    full = tarefa.Queue(1)
    full.put(0)
    await full.aput(1)


async def joins(_, go):
    task = tarefa.Process(target=hold, args=(go,), name="held").start()
    await task


async def joins_thread(_, go):
    await tarefa.Thread(target=hold, args=(go,), name="held").start()


async def runs(_, go):
    await tarefa.run(hold, go, name="held")


async def groups(_, go):
    async with tarefa.TaskGroup() as group:
        for name in ("held", "too"):
            group.start(tarefa.Process(target=hold, args=(go,), name=name))


async def calls(_, go):
    with tarefa.Pool(1) as pool:
        await pool.run(hold, go)


async def calls_thread(_, go):
    with tarefa.Pool(1, kind="thread") as pool:
        await pool.run(hold, go)


async def maps(_, go):
    with tarefa.Pool(1) as pool:
        async for _ in pool.amap(hold, [go]):
            pass


async def limited(queue, _):
    # Since Python 3.12 it waits in the task itself.
    if sys.version_info >= (3, 12):
        await asyncio.wait_for(queue.aget(), 600)
    else:
        async with asyncio.timeout(600):
            await queue.aget()


WAITS = {
    gets: r"Queue \d+",
    puts: r"Queue \d+",
    joins: "process 'held'",
    joins_thread: "thread 'held'",
    runs: "process 'held'",
    groups: "process 'held'|process 'too'",
    calls: r"Pool \d+",
    calls_thread: None,
    maps: r"Pool \d+",
    limited: r"Queue \d+",
}


async def awaited(count=1):
    """The report, once so many coroutines wait in it."""
    while len((report := tarefa.deadlocks()).awaiting) < count:
        await asyncio.sleep(0.01)
    return report


async def ended(go, *tasks):
    go.set()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("function", WAITS, ids=lambda function: function.__name__)
def test_a_coroutine_waits_by_its_name_and_line(function):
    async def main():
        queue, go = tarefa.Queue(), tarefa.Event()
        task = asyncio.create_task(function(queue, go), name="ana")
        report = await awaited()
        (entry,) = report.awaiting
        if function is maps:
            # What it has is its iterator's, which goes later.
            go.set()
            await task
        await ended(go, task)
        assert tarefa.deadlocks().awaiting == []
        return report, entry

    report, entry = asyncio.run(main())
    assert (entry.name, entry.pid) == ("ana", os.getpid())
    file, line, name = re.fullmatch(r"(.*):(\d+) in (\w+)", entry.line).groups()
    first = function.__code__.co_firstlineno
    assert (file, name) == (__file__, function.__name__)
    assert first < int(line) < first + 8
    wanted = WAITS[function]
    if wanted is None:
        assert entry.waits_for == ()
    else:
        assert all(re.fullmatch(wanted, thing) for thing in entry.waits_for)
        assert len(entry.waits_for) == (2 if function is groups else 1)
    assert not report
    text = str(report)
    assert re.search(rf"(?m)^    asyncio task 'ana' waits for .* at {re.escape(entry.line)}$", text)
    assert f"\n  main program (pid {os.getpid()}) MainThread\n" in text
    # They are who waits, not the thread that looks out for them.
    assert "tarefa-queue-watch" not in text
    ET.fromstring(report.svg())


def test_what_has_no_coroutine_of_the_program_has_no_line():
    async def main():
        queue = tarefa.Queue()
        task = asyncio.create_task(queue.aget(), name="x<1>\x1b[31m\n&\t")
        report = await awaited()
        await ended(tarefa.Event(), task)
        return report

    report = asyncio.run(main())
    assert report.awaiting[0].line is None
    assert "asyncio task 'x<1> [31m & ' waits for Queue " in str(report)
    assert "\x1b" not in report.svg() + report._repr_html_()


def test_a_cycle_with_a_coroutine_is_perhaps_a_deadlock():
    async def main():
        lock, ready = tarefa.Lock(), tarefa.Event()
        lock.acquire()
        process = tarefa.Process(target=take, args=(lock, ready), name="taker").start()

        async def waits():
            await process

        task = asyncio.create_task(waits(), name="ana")
        # Its own thread would find itself running.
        while "perhaps" not in str(report := await asyncio.to_thread(tarefa.deadlocks)):
            await asyncio.sleep(0.01)
        found = await asyncio.to_thread(
            subprocess.run,
            [COMMAND, "locks", str(os.getpid()), "--json"],
            stdout=subprocess.PIPE,
            check=True,
        )
        lock.release()
        await task
        return report, json.loads(found.stdout)

    report, seen = asyncio.run(main())
    assert not report
    assert not seen["deadlock"]
    (cycle,) = seen["perhaps"]
    assert len(cycle) == 2
    assert [it["task"] for it in seen["awaits"]] == ["ana"]


PROGRAM = """
import asyncio, os, sys
import tarefa

async def consume(queue):
    await queue.aget()

async def main():
    queue = tarefa.Queue()
    tasks = [asyncio.create_task(consume(queue), name=name) for name in ("ana", "rui")]
    while len(tarefa.deadlocks().awaiting) < 2:
        await asyncio.sleep(0)
    if os.fork() == 0:
        # It waits for nothing: what it has of its parent's is not its.
        os.write(1, b"child %d\\n" % os.getpid())
        sys.stdin.readline()
        os._exit(0)
    os.write(1, b"parent %d\\n" % os.getpid())
    sys.stdin.readline()  # the loop is stuck

asyncio.run(main())
"""


def test_a_stuck_loop_is_seen_from_outside(tmp_path):
    script = tmp_path / "it.py"
    script.write_text(textwrap.dedent(PROGRAM))
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        pids = dict(program.stdout.readline().split() for _ in range(2))
        seen = json.loads(run([COMMAND, "locks", pids["child"], "--json"]).stdout)
        text = run([COMMAND, "locks", pids["parent"], "--lang", "pt"], env={"LC_ALL": "C.UTF-8"})
        program.communicate("\n\n")
    assert [it["task"] for it in seen["awaits"]] == ["ana", "rui"]
    for it in seen["awaits"]:
        assert it["place"] == f"{script}:6 in consume"
        assert seen["threads"][it["thread"]]["pid"] == int(pids["parent"])
    assert "tarefa de asyncio 'ana' espera por Queue" in text.stdout


def test_more_coroutines_than_there_is_room_for_are_left_out():
    async def main():
        queue = tarefa.Queue()
        tasks = [asyncio.create_task(gets(queue, None)) for _ in range(1100)]
        report = await awaited(1023)
        count = len(report.awaiting)
        await ended(tarefa.Event(), *tasks)
        assert tarefa.deadlocks().awaiting == []
        task = asyncio.create_task(gets(queue, None), name="later")
        report = await awaited()
        await ended(tarefa.Event(), task)
        return count, report.awaiting

    count, later = asyncio.run(main())
    assert count == 1023
    assert [it.name for it in later] == ["later"]
