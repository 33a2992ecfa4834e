"""Each way to die is told in the words of the table that the Rust front is held to as well."""

import contextlib
import os
import re
from pathlib import Path

import pytest
import ways_to_die
from support import eventually, run_script

import tarefa
from tarefa import State, WorkerDied

TABLE = Path(__file__).parents[3] / "crates/tarefa/tests/task/deaths.tsv"


def cases():
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return [pytest.param(way, words, id=name) for name, way, words in rows]


def dead(way):
    """A task that has died that way."""
    steps = way.split()
    limits = dict(step.split("=") for step in steps if "=" in step)
    if "time_limit" in limits:
        limits["time_limit"] = float(limits["time_limit"])
    ready = tarefa.Event()
    match [step for step in steps if "=" not in step]:
        case ["raise", name]:
            target, args = ways_to_die.raise_signal, (name,)
        case ["exit", code]:
            target, args = os._exit, (int(code),)
        case ["abort"]:
            target, args = os.abort, ()
        case ["go_on"]:
            target, args = ways_to_die.go_on, ()
        case ["abort_when_interrupted"]:
            target, args = ways_to_die.abort_when_interrupted, ()
        case ["kill" | "terminate" as method]:
            task = tarefa.Process(target=ways_to_die.hold, args=(ready,)).start()
            ready.wait()
            getattr(task, method)()
            return task
        case ["starter_ends"]:
            handle = tarefa.List()
            tarefa.Process(target=ways_to_die.start_and_die, args=(handle, ready)).start().join()
            return handle[0]
        case other:
            raise AssertionError(f"no such way: {other}")
    return tarefa.Process(target=target, args=args, **limits).start()


@pytest.mark.parametrize(("way", "words"), cases())
def test_it_is_told_in_the_words_of_the_table(way, words):
    task = dead(way)
    error = task.exception()
    assert isinstance(error, WorkerDied)
    assert task.state is State.KILLED
    label, _, told = str(error).partition(f"(pid {task.pid}) ")
    assert label == f"process {task.name!r} "
    told = re.sub(r"peak memory \d+\.\d MiB", "peak memory N MiB", told)
    # Where it was, which is not the table's: see test_last_line.py.
    assert re.sub(r"; (its last line was|it was last seen at) .*$", "", told) == words


@pytest.fixture
def small_cgroup():
    """A file to write a pid to, for that process and its children to share 160 MiB."""
    groups = Path("/proc/self/cgroup").read_text().splitlines()
    paths = {
        controllers: path.lstrip("/") for _, controllers, path in (g.split(":", 2) for g in groups)
    }
    mount, files = Path("/sys/fs/cgroup"), {"memory.max": MEMORY, "memory.swap.max": 0}
    if "memory" in paths:
        mount /= "memory"
        files = {"memory.limit_in_bytes": MEMORY, "memory.memsw.limit_in_bytes": MEMORY}
    folder = mount / paths.get("memory", paths.get("", "")) / f"tarefa-test-{os.getpid()}"
    try:
        folder.mkdir()
        for name, value in files.items():
            if (folder / name).exists():
                (folder / name).write_text(str(value))
        limited = any((folder / name).exists() for name in files)
    except OSError as error:
        pytest.skip(f"no cgroup may be made here: {error}")
    try:
        if not limited:
            pytest.skip("no memory controller for cgroups here")
        yield folder / "cgroup.procs"
    finally:
        eventually(lambda: remove(folder))


MEMORY = 160 << 20


def remove(folder):
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not folder.exists()


def test_the_kernels_kill_for_want_of_memory_is_told_from_others(small_cgroup):
    done = run_script(
        """
        import os, signal, sys, tarefa
        with open(sys.argv[1], "w") as procs:
            procs.write(str(os.getpid()))
        def take(): return len(b"x" * (400 << 20))
        def die(): os.kill(os.getpid(), signal.SIGKILL)
        for target in (die, take, die):
            print(str(tarefa.Process(target=target).start().exception()).split("cause: ")[1])
        """,
        small_cgroup,
    )
    words = [line.partition(",")[0] for line in done.stdout.splitlines()]
    assert words == ["somebody sent it SIGKILL", "the machine", "somebody sent it SIGKILL"]


def test_peak_memory_is_told_where_the_zygote_comes_late():
    done = run_script(
        """
        import os, subprocess, sys, time
        import tarefa

        def work(ready):
            kept = bytearray(30 << 20)
            ready.set()
            time.sleep(60)
            return kept

        ready = tarefa.Event()
        task = tarefa.Process(target=work, args=(ready,)).start()
        ready.wait()
        zygote = tarefa._engine.diagnostics()["zygote_pid"]
        cpu = min(os.sched_getaffinity(0))
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            os.sched_setaffinity(busy.pid, {cpu})
            os.sched_setaffinity(zygote, {cpu})
            os.sched_setscheduler(zygote, os.SCHED_IDLE, os.sched_param(0))
            time.sleep(0.1)
            began = time.monotonic()
            os.kill(task.pid, 9)
            task.join()
            took = time.monotonic() - began
        finally:
            busy.kill()
            busy.wait()
        # It is waited for as long as two seconds, while it only waits for the processor.
        if took < 1.5:
            print(task.usage().peak_memory >> 20, task.exception())
        """
    )
    if done.stdout:
        assert int(done.stdout.split()[0]) >= 30
        assert "unknown" not in done.stdout
