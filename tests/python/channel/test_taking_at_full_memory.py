"""Taking messages out frees memory, so it needs none, in whatever thread or process it is."""

import pytest
from support import run_script

pytestmark = pytest.mark.once("what is full is the engine's memory")

FULL = {"TAREFA_ARENA_MAX": "16M"}
# `packed` leaves not even room for one small block.
START = """
    import asyncio, tarefa

    def packed(add):
        size = 1 << 20
        while size:
            try:
                while True:
                    add(bytes(size))
            except tarefa.ArenaFull:
                size //= 2

    def is_full():
        try:
            tarefa.List(["x" * 100_000])
        except tarefa.ArenaFull:
            return True
        return False
"""

TAKES = {
    "get": "q.get(timeout=30)",
    "get without waiting": "q.get_nowait()",
    "several": "q.get_many(5, timeout=30)",
    "iterating": "next(iter(q))",
    "awaiting": "asyncio.run(q.aget())",
    "selecting": "assert tarefa.select([q], timeout=30); q.get()",
    "to acknowledge": "q.get(ack=True); q.ack()",
    "many to acknowledge": "q.get_many(100, ack=True); q.ack()",
    "given back": "q.get(ack=True); q.nack(); q.get()",
    "done": "q.get(); q.task_done()",
    "shut down": "q.shutdown(immediate=True); assert q.join(30)",
}


@pytest.mark.parametrize("taking", TAKES.values(), ids=TAKES)
@pytest.mark.parametrize("kind", ["Thread", "Process", "main"])
def test_a_queue_is_emptied(taking, kind):
    run_script(
        START
        + f"""
    q, go = tarefa.JoinableQueue(), tarefa.Event()

    def take():
        assert go.wait(30)
        assert is_full()
        {taking}

    task = None if "{kind}" == "main" else getattr(tarefa, "{kind}")(target=take).start()
    for i in range(200):
        q.put("a message of a few bytes")
    packed(q.put)
    before = q.qsize()
    go.set()
    take() if task is None else task.result(30)
    assert q.qsize() < before
    q.shutdown(immediate=True)
    assert not is_full()
    """,
        env=FULL,
    )


@pytest.mark.parametrize("kind", ["Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"])
def test_every_kind_of_queue(kind):
    run_script(
        START
        + f"""
    q = tarefa.{kind}()
    packed(q.put)
    while not q.empty():
        q.get()
    assert not is_full()
    """,
        env=FULL,
    )


@pytest.mark.parametrize("taking", ["recv()", "recv_bytes()", "recv_bytes_into(bytearray(99))"])
@pytest.mark.parametrize("kind", ["Thread", "Process", "main"])
def test_a_pipe_is_emptied(taking, kind):
    run_script(
        START
        + f"""
    r, w = tarefa.Pipe(duplex=False)
    go, rest = tarefa.Event(), tarefa.List()

    def take():
        assert go.wait(30) and r.poll()
        for i in range(20):
            r.{taking}

    task = None if "{kind}" == "main" else getattr(tarefa, "{kind}")(target=take).start()
    for i in range(20):
        (w.send if "{taking}" == "recv()" else w.send_bytes)(b"x" * 99)
    packed(rest.append)
    go.set()
    take() if task is None else task.result(30)
    """,
        env=FULL,
    )


def test_what_messages_mention_is_held_whatever_is_full():
    run_script(
        START
        + """
    q, go, rest = tarefa.Queue(), tarefa.Event(), tarefa.List()

    def take():
        assert go.wait(30)
        # The large one is a block of its own.
        got = [q.get() for _ in range(301)]
        assert [len(l) for l in got[:300]] == [1] * 300 and len(got[300]) == 2_000_000
        return sum(l[0] for l in got[:300])

    task = tarefa.Process(target=take).start()
    for i in range(300):
        q.put(tarefa.List([i]))
    q.put(bytearray(2_000_000))
    packed(rest.append)
    go.set()
    assert task.result(30) == sum(range(300))
    """,
        env=FULL,
    )
