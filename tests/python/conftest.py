"""What every test here is held to.

- A watchdog: a test that takes longer than its limit (60 s, or `@pytest.mark.watchdog(seconds)`)
  prints the stack of every thread and ends the run. It is there against hangs, not to measure
  speed.
- Nothing is left behind: within 5 s after a test that passed there is no child process other than
  the runtime's own, no task process, no descriptor and no shared object more than before it.
- What says the same whatever the interpreter is marked `@pytest.mark.once(why)`: of the versions
  that `make test-python` finds, the first alone runs it.
- `Task` runs a test twice, on `tarefa.Thread` and on `tarefa.Process`: the conformance suite.
"""

import faulthandler
import gc
import os
import signal
import sys
import time
from multiprocessing import resource_tracker

import pytest
from leaks import Belongings, describe_surplus
from support import eventually

import tarefa
from tarefa._runtime import _awaits

LIMIT = 60.0
_passed = pytest.StashKey[bool]()
_stderr = None


def pytest_configure(config):
    global _stderr
    config.addinivalue_line(
        "markers", "watchdog(seconds): end the run when the test takes longer than this"
    )
    config.addinivalue_line(
        "markers", "once(why): the same on every version; `make test-python` runs it on the first"
    )
    # A shell's background job ignores these, and so would every script that a test starts.
    for ignored, usual in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGQUIT, signal.SIG_DFL),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(ignored) is signal.SIG_IGN:
            signal.signal(ignored, usual)
    # Capturing has not begun here, so this is the terminal.
    _stderr = os.fdopen(os.dup(sys.__stderr__.fileno()), "w")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    marker = item.get_closest_marker("watchdog")
    seconds = marker.args[0] if marker else LIMIT
    faulthandler.dump_traceback_later(seconds, exit=True, file=_stderr)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        item.stash[_passed] = report.passed
    return report


@pytest.fixture(scope="session", autouse=True)
def _runtime():
    """Make the runtime once: what it keeps for itself is there before the first test.

    So is what multiprocessing keeps, whose locks start it from CPython 3.14 on.
    """
    resource_tracker.ensure_running()
    events = [tarefa.Event() for _ in range(2)]
    for event, kind in zip(events, (tarefa.Thread, tarefa.Process), strict=True):
        task = kind(target=event.set)
        task.start()
        task.result()
        assert event.is_set()
    _awaits.the_board()
    _settle()
    # What pytest holds is not looked at again at each test, which would take most of the time.
    gc.collect()
    gc.freeze()


def _settle():
    """Wait for the zygote, which rehearses with objects: half a second without a change."""
    unchanged_since, objects = time.monotonic(), None
    give_up = unchanged_since + 10
    while time.monotonic() < min(unchanged_since + 0.5, give_up):
        time.sleep(0.02)
        known = tarefa._engine.diagnostics()
        if known["objects"] != objects or not known["spares"]:
            unchanged_since, objects = time.monotonic(), known["objects"]


@pytest.fixture(autouse=True)
def _nothing_left(request, _runtime):
    before = Belongings.now()
    yield
    if not request.node.stash.get(_passed, False):
        return
    # The values of fixtures torn down by now, which pytest keeps until after this.
    request.node.funcargs.clear()
    try:
        eventually(lambda: not describe_surplus(before, Belongings.now()), seconds=5)
    except TimeoutError:
        pytest.fail("left behind: " + describe_surplus(before, Belongings.now()))


@pytest.fixture(params=["Thread", "Process"])
def Task(request):
    return getattr(tarefa, request.param)


@pytest.fixture
def held(Task):
    """A running task that returns "done" once its `go` event is set."""
    ready, go = tarefa.Event(), tarefa.Event()

    def hold(ready, go):
        ready.set()
        go.wait()
        return "done"

    task = Task(target=hold, args=(ready, go), name="held")
    task.start()
    ready.wait()
    task_and_go = (task, go)
    yield task_and_go
    go.set()
    task.join()
