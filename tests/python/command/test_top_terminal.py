"""What `tarefa top` makes of its terminal: one that goes away, is stopped, is tiny, or is none."""

import os
import signal
import subprocess

import pytest
from pseudo_terminal import Terminal
from support import eventually, is_alive, run
from test_top import COMMAND, HERE, UTF8, Tasks, asked_once, sleep_long, top

import tarefa

pytestmark = pytest.mark.once("the command is Rust's, and reads shared memory")

_asked_once = pytest.fixture(scope="module", autouse=True)(asked_once)

SHELL = ["bash", "--norc", "--noprofile", "--noediting", "-i"]


@pytest.fixture(autouse=True)
def _uses_tarefa():
    keep = tarefa.Lock()
    yield
    del keep


def chosen(terminal, *keys):
    """The screen is there, and has these keys."""
    terminal.shows("main program", "q quit")
    for key in keys:
        terminal.send(key)


@pytest.mark.parametrize("controlling", [True, False])
@pytest.mark.parametrize("keys", ["", "\t", "?", "/m", "k"])
def test_it_ends_with_its_terminal(controlling, keys):
    # Who has no controlling terminal hears of no SIGHUP: the end of the file tells.
    with top(controlling=controlling) as terminal:
        chosen(terminal, keys)
        terminal.go_away()
        terminal.ended(128 + signal.SIGHUP)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_ends_it_and_the_terminal_is_given_back(number):
    with top() as terminal:
        chosen(terminal)
        terminal.signal(number)
        terminal.ended(128 + number)
        assert terminal.is_restored()


def test_a_signal_ends_it_while_it_writes_to_a_terminal_that_takes_nothing():
    with top() as terminal:
        chosen(terminal)
        terminal.stop_output()
        terminal.resize(90, 20)
        terminal.signal()
        terminal.ended(128 + signal.SIGTERM)
        assert terminal.is_restored()


def test_a_signal_ends_it_while_nobody_reads_what_it_writes():
    with top(columns=500, rows=200) as terminal:
        chosen(terminal)
        # Each of them has all drawn anew, and the terminal takes some kilobytes.
        for i in range(50):
            terminal.send(f"/{i}" + "x" * 400 + "\r?")
            terminal.resize(400 + i, 200)
        terminal.signal()
        eventually(lambda: terminal.process.poll() is not None)
        assert terminal.process.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("controlling", [True, False])
@pytest.mark.parametrize("keys", ["", "\t", "?", "/m", "k"])
def test_ctrl_c_leaves_from_everywhere(controlling, keys):
    with top(controlling=controlling) as terminal:
        chosen(terminal, keys)
        terminal.send("\x03")
        terminal.ended()
        assert terminal.is_restored()


def in_a_shell(terminal):
    terminal.send(f"{COMMAND} top {HERE} --every 0.1\r")
    terminal.shows("main program", "q quit")
    assert terminal.reads_keys()


def test_ctrl_z_gives_the_terminal_back_until_fg():
    with Terminal(SHELL, env={**UTF8, "PS1": "$ "}) as terminal:
        in_a_shell(terminal)
        for _ in range(2):
            terminal.forget()
            terminal.send("\x1a")
            terminal.shows("Stopped")
            assert terminal.text.index("\x1b[?1049l") < terminal.text.index("Stopped")
            assert "\x1b[?25h" in terminal.text
            assert not terminal.reads_keys()
            terminal.forget()
            terminal.send("fg\r")
            terminal.shows("main program", "TASK", "q quit")
            assert "\x1b[?1049h" in terminal.text
            assert terminal.reads_keys()
        terminal.send("q")
        eventually(lambda: not terminal.reads_keys())
        terminal.send("exit\r")
        terminal.ended()


def test_a_shell_ends_one_that_is_stopped():
    with Terminal(SHELL, env={**UTF8, "PS1": "$ "}) as terminal:
        in_a_shell(terminal)
        terminal.send("\x1a")
        terminal.shows("Stopped")
        # Its code is not asked for: a shell that takes it for stopped still does not wait.
        until_ended = "while kill -0 $p 2>/dev/null; do sleep 0.1; done"
        terminal.send(f"p=$(jobs -p); kill %1; {until_ended}; echo over $((40 + 2))\r")
        terminal.shows("over 42")
        assert not terminal.reads_keys()


def test_one_in_the_background_leaves_the_terminal_alone():
    with Terminal(SHELL, env={**UTF8, "PS1": "$ "}) as terminal:
        in_a_shell(terminal)
        terminal.send("\x1a")
        terminal.shows("Stopped")
        terminal.forget()
        # It stops again, as whoever wants the terminal then.
        terminal.send(
            "bg; until jobs -s | grep -q top; do sleep 0.01; done; echo again $((6 * 7))\r"
        )
        terminal.shows("again 42")
        assert "\x1b[?1049h" not in terminal.text
        assert not terminal.reads_keys()
        terminal.send("fg\r")
        terminal.shows("main program", "q quit")
        assert terminal.reads_keys()


def state(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def test_one_that_was_stopped_by_force_draws_all_again():
    with top() as terminal:
        chosen(terminal)
        terminal.signal(signal.SIGSTOP)
        eventually(lambda: state(terminal.process.pid) == "T")
        terminal.set_back()
        terminal.forget()
        terminal.signal(signal.SIGCONT)
        terminal.shows("main program", "TASK", "q quit")
        assert "\x1b[?1049h" in terminal.text
        assert terminal.reads_keys()
        terminal.send("q")
        terminal.ended()
        assert terminal.is_restored()


def test_who_cannot_be_made_to_go_on_is_not_stopped():
    # The only process of its session: nobody would have it go on.
    with top() as terminal:
        chosen(terminal)
        for stops in [lambda: terminal.send("\x1a"), lambda: terminal.signal(signal.SIGTSTP)]:
            terminal.forget()
            stops()
            terminal.shows("main program", "q quit")
            assert "\x1b[?1049l" in terminal.text
        terminal.send("q")
        terminal.ended()
        assert terminal.is_restored()


def test_tiny_sizes_and_other_keys_during_a_question():
    with Tasks((tarefa.Process, sleep_long, "eva")) as (eva,), top() as terminal:
        chosen(terminal, "/eva\r", "k")
        terminal.shows(f"kill eva ({eva.pid})? y/n")
        for columns, rows in [(1, 1), (2, 1), (1, 3), (0, 0)]:
            terminal.forget()
            terminal.resize(columns, rows)
            # As large as any, where it does not say how large it is.
            terminal.shows("…" if columns else f"kill eva ({eva.pid})? y/n")
        terminal.resize(100, 30)
        terminal.shows(f"kill eva ({eva.pid})? y/n")
        # No answer but y is yes: no end of a key that means nothing, and no q, which leaves later.
        for keys in ["\x1b[200y", "q", "\x1b[A"]:
            terminal.send(keys)
            terminal.shows("q quit")
            assert terminal.process.poll() is None
            terminal.send("k")
            terminal.shows(f"kill eva ({eva.pid})? y/n")
        terminal.send("qq")
        terminal.ended()
        assert is_alive(eva.pid)


@pytest.mark.parametrize("kind", [None, "", "dumb"])
def test_a_terminal_without_a_cursor_that_moves(kind):
    with top(env={"TERM": kind}) as terminal:
        text = terminal.ended(2)
        assert "tarefa: top needs a terminal with a cursor that moves, and TERM is dumb" in text
        assert "\x1b" not in text
    with top("--lang=pt", env={"TERM": kind}) as terminal:
        assert "top precisa de um terminal cujo cursor se mova" in terminal.ended(2)


def test_standard_input_is_no_terminal():
    with Terminal(["sh", "-c", f"{COMMAND} top {HERE} </dev/null"], env=UTF8) as terminal:
        assert "tarefa: top needs a terminal;" in terminal.ended(2)
    with Terminal(["sh", "-c", f"{COMMAND} top {HERE} | cat"], env=UTF8) as terminal:
        assert "tarefa: top needs a terminal;" in terminal.ended()
    assert "top needs a terminal" in run([COMMAND, "top", HERE], code=2, env=UTF8).stderr


def test_json_into_a_full_pipe_ends_on_a_signal():
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    with open(reads, "rb"), open(writes, "wb", buffering=0) as full:
        while full.write(bytes(4096)):
            pass
        os.set_blocking(writes, True)
        process = subprocess.Popen(
            [COMMAND, "top", HERE, "--json", "--no-stacks"],
            stdout=writes,
            env={**os.environ, **UTF8},
        )
        process.terminate()
        assert process.wait(50) == -signal.SIGTERM
