"""Reports of who waits for whom: `deadlocks()`, SIGUSR2, and waits that last."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import xml.etree.ElementTree as ET

import pytest
from support import eventually

import tarefa


def take_in_turn(first, second, ready, go):
    """Take two locks, the second once `go` is set."""
    with first:
        ready.set()
        go.wait()
        with second:
            pass


def take(lock, ready):
    ready.set()
    with lock:
        pass


def hold(lock, ready, go):
    with lock:
        ready.set()
        go.wait()


def stop(*tasks):
    for task in tasks:
        # A thread that is interrupted just before it sleeps goes to sleep all the same.
        eventually(lambda task=task: task.kill() or task.join(0.2) or not task.is_alive())
        task.exception()


@pytest.fixture(autouse=True)
def _nothing_stuck():
    """What a test that fails leaves stuck would keep the run from ending."""
    yield
    for task in tarefa.active_tasks():
        stop(task)


def ring(kinds, locks):
    """Tasks of these kinds, each with a lock, each waiting for the next one's lock."""
    go = tarefa.Event()
    readies = [tarefa.Event() for _ in kinds]
    tasks = [
        kind(
            target=take_in_turn,
            args=(locks[i], locks[(i + 1) % len(locks)], readies[i], go),
            name=f"task-{i}",
        ).start()
        for i, kind in enumerate(kinds)
    ]
    for ready in readies:
        ready.wait()
    go.set()
    return tasks


def found():
    """The report, once there is a deadlock in it."""
    reports = []

    def there():
        reports.append(tarefa.deadlocks())
        return bool(reports[-1])

    eventually(there)
    return reports[-1]


@pytest.mark.parametrize("kinds", ["PP", "TT", "TP", "PPP", "TPT"])
@pytest.mark.parametrize("lock", ["Lock", "RLock"])
def test_a_ring_of_waits_is_a_deadlock(kinds, lock):
    kinds = [tarefa.Process if k == "P" else tarefa.Thread for k in kinds]
    locks = [getattr(tarefa, lock)() for _ in kinds]
    tasks = ring(kinds, locks)
    report = found()
    (cycle,) = report.cycles
    assert len(cycle) == len(kinds)
    first = next(i for i, w in enumerate(cycle) if w.thread == tasks[0].native_id)
    cycle = cycle[first:] + cycle[:first]
    assert [w.task._tarefa_core.object_id for w in cycle] == [
        t._tarefa_core.object_id for t in tasks
    ]
    for i, entry in enumerate(cycle):
        task, wanted = tasks[i], locks[(i + 1) % len(locks)]
        assert entry.pid == task.pid
        assert entry.thread == task.native_id
        assert entry.waits_for == (f"{lock} {wanted.object_id[1]}",)
        assert f"task-{i}" in entry.name
        assert entry.timeout is None
        assert time.time() - 60 < entry.since <= time.time()
        file, line, function = re.fullmatch(r"(.*):(\d+) in (\w+)", entry.line).groups()
        assert file.endswith("test_deadlocks.py")
        assert int(line) == take_in_turn.__code__.co_firstlineno + 5
        assert function == "take_in_turn"
    held = {h.holds: h.thread for h in report.holding}
    for task, own in zip(tasks, locks, strict=True):
        assert held[f"{lock} {own.object_id[1]}"] == task.native_id
    assert report.passing == []
    text = str(report)
    assert text.startswith(f"deadlock: {len(kinds)} threads wait for one another\n")
    for entry in cycle:
        assert f"  {entry.name}\n" in text
        assert f"at {entry.line}" in text
    stop(*tasks)
    eventually(lambda: not tarefa.deadlocks())


def test_a_thread_that_takes_a_lock_twice_waits_for_itself(Task):
    lock, ready, go = tarefa.Lock(), tarefa.Event(), tarefa.Event()
    go.set()
    task = Task(target=take_in_turn, args=(lock, lock, ready, go)).start()
    (cycle,) = found().cycles
    assert [w.thread for w in cycle] == [task.native_id]
    stop(task)


def test_who_joins_a_task_that_waits_for_the_joiners_lock(Task):
    lock, ready = tarefa.Lock(), tarefa.Event()
    name = f"{Task.__name__.lower()} 'joined'"

    def join_under_lock(lock, ready):
        with lock:
            task = Task(target=take, args=(lock, ready), name="joined", daemon=True).start()
            task.join()

    joiner = Task(target=join_under_lock, args=(lock, ready), name="joiner").start()
    ready.wait()
    report = found()
    (cycle,) = report.cycles
    assert len(cycle) == 2
    assert {w.waits_for for w in cycle} == {(name,), (f"Lock {lock.object_id[1]}",)}
    (join,) = [w for w in cycle if w.waits_for == (name,)]
    assert join.line.endswith("in join_under_lock")
    assert f"{name} runs in " in str(report)
    stop(joiner)
    # Of a thread that was interrupted in its join the other one goes on by itself.


@pytest.mark.parametrize("when", ["ALL_COMPLETED", "FIRST_COMPLETED"])
def test_a_wait_for_several_is_stuck_when_what_it_needs_is(when):
    lock, ready, go = tarefa.Lock(), tarefa.Event(), tarefa.Event()

    def wait_under_lock(lock, ready, go):
        with lock:
            stuck = tarefa.Thread(target=take, args=(lock, ready), daemon=True).start()
            free = tarefa.Thread(target=go.wait, daemon=True).start()
            tarefa.wait([stuck, free], return_when=when)

    task = tarefa.Process(target=wait_under_lock, args=(lock, ready, go)).start()
    ready.wait()
    if when == "ALL_COMPLETED":
        assert "waits for all of thread '" in str(found())
    else:
        eventually(lambda: len(tarefa.deadlocks().waiting) == 3)
        report = tarefa.deadlocks()
        assert not report
        assert "waits for any of thread '" in str(report)
    stop(task)


def test_a_join_of_the_main_program_is_seen():
    lock = tarefa.Lock()
    ready = tarefa.Event()
    with lock:
        task = tarefa.Thread(target=take, args=(lock, ready), name="taker").start()
        seen = []

        def look():
            seen.append(found())
            task.interrupt()

        watcher = threading.Thread(target=look)
        watcher.start()
        task.join()
        watcher.join()
    (cycle,) = seen[0].cycles
    (main,) = [w for w in cycle if w.task is None]
    assert main.name.endswith("MainThread")
    assert main.waits_for == ("thread 'taker'",)
    assert main.line.endswith("in test_a_join_of_the_main_program_is_seen")
    task.exception(30)


def test_a_timeout_makes_a_cycle_one_that_ends():
    lock = tarefa.Lock()
    seen = []

    def look():
        eventually(lambda: seen.append(tarefa.deadlocks()) or seen[-1].passing)

    watcher = threading.Thread(target=look)
    with lock:
        watcher.start()
        lock.acquire(timeout=3)
        watcher.join()
    report = seen[-1]
    assert not report
    assert report.cycles == []
    ((entry,),) = report.passing
    assert 0 < entry.timeout <= 3
    assert str(report).startswith("no deadlock: a thread waits for itself, until a timeout ends it")


def test_a_long_wait_is_no_deadlock():
    lock, ready, go, other = tarefa.Lock(), tarefa.Event(), tarefa.Event(), tarefa.Event()
    holder = tarefa.Process(target=hold, args=(lock, ready, go), name="holder").start()
    ready.wait()
    waiter = tarefa.Process(target=take, args=(lock, other), name="waiter").start()
    other.wait()
    eventually(lambda: len(tarefa.deadlocks().waiting) == 2)
    report = tarefa.deadlocks()
    assert not report
    assert report.cycles == report.passing == []
    by_pid = {w.pid: w for w in report.waiting}
    assert by_pid[holder.pid].waits_for == (f"Event {go.object_id[1]}",)
    assert by_pid[waiter.pid].waits_for == (f"Lock {lock.object_id[1]}",)
    (held,) = report.holding
    assert (held.pid, held.holds) == (holder.pid, f"Lock {lock.object_id[1]}")
    text = str(report)
    assert text.startswith("no deadlock\nwho waits\n")
    assert f"is held by process 'holder' (pid {holder.pid}) MainThread" in text
    go.set()
    holder.join()
    waiter.join()
    assert tarefa.deadlocks().waiting == tarefa.deadlocks().holding == []


def test_where_a_holder_that_does_not_wait_stands(Task):
    lock, ready, go = tarefa.Lock(), tarefa.Event(), tarefa.Event()

    def sleep_under_lock(lock, ready):
        with lock:
            ready.set()
            time.sleep(60)

    task = Task(target=sleep_under_lock, args=(lock, ready)).start()
    ready.wait()
    (held,) = tarefa.deadlocks().holding
    assert held.line.endswith("in sleep_under_lock")
    go.set()
    stop(task)


def test_a_second_thread_of_another_process(Task):
    lock, ready = tarefa.Lock(), tarefa.Event()

    def two_threads(lock, ready):
        def sleep_under_lock():
            with lock:
                ready.set()
                time.sleep(60)

        threading.Thread(target=sleep_under_lock, name="second", daemon=True).start()
        time.sleep(60)

    task = tarefa.Process(target=two_threads, args=(lock, ready), name="double").start()
    ready.wait()
    (held,) = tarefa.deadlocks().holding
    assert held.line.endswith("in sleep_under_lock")
    assert held.thread != held.pid == task.pid
    assert held.name.startswith("process 'double' (pid ")
    stop(task)


def test_a_group_of_operations_on_a_list_is_held():
    shared = tarefa.List([1])
    with shared.lock():
        assert [h.holds for h in tarefa.deadlocks().holding] == [f"List {shared.object_id[1]}"]
    assert tarefa.deadlocks().holding == []


def hold_and_take(held, wanted, ready, go):
    """Take two things that have a `with`, the second once `go` is set."""
    with held:
        ready.set()
        go.wait()
        with wanted:
            pass


def crossed(a, b):
    """A process that holds `a` and a thread that holds `b`, each waiting for the other's."""
    go, readies = tarefa.Event(), [tarefa.Event(), tarefa.Event()]
    first = tarefa.Process(target=hold_and_take, args=(a, b, readies[0], go)).start()
    second = tarefa.Thread(target=hold_and_take, args=(b, a, readies[1], go)).start()
    for ready in readies:
        ready.wait()
    go.set()
    return first, second


class Side:
    """A side of a read-write lock that can be sent."""

    def __init__(self, lock, mode):
        self.lock, self.mode = lock, mode

    def __enter__(self):
        getattr(self.lock, self.mode)().__enter__()

    def __exit__(self, *exc):
        getattr(self.lock, self.mode)().__exit__(*exc)


THINGS = {
    "Semaphore": lambda: tarefa.Semaphore(),
    "BoundedSemaphore": lambda: tarefa.BoundedSemaphore(),
    "RWLock": lambda: Side(tarefa.RWLock(), "write"),
    "List": lambda: tarefa.List().lock(),
    "Value": lambda: tarefa.Value("i").get_lock(),
    "Array": lambda: tarefa.Array("i", 3).get_lock(),
    "Dict": lambda: tarefa.Dict().lock(),
}


@pytest.mark.parametrize("kind", [k for k in THINGS if k == "Value" or hasattr(tarefa, k)])
def test_all_that_is_held_in_a_with(kind):
    lock = tarefa.Lock()
    first, second = crossed(THINGS[kind](), lock)
    (cycle,) = found().cycles
    assert {w.thread for w in cycle} == {first.native_id, second.native_id}
    kinds = {w.waits_for[0].split()[0] for w in cycle}
    assert kinds == {"Lock", kind}
    assert {h.holds.split()[0] for h in tarefa.deadlocks().holding} == {"Lock", kind}
    stop(first, second)


def test_a_semaphore_with_a_permit_that_nobody_is_known_to_have():
    semaphore, lock = tarefa.Semaphore(2), tarefa.Lock()
    semaphore.acquire()
    first, second = crossed(semaphore, lock)
    name = f"Semaphore {semaphore.object_id[1]}"
    eventually(lambda: any(w.waits_for == (name,) for w in tarefa.deadlocks().waiting))
    report = tarefa.deadlocks()
    assert not report
    assert (first.pid, name) in {(h.pid, h.holds) for h in report.holding}
    semaphore.release()
    first.join()
    second.join()


def test_a_writer_waits_for_all_readers():
    rwlock, lock, go = tarefa.RWLock(), tarefa.Lock(), tarefa.Event()
    ready, other = tarefa.Event(), tarefa.Event()
    reader = tarefa.Process(target=hold, args=(Side(rwlock, "read"), other, go)).start()
    other.wait()
    lock.acquire()
    stuck = tarefa.Thread(
        target=hold_and_take, args=(Side(rwlock, "read"), lock, ready, go)
    ).start()
    ready.wait()
    seen = []

    def look():
        eventually(lambda: seen.append(tarefa.deadlocks()) or seen[-1].passing)

    watcher = threading.Thread(target=look)
    watcher.start()
    go.set()
    assert not rwlock.acquire_write(timeout=2)
    watcher.join()
    assert len(seen[-1].passing[0]) == 2
    lock.release()
    stuck.join()
    reader.join()


def test_waits_that_others_end_have_a_name():
    condition, barrier, go = tarefa.Condition(), tarefa.Barrier(2), tarefa.Event()

    def wait_in(condition):
        with condition:
            condition.wait()

    tasks = [
        tarefa.Thread(target=wait_in, args=(condition,)).start(),
        tarefa.Process(target=barrier.wait).start(),
        tarefa.Process(target=go.wait).start(),
    ]
    kinds = {"Condition", "Barrier", "Event"}
    eventually(
        lambda: (
            {w.waits_for[0].split()[0] for w in tarefa.deadlocks().waiting if w.waits_for} == kinds
        )
    )
    assert not tarefa.deadlocks()
    go.set()
    barrier.wait()
    with condition:
        condition.notify_all()
    for task in tasks:
        task.join()


def test_threads_have_the_names_that_threading_gives_them():
    go = tarefa.Event()
    threads = [threading.Thread(target=go.wait, name=f"ana-{i}") for i in range(3)]
    for thread in threads:
        thread.start()
    names = {f"main program (pid {os.getpid()}) ana-{i}" for i in range(3)}
    eventually(lambda: {w.name for w in tarefa.deadlocks().waiting} == names)
    go.set()
    for thread in threads:
        thread.join()


def test_many_threads():
    lock, go = tarefa.Lock(), tarefa.Event()
    with lock:
        ready = [tarefa.Event() for _ in range(150)]
        threads = [tarefa.Thread(target=take, args=(lock, r)).start() for r in ready]
        eventually(lambda: len(tarefa.deadlocks().waiting) == len(threads))
        report = tarefa.deadlocks()
        assert not report
        assert {w.waits_for for w in report.waiting} == {(f"Lock {lock.object_id[1]}",)}
    for thread in threads:
        thread.join()
    go.set()


def test_members_that_come_and_die_while_reports_are_made():
    lock = tarefa.Lock()
    until = time.monotonic() + 3
    running = []
    while time.monotonic() < until:
        running.append(tarefa.Process(target=take_for_ever, args=(lock,)).start())
        for _ in range(5):
            assert not tarefa.deadlocks().cycles
        if len(running) > 3:
            stop(running.pop(0))
    stop(*running)


def take_for_ever(lock):
    while True:
        try:
            with lock:
                pass
        except tarefa.OwnerDied:
            pass


def test_no_deadlock_is_seen_where_locks_change_hands_fast():
    rwlock = tarefa.RWLock()
    locks = [tarefa.Lock(), tarefa.RLock(), tarefa.Semaphore()]
    locks += [Side(rwlock, "read"), Side(rwlock, "write")]
    stop_it = tarefa.Event()

    def work(locks, stop_it):
        while not stop_it.is_set():
            for lock in locks:
                with lock:
                    pass

    tasks = [
        kind(target=work, args=(locks, stop_it)).start()
        for kind in (tarefa.Thread, tarefa.Process) * 2
    ]
    until = time.monotonic() + 2
    while time.monotonic() < until:
        report = tarefa.deadlocks()
        assert not report, str(report)
        assert not report.passing, str(report)
    stop_it.set()
    for task in tasks:
        task.join()


# -- SIGUSR2 -----------------------------------------------------------------------------------


def run(source, **environment):
    """Run a program; what it writes to standard error."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


BOTH = """
import os, signal, subprocess, sys, time
import tarefa

def ready_then(act, ready, lock):
    with lock:
        ready.set()
        act()

def native():
    import hashlib
    hashlib.pbkdf2_hmac("sha256", b"", b"", 1 << 28)

def sleep():
    time.sleep(60)

def wait_for_ever():
    tarefa.Event().wait()

def go(task):
    ready, lock = tarefa.Event(), tarefa.Lock()
    t = tarefa.Process(target=ready_then, args=(task, ready, lock), name="child").start()
    ready.wait()
    time.sleep(0.1)
    return t
"""


@pytest.mark.parametrize("act", ["sleep", "native", "wait_for_ever"])
def test_the_signal_to_a_child_whatever_it_does(act):
    err = run(
        BOTH
        + f"""
t = go({act})
os.kill(t.pid, signal.SIGUSR2)
time.sleep(1.5)
assert t.is_alive()
t.kill()
"""
    )
    assert "tarefa: report, asked for by SIGUSR2\nno deadlock" in err
    assert re.search(r"  process 'child' \(pid \d+\) MainThread\n    holds Lock \d+ for ", err)


@pytest.mark.parametrize("act", ["time.sleep(1.5)", "native()"])
def test_the_signal_to_the_root_whatever_it_does(act):
    err = run(
        BOTH
        + f"""
lock = tarefa.Lock()
lock.acquire()
subprocess.Popen(["sh", "-c", f"sleep 0.5; kill -USR2 {{os.getpid()}}; sleep 1.5; "
                  f"kill -TERM {{os.getpid()}}"])
signal.signal(signal.SIGTERM, signal.SIG_DFL)
try:
    {act}
finally:
    os._exit(0)
"""
        if act.startswith("time")
        else BOTH
        + """
import threading
lock = tarefa.Lock()
lock.acquire()
def later():
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGUSR2)
    time.sleep(1.5)
    os._exit(0)
threading.Thread(target=later, daemon=True).start()
native()
"""
    )
    assert "tarefa: report, asked for by SIGUSR2\n" in err
    assert re.search(r"main program \(pid \d+\) MainThread\n    holds Lock \d+ for ", err)
    assert re.search(r"stands at <string>:\d+ in ", err) or "native" in act


def test_a_handler_of_the_programs_own_is_left_alone():
    err = run(
        """
        import os, signal, sys
        signal.signal(signal.SIGUSR2, lambda *_: print("mine", file=sys.stderr))
        import tarefa
        lock = tarefa.Lock()
        os.kill(os.getpid(), signal.SIGUSR2)
        """
    )
    assert err == "mine\n"


def test_a_handler_that_comes_later_wins():
    err = run(
        """
        import os, signal, sys
        import tarefa
        lock = tarefa.Lock()
        signal.signal(signal.SIGUSR2, lambda *_: print("mine", file=sys.stderr))
        os.kill(os.getpid(), signal.SIGUSR2)
        """
    )
    assert err == "mine\n"


def test_the_report_goes_to_the_standard_error_of_who_was_asked(tmp_path):
    path = tmp_path / "err"

    def redirect(path, ready):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(fd, 2)
        os.close(fd)
        ready.set()
        time.sleep(60)

    ready = tarefa.Event()
    task = tarefa.Process(target=redirect, args=(str(path), ready)).start()
    ready.wait()
    os.kill(task.pid, signal.SIGUSR2)
    eventually(lambda: path.exists() and "no deadlock" in path.read_text())
    stop(task)


def test_the_signal_in_a_fork_of_the_programs_own():
    err = run(
        """
        import os, signal, time
        import tarefa
        lock = tarefa.Lock()
        lock.acquire()
        pid = os.fork()
        if pid == 0:
            time.sleep(10)
            os._exit(0)
        time.sleep(0.2)
        os.kill(pid, signal.SIGUSR2)
        time.sleep(1)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        """
    )
    assert "tarefa: report, asked for by SIGUSR2\nno deadlock" in err


# -- waits that last ---------------------------------------------------------------------------


@pytest.fixture
def report_after():
    tarefa.configure(report_after=0.2)
    yield
    tarefa.configure(report_after=0)


def once(capfd, what):
    seen = []

    def there():
        seen.append(capfd.readouterr().err)
        return "".join(seen).count("tarefa: waits that last long:") >= 1 and what in "".join(seen)

    eventually(there)
    time.sleep(0.6)
    seen.append(capfd.readouterr().err)
    text = "".join(seen)
    assert text.count("tarefa: waits that last long:") == 1, text
    return text


def named(text):
    """The threads at the head of each report that shows a wait in a lambda."""
    reports = [r for r in text.split("tarefa: waits that last long:")[1:] if "in <lambda>" in r]
    return [name.strip() for r in reports for name in r.splitlines()[0].split(";")]


@pytest.mark.once("when a wait is reported, the engine decides")
@pytest.mark.parametrize("what", ["acquire", "event", "join", "wait", "result"])
def test_a_wait_that_lasts_is_reported_once_and_goes_on(what, report_after, capfd, Task):
    lock, ready, go = tarefa.Lock(), tarefa.Event(), tarefa.Event()
    holder = Task(target=hold, args=(lock, ready, go)).start()
    ready.wait()
    if Task is tarefa.Thread:
        # The holder's own wait is reported too, before.
        once(capfd, "hold")

    def let_go():
        time.sleep(1.5)
        go.set()

    releaser = threading.Thread(target=let_go)
    releaser.start()
    acts = {
        "acquire": lambda: lock.acquire(),
        "event": lambda: go.wait(),
        "join": lambda: holder.join(),
        "wait": lambda: tarefa.wait([holder]),
        "result": lambda: holder.result(),
    }
    acts[what]()
    main = f"main program (pid {os.getpid()}) MainThread"
    seen = []

    def told():
        seen.append(capfd.readouterr().err)
        return main in named("".join(seen))

    eventually(told)
    time.sleep(0.6)
    told()
    names = named("".join(seen))
    if Task is tarefa.Thread:
        assert names == [main], "".join(seen)
    else:
        # The holder writes to the same file, and began to wait at about the same time: mostly it
        # is named in the same report.
        holders = [name for name in names if name.startswith(f"process '{holder.name}'")]
        assert len(holders) == 1, "".join(seen)
        assert sorted(names) == sorted([main, *holders]), "".join(seen)
    releaser.join()
    holder.join()


def test_a_wait_with_a_timeout_before_that_is_not_reported(report_after, capfd):
    lock = tarefa.Lock()
    with lock:
        assert not lock.acquire(timeout=0.1)
    tarefa.sleep(0.5)
    assert capfd.readouterr().err == ""


def test_the_environment_sets_it():
    source = """
        import tarefa
        lock = tarefa.Lock()
        lock.acquire()
        assert not lock.acquire(timeout=1)
        """
    assert "tarefa: waits that last long:" in run(source, TAREFA_REPORT_AFTER="0.2")
    assert run(source, TAREFA_REPORT_AFTER="0") == ""
    assert run(source, TAREFA_REPORT_AFTER="") == ""


@pytest.mark.parametrize("text", ["soon", "-1", "nan"])
def test_bad_environment_says_so(text):
    done = subprocess.run(
        [sys.executable, "-c", "import tarefa; tarefa.Lock()"],
        env={**os.environ, "TAREFA_REPORT_AFTER": text},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "TAREFA_REPORT_AFTER must be a number of seconds, as in 30" in done.stderr


@pytest.mark.parametrize(
    ("value", "error"),
    [(-1, ValueError), (float("nan"), ValueError), ("1", TypeError), (True, TypeError)],
)
def test_bad_report_after(value, error):
    with pytest.raises(error, match="report_after must be a number of seconds"):
        tarefa.configure(report_after=value)


def test_without_anything_to_tell():
    report = tarefa.deadlocks()
    assert not report
    assert str(report) == "no deadlock: nobody waits"
    assert repr(report) == "<tarefa.DeadlockReport: 0 deadlocks, 0 waiting, 0 held>"


def test_a_report_is_a_picture_in_a_notebook():
    tasks = ring([tarefa.Thread, tarefa.Process], [tarefa.Lock(), tarefa.Lock()])
    report = found()
    stop(*tasks)
    svg = ET.fromstring(report.svg())
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    text = "".join(svg.itertext())
    assert "task-0" in text
    assert "task-1" in text
    page = ET.fromstring(f"<div>{report._repr_html_()}</div>")
    assert str(report) in "".join(page.itertext())
    assert report._repr_svg_() == report.svg()
    assert "nobody waits" in "".join(ET.fromstring(tarefa.deadlocks().svg()).itertext())
