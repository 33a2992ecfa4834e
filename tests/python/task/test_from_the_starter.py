"""What a process has of its starter at `start()`: descriptors, limits, settings, logging."""

import decimal
import logging
import os
import socket
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import run_script

import tarefa


def result(target, *args):
    return tarefa.Process(target=target, args=args).start().result(30)


@pytest.fixture(scope="module", autouse=True)
def _a_zygote():
    result(int)


# -- descriptors ------------------------------------------------------------------------------


def test_descriptors_1_and_2_are_those_of_the_starter_at_the_start():
    done = run_script("""
        import os, tarefa
        def say(x): print("said", x, flush=True); os.write(2, b"and 2\\n")
        tarefa.Process(target=int).start().join()
        kept = os.dup(1)
        for name in "abc":
            log = os.open(name, os.O_CREAT | os.O_RDWR | os.O_TRUNC)
            os.dup2(log, 1); os.dup2(log, 2); os.close(log)
            task = tarefa.Process(target=say, args=(name,)).start()
            os.dup2(kept, 1); os.dup2(kept, 2)   # at once: the task has what was there
            task.result(20)
        for name in "abc":
            print(sorted(open(name).read().split("\\n")))
            os.remove(name)
        tarefa.Process(target=print, args=("back",)).start().join()
    """)
    expected = [f"['', 'and 2', 'said {name}']" for name in "abc"]
    assert done.stdout.splitlines() == [*expected, "back"]


def test_a_pipe_as_output_has_its_end_when_the_task_has_ended():
    read, write = os.pipe()
    kept = os.dup(1)
    os.dup2(write, 1)
    try:
        task = tarefa.Process(target=os.write, args=(1, b"through")).start()
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(write)
    with open(read, "rb") as out:
        assert out.read() == b"through"
    task.join()


@pytest.mark.parametrize("fd", [1, 2])
def test_a_printed_line_is_one_write_whatever_its_length_and_parts(fd):
    """What several processes print in lines comes out in lines."""
    parts = ("a" * 9000, 17, "b" * 50_000)

    def say(parts):
        stream = sys.stdout if fd == 1 else sys.stderr
        print(*parts, file=stream)
        print(*"no end yet", sep="", end="", file=stream)
        stream.write(", but here\nand the next\n")

    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kept = os.dup(fd)
    os.dup2(writer.fileno(), fd)
    try:
        task = tarefa.Process(target=say, args=(parts,)).start()
    finally:
        os.dup2(kept, fd)
        os.close(kept)
        writer.close()
    task.result(30)
    with reader:
        writes = list(iter(lambda: reader.recv(1 << 20), b""))
    assert writes[0].decode() == " ".join(map(str, parts)) + "\n"
    assert writes[1:] == [b"no end yet, but here\nand the next\n"]


def test_one_file_opened_twice_is_two_streams():
    done = run_script("""
        import os, tarefa
        os.dup2(os.open("log", os.O_CREAT | os.O_RDWR | os.O_TRUNC), 1)
        os.write(1, b"0123456789")
        tarefa.Process(target=int).start().join()
        again = os.open("log", os.O_RDWR)
        os.dup2(again, 1)
        tarefa.Process(target=os.write, args=(1, b"AB")).start().join()
        assert open("log").read() == "AB23456789", open("log").read()
        assert os.lseek(1, 0, os.SEEK_CUR) == 2
        os.remove("log")
    """)
    assert done.stderr == ""


def test_a_closed_stream_is_never_another_file():
    done = run_script("""
        import os, tarefa
        tarefa.Process(target=int).start().join()
        kept = os.dup(1)
        os.close(1)
        def look():
            fd = os.open("/dev/null", os.O_RDONLY)
            os.write(1, b"nowhere")
            return fd > 2, os.readlink("/proc/self/fd/1")
        found = tarefa.Process(target=look).start().result(20)
        os.dup2(kept, 1)
        print(found)
    """)
    assert done.stdout == "(True, '/dev/null')\n"


@pytest.mark.parametrize("closed", ["1", "2", "12", "012"])
def test_a_program_started_with_streams_closed(closed):
    """No descriptor of ours gets a stream's number, and processes work."""
    done = run_script(
        f"""
        import os, subprocess, sys
        source = '''if True:
            import os, sys, tarefa
            value = tarefa.Dict(x=1)
            for fd in "{closed}":
                try: shown = os.readlink(f"/proc/self/fd/{{fd}}")
                except OSError: continue
                assert shown == "/dev/null", (fd, shown)
            assert tarefa.Process(target=lambda: 42).start().result(20) == 42
            def speak(): print("x"); print("y", file=sys.stderr)
            tarefa.Process(target=speak).start().result(20)
            assert value["x"] == 1
            os.write(int(sys.argv[1]), b"well")
        '''
        read, write = os.pipe()
        closed = " ".join(f"{{fd}}>&-" for fd in "{closed}")
        command = f'exec "$0" -c "$1" {{write}} {{closed}}'
        subprocess.run(["sh", "-c", command, sys.executable, source], pass_fds=[write],
                       check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        os.close(write)
        print(os.read(read, 100).decode())
        """
    )
    assert done.stdout == "well\n"


def test_our_descriptors_are_not_near_those_that_programs_close():
    done = run_script("""
        import os, tarefa
        before = set(map(int, os.listdir("/proc/self/fd")))
        tarefa.Process(target=int).start().join()
        ours = sorted(set(map(int, os.listdir("/proc/self/fd"))) - before)
        assert ours and ours[0] >= 256, ours
        os.closerange(3, 256)
        def inside():
            os.closerange(3, 256)
            return tarefa.Process(target=lambda: 7).start().result(20)
        assert tarefa.Process(target=inside).start().result(20) == 7
        task = tarefa.Process(target=os.abort).start(); task.join()
        print(task.exitcode)
    """)
    assert done.stdout == "-6\n"


def test_a_descriptor_of_ours_that_was_closed_is_an_error_that_says_so():
    done = run_script("""
        import os, tarefa
        tarefa.Process(target=int).start().join()
        os.closerange(3, 65536)
        try: tarefa.Process(target=int).start()
        except tarefa.StartError as e: print(e, flush=True)
        os._exit(0)
    """)
    assert "belongs to tarefa, was closed" in done.stdout


def test_so_is_one_that_a_task_has_closed_before_it_starts_another():
    done = run_script("""
        import os, tarefa
        def inside():
            os.closerange(3, 65536)
            try: tarefa.Process(target=int).start()
            except tarefa.StartError as e: print(e, flush=True)
        tarefa.Process(target=inside).start().result(20)
    """)
    assert "belongs to tarefa, was closed" in done.stdout


@pytest.mark.parametrize("where", ["program", "task"])
def test_a_file_that_has_a_number_of_ours_by_now_is_left_alone(where):
    done = run_script(f"""
        import os, sys, tarefa
        if sys.platform == "linux" and tuple(map(int, os.uname().release.split(".")[:2])) < (5, 14):
            print("well"); sys.exit()  # without the descriptor there is no more memory
        def act():
            numbers = [int(n) for n in os.listdir("/proc/self/fd") if int(n) > 2]
            file = os.open("file", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            os.write(file, b"x" * (8 << 20))
            before = os.fstat(file).st_blocks
            for number in numbers:
                os.dup2(file, number)
            l = tarefa.List()
            for _ in range(20):
                l.append(bytes(1_000_000))
            assert len(l[19]) == 1_000_000
            l.clear()
            try: tarefa.Process(target=int).start()
            except tarefa.StartError as e: assert "belongs to tarefa" in str(e), e
            else: raise AssertionError("it starts?")
            del l
            assert open("file", "rb").read() == b"x" * (8 << 20)
            assert os.fstat(file).st_blocks == before
            os.remove("file")
        tarefa.Process(target=int).start().join()
        if {where == "task"}:
            tarefa.Process(target=act).start().result(20)
        else:
            act()
        print("well", flush=True)
        os._exit(0)
    """)
    assert done.stdout == "well\n"


# -- limits and settings of the system ----------------------------------------------------------


def test_umask_niceness_processors_and_limits():
    """In a program of its own, for what is lowered cannot be raised again."""
    done = run_script("""
        import os, resource, threading, tarefa
        LIMITS = ("RLIMIT_NOFILE", "RLIMIT_CORE", "RLIMIT_FSIZE", "RLIMIT_CPU")
        def look():
            os.umask(mask := os.umask(0))
            return (mask, os.nice(0), sorted(os.sched_getaffinity(0)),
                    [resource.getrlimit(getattr(resource, n)) for n in LIMITS])
        def same(): assert tarefa.Process(target=look).start().result(20) == look()
        same()
        os.umask(0o027); same()
        os.nice(3); same()
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))}); same()
        resource.setrlimit(resource.RLIMIT_NOFILE, (777, 4096)); same()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); same()
        resource.setrlimit(resource.RLIMIT_CPU, (1000, 2000)); same()
        tarefa.configure(spares=0); same()
        # With another thread, whose files must not get another mode meanwhile.
        go = threading.Event(); threading.Thread(target=go.wait).start()
        os.umask(0o077); same()
        go.set()
        # A task's own tasks have what it has.
        def deeper():
            os.umask(0o007); os.nice(1)
            return tarefa.Process(target=look).start().result(20) == look()
        assert tarefa.Process(target=deeper).start().result(20)
        assert look()[0] == 0o077
        print("all well")
    """)
    assert done.stdout == "all well\n"


def test_files_of_a_task_have_the_starters_mask(tmp_path):
    before = os.umask(0o077)
    try:
        result(lambda: (tmp_path / "x").touch())
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600


def test_a_second_zygote_makes_no_difference():
    done = run_script("""
        import os, signal, sys, time, tarefa
        def look():
            os.umask(mask := os.umask(0o22))
            return mask, os.getcwd(), sys.getrecursionlimit()
        tarefa.configure(spares=0)
        here = look()
        assert tarefa.Process(target=look).start().result(20) == here
        os.umask(0o077); os.chdir("/"); sys.setrecursionlimit(3000)
        os.kill(tarefa._engine.diagnostics()["zygote_pid"], signal.SIGKILL)
        there = tarefa.Process(target=look).start().result(20)
        assert there == (0o077, "/", 3000), there
        os.umask(here[0]); os.chdir(here[1]); sys.setrecursionlimit(here[2])
        assert tarefa.Process(target=look).start().result(20) == here
        print("all well")
    """)
    assert done.stdout == "all well\n"


# -- the interpreter --------------------------------------------------------------------------


def test_the_recursion_limit():
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(4321)
    try:
        assert result(sys.getrecursionlimit) == 4321
    finally:
        sys.setrecursionlimit(before)
    assert result(sys.getrecursionlimit) == before


def test_the_time_zone(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        assert result(lambda: time.localtime(0)[3:5]) == (5, 30)
        assert result(lambda: time.tzname) == time.tzname
    finally:
        monkeypatch.undo()
        time.tzset()
    assert result(lambda: time.localtime(0)[3:5]) == time.localtime(0)[3:5]


def test_two_zones_with_the_same_names(monkeypatch):
    for zone in ("XST-1XDT", "XST-5XDT", "XST-1XDT"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert result(lambda: time.timezone) == time.timezone
    monkeypatch.undo()
    time.tzset()
    assert result(lambda: time.timezone) == time.timezone


def test_settings_that_change_back_and_forth():
    def look():
        context = decimal.getcontext()
        traps = sorted(s.__name__ for s, on in context.traps.items() if on)
        return sys.getrecursionlimit(), sys.getswitchinterval(), context.prec, traps

    before = look()
    for _ in range(2):
        with decimal.localcontext() as context:
            context.traps[decimal.FloatOperation] = True
            sys.setswitchinterval(0.01)
            assert result(look) == look() != before
            context.traps[decimal.FloatOperation] = False
            assert result(look) == look()
        sys.setswitchinterval(before[1])
        assert result(look) == look() == before


def test_the_default_timeout_of_sockets():
    socket.setdefaulttimeout(12.5)
    try:
        assert result(lambda: socket.getdefaulttimeout()) == 12.5
    finally:
        socket.setdefaulttimeout(None)
    assert result(lambda: socket.getdefaulttimeout()) is None


def test_the_stack_size_of_threads():
    import threading

    before = threading.stack_size(512 * 1024)
    try:
        for _ in range(2):
            assert result(lambda: threading.stack_size()) == 512 * 1024
    finally:
        # A start leaves it as it is.
        assert threading.stack_size(before) == 512 * 1024


def test_the_decimal_context():
    with decimal.localcontext() as context:
        context.prec, context.rounding = 5, decimal.ROUND_UP
        context.traps[decimal.Inexact] = False
        one = result(lambda: str(decimal.Decimal(1) / decimal.Decimal(3)))
        assert one == "0.33334"
        context.traps[decimal.Inexact] = True
        with pytest.raises(decimal.Inexact):
            result(lambda: str(decimal.Decimal(1) / decimal.Decimal(3)))
    assert result(lambda: len(str(decimal.Decimal(1) / decimal.Decimal(3)))) == 30


def test_the_decimal_context_of_new_threads():
    def of_a_new_thread():
        with ThreadPoolExecutor(1) as threads:
            context = threads.submit(decimal.getcontext).result()
        return decimal.getcontext().prec, context.prec, context.traps[decimal.Inexact]

    default = decimal.DefaultContext
    with decimal.localcontext(prec=5):
        default.prec, default.traps[decimal.Inexact] = 7, True
        try:
            assert result(of_a_new_thread) == (5, 7, True)
        finally:
            default.prec, default.traps[decimal.Inexact] = 28, False
        assert result(of_a_new_thread) == (5, 28, False)
    assert result(of_a_new_thread) == (decimal.getcontext().prec, 28, False)


class OwnWarning(UserWarning):
    pass


def test_the_filters_of_warnings():
    def warn(category):
        try:
            warnings.warn("x", category, stacklevel=1)
        except category:
            return "raised"
        return "not"

    with warnings.catch_warnings():
        warnings.simplefilter("error", OwnWarning)
        assert result(warn, OwnWarning) == "raised"
        warnings.simplefilter("ignore")
        assert result(warn, OwnWarning) == "not"


def test_filters_of_warnings_with_a_class_of_the_scripts():
    done = run_script("""
        import tarefa, warnings
        class Own(UserWarning): pass
        warnings.simplefilter("error", Own)
        def f():
            try: warnings.warn("x", Own)
            except Own: return "raised"
        print(tarefa.Process(target=f).start().result(20))
        warnings.simplefilter("ignore", Own)
        print(tarefa.Process(target=f).start().result(20))
    """)
    assert done.stdout == "raised\nNone\n"


# -- logging ----------------------------------------------------------------------------------


def test_logging_set_up_in_the_script():
    done = run_script("""
        import logging, tarefa
        logging.basicConfig(level=logging.INFO, format="%(processName)s|%(name)s|%(message)s")
        quiet = logging.getLogger("quiet"); quiet.setLevel(logging.ERROR)
        def f():
            logging.info("hello"); quiet.info("not"); quiet.error("but"); logging.debug("nor")
        for kind in (tarefa.Process, tarefa.Thread):
            kind(target=f, name="P").start().result(20)
    """)
    here = ["MainProcess|root|hello", "MainProcess|quiet|but"]
    assert done.stderr.splitlines() == ["P|root|hello", "P|quiet|but", *here]


def test_handlers_of_logging():
    done = run_script("""
        import io, logging, logging.handlers, os, sys, tarefa
        log = logging.getLogger("app"); log.propagate = False; log.setLevel(1)
        class Only(logging.Filter):
            def filter(self, record): return "secret" not in record.getMessage()
        shared = tarefa.List()
        class ToList(logging.Handler):
            def __init__(self, into): super().__init__(); self.into = into
            def emit(self, record): self.into.append(record.getMessage())
        out = logging.StreamHandler(sys.stdout); out.addFilter(Only())
        file = logging.FileHandler("plain.log", mode="w"); file.setLevel(logging.WARNING)
        turning = logging.handlers.RotatingFileHandler("turning.log", maxBytes=10**6)
        opened = logging.StreamHandler(open("opened.log", "w"))
        memory = logging.StreamHandler(io.StringIO())
        for h in (out, file, turning, opened, memory, ToList(shared)): log.addHandler(h)
        log.warning("from here")
        def f(): log.info("low"); log.warning("secret %s", 1)
        tarefa.Process(target=f).start().join()
        log.warning("again")
        opened.flush()
        for name in ("plain", "turning", "opened"):
            print(name, open(name + ".log").read().split("\\n"))
            os.remove(name + ".log")
        print(list(shared))
    """)
    assert done.stdout.splitlines() == [
        "from here",
        "low",
        "again",
        "plain ['from here', 'secret 1', 'again', '']",
        "turning ['from here', 'low', 'secret 1', 'again', '']",
        "opened ['from here', 'low', 'secret 1', 'again', '']",
        "['from here', 'low', 'secret 1', 'again']",
    ]


@pytest.mark.parametrize("mode", ["w", "x", "a"])
def test_a_file_of_a_handler_that_has_not_opened_it(tmp_path, mode):
    if mode != "x":
        (tmp_path / "late.log").write_text("old\n")
    script = """
        import logging, sys, tarefa
        late = logging.FileHandler("late.log", mode=sys.argv[1], delay=True)
        logging.basicConfig(handlers=[late])
        def log(n):
            logging.warning("process %d", n)
        tarefa.Process(target=log, args=(1,)).start().result()
        logging.warning("starter")
        tarefa.Process(target=log, args=(2,)).start().result()
    """
    run_script(script, mode, cwd=tmp_path)
    lines = (tmp_path / "late.log").read_text().splitlines()
    assert [line.rpartition(":")[2] for line in lines] == [
        *(["old"] if mode == "a" else []),
        "process 1",
        "starter",
        "process 2",
    ]


def test_logging_that_is_not_set_up_costs_nothing():
    from tarefa._task import _logging_state

    done = run_script("""
        import logging, tarefa
        logging.getLogger("a.b")
        from tarefa._task import _logging_state
        print(_logging_state.now())
    """)
    assert done.stdout == "None\n"
    log = logging.getLogger("test of logging")
    log.setLevel(logging.DEBUG)
    try:
        assert _logging_state.now() is not None
    finally:
        log.setLevel(logging.NOTSET)


def test_a_level_of_ones_own_and_what_is_disabled():
    done = run_script("""
        import logging, tarefa
        logging.addLevelName(25, "NOTICE")
        logging.basicConfig(level=1, format="%(levelname)s %(message)s")
        logging.disable(logging.INFO)
        def f(): logging.log(25, "told"); logging.info("not")
        tarefa.Process(target=f).start().join()
    """)
    assert done.stderr == "NOTICE told\n"


# -- lists of processes -------------------------------------------------------------------------


def test_command_lines_are_short_and_say_what_they_are():
    def shown():
        with open("/proc/self/cmdline") as file:
            mine = file.read()
        with open(f"/proc/{os.getppid()}/cmdline") as file:
            return mine.rstrip("\0"), file.read().rstrip("\0")

    task = tarefa.Process(target=shown, name="trabalho").start()
    assert task.result(30) == ("tarefa: trabalho", "tarefa: zygote")


def test_a_list_of_arguments_of_any_length():
    names = [f"some/folder/of/the/tree/file{i:06}.py" for i in range(6000)]
    done = run_script(
        """
        import sys, tarefa
        print(tarefa.Process(target=lambda: len(sys.argv)).start().result(30))
        """,
        *names,
    )
    assert done.stdout == "6001\n"


# -- forks of the program's own -----------------------------------------------------------------


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no warning before CPython 3.12")
def test_a_fork_is_not_warned_of_for_our_threads():
    done = run_script("""
        import os, tarefa, threading, warnings
        tarefa.Process(target=int).start().join()
        def fork():
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                pid = os.fork()
                if not pid: os._exit(0)
                os.waitpid(pid, 0)
            print(len(told))
        fork()
        go = threading.Event(); threading.Thread(target=go.wait).start()
        fork()
        go.set()
    """)
    assert done.stdout == "0\n1\n"
    assert done.stderr == ""


def test_a_fork_leaves_the_filters_of_warnings_as_they_were():
    done = run_script("""
        import os, tarefa, warnings
        warnings.simplefilter("error")
        before = list(warnings.filters)
        def look(): return [(f[0], f[2]) for f in warnings.filters]
        expected = look()
        for _ in range(2):
            assert tarefa.Process(target=look).start().result() == expected
            pid = os.fork()
            if not pid: os._exit(warnings.filters != before)
            assert os.waitpid(pid, 0)[1] == 0
            assert warnings.filters == before
        print("well")
    """)
    assert done.stdout == "well\n", done.stderr


def test_the_usual_decimal_context_is_sent_to_nobody():
    # What it was compared with lay in memory that had been freed.
    source = """
        import decimal, gc, tarefa
        from tarefa._task import _environment
        decimal.getcontext()
        tarefa.Process(target=int).start().result()
        for _ in range(20):
            kept = [decimal.Context(prec=n) for n in range(1, 50)]
            gc.collect()
            assert _environment.difference() is None, _environment.difference()
    """
    assert run_script(source).returncode == 0


@pytest.mark.parametrize("low", [3, 900])
def test_the_end_of_a_process_is_seen_after_its_starter_closed_all_descriptors(low):
    """To the zygote and its children that looks like their program's end."""
    done = run_script(
        """
        import os, sys, tarefa, time
        task = tarefa.Process(target=time.sleep, args=(0.5,)).start()
        os.closerange(int(sys.argv[1]), 65536)
        assert task.exception(20) is None or isinstance(task.exception(), tarefa.WorkerDied)
        assert not task.is_alive()
        """,
        low,
    )
    assert "has closed descriptors that belong to tarefa" in done.stderr


@pytest.mark.parametrize("when", ["before", "after"])
def test_how_the_streams_write_text(when):
    done = run_script(f"""
        import sys, tarefa
        def f():
            print(ascii("\\u20ac\\u00e9".encode(sys.stdout.encoding, sys.stdout.errors)))
            return [(s.encoding, s.errors) for s in (sys.stdout, sys.stderr)]
        if {when!r} == "after":
            tarefa.Process(target=f).start().join()
        sys.stdout.reconfigure(encoding="latin-1", errors="replace")
        sys.stderr.reconfigure(errors="ignore")
        here = [(s.encoding, s.errors) for s in (sys.stdout, sys.stderr)]
        for _ in range(2):
            assert tarefa.Process(target=f).start().result() == here
        sys.stdout.reconfigure(encoding="utf-8", errors="strict")
        here = [(s.encoding, s.errors) for s in (sys.stdout, sys.stderr)]
        assert tarefa.Process(target=f).start().result() == here
    """)
    assert done.stdout.count("b'?\\xe9'") == 2
