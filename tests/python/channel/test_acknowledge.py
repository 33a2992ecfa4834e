"""Items that are to be acknowledged: who dies before that has not lost them."""

import asyncio
import gc
import os
import signal
import sys
import threading
import time
import types

import pytest
from support import eventually, run_script

import tarefa


@pytest.fixture
def q():
    return tarefa.Queue()


def put_all(q, items):
    for item in items:
        q.put(item)


def drain(q):
    items = []
    while not q.empty():
        items.append(q.get())
    return items


def die():
    os.kill(os.getpid(), signal.SIGKILL)


ITEMS = [1, "two", b"three" * 100, (4, "four"), [5], {"six": 6}]


def test_another_thread_is_importing_asyncio(q, monkeypatch):
    monkeypatch.setitem(sys.modules, "asyncio", types.ModuleType("asyncio"))
    q.put(1)
    assert q.get(ack=True) == 1
    q.ack()


def test_what_is_acknowledged_is_gone(q):
    put_all(q, ITEMS)
    for item in ITEMS:
        assert q.get(ack=True) == item
        assert not q.redelivered
        assert q.unacknowledged == 1
        q.ack()
    assert (q.qsize(), q.unacknowledged, q.used_bytes) == (0, 0, 0)


def test_ack_without_an_item(q):
    with pytest.raises(ValueError, match="too many times"):
        q.ack()
    q.put(1)
    q.get()
    with pytest.raises(ValueError, match="too many times"):
        q.ack()
    with pytest.raises(ValueError, match=r"nack\(\)"):
        q.nack()


def test_the_items_of_a_killed_consumer_come_first(q):
    def consume(q, taken):
        items = [q.get(ack=True) for _ in range(3)]
        q.ack()
        taken.put(items)
        die()

    put_all(q, range(6))
    taken = tarefa.Queue()
    process = tarefa.Process(target=consume, args=(q, taken)).start()
    assert taken.get(timeout=20) == [0, 1, 2]
    process.join()
    eventually(lambda: q.qsize() == 5)
    got = []
    for _ in range(5):
        got.append((q.get(ack=True), q.redelivered))
        q.ack()
    assert got == [(1, True), (2, True), (3, False), (4, False), (5, False)]
    assert q.unacknowledged == 0


def test_a_waiting_get_has_what_a_killed_consumer_held(q, Task):
    ready = tarefa.Event()

    def hold(q, ready):
        assert q.get(ack=True) == "work"
        ready.set()
        time.sleep(60)

    def again(q):
        return q.get(timeout=40), q.redelivered

    q.put("work")
    holder = tarefa.Process(target=hold, args=(q, ready)).start()
    ready.wait()
    other = Task(target=again, args=(q,)).start()
    time.sleep(0.05)
    assert other.is_alive()
    holder.kill()
    assert other.result(30) == ("work", True)
    holder.join()


def test_the_end_of_a_task_gives_back(q, Task):
    def take(q, error):
        q.get(ack=True)
        q.get_many(2, ack=True)
        if error:
            raise KeyError("in the middle")

    for error in (False, True):
        put_all(q, [1, "2", (3,)])
        task = Task(target=take, args=(q, error)).start()
        task.join()
        assert (task.exception() is not None) == error
        assert [q.get_nowait() for _ in range(3)] == [1, "2", (3,)]
        assert q.redelivered
        assert q.empty()


def test_the_end_of_a_plain_thread_gives_back(q):
    q.put("x")
    thread = threading.Thread(target=lambda: q.get(ack=True))
    thread.start()
    thread.join()
    assert q.get(timeout=20) == "x"


def test_each_consumer_acknowledges_its_own(q):
    put_all(q, "ab")
    first, second = threading.Event(), threading.Event()

    def other():
        assert q.get(ack=True) == "b"
        first.set()
        second.wait()
        q.ack()

    assert q.get(ack=True) == "a"
    thread = tarefa.Thread(target=other).start()
    first.wait()
    q.ack()
    assert q.unacknowledged == 1
    with pytest.raises(ValueError, match="holds no item"):
        q.ack()
    second.set()
    thread.result()
    assert (q.unacknowledged, q.qsize()) == (0, 0)


def test_ack_is_of_the_earliest_take(q):
    put_all(q, range(5))
    assert q.get(ack=True) == 0
    assert q.get_many(3, ack=True) == [1, 2, 3]
    assert q.get_nowait(ack=True) == 4
    q.ack()
    assert q.unacknowledged == 4
    q.ack()
    assert q.unacknowledged == 1
    q.nack()
    assert q.unacknowledged == 0
    assert (q.get(), q.redelivered) == (4, True)


def test_nack_puts_at_the_head(q):
    put_all(q, range(4))
    assert q.get_many(2, ack=True) == [0, 1]
    assert q.get(ack=True) == 2
    q.nack()
    assert [q.get(), q.redelivered, q.get(), q.redelivered] == [0, True, 1, True]
    q.nack()
    assert [q.get(), q.redelivered, q.get(), q.redelivered] == [2, True, 3, False]


def test_redelivered_is_of_what_this_thread_took_last_from_this_queue(q):
    other = tarefa.Queue()
    other.put("x")
    q.put(1)
    q.put(2)
    q.get(ack=True)
    q.nack()
    assert q.get() == 1
    assert q.redelivered
    assert not other.redelivered
    other.get()
    assert q.redelivered
    assert not other.redelivered
    with pytest.raises(tarefa.Empty):
        other.get_nowait()
    assert q.get() == 2
    assert not q.redelivered


def test_what_comes_back_passes_maxsize():
    q = tarefa.Queue(2)
    put_all(q, [1, 2])
    assert q.get_many(2, ack=True) == [1, 2]
    put_all(q, [3, 4])
    q.nack()
    assert q.qsize() == 4
    assert q.full()
    with pytest.raises(tarefa.Full):
        q.put_nowait(5)
    assert [q.get() for _ in range(3)] == [1, 2, 3]
    q.put_nowait(5)
    assert drain(q) == [4, 5]


def test_a_producer_waits_for_the_bytes_of_what_is_not_acknowledged(Task):
    q = tarefa.Queue(max_bytes=1000)
    q.put(b"x" * 900)
    assert len(q.get(ack=True)) == 900
    assert q.empty()
    with pytest.raises(tarefa.Full):
        q.put(b"y" * 500, timeout=0.01)

    def produce(q):
        q.put(b"y" * 500)

    producer = Task(target=produce, args=(q,)).start()
    time.sleep(0.05)
    assert producer.is_alive()
    q.ack()
    producer.result(30)
    assert q.get() == b"y" * 500


def test_a_place_that_a_redelivered_item_frees_wakes_a_producer(Task):
    q = tarefa.Queue(1)
    q.put(1)
    q.get(ack=True)
    q.nack()

    def produce(q):
        q.put(2)

    producer = Task(target=produce, args=(q,)).start()
    time.sleep(0.05)
    assert producer.is_alive()
    assert q.get(ack=True) == 1
    producer.result(30)
    q.ack()
    assert q.get() == 2


def test_join_waits_for_what_came_back(q):
    def consume(q):
        q.get(ack=True)
        die()

    q.put("work")
    process = tarefa.Process(target=consume, args=(q,)).start()
    process.join()
    assert not q.join(timeout=0.01)
    assert q.get(ack=True, timeout=20) == "work"
    assert q.unfinished_tasks == 1
    q.task_done()
    q.ack()
    assert q.join(timeout=20)


def test_what_was_done_and_not_acknowledged_is_not_done(q):
    def consume(q):
        q.get(ack=True)
        q.task_done()
        die()

    q.put("work")
    tarefa.Process(target=consume, args=(q,)).start().join()
    eventually(lambda: q.qsize() == 1)
    assert q.unfinished_tasks == 1
    assert q.get(ack=True) == "work"
    q.ack()
    q.task_done()
    assert q.join(timeout=20)


def test_only_what_was_acknowledged_is_lost_with_a_consumer(q):
    def consume(q):
        q.get_many(2, ack=True)
        q.ack()
        q.get(ack=True)
        die()

    put_all(q, range(3))
    tarefa.Process(target=consume, args=(q,)).start().join()
    assert q.get(timeout=20) == 2
    q.task_done()
    with pytest.raises(tarefa.ItemsLost) as caught:
        q.join(timeout=20)
    assert caught.value.count == 2


def test_shutdown_with_items_that_are_held(q):
    put_all(q, [1, 2])
    assert q.get(ack=True) == 1
    q.shutdown()
    assert q.get() == 2
    with pytest.raises(tarefa.ShutDown):
        q.get()
    q.nack()
    assert (q.get(ack=True), q.redelivered) == (1, True)
    q.ack()
    with pytest.raises(tarefa.ShutDown):
        q.get()


def test_immediate_shutdown_with_items_that_are_held(q):
    put_all(q, ["a", "b", "c"])
    q.get(ack=True)
    q.get(ack=True)
    q.shutdown(immediate=True)
    q.ack()
    q.nack()
    assert (q.qsize(), q.used_bytes, q.unfinished_tasks) == (0, 0, 1)
    with pytest.raises(tarefa.ShutDown):
        q.get()


def test_join_ends_where_a_dead_consumer_held_what_is_thrown_away(q):
    ready = tarefa.Event()

    def hold(q, ready):
        q.get(ack=True)
        ready.set()
        time.sleep(60)

    q.put("x")
    process = tarefa.Process(target=hold, args=(q, ready)).start()
    ready.wait()
    q.shutdown(immediate=True)
    assert not q.join(timeout=0.01)
    process.kill()
    assert q.join(timeout=30)
    process.join()


class Bad:
    def __reduce__(self):
        return _raise, ()


def _raise():
    raise RuntimeError("cannot be made here")


def test_what_cannot_be_decoded_does_not_come_again(q):
    put_all(q, [1, Bad(), 2])
    with pytest.raises(tarefa.BadMessage) as caught:
        q.get_many(ack=True)
    assert caught.value.items == [1, 2]
    assert q.unacknowledged == 2
    q.ack()
    q.put(Bad())
    with pytest.raises(tarefa.BadMessage):
        q.get(ack=True)
    assert (q.unacknowledged, q.qsize()) == (0, 0)


def test_a_stack_gives_again_what_it_gave():
    q = tarefa.LifoQueue()
    put_all(q, range(4))
    assert q.get_many(2, ack=True) == [3, 2]
    q.put(9)
    q.nack()
    assert [q.get() for _ in range(5)] == [3, 2, 9, 1, 0]


def test_the_least_comes_first_also_of_what_came_back():
    q = tarefa.PriorityQueue()
    put_all(q, [(5, "five"), (3, "three"), (7, "seven")])
    assert q.get_many(2, ack=True) == [(3, "three"), (5, "five")]
    put_all(q, [(4, "four"), (1, "one")])
    q.nack()
    got = []
    while not q.empty():
        got.append((q.get()[0], q.redelivered))
    assert got == [(1, False), (3, True), (4, False), (5, True), (7, False)]


def test_objects_travel_and_stay_alive(q):
    shared = tarefa.List([1])
    q.put(shared)
    del shared
    gc.collect()
    got = q.get(ack=True)
    q.nack()
    assert list(got) == [1]
    got.append(2)
    assert list(q.get(ack=True)) == [1, 2]
    q.ack()


def test_many_in_one_hand(q):
    q.put_many(list(range(3000)))
    assert q.get_many(ack=True) == list(range(3000))
    q.nack()
    taken = [q.get(ack=True) for _ in range(1000)]
    assert taken == list(range(1000))
    for _ in range(500):
        q.ack()
    while q.unacknowledged:
        q.nack()
    assert q.get_many() == list(range(500, 3000))


def test_asyncio_tasks_are_consumers(q):
    async def take(went_on, n):
        item = await q.aget(ack=True)
        went_on.append(item)
        await asyncio.sleep(0.01 * (3 - n))
        assert q.unacknowledged > 0
        q.ack()
        with pytest.raises(ValueError, match="holds no item"):
            q.ack()

    async def main():
        went_on = []
        tasks = [asyncio.ensure_future(take(went_on, n)) for n in range(3)]
        await asyncio.sleep(0)
        put_all(q, range(3))
        await asyncio.gather(*tasks)
        assert sorted(went_on) == [0, 1, 2]

    asyncio.run(main())
    assert (q.unacknowledged, q.qsize()) == (0, 0)


def test_a_cancelled_asyncio_task_gives_back(q):
    async def take():
        await q.aget(ack=True)
        await asyncio.sleep(60)

    async def main():
        q.put("x")
        task = asyncio.ensure_future(take())
        while q.unacknowledged == 0:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    gc.collect()
    assert q.get(timeout=20) == "x"


def test_a_forked_child_cannot_acknowledge_its_parents():
    run_script(
        """
        import os, tarefa
        q = tarefa.Queue()
        q.put(1)
        q.get(ack=True)
        pid = os.fork()
        if pid == 0:
            try:
                q.ack()
            except ValueError as e:
                assert "forked" in str(e), e
                os._exit(0)
            os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
        assert q.unacknowledged == 1
        q.ack()
        """
    )


@pytest.mark.watchdog(120)
def test_nothing_acknowledged_comes_again_and_nothing_is_lost_in_a_storm(q):
    count = 600

    def consume(q, done):
        while True:
            item = q.get(ack=True)
            done.put((os.getpid(), item))
            q.ack()

    done = tarefa.Queue()
    q.put_many(list(range(count)))
    workers = [tarefa.Process(target=consume, args=(q, done)).start() for _ in range(3)]
    seen = []
    for kill in range(12):
        seen.extend(done.get(timeout=60)[1] for _ in range(20))
        workers[kill % 3].kill()
        workers[kill % 3].join()
        workers[kill % 3] = tarefa.Process(target=consume, args=(q, done)).start()
    while len(set(seen)) < count:
        seen.append(done.get(timeout=60)[1])
    eventually(lambda: q.qsize() + q.unacknowledged == 0)
    for worker in workers:
        worker.kill()
        worker.join()
    seen.extend(item for _, item in drain(done))
    assert set(seen) == set(range(count))
    # Once again only what a killed consumer had told of and not acknowledged.
    assert len(seen) <= count + 12
