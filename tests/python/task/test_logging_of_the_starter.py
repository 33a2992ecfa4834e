"""`logging` in a process, beside what `test_from_the_starter.py` has: what a program may set up."""

import textwrap

import pytest
from support import run_script

SETUPS = {
    "dictConfig": (
        """
        import logging.config
        logging.config.dictConfig({
            "version": 1, "disable_existing_loggers": True,
            "formatters": {"short": {"format": "{processName}:{message}", "style": "{"}},
            "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout",
                                 "formatter": "short", "level": "INFO"}},
            "loggers": {"app": {"handlers": ["out"], "level": "DEBUG", "propagate": False}},
        })
        """,
        'logging.getLogger("app.part").info("in"); logging.getLogger("app").debug("out")',
        ["P:in"],
    ),
    "times in UTC": (
        """
        import time
        os.environ["TZ"] = "Asia/Kathmandu"; time.tzset()
        logging.Formatter.converter = time.gmtime
        logging.basicConfig(stream=sys.stdout, level=1, format="%(asctime)s", datefmt="%H:%M")
        """,
        """
        record = logging.makeLogRecord({"msg": "x", "levelno": 40, "created": 0.0})
        logging.getLogger().handle(record)
        """,
        ["00:00"],
    ),
    "a level that was renamed": (
        """
        logging.addLevelName(logging.WARNING, "WARN")
        logging.basicConfig(stream=sys.stdout, format="%(levelname)s")
        """,
        'logging.warning("x")',
        ["WARN"],
    ),
    "a class of loggers and a factory of records": (
        """
        class Loud(logging.Logger):
            def loud(self, text): self.warning(text.upper())
        def record(*args, **kwargs):
            made = usual(*args, **kwargs); made.mark = "mine"; return made
        usual = logging.getLogRecordFactory()
        logging.setLoggerClass(Loud); logging.setLogRecordFactory(record)
        logging.basicConfig(stream=sys.stdout, format="%(mark)s %(message)s")
        """,
        'logging.getLogger("new").loud("text")',
        ["mine TEXT"],
    ),
    "no last resort": (
        "logging.lastResort = None",
        'logging.getLogger("x").error("lost"); print(logging.lastResort)',
        ["None"],
    ),
    "a function as filter": (
        """
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        word = "secret"
        logging.getLogger().handlers[0].addFilter(lambda r: word not in r.getMessage())
        """,
        'logging.error("secret"); logging.error("told")',
        ["told"],
    ),
    "warnings": (
        """
        import warnings
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        logging.basicConfig(stream=sys.stdout, format="%(name)s")
        """,
        'warnings.warn("x")',
        ["py.warnings"],
    ),
    "an adapter": (
        """
        logging.basicConfig(stream=sys.stdout, format="%(who)s %(message)s")
        log = logging.LoggerAdapter(logging.getLogger("x"), {"who": "me"})
        """,
        'log.error("here")',
        ["me here"],
    ),
    "a class of loggers": (
        """
        class Tracing(logging.Logger):
            def trace(self, text): print(self.prefix + text)
        logging.setLoggerClass(Tracing)
        log = logging.getLogger("x")
        log.prefix = "mine: "
        adapter = logging.LoggerAdapter(logging.getLogger("y"), {})
        adapter.logger.prefix = "adapted: "
        logging.setLoggerClass(logging.Logger)
        """,
        """
        log.trace("t"); adapter.logger.trace("a")
        print(logging.getLogger("x") is log, type(logging.getLogger("z")).__name__)
        """,
        ["mine: t", "adapted: a", "True Logger"],
    ),
    "a class of loggers for those to come": (
        """
        class Tracing(logging.Logger):
            def trace(self, text): print(text)
        logging.getLogger().manager.setLoggerClass(Tracing)
        """,
        'logging.getLogger("x").trace("t")',
        ["t"],
    ),
    "a queue of ours": (
        """
        import logging.handlers
        queue = tarefa.Queue()
        logging.getLogger().addHandler(logging.handlers.QueueHandler(queue))
        """,
        'logging.error("%s", "x"); r = queue.get(timeout=20); print(r.processName, r.msg)',
        ["P x"],
    ),
    "a file that is opened late": (
        """
        logging.basicConfig(filename="late.log", format="%(message)s", encoding="latin-1")
        logging.getLogger().handlers[0].stream.close()
        logging.getLogger().handlers[0].stream = None
        """,
        'logging.error("\\xe9"); print(open("late.log", "rb").read()); os.remove("late.log")',
        ["b'\\xe9\\n'"],
    ),
}


@pytest.mark.parametrize("name", SETUPS)
def test_set_up_in_the_script(name):
    setup, body, expected = SETUPS[name]
    done = run_script(
        "import logging, os, sys, tarefa\n"
        + textwrap.dedent(setup)
        + "\ndef f():\n"
        + textwrap.indent(textwrap.dedent(body).strip(), "    ")
        + "\ntarefa.Process(target=f, name='P').start().result(20)\n"
    )
    assert done.stdout.splitlines() == expected, done.stderr


def test_what_is_changed_between_two_starts():
    """Each process has what there is at its start, also where the objects are the same."""
    done = run_script("""
        import io, logging, sys, tarefa
        logging.basicConfig(stream=sys.stdout, format="1 %(message)s")
        handler = logging.getLogger().handlers[0]
        def f(): logging.error("x")
        def start(): tarefa.Process(target=f).start().join()
        class Mine(logging.StreamHandler):
            mark = ""
            def emit(self, record): print("mine", self.mark, flush=True)
        start()
        handler.setFormatter(logging.Formatter("2 %(message)s")); start()
        handler.setLevel(logging.CRITICAL); start()
        handler.setLevel(0)
        handler.formatter._fmt = handler.formatter._style._fmt = "3 %(message)s"; start()
        handler.setStream(sys.stderr); start()
        handler.setStream(sys.stdout)
        logging.getLogger().removeHandler(handler)
        mine = Mine(); logging.getLogger().addHandler(mine); start()
        mine.mark = "again"; start()
        logging.getLogger().removeHandler(mine); start()
        sys.stdout.flush()
    """)
    assert done.stdout.splitlines() == ["1 x", "2 x", "3 x", "mine ", "mine again"]
    assert done.stderr.splitlines() == ["3 x", "ERROR:root:x"]


def test_a_handler_on_a_socket_connects_anew():
    done = run_script("""
        import logging.handlers, pickle, socket, struct, tarefa
        server = socket.create_server(("127.0.0.1", 0))
        handler = logging.handlers.SocketHandler("127.0.0.1", server.getsockname()[1])
        logging.getLogger().addHandler(handler)
        def read(connection):
            head = connection.recv(4, socket.MSG_WAITALL)
            data = connection.recv(struct.unpack(">L", head)[0], socket.MSG_WAITALL)
            record = logging.makeLogRecord(pickle.loads(data))
            return record.processName, record.getMessage()
        logging.error("from here")
        print(*read(server.accept()[0]))
        for name in "ab":
            task = tarefa.Process(target=logging.error, args=("from there",), name=name).start()
            connection = server.accept()[0]
            print(*read(connection))
            task.result(20)
    """)
    assert done.stdout.splitlines() == ["MainProcess from here", "a from there", "b from there"]
