"""The rows of the command `tarefa`."""

import fcntl
import os
import pty
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
from pathlib import Path
from time import monotonic_ns, sleep

import tarefa
from benches import pooling
from benches.measure import ROOT, figures, paired, row, timed

ROWS, figure = figures()

COMMAND = str(Path(sys.executable).parent / "tarefa")

WORKERS = 64
EVERY = "0.25"
EVENTS = 1_000_000


def run(*command):
    """A call that runs it, from start to end, without its output."""
    return lambda: timed(
        lambda: subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    )


@figure
def command_map(quick):
    """A program for each of many arguments; parallel is so slow that it has fewer of them."""
    count, few = (1_000, 200) if quick else (10_000, 1_000)
    peers = [
        ("xargs -P 2 -n 1", ["xargs", "-P", "2", "-n", "1", "true"], count, 1.2),
        ("GNU parallel -j 2", ["parallel", "--will-cite", "-j", "2", "true"], few, 1 / 10),
    ]
    rows = []
    with tempfile.TemporaryDirectory() as folder:

        def each(command, count):
            lines = Path(folder, f"{count}")
            lines.write_text("\n".join(map(str, range(count))))

            def once():
                with lines.open() as stdin:
                    return timed(
                        lambda: subprocess.run(
                            command, stdin=stdin, stdout=subprocess.DEVNULL, check=True
                        )
                    )

            return lambda: once() / count

        ours = [COMMAND, "map", "-j", "2", "true"]
        for label, command, how_many, at_most in peers:
            if shutil.which(command[0]) is None:
                print(f"command: without {command[0]}, which is not installed, its row is left out")
                continue
            pair = each(ours, how_many), each(command, how_many)
            values = paired(*pair, 3 if quick else 11)
            what = f"tarefa map -j 2 true, {how_many:,} arguments, each"
            rows.append(row(what, label, "µs", 1e-3, values, at_most))
    return rows


@figure
def command_start(quick):
    values = paired(
        run(COMMAND, "--version"),
        run(sys.executable, "-c", "import tarefa"),
        8 if quick else 40,
    )
    return [row("tarefa --version", "python -c 'import tarefa'", "ms", 1e-6, values, 1.2)]


def processor_time(pid):
    """Nanoseconds that this process and its threads have had a processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def in_a_terminal(command):
    """Start it in a terminal of its own: its pid, and the terminal, whose screen is read away."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))

    def read():
        try:
            while os.read(terminal, 65536):
                pass
        except OSError:
            pass

    threading.Thread(target=read, daemon=True).start()
    return pid, terminal


@figure
def command_top(quick):
    """What a `top` that looks four times a second takes of a core."""
    go = tarefa.Event()
    # Members that wait: so is what looks at them alone in using a processor.
    tasks = [tarefa.Process(target=go.wait).start() for _ in range(WORKERS)]
    for task in tasks:
        tarefa.wait([task], timeout=0.01)
    pid, terminal = in_a_terminal([COMMAND, "top", "--every", EVERY, str(os.getpid())])

    def share():
        used, start = processor_time(pid), monotonic_ns()
        sleep(3 if quick else 10)
        return processor_time(pid) - used, monotonic_ns() - start

    try:
        sleep(2)
        values = list(zip(*(share() for _ in range(1 if quick else 5)), strict=True))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
        go.set()
        for task in tasks:
            task.join()
    what = f"tarefa top, {WORKERS} processes, four times a second: processor time"
    seconds = statistics.median(values[1])
    return [row(what, "one core", "ms", 1e-6 * 1e9 / seconds, values, 0.02)]


@figure
def command_trace(quick):
    """How long the file of a timeline is."""
    count = EVENTS // 10 if quick else EVENTS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trace.pftrace")
        with tarefa.Pool(2, timeline=True) as pool:
            pooling.mapped(pool.map, count)
            recorded = pool.timeline()
            if len(recorded.slices) + recorded.lost < count:
                raise RuntimeError(f"{len(recorded.slices)} slices of {count}")
            pool.save_timeline(path)
        size = path.stat().st_size
    what = f"The file of a timeline of {count:,} tasks, for Perfetto"
    bound = 60e6 * count / EVENTS
    note = f"{recorded.lost} lost" if recorded.lost else ""
    values = [size], [bound]
    return [row(what, "60 bytes for each", "MB", 1e-6, values, 1, note=note)]
