"""Tests that may crash, hang or spoil the process: each in a process of its own, with pytest.

usage: pytest examples/task/in_isolation.py

`isolated` runs a test in a process: one that crashes fails, and says how; one that hangs is ended;
what one changes, the next does not see.
"""

import ctypes
import functools
import os
import signal

import pytest

import tarefa


def isolated(seconds=10.0):
    """Run a test in a process of its own, for so many seconds at most."""

    def around(test):
        @functools.wraps(test)
        def run(*args, **kwargs):
            task = tarefa.Process(target=test, args=args, kwargs=kwargs, name=test.__name__)
            task.time_limit = seconds
            task.start().result()

        return run

    return around


@isolated()
def test_changes_end_with_the_process():
    os.environ["LEFT_BEHIND"] = "1"


def test_nothing_is_left_behind():
    assert "LEFT_BEHIND" not in os.environ


@isolated()
def crash():
    ctypes.string_at(0)


@isolated(seconds=0.2)
def hang():
    while True:
        pass


def test_a_crash_is_a_failure_of_one_test():
    with pytest.raises(tarefa.WorkerDied) as died:
        crash()
    assert died.value.signal == signal.SIGSEGV


def test_a_test_that_hangs_is_ended():
    with pytest.raises(tarefa.TimeLimitExceeded):
        hang()


@pytest.mark.parametrize("n", [1, 2])
@isolated()
def test_parameters_go_along(n):
    assert n in (1, 2)
