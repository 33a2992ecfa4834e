"""Which task `tarefa top` has chosen, and to whom it does what is asked of it."""

import signal

import pytest
from support import eventually
from test_top import Tasks, asked_once, row, sleep_long, spin, top

import tarefa

pytestmark = pytest.mark.once("the command is Rust's, and reads shared memory")

_asked_once = pytest.fixture(scope="module", autouse=True)(asked_once)


def gone(terminal, name):
    """Wait until no row is of that task; what is asked or said is no row."""
    eventually(lambda: not any(name in line for line in terminal.lines()[:-1]))


def sleepers(*names):
    return Tasks(*((tarefa.Process, sleep_long, name) for name in names))


@pytest.mark.parametrize("key", ["k", "t", "i"])
def test_the_neighbour_of_a_row_that_has_gone_is_chosen(key):
    word = {"k": "kill", "t": "terminate", "i": "interrupt"}[key]
    tasks = sleepers("x-ana", "x-eva", "x-ivo", "x-rui")
    with tasks as (ana, eva, ivo, rui), top() as terminal:
        terminal.shows("x-ana", "x-eva", "x-ivo", "x-rui", "main program")
        terminal.send("ss/x-\r")
        terminal.shows("by name", "/x-")
        # The row that takes its place.
        terminal.send("\x1b[H\x1b[B" + key)
        terminal.shows(f"{word} x-eva ({eva.pid})? y/n")
        terminal.send("y")
        gone(terminal, "x-eva")
        terminal.send(key)
        terminal.shows(f"{word} x-ivo ({ivo.pid})? y/n")
        terminal.send("y")
        gone(terminal, "x-ivo")
        # The one before, where none is after it.
        terminal.send(key)
        terminal.shows(f"{word} x-rui ({rui.pid})? y/n")
        terminal.send("y")
        gone(terminal, "x-rui")
        terminal.send(key)
        terminal.shows(f"{word} x-ana ({ana.pid})? y/n")
        terminal.send("nq")
        terminal.ended()
        assert ana.is_alive()


def test_a_choice_stays_with_its_task_where_the_order_changes():
    with (
        Tasks((tarefa.Process, spin, "x-ivo"), (tarefa.Process, sleep_long, "x-eva")) as (ivo, eva),
        top() as terminal,
    ):
        eventually(
            lambda: row(terminal.shows("x-ivo", "x-eva"), "x-ivo") < row(terminal.lines(), "x-eva")
        )
        terminal.send("/x-eva\r\x1b")
        terminal.shows("x-ivo")
        ivo.kill()
        gone(terminal, "x-ivo")
        terminal.send("r")
        terminal.send("k")
        terminal.shows(f"kill x-eva ({eva.pid})? y/n")


def test_an_answer_is_for_the_task_of_the_question():
    with sleepers("x-ana", "x-eva", "x-ivo") as (ana, eva, ivo), top() as terminal:
        terminal.shows("x-ana", "x-eva", "x-ivo")
        terminal.send("/x-eva\r\x1b")
        terminal.shows("x-ana", "x-ivo")
        terminal.send("k")
        terminal.shows(f"kill x-eva ({eva.pid})? y/n")
        eva.kill()
        gone(terminal, "x-eva")
        terminal.shows(f"kill x-eva ({eva.pid})? y/n")
        terminal.send("y")
        terminal.shows("x-eva has ended")
        assert ana.is_alive()
        assert ivo.is_alive()


def test_one_that_has_ended_since_it_was_shown_is_not_asked_about():
    with sleepers("x-ana", "x-eva") as (ana, eva), top() as terminal:
        terminal.shows("x-ana", "x-eva")
        terminal.send("/x-eva\r\x1b")
        terminal.shows("x-ana")
        terminal.send(" ")
        terminal.shows("paused")
        eva.kill()
        assert eva.exception().signal == signal.SIGKILL
        terminal.send("k")
        terminal.shows("x-eva has ended")
        terminal.send("yq")
        terminal.ended()
        assert ana.is_alive()


def test_several_are_interrupted_at_once():
    with sleepers("x-ana", "x-eva") as tasks, top() as terminal:
        terminal.shows("x-ana", "x-eva")
        for name in ["x-ana", "x-eva"]:
            terminal.send(f"/{name}\ri")
            terminal.shows(f"interrupt {name} (")
            terminal.send("y\x1b")
        assert all(isinstance(task.exception(), tarefa.TaskInterrupted) for task in tasks)


def test_the_last_line_says_where_tab_leads():
    with top(columns=80) as terminal:
        for _ in range(2):
            terminal.shows("Tab locks  i interrupt  t terminate  k kill")
            terminal.send("\t")
            line = terminal.shows("Tab tasks  i interrupt  t terminate  k kill")[-1]
            assert "locks" not in line
            terminal.send("\t")
    with top("--lang=pt", columns=80) as terminal:
        terminal.shows("Tab travas  i interromper  t encerrar  k matar")
        terminal.send("\t")
        terminal.shows("Tab tarefas  i interromper  t encerrar  k matar")
