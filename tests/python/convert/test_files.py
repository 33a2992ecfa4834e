"""Open files stay in their process: who sends one is told so, and none is copied."""

import bz2
import codecs
import gzip
import io
import lzma
import socket
import sys
import tarfile
import tempfile
import zipfile

import pytest
from support import run_script

import tarefa

MODES = ("w+", "r", "r+", "a", "a+", "w", "wb", "rb", "r+b")


def wrapped(name):
    return {
        "temporary text": lambda path: tempfile.NamedTemporaryFile("w+"),
        "temporary": lambda path: tempfile.NamedTemporaryFile(),
        "nameless": lambda path: tempfile.TemporaryFile("w+"),
        "spooled": lambda path: tempfile.SpooledTemporaryFile(mode="w+"),
        "gzip": lambda path: gzip.open(path, "wb"),
        "gzip text": lambda path: gzip.open(path, "wt"),
        "bz2": lambda path: bz2.open(path, "wb"),
        "lzma": lambda path: lzma.open(path, "wb"),
        "codecs": lambda path: codecs.StreamReaderWriter(
            open(path, "w+b"), codecs.getreader("utf-8"), codecs.getwriter("utf-8")
        ),
        "zipfile": lambda path: zipfile.ZipFile(path, "w"),
        "tarfile": lambda path: tarfile.open(path, "w"),
        "unbuffered": lambda path: open(path, "wb", buffering=0),
        "of no file": lambda path: io.TextIOWrapper(io.BytesIO()),
    }[name]


WRAPPED = (
    "temporary text",
    "temporary",
    "nameless",
    "spooled",
    "gzip",
    "gzip text",
    "bz2",
    "lzma",
    "codecs",
    "zipfile",
    "tarfile",
    "unbuffered",
    "of no file",
)


def refuses(act):
    with pytest.raises(tarefa.NotPicklable, match="hand over its path and open it once more"):
        act()


def assert_refused_everywhere(file):
    refuses(tarefa.Process(target=print, args=(file,)).start)
    refuses(tarefa.Process(target=print, kwargs={"file": file}).start)
    refuses(tarefa.Process(target=lambda: file.write("x")).start)
    refuses(lambda: tarefa.Queue().put(file))
    refuses(lambda: tarefa.Queue().put([{"a": file}]))
    refuses(lambda: tarefa.Pipe()[0].send(file))
    refuses(lambda: tarefa.List([file]))
    refuses(lambda: tarefa.Dict(a=file))


@pytest.mark.parametrize("mode", MODES)
def test_a_file_is_refused_wherever_it_is_to_go(tmp_path, mode):
    path = tmp_path / "file"
    path.write_text("before")
    with open(path, mode) as file:
        assert_refused_everywhere(file)


@pytest.mark.parametrize("name", WRAPPED)
def test_so_is_what_wraps_one(tmp_path, name):
    with wrapped(name)(tmp_path / "file") as file:
        assert_refused_everywhere(file)


def test_so_is_what_a_socket_makes():
    one, other = socket.socketpair()
    with one, other, one.makefile("rw") as text, one.makefile("rb") as binary:
        assert_refused_everywhere(text)
        assert_refused_everywhere(binary)


def test_a_pool_refuses_it_and_goes_on(tmp_path):
    with open(tmp_path / "log", "a+") as file, tarefa.Pool(1) as pool:
        refuses(lambda: pool.submit(print, file))
        refuses(lambda: pool.map(print, [file]))
        assert pool.submit(abs, -1).result() == 1


def test_a_result_that_is_one_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_text("x")
    refuses(tarefa.Process(target=open, args=(str(path),)).start().result)


def test_a_temporary_file_stays_where_it_is():
    with tempfile.NamedTemporaryFile("w+") as file:
        file.write("precious")
        refuses(lambda: tarefa.Queue().put(file))
        refuses(tarefa.Process(target=print, args=(file,)).start)
        file.flush()
        with open(file.name) as again:
            assert again.read() == "precious"


def test_standard_input_is_refused_with_a_word_of_its_own(monkeypatch, tmp_path):
    (tmp_path / "input").write_text("a line")
    with open(tmp_path / "input") as file:
        monkeypatch.setattr(sys, "stdin", file)
        with pytest.raises(tarefa.NotPicklable, match="hand over what was read"):
            tarefa.Queue().put(sys.stdin)


def test_standard_output_is_that_of_the_process():
    done = run_script("""
        import sys, tarefa
        def write(file): print("in a process", file=file, flush=True)
        tarefa.Process(target=write, args=(sys.stdout,)).start().result(20)
        tarefa.Process(target=write, args=(sys.stderr,)).start().result(20)
        queue = tarefa.Queue()
        queue.put(sys.stdout)
        print(queue.get() is sys.stdout)
    """)
    assert done.stdout == "in a process\nTrue\n"
    assert done.stderr == "in a process\n"


def test_a_file_of_the_script_is_missing_only_where_it_is_used(tmp_path):
    done = run_script(
        """
        import sys, tarefa
        out = open(sys.argv[1], "w+")
        def writes(): out.write("x")
        def does_without(): return "without"
        print(tarefa.Process(target=does_without).start().result(20))
        for target in (writes, lambda: writes()):
            try: tarefa.Process(target=target).start()
            except tarefa.NotPicklable as error: print("'out'" in str(error), "path" in str(error))
            else: print("started")
        """,
        str(tmp_path / "file"),
    )
    assert done.stdout == "without\n" + "True True\n" * 2
