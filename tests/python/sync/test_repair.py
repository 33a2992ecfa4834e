"""`repair=`: whoever takes a lock first after its owner's death makes whole what it guards."""

import functools
import os
import signal
import threading
import time

import pytest
from support import run_script

import tarefa

KINDS = [tarefa.Lock, tarefa.RLock]


def die_with(lock):
    def die():
        lock.acquire()
        os.kill(os.getpid(), signal.SIGKILL)

    tarefa.Process(target=die).start().join()


def as_writer(rwlock):
    class Writes:
        acquire = rwlock.acquire_write

    return Writes


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_repairs_with_the_lock_held_and_goes_on(kind):
    pair, fixed = tarefa.List([0, 0]), tarefa.List()

    def fix():
        fixed.append(os.getpid())
        pair[1] = pair[0]

    lock = kind(repair=fix)

    def die():
        lock.acquire()
        pair[0] = 1
        os.kill(os.getpid(), signal.SIGKILL)

    def use():
        with lock:
            return list(pair), os.getpid()

    tarefa.Process(target=die).start().join()
    got = [p.result() for p in [tarefa.Process(target=use).start() for _ in range(4)]]
    assert [seen for seen, _ in got] == [[1, 1]] * 4
    assert len(fixed) == 1
    assert fixed[0] in [pid for _, pid in got]
    assert not lock.locked()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", [{}, {"blocking": False}, {"timeout": 20}])
def test_every_way_to_take_it_repairs(kind, how):
    fixed = tarefa.List()
    lock = kind(repair=lambda: fixed.append(1))
    die_with(lock)
    assert lock.acquire(**how) is True
    assert fixed == [1]
    lock.release()
    with lock:
        pass
    assert fixed == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_fails_frees_the_lock_and_the_next_repairs(kind):
    tries = tarefa.List()

    def fix():
        tries.append(1)
        if len(tries) < 3:
            raise LookupError("not yet")

    lock = kind(repair=fix)
    die_with(lock)
    for _ in range(2):
        with pytest.raises(LookupError, match="not yet"):
            lock.acquire()
        assert not lock.locked()
    with lock:
        assert len(tries) == 3


def test_one_that_dies_leaves_it_to_the_next():
    tries = tarefa.List()

    def fix():
        tries.append(os.getpid())
        if len(tries) == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    lock = tarefa.Lock(repair=fix)
    die_with(lock)
    assert isinstance(tarefa.Process(target=lock.acquire).start().exception(), tarefa.WorkerDied)
    with lock:
        assert len(tries) == 2


def test_an_rlock_may_be_taken_in_its_repair():
    fixed, itself = tarefa.List(), tarefa.Dict()

    def fix():
        lock = itself["lock"]
        with lock:
            fixed.append(lock.owner().pid == os.getpid())

    lock = itself["lock"] = tarefa.RLock(repair=fix)
    die_with(lock)
    with lock, lock:
        assert fixed == [True]
    itself.clear()


def test_without_a_death_nothing_is_repaired():
    lock = tarefa.Lock(repair=lambda: 1 / 0)
    for _ in range(3):
        with lock:
            pass


def test_those_who_wait_go_on_after_one_repair():
    fixed, ready = tarefa.List(), tarefa.Event()
    lock = tarefa.Lock(repair=lambda: fixed.append(1))

    def hold():
        lock.acquire()
        ready.set()
        time.sleep(100)

    def use():
        with lock:
            return len(fixed)

    holder = tarefa.Process(target=hold).start()
    ready.wait()
    waiting = [tarefa.Process(target=use).start() for _ in range(3)]
    time.sleep(0.2)
    holder.kill()
    holder.join()
    assert [p.result() for p in waiting] == [1, 1, 1]
    assert fixed == [1]


@pytest.mark.parametrize("mode", ["read", "write"])
def test_rwlock(mode):
    fixed = tarefa.List()
    lock = tarefa.RWLock(repair=lambda: fixed.append(1))
    die_with(as_writer(lock))
    with getattr(lock, mode)():
        assert fixed == [1]
        assert lock.readers == (mode == "read")
    assert not lock.locked()
    with lock.read():
        assert fixed == [1]


def test_rwlock_that_fails():
    tries = tarefa.List()

    def fix():
        tries.append(1)
        if len(tries) < 3:
            raise LookupError

    lock = tarefa.RWLock(repair=fix)
    die_with(as_writer(lock))
    for acquire in (lock.acquire_read, lock.acquire_write):
        with pytest.raises(LookupError):
            acquire()
        assert not lock.locked()
    with lock.read():
        assert len(tries) == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: tarefa.List([1, 2]),
        lambda: tarefa.Dict(a=1),
        lambda: tarefa.Set([1]),
        lambda: tarefa.Counter("ab"),
        lambda: tarefa.Namespace(a=1),
    ],
)
def test_containers(make):
    shared, fixed = make(), tarefa.List()

    def fix():
        # By the object itself, which is part of the function: that holds nothing for ever.
        fixed.append((os.getpid(), shared is not None))

    def die():
        shared.lock(repair=fix).acquire()
        os.kill(os.getpid(), signal.SIGKILL)

    def use():
        with shared.lock():
            return len(fixed)

    tarefa.Process(target=die).start().join()
    assert [p.result() for p in [tarefa.Process(target=use).start() for _ in range(2)]] == [1, 1]
    with shared.lock(repair=fix):
        assert len(fixed) == 1


def test_value_and_array_through_their_lock():
    fixed = tarefa.List()
    lock = tarefa.RLock(repair=lambda: fixed.append(1))
    number, numbers = tarefa.Value("i", 3, lock=lock), tarefa.Array("i", 3, lock=lock)
    die_with(lock)
    assert number.value == 3
    assert fixed == [1]
    die_with(lock)
    numbers[1] = 4
    assert fixed == [1, 1]


def test_condition_through_its_lock():
    fixed, ready = tarefa.List(), tarefa.Event()
    condition = tarefa.Condition(tarefa.RLock(repair=lambda: fixed.append(1)))

    def wait():
        with condition:
            ready.set()
            woken = condition.wait()
            return woken, len(fixed)

    waiting = tarefa.Process(target=wait).start()
    ready.wait()
    with condition:
        pass
    die_with(condition)
    assert waiting.result() == (True, 1)
    with condition:
        assert fixed == [1]


@pytest.mark.parametrize("bad", [3, "f", b"", object()])
@pytest.mark.parametrize("kind", [*KINDS, tarefa.RWLock])
def test_what_is_no_function_is_refused(kind, bad):
    with pytest.raises(TypeError, match="function"):
        kind(repair=bad)


class Repairs:
    async def whole(self):
        raise AssertionError("not to be called")


async def mend():
    raise AssertionError("not to be called")


@pytest.mark.parametrize("bad", [mend, Repairs().whole, functools.partial(mend)])
@pytest.mark.parametrize(
    "make",
    [tarefa.Lock, tarefa.RLock, tarefa.RWLock, lambda repair: tarefa.List().lock(repair=repair)],
)
def test_an_async_def_is_refused(make, bad):
    with pytest.raises(TypeError, match=r"repair must be a plain function.*asyncio\.run"):
        make(repair=bad)


def test_a_function_of_the_script_and_of_a_module(tmp_path):
    (tmp_path / "mends.py").write_text(
        "import tarefa\nfixed = tarefa.List()\ndef fix(): fixed.append(1)\n"
        "lock = tarefa.Lock(repair=fix)\n"
    )
    run_script(
        """
        import os, tarefa, mends

        def fix():
            fixed.append(2)

        fixed = tarefa.List()
        own = tarefa.Lock(repair=fix)

        def die(lock):
            lock.acquire()
            os.kill(os.getpid(), 9)

        def use():
            with own, mends.lock:
                pass
            return list(fixed), list(mends.fixed)

        for lock in (own, mends.lock):
            tarefa.Process(target=die, args=(lock,)).start().join()
        assert tarefa.Process(target=use).start().result() == ([2], [1])
        assert use() == ([2], [1])
        """,
        env={"PYTHONPATH": str(tmp_path)},
    )


@pytest.mark.parametrize("threads", [False, True])
def test_a_thread_that_ends_with_an_rlock(threads):
    fixed = tarefa.List()
    lock = tarefa.RLock(repair=lambda: fixed.append(1))
    ending = threading.Thread(target=lock.acquire)
    ending.start()
    ending.join()
    if threads:
        other = threading.Thread(target=lambda: (lock.acquire(), lock.release()))
        other.start()
        other.join()
    else:
        with lock:
            pass
    assert fixed == [1]
