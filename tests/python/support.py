"""What several tests need: waiting for a condition, and programs in an interpreter of their own.

Every program started here carries a mark in its environment, which all its descendants inherit.
When it has ended, no process with that mark may be left: `run_script` checks it every time.
"""

import os
import subprocess
import sys
import tempfile
import textwrap
import time
import uuid
from pathlib import Path

import tarefa

MARK = "TAREFA_TEST_MARK"
GIVE_UP = 50.0  # seconds; against hangs only, below the watchdog of the test


def eventually(condition, seconds=20.0):
    """Wait until `condition()` is true and return its value; TimeoutError when it never is."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"still not true after {seconds:g} s")
        time.sleep(0.01)
    return value


def rehearsed():
    """Wait until the zygote has rehearsed, which it does with shared objects of its own."""
    eventually(lambda: tarefa.Process(target=_has_rehearsed).start().result(), 50)


def _has_rehearsed():
    warm_up = sys.modules.get("tarefa._task._warm_up")
    stand_ins = getattr(warm_up, "_stand_ins", ())
    return len(stand_ins) == 3 and stand_ins[1].kept is None


def marked(mark):
    """Pids of the living processes whose environment carries `mark`."""
    wanted = f"{MARK}={mark}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    yield int(entry.name)
            except OSError:
                continue


def is_alive(pid):
    """Whether `pid` exists and is not merely a zombie waiting for its parent."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def marked_environment(env=None):
    mark = uuid.uuid4().hex
    return mark, {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {}), MARK: mark}


def assert_nothing_left(mark):
    try:
        eventually(lambda: not list(marked(mark)), seconds=5)
    except TimeoutError:
        left = {
            pid: Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            for pid in marked(mark)
        }
        for pid in left:
            os.kill(pid, 9)
        raise AssertionError(f"processes left behind: {left}") from None


def waited_for(thing, count=1):
    """Return once that many threads, of whatever process, wait for a shared object."""
    number = str(thing.object_id[1])

    def those_who_wait():
        waiting = tarefa.deadlocks().waiting
        return sum(any(name.split()[-1] == number for name in w.waits_for) for w in waiting)

    eventually(lambda: those_who_wait() >= count)


def run(command, *, stdin="", env=None, cwd=None, code=0):
    """Run `command` to its end, expect exit code `code` (None.

    Any), and that no process of it is left.
    """
    mark, environment = marked_environment(env)
    try:
        done = subprocess.run(
            command,
            input=stdin,
            env=environment,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=GIVE_UP,
            errors="replace",
        )
    except subprocess.TimeoutExpired as hang:
        for pid in marked(mark):
            os.kill(pid, 9)
        raise AssertionError(f"it hangs; so far it wrote:\n{hang.stdout}\n{hang.stderr}") from None
    said = f"exit code {done.returncode}\n--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}"
    assert code is None or done.returncode == code, said
    assert_nothing_left(mark)
    return done


def run_script(source, *arguments, flags=(), name="program.py", **rest):
    """Run `source` as a script file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_text(textwrap.dedent(source))
        return run([sys.executable, *flags, str(path), *map(str, arguments)], **rest)


class Running:
    """A script that goes on while the test looks at it; killed at the end of the `with`."""

    def __init__(self, source, *, env=None):
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name, "program.py")
        path.write_text(textwrap.dedent(source))
        self.mark, environment = marked_environment(env)
        self.process = subprocess.Popen(
            [sys.executable, str(path)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        return self

    def line(self):
        line = self.process.stdout.readline()
        assert line, "the script ended early:\n" + self.process.stderr.read()
        return line.strip()

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
        self._folder.cleanup()
        assert_nothing_left(self.mark)
