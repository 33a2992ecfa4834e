"""Targets that die, for the tests of deaths.

In a module of their own, that a process imports in no time: some have a time limit.
"""

import contextlib
import os
import signal
import time

import tarefa
from tarefa import Interrupted


def raise_signal(name):
    number = int(name) if name.isdecimal() else getattr(signal, name)
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    time.sleep(3600)


def hold(ready):
    ready.set()
    time.sleep(3600)


def go_on():
    while True:
        with contextlib.suppress(Interrupted):
            time.sleep(3600)


def abort_when_interrupted():
    try:
        time.sleep(3600)
    except Interrupted:
        os.abort()


def start_and_die(handle, ready):
    task = tarefa.Process(target=hold, args=(ready,)).start()
    handle.append(task)
    ready.wait()
    os.kill(os.getpid(), signal.SIGKILL)
