"""A member that is stopped inside an operation freezes nobody: timeouts and Ctrl-C hold."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from support import eventually, run_script

import tarefa

WORK = {
    "Semaphore": (lambda: tarefa.Semaphore(1), lambda s: (s.acquire(), s.release())),
    "held Semaphore": (lambda: tarefa.Semaphore(1), lambda s: s.__enter__() and s.__exit__()),
    "RWLock": (tarefa.RWLock, lambda lock: (lock.acquire_write(), lock.release_write())),
    "readers": (tarefa.RWLock, lambda lock: (lock.acquire_read(), lock.release_read())),
    "Barrier": (lambda: tarefa.Barrier(1), lambda b: passes(b)),
}
TAKE = {
    "Semaphore": lambda s: s.acquire(timeout=0.05) and s.release(),
    "held Semaphore": lambda s: s.acquire(timeout=0.05) and s.release(),
    "RWLock": lambda lock: lock.acquire_read(timeout=0.05) and lock.release_read(),
    "readers": lambda lock: lock.acquire_write(timeout=0.05) and lock.release_write(),
    "Barrier": lambda b: passes(b, 0.05),
}


def passes(barrier, timeout=None):
    """Wait at the barrier, which whose time is over breaks."""
    try:
        barrier.wait(timeout)
    except tarefa.BrokenBarrierError:
        if timeout is None:
            barrier.reset()


def is_whole(act, shared):
    """Whether that can be done, and nobody is to be told of a death: of each writer's one is."""
    try:
        act(shared)
    except tarefa.OwnerDied:
        return False
    return True


@pytest.mark.parametrize("kind", WORK)
def test_timeouts_hold_and_other_threads_run(kind):
    make, work = WORK[kind]
    shared, beats = make(), tarefa.Value("q", 0)

    def forever():
        while True:
            work(shared)

    def beat():
        while going:
            beats.add(1)
            time.sleep(0.001)

    going = [1]
    task = tarefa.Process(target=forever).start()
    beating = threading.Thread(target=beat)
    beating.start()
    try:
        for _ in range(30):
            os.kill(task.pid, signal.SIGSTOP)
            # It goes on only when this wait is over: one that did not end would never.
            before = beats.value
            TAKE[kind](shared)
            while beats.value < before + 2:
                time.sleep(0.001)
            os.kill(task.pid, signal.SIGCONT)
            time.sleep(0.002)
    finally:
        os.kill(task.pid, signal.SIGCONT)
        going.clear()
        task.kill()
        task.join()
        beating.join()
    # What waits were left without the latch for is given up by now, or with the next wait.
    eventually(lambda: is_whole(TAKE[kind], shared))


@pytest.mark.parametrize("what", ["l.append(1)", "d['k'] = 1", "s.acquire()"])
def test_ctrl_c_ends_a_wait_for_one_who_is_stopped(what):
    run_script(
        f"""
        import os, signal, tarefa, threading, time

        l, d, s = tarefa.List(), tarefa.Dict(), tarefa.Semaphore(10**6)

        def forever():
            while True:
                {what}
                if l:
                    l.pop()

        task = tarefa.Process(target=forever).start()
        time.sleep(0.2)
        interrupted = 0
        for _ in range(20):
            os.kill(task.pid, signal.SIGSTOP)
            timer = threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT))
            try:
                timer.start()
                {what}
                time.sleep(5)
            except KeyboardInterrupt:
                interrupted += 1
            timer.join()
            os.kill(task.pid, signal.SIGCONT)
            time.sleep(0.001)
        assert interrupted == 20
        task.kill()
        task.join()
        """
    )


def test_who_waits_long_for_one_who_is_stopped_says_whom(tmp_path):
    run_script(
        """
        import os, signal, sys, tarefa, threading, time

        tarefa.configure(report_after=1)
        l = tarefa.List()

        def forever():
            while True:
                l.append("x" * 2000)
                if len(l) > 100:
                    l.clear()

        def stuck():
            os.kill(task.pid, signal.SIGSTOP)
            done = threading.Event()
            threading.Thread(target=lambda: (l.append(1), done.set()), daemon=True).start()
            if not done.wait(0.3):
                return True
            os.kill(task.pid, signal.SIGCONT)
            time.sleep(0.001)
            return False

        task = tarefa.Process(target=forever).start()
        os.dup2(os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)
        while not stuck():
            pass
        said = f"that process {task.pid}, thread {task.pid} "
        # One of before, when it was not stopped yet, may come first where all is slow.
        wanted = said, "is stopped (kill -CONT", "inside an operation"
        while not any(all(it in line for it in wanted) for line in open(sys.argv[1])):
            time.sleep(0.01)
        task.kill()
        task.join()
        l.append(2)
        """,
        tmp_path / "said",
    )


def test_ends_are_told_beside_a_member_that_is_stopped_with_what_the_clean_up_needs():
    folder = os.environ.get("TAREFA_RUST_EXAMPLES")
    crowd = Path(folder or "", "crowd")
    if not folder or not crowd.exists():
        pytest.skip("the Rust examples are not built: make test-python does it")
    event, lock, ready = tarefa.Event(), tarefa.Lock(), tarefa.Semaphore(0)

    def hold(first):
        # It is given back by the clean-up.
        mine = tarefa.List([bytes(500_000)])
        if first:
            lock.acquire()
        ready.release()
        time.sleep(60)
        return mine

    ends = [tarefa.Process(target=hold, args=(i == 0,)).start() for i in range(4)]
    for _ in ends:
        assert ready.acquire(timeout=30)
    command = [crowd, tarefa.address(event), "stays"]
    stopped = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        assert event.wait(30)
        stopped.send_signal(signal.SIGSTOP)
        # It goes on only when all of them are told: one that were not would never be.
        for end in ends:
            os.kill(end.pid, signal.SIGKILL)
            end.join()
            assert end.exitcode == -signal.SIGKILL
        with pytest.raises(tarefa.OwnerDied):
            lock.acquire()
    finally:
        stopped.send_signal(signal.SIGCONT)
        stopped.communicate(timeout=30)
    assert stopped.returncode == 0


MUCH = 4_000_000


def used_memory():
    return tarefa._engine.diagnostics()["arena_used"]


# Those that the end of who holds them gives back, so that the one that works may be killed too.
HOLDS = {
    "held Semaphore": lambda s: s.__enter__(),
    "RWLock": lambda lock: lock.acquire_write(),
    "readers": lambda lock: lock.acquire_read(),
}


@pytest.mark.parametrize("kind", HOLDS)
def test_an_end_is_told_and_what_else_it_held_comes_back(kind):
    make, work = WORK[kind]
    shared, other, lock, ready = make(), tarefa.Semaphore(1), tarefa.Lock(), tarefa.Semaphore(0)

    def hold():
        # Given back whether or not what is below can be.
        mine = tarefa.List([bytes(MUCH)])
        # In the queue, or with it: whoever is stopped keeps either from coming back. One of the
        # round before may have become a writer as it died, which is told now.
        eventually(lambda: is_whole(HOLDS[kind], shared))
        ready.release()
        time.sleep(60)
        return mine

    def hold_more():
        other.__enter__()
        lock.acquire()
        ready.release()
        # The first may have died as its writer, if nobody is stopped in the middle.
        with contextlib.suppress(tarefa.OwnerDied):
            HOLDS[kind](shared)
        time.sleep(60)

    def forever():
        while True:
            with contextlib.suppress(tarefa.OwnerDied):
                work(shared)

    for _ in range(2):
        used = used_memory()
        first = tarefa.Process(target=hold).start()
        assert ready.acquire(timeout=30)
        task = tarefa.Process(target=forever).start()
        second = tarefa.Process(target=hold_more).start()
        assert ready.acquire(timeout=30)
        os.kill(task.pid, signal.SIGSTOP)
        try:
            # It goes on only when all this is over: what waited for it would never be.
            for dies in (first, second):
                dies.kill()
                dies.join()
                assert dies.exitcode == -signal.SIGKILL
            with pytest.raises(tarefa.OwnerDied):
                lock.acquire()
            assert other.acquire(timeout=30)
            other.release()
            assert tarefa.Process(target=len, args=("abc",)).start().result() == 3
            eventually(lambda most=used + MUCH: used_memory() < most)
        finally:
            os.kill(task.pid, signal.SIGCONT)
            task.kill()
            task.join()
        eventually(lambda: is_whole(work, shared))


@pytest.mark.parametrize("what", ["ack", "nack", "task_done"])
def test_ctrl_c_ends_what_is_said_of_an_item_beside_one_who_is_stopped(what):
    run_script(
        f"""
        import os, signal, tarefa, threading, time

        q, beats = tarefa.Queue(), tarefa.Value("q", 0)

        def forever():
            while True:
                q.put(0)
                q.unfinished_tasks, q.full(), q.used_bytes, q.unacknowledged
                beats.value += 1

        task = tarefa.Process(target=forever).start()
        while not beats.value:
            time.sleep(0.001)
        interrupted = 0
        for _ in range(4):
            q.get(ack=True)
            q.get()
            os.kill(task.pid, signal.SIGSTOP)
            # What only looks ends beside it.
            q.unfinished_tasks, q.full(), q.used_bytes, q.unacknowledged, q.qsize()
            timer = threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT))
            try:
                timer.start()
                q.{what}()
                time.sleep(5)
            except KeyboardInterrupt:
                interrupted += 1
            timer.join()
            # Not before: it may have been stopped with the lock of the value.
            os.kill(task.pid, signal.SIGCONT)
            before = beats.value
            while beats.value == before:
                time.sleep(0.001)
            # As before: it can be said again, unless it was said just before the interrupt.
            try:
                q.{what}() if "{what}" != "task_done" else q.ack()
            except ValueError:
                pass
        assert interrupted == 4
        assert q.unacknowledged == 0
        task.kill()
        task.join()
        """
    )


@pytest.mark.parametrize("immediate", [False, True])
def test_a_queue_is_shut_down_beside_one_who_is_stopped(immediate):
    q, beats = tarefa.Queue(100), tarefa.Value("q", 0)

    def forever():
        while True:
            q.put(b"x" * 100)
            q.get()
            beats.value += 1

    task = tarefa.Process(target=forever).start()
    while not beats.value:
        time.sleep(0.001)
    os.kill(task.pid, signal.SIGSTOP)
    q.shutdown(immediate)
    assert q.is_shutdown
    with pytest.raises(tarefa.ShutDown):
        q.put(1, timeout=30)
    os.kill(task.pid, signal.SIGCONT)
    assert isinstance(task.exception(), tarefa.ShutDown)
    with contextlib.suppress(tarefa.ShutDown):
        q.get(timeout=30)
    with pytest.raises(tarefa.ShutDown):
        q.get(timeout=30)


ALLOCATIONS = {
    "an element": "l.append(large)",
    "many elements": "l.extend([bytes(2000)] * 300)",
    "a value": "d['k'] = large",
    "many values": "d.update({i: bytes(3000) for i in range(200)})",
    "a list": "tarefa.List([large])",
    "an array": "tarefa.Array('b', 400_000)",
    "many locks": "[tarefa.Lock() for _ in range(2000)]",
}


@pytest.mark.parametrize("what", ALLOCATIONS)
def test_ctrl_c_ends_an_allocation_beside_one_who_is_stopped_as_he_allocates(what):
    run_script(
        f"""
        import os, signal, tarefa, threading, time

        l, d, large = tarefa.List(), tarefa.Dict(), bytes(300_000)

        def forever():
            while True:
                mine = tarefa.List([large])
                array = tarefa.Array("b", 200_000)

        task = tarefa.Process(target=forever).start()
        time.sleep(0.3)
        interrupted = 0
        for _ in range(25):
            os.kill(task.pid, signal.SIGSTOP)
            timer = threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT))
            try:
                timer.start()
                {ALLOCATIONS[what]}
                time.sleep(60)
            except KeyboardInterrupt:
                interrupted += 1
            timer.join()
            os.kill(task.pid, signal.SIGCONT)
            time.sleep(0.003)
            l.clear()
            d.clear()
        assert interrupted == 25
        task.kill()
        task.join()
        """
    )


def test_ctrl_c_ends_a_start_beside_a_stopped_zygote():
    done = run_script(
        """
        import os, signal, tarefa, threading, time

        tarefa.configure(spares=0)
        tarefa.Process(target=int).start().join()
        zygote = tarefa._engine.diagnostics()["zygote_pid"]
        os.kill(zygote, signal.SIGSTOP)
        timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
        task = tarefa.Process(target=print, args=("it ran",))
        try:
            timer.start()
            task.start()
        except KeyboardInterrupt:
            print("interrupted")
        timer.join()
        os.kill(zygote, signal.SIGCONT)
        # It is as one that was killed.
        task.join(30)
        assert (task.is_alive(), task.exitcode) == (False, -9), task
        assert tarefa.Process(target=int).start().result(30) == 0
        """
    )
    assert done.stdout == "interrupted\n"
    assert done.stderr == ""
