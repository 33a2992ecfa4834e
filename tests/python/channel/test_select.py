"""`select` waits for the first of several things, of both kinds and of none of ours."""

import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter

import pytest
from support import eventually, run_script, waited_for

import tarefa


def soon(act, seconds=0.15):
    """Do it in a while, in a thread."""
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


@pytest.fixture
def sockets():
    a, b = socket.socketpair()
    with a, b:
        yield a, b


def test_nothing_is_ready_and_the_time_passes(sockets):
    q, event, (a, b) = tarefa.Queue(), tarefa.Event(), tarefa.Pipe()
    for timeout in (0, 0.0, 0.05):
        assert tarefa.select([q, event, a, b, sockets[0]], timeout) == []
    began = time.monotonic()
    assert tarefa.select([q, event, a], timeout=0.2) == []
    assert tarefa.select([q, event, a, *sockets], timeout=0.2) == []
    assert tarefa.select([], timeout=0.1) == []
    assert time.monotonic() - began > 0.45
    a.close()
    b.close()


def test_what_is_ready_is_told_at_once_and_nothing_is_taken(sockets):
    q, lifo, event, (a, b) = tarefa.Queue(), tarefa.LifoQueue(), tarefa.Event(), tarefa.Pipe()
    idle, done = tarefa.Event(), tarefa.Thread(target=int).start()
    done.join()
    q.put(1)
    lifo.put((1, "blob"))
    b.send("x")
    event.set()
    sockets[0].send(b"x")
    ready = [q, lifo, event, a, done, sockets[1]]
    for _ in range(20):
        found = tarefa.select([*ready, b, idle, sockets[0]])
        assert sorted(map(id, found)) == sorted(map(id, ready))
    assert (q.get(), lifo.get(), a.recv(), sockets[1].recv(9)) == (1, (1, "blob"), "x", b"x")
    assert sorted(map(id, tarefa.select([*ready, b, idle], 0))) == sorted(map(id, [event, done]))
    a.close()
    b.close()


def test_each_comes_first_equally_often():
    queues = [tarefa.Queue() for _ in range(3)]
    for q in queues:
        q.put(0)
    first = Counter(queues.index(tarefa.select(queues)[0]) for _ in range(900))
    assert min(first.values()) > 200


def put_later(q, go):
    go.wait()
    q.put("from a task")


def test_a_task_that_puts_ends_the_wait(Task, sockets):
    for others in ([], [sockets[0]], [tarefa.Event(), tarefa.Queue(), sockets[0], sockets[1]]):
        q, go = tarefa.Queue(), tarefa.Event()
        task = Task(target=put_later, args=(q, go)).start()
        soon(go.set)
        assert tarefa.select([*others, q]) == [q]
        assert q.get_nowait() == "from a task"
        task.join()


def send_later(end, go):
    go.wait()
    end.send("from a task")


def test_a_task_that_sends_ends_the_wait(Task):
    (a, b), go, other = tarefa.Pipe(), tarefa.Event(), tarefa.Queue()
    task = Task(target=send_later, args=(b, go)).start()
    soon(go.set)
    assert tarefa.select([other, a]) == [a]
    assert a.recv() == "from a task"
    task.join()
    a.close()
    b.close()


def set_later(event, go):
    go.wait()
    event.set()
    event.clear()


def test_an_event_that_was_set_for_a_moment_ends_the_wait(Task):
    event, go, other = tarefa.Event(), tarefa.Event(), tarefa.Queue()
    task = Task(target=set_later, args=(event, go)).start()
    soon(go.set)
    assert tarefa.select([other, event]) == [event]
    task.join()


def test_the_end_of_a_task_ends_the_wait(held):
    task, go = held
    q = tarefa.Queue()
    assert tarefa.select([q, task], 0.05) == []
    soon(go.set)
    assert tarefa.select([q, task]) == [task]
    assert task.result() == "done"


def send_on(sock, go):
    go.wait()
    sock.send(b"x")


def test_a_descriptor_ends_the_wait_among_objects_and_alone(Task, sockets):
    go = tarefa.Event()
    for others in ([], [tarefa.Queue(), tarefa.Event()]):
        task = Task(target=send_on, args=(sockets[0], go)).start()
        soon(go.set)
        assert tarefa.select([*others, sockets[1]]) == [sockets[1]]
        assert sockets[1].recv(9) == b"x"
        task.join()
        go.clear()


def test_the_end_of_a_descriptor_ends_the_wait():
    reader, writer = os.pipe()
    soon(lambda: os.close(writer))
    assert tarefa.select([tarefa.Queue(), reader]) == [reader]
    os.close(reader)


def test_what_has_a_fileno_or_a_sentinel():
    a, b = multiprocessing.Pipe()
    with open(__file__) as file, a, b:
        assert tarefa.select([file, a]) == [file]
        soon(lambda: b.send(1))
        assert tarefa.select([a, tarefa.Queue()]) == [a]
    process = multiprocessing.get_context("fork").Process(target=int)
    with pytest.raises(TypeError, match="by its sentinel"):
        tarefa.select([process])
    process.start()
    assert tarefa.select([tarefa.Queue(), process.sentinel]) == [process.sentinel]
    process.join()
    process.close()


def die_after(go, *_):
    go.wait()
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_death_of_the_other_side_is_the_end_of_a_pipe():
    (a, b), go, q = tarefa.Pipe(), tarefa.Event(), tarefa.Queue()
    task = tarefa.Process(target=die_after, args=(go, b, q)).start()
    b.close()
    soon(go.set)
    found = tarefa.select([q, a])
    assert found == [a]
    with pytest.raises(EOFError):
        a.recv()
    assert tarefa.select([q, task]) == [task]
    a.close()


def hold(q, ready):
    q.get(ack=True)
    ready.set()
    time.sleep(600)


def test_what_the_dead_have_not_acknowledged_is_ready_again():
    q, ready = tarefa.Queue(), tarefa.Event()
    q.put("again")
    task = tarefa.Process(target=hold, args=(q, ready)).start()
    ready.wait()
    assert tarefa.select([q], 0.05) == []
    soon(task.kill)
    assert tarefa.select([q]) == [q]
    assert q.get_nowait() == "again"
    task.join()


def test_a_shutdown_is_ready():
    q = tarefa.Queue()
    soon(q.shutdown)
    assert tarefa.select([q, tarefa.Event()]) == [q]
    with pytest.raises(tarefa.ShutDown):
        q.get()


def test_a_connection_that_is_closed_meanwhile_is_told():
    a, b = tarefa.Pipe()
    soon(a.close)
    assert tarefa.select([tarefa.Queue(), a]) == [a]
    with pytest.raises(OSError, match="closed"):
        a.recv()
    b.close()


def test_a_queue_that_is_closed_meanwhile_is_told():
    q = tarefa.Queue()
    soon(q.close)
    assert tarefa.select([tarefa.Queue(), q]) == [q]
    with pytest.raises(ValueError, match="closed"):
        q.get()


def test_a_queue_alone_is_no_list_of_them():
    q = tarefa.Queue()
    q.put(1)
    with pytest.raises(TypeError, match="a list"):
        tarefa.select(q, 0)
    assert q.get_nowait() == 1


def test_many_objects_are_waited_for_at_once(sockets):
    """More than one call of the system can sleep on."""
    queues = [tarefa.Queue() for _ in range(300)]
    for others in ([], [sockets[0]]):
        for i in (0, 130, 299):
            soon(lambda i=i: queues[i].put(i))
            assert tarefa.select([*queues, *others]) == [queues[i]]
            assert queues[i].get_nowait() == i
        assert tarefa.select([*queues, *others], 0.05) == []


def select_in(q, other, seen):
    try:
        seen.put("waits")
        tarefa.select([q, other])
    except tarefa.TaskInterrupted:
        seen.put("interrupted")
        raise


def test_an_interrupt_ends_the_wait(Task, sockets):
    for other in (tarefa.Event(), sockets[0]):
        q, seen = tarefa.Queue(), tarefa.Queue()
        task = Task(target=select_in, args=(q, other, seen)).start()
        assert seen.get() == "waits"
        time.sleep(0.05)
        task.interrupt()
        with pytest.raises((tarefa.TaskInterrupted, tarefa.Interrupted)):
            task.result(timeout=30)


@pytest.mark.parametrize("thing", ["tarefa.Queue()", "tarefa.Queue(), os.pipe()[0]"])
def test_ctrl_c_ends_the_wait_and_leaves_no_thread(thing):
    source = f"""
        import contextlib, os, signal, threading, time
        import tarefa

        things = [{thing}]

        def waits():
            for thread in os.listdir("/proc/self/task"):
                with contextlib.suppress(OSError):
                    if open(f"/proc/self/task/{{thread}}/comm").read() == "tarefa-select\\n":
                        return True
            return False

        try:
            threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT]).start()
            tarefa.select(things)
        except KeyboardInterrupt:
            end = time.monotonic() + 20
            while waits() and time.monotonic() < end:
                time.sleep(0.01)
            print(waits())
    """
    assert run_script(source).stdout == "False\n"


def taker(q, got):
    while True:
        try:
            got.put(q.get(timeout=30))
        except tarefa.ShutDown:
            return


def looker(q, stop):
    while not stop.is_set():
        tarefa.select([q, stop])
        time.sleep(0.001)


def test_who_only_looks_takes_no_wake_up_from_who_takes(Task):
    q, got, stop = tarefa.Queue(), tarefa.Queue(), tarefa.Event()
    lookers = [Task(target=looker, args=(q, stop)).start() for _ in range(3)]
    takers = [Task(target=taker, args=(q, got)).start() for _ in range(2)]
    for i in range(200):
        q.put(i)
        if i % 10 == 0:
            assert [got.get(timeout=30) for _ in range(got.qsize() or 1)]
    q.shutdown()
    stop.set()
    for task in (*lookers, *takers):
        task.result(timeout=30)
    assert q.empty()


def used_cpu(pid=None):
    with open(f"/proc/{pid or 'self'}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_waits_that_hand_on_do_not_keep_each_other_awake():
    """Two who look, a descriptor and one who takes: when all sleep, nobody uses the processor."""
    q, stop = tarefa.Queue(), tarefa.Event()
    lookers = [tarefa.Thread(target=looker, args=(q, stop)).start() for _ in range(3)]
    other = tarefa.attach(tarefa.address(q))
    assert q.fileno() >= 0
    assert other.fileno() >= 0
    q.put(1)
    eventually(lambda: tarefa.select([q], 0))
    assert q.get() == 1
    time.sleep(0.2)
    before = used_cpu()
    time.sleep(1)
    assert used_cpu() - before < 0.5
    stop.set()
    for task in lookers:
        task.join()
    q.close()
    other.close()


def put_for_ever(q):
    while True:
        q.put((1, "something with a blob"))


def test_a_member_that_is_stopped_in_the_middle_delays_nothing_else():
    """Wherever it stands: holding a latch of one queue or none, others are looked at."""
    q, other = tarefa.Queue(maxsize=3), tarefa.Queue()
    task = tarefa.Process(target=put_for_ever, args=(q,)).start()
    eventually(lambda: not q.empty())
    try:
        for _ in range(20):
            for _ in range(3):
                q.get()
            os.kill(task.pid, signal.SIGSTOP)
            soon(lambda: other.put(1), 0.02)
            while tarefa.select([q, other], 20) not in ([other], [other, q], [q, other]):
                time.sleep(0.001)
            other.get_nowait()
            os.kill(task.pid, signal.SIGCONT)
    finally:
        os.kill(task.pid, signal.SIGCONT)
        task.kill()
        task.join()


def test_the_child_of_a_fork_selects(sockets):
    q = tarefa.Queue()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if tarefa.select([q, sockets[0]], 30) == [q] else 2
        finally:
            os._exit(code)
    time.sleep(0.1)
    q.put(1)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_wait_is_in_the_report_of_who_waits():
    q, event = tarefa.Queue(), tarefa.Event()
    task = tarefa.Thread(target=tarefa.select, args=([q, event],), name="selects").start()
    waited_for(q)
    event.set()
    task.join()


def test_bad_input():
    q, (a, b) = tarefa.Queue(), tarefa.Pipe(duplex=False)
    for timeout in (-1, float("nan")):
        with pytest.raises(ValueError, match="timeout"):
            tarefa.select([q], timeout)
    with pytest.raises(OverflowError):
        tarefa.select([q], 1e300)
    with pytest.raises(ValueError, match="for ever"):
        tarefa.select([])
    with pytest.raises(OSError, match="write-only"):
        tarefa.select([b])
    with pytest.raises(tarefa.StateError, match="start"):
        tarefa.select([q, tarefa.Process(target=int)])
    locks = tarefa.Lock(), tarefa.RLock(), tarefa.Semaphore(), tarefa.Condition(), threading.Lock()
    for lock in locks:
        with pytest.raises(TypeError, match="who takes it next"):
            tarefa.select([q, lock])
    for bad in (None, "text", 1.5, tarefa.List(), tarefa.Barrier(2)):
        with pytest.raises(TypeError, match="select"):
            tarefa.select([bad])
    with pytest.raises(ValueError, match="negative"):
        tarefa.select([-1])
    with socket.socket() as closed:
        pass
    with pytest.raises(ValueError, match="negative"):
        tarefa.select([closed])
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    with pytest.raises(OSError, match="not open"):
        tarefa.select([q, free], 1)
    q.close()
    with pytest.raises(ValueError, match="closed"):
        tarefa.select([q])
    a.close()
    with pytest.raises(OSError, match="closed"):
        tarefa.select([a])
    b.close()


def test_no_descriptor_to_spare_is_an_error_and_no_hang():
    source = """
        import os, resource
        import tarefa

        q, (reader, writer) = tarefa.Queue(), os.pipe()
        tarefa.select([q, reader], 0)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        taken = []
        try:
            while True:
                taken.append(os.dup(0))
        except OSError:
            pass
        try:
            tarefa.select([q, reader])
        except OSError as e:
            print(e)
        q.put(1)
        assert tarefa.select([q, reader]) == [q]
    """
    assert "cannot wait for several things" in run_script(source).stdout


def test_it_is_found_by_its_name():
    assert "select" in tarefa.__all__
    assert "tarefa._channel._select" in sys.modules
    assert tarefa.select.__module__.startswith("tarefa")
