"""What changes between two starts of one target is seen by the second, and so is what changes back.

A start after others looks at all of it in one go, and sends again what it has sent before.
"""

import contextvars
import decimal
import logging
import os
import socket
import sys
import threading
import time
import warnings

import pytest
from support import run_script

import tarefa

VARIABLE = contextvars.ContextVar("VARIABLE")


def look():
    return {
        "env": os.environ.get("CHANGES_BETWEEN_STARTS"),
        "folder": os.getcwd(),
        "path": list(sys.path),
        "argv": list(sys.argv),
        "recursion": sys.getrecursionlimit(),
        "switch": sys.getswitchinterval(),
        "stack": threading.stack_size(),
        "digits": sys.get_int_max_str_digits(),
        "zone": time.tzname,
        "timeout": socket.getdefaulttimeout(),
        "decimal": decimal.getcontext().prec,
        "filters": [f[0] for f in warnings.filters],
        "level": logging.getLogger("tarefa.test").level,
        "variable": VARIABLE.get(None),
    }


def _zone(name):
    os.environ["TZ"] = name
    time.tzset()


CHANGES = {
    "env": (
        lambda: os.environ.__setitem__("CHANGES_BETWEEN_STARTS", "1"),
        lambda: os.environ.pop("CHANGES_BETWEEN_STARTS"),
    ),
    "path": (lambda: sys.path.append("/nowhere"), lambda: sys.path.remove("/nowhere")),
    "argv": (lambda: sys.argv.append("more"), lambda: sys.argv.pop()),
    "recursion": (lambda: sys.setrecursionlimit(1234), lambda: sys.setrecursionlimit(1000)),
    "switch": (lambda: sys.setswitchinterval(0.25), lambda: sys.setswitchinterval(0.005)),
    "stack": (lambda: threading.stack_size(1 << 20), lambda: threading.stack_size(0)),
    "digits": (lambda: sys.set_int_max_str_digits(900), lambda: sys.set_int_max_str_digits(4300)),
    "zone": (lambda: _zone("XYZ+3"), lambda: _zone("UTC0")),
    "timeout": (lambda: socket.setdefaulttimeout(7), lambda: socket.setdefaulttimeout(None)),
    "decimal": (
        lambda: setattr(decimal.getcontext(), "prec", 9),
        lambda: setattr(decimal.getcontext(), "prec", 28),
    ),
    "filters": (lambda: warnings.simplefilter("error"), lambda: warnings.filters.pop(0)),
    "level": (
        lambda: logging.getLogger("tarefa.test").setLevel(15),
        lambda: logging.getLogger("tarefa.test").setLevel(0),
    ),
    "variable": (lambda: VARIABLE.set("one"), lambda: VARIABLE.set("two")),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_seen_after_starts_without_one(what):
    change, back = CHANGES[what]

    def seen():
        found = tarefa.Process(target=look).start().result()
        return found[what]

    for _ in range(3):
        first = seen()
    change()
    try:
        changed = seen()
        assert changed != first
        assert seen() == changed
    finally:
        back()
    for _ in range(3):
        assert seen() == (first if what != "variable" else "two")


def test_a_folder_is_seen_after_starts_without_a_change(tmp_path, monkeypatch):
    for _ in range(3):
        assert tarefa.Process(target=look).start().result()["folder"] == os.getcwd()
    monkeypatch.chdir(tmp_path)
    assert tarefa.Process(target=look).start().result()["folder"] == str(tmp_path)


def test_a_function_that_is_another_is_sent_as_that():
    done = run_script("""
        import sys, types, tarefa
        number = [1]
        def helper(): return "helper"
        def other(): return "other"
        def of_data(): return number[0]
        def plain(): return helper()
        class Counted: pass
        def started(target): return tarefa.Process(target=target).start().result()
        for _ in range(3): assert started(plain) == "helper"
        # What it calls has other code, and then its own again.
        code = helper.__code__
        helper.__code__ = other.__code__
        assert started(plain) == "other"
        helper.__code__ = code
        assert started(plain) == "helper"
        # Its own code, defaults, attributes.
        plain.__code__ = other.__code__
        assert started(plain) == "other"
        def with_default(x=1): return x
        def bare(): return getattr(bare, "mark", None)
        for _ in range(3): assert started(with_default) == 1 and started(bare) is None
        with_default.__defaults__ = (2,)
        bare.mark = "marked"
        assert started(with_default) == 2 and started(bare) == "marked"
        # The name stands for another one.
        first = other
        for _ in range(3): assert started(other) == "other"
        def other(): return "new"
        assert started(first) == "other" and started(other) == "new"
        # A global that it uses comes to be, and changes.
        def late(): return coming[0]
        coming = [0]
        for i in range(5):
            coming[0] = i
            assert started(late) == i
        print("well")
    """)
    assert done.stdout == "well\n", done.stderr
