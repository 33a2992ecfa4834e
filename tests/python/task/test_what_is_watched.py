"""Most starts are of what was started before: what processes inherit is watched, not packed anew.

What is watched has to be all of it: each change is one that the next process has.
"""

import textwrap

import pytest
from support import run_script

CHANGES = {
    "a logger's level": (
        'logging.getLogger("app").setLevel(10)',
        'logging.getLogger("app").level',
        "10",
    ),
    "a new logger's level": (
        'logging.getLogger("new.one").setLevel(20)',
        'logging.getLogger("new.one").level',
        "20",
    ),
    "whether it propagates": (
        'logging.getLogger("app").propagate = False',
        'logging.getLogger("app").propagate',
        "False",
    ),
    "whether it is disabled": (
        'logging.getLogger("app").disabled = True',
        'logging.getLogger("app").disabled',
        "True",
    ),
    "its handlers": (
        'logging.getLogger("app").addHandler(logging.StreamHandler(sys.stdout))',
        'len(logging.getLogger("app").handlers)',
        "1",
    ),
    "the root's level": ("logging.root.setLevel(40)", "logging.root.level", "40"),
    "what is switched off": ("logging.disable(30)", "logging.root.manager.disable", "30"),
    "names of levels": (
        'logging.addLevelName(25, "NOTE")',
        "logging.getLevelName(25)",
        "NOTE",
    ),
    "the last resort": ("logging.lastResort.setLevel(50)", "logging.lastResort.level", "50"),
    "the form of dates": (
        'logging.Formatter.default_time_format = "%H"',
        "logging.Formatter.default_time_format",
        "%H",
    ),
    "a switch": ("logging.logThreads = False", "logging.logThreads", "False"),
    "the timeout of sockets": (
        "socket.setdefaulttimeout(7)",
        "socket.getdefaulttimeout()",
        "7.0",
    ),
    "the key of multiprocessing": (
        'process.current_process().authkey = b"k"',
        "process.current_process().authkey",
        "b'k'",
    ),
    "decimals": (
        "decimal.DefaultContext.prec = 5; decimal.setcontext(decimal.Context(prec=5))",
        "decimal.getcontext().prec",
        "5",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_seen_by_the_next_process(what):
    change, look, expected = CHANGES[what]
    done = run_script(
        textwrap.dedent(f"""
        import decimal, logging, socket, sys, tarefa
        from multiprocessing import process
        logging.getLogger("app")
        def look():
            return str({look})
        for _ in range(3):
            before = tarefa.Process(target=look).start().result()
        {change}
        print(before != {expected!r}, tarefa.Process(target=look).start().result())
        """)
    )
    assert (done.stdout, done.stderr) == (f"True {expected}\n", "")
