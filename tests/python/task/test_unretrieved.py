"""A failure that nobody asks about is told once: as the handle goes, after ten seconds, at the end.

Of a thread through `threading.excepthook`, of a process on its starter's standard error, through
`tarefa.excepthook`. What the program did to a task itself, nobody is told.
"""

import pytest
from support import run_script

BOTH = pytest.mark.parametrize("kind", ["Thread", "Process"])

BROKEN = """
        import asyncio, gc, io, os, signal, sys, threading, time, tarefa
        def broken(): raise ValueError("nobody asked")
        def ended(task):
            while task.is_alive(): time.sleep(.001)
"""


def script(source, **options):
    return run_script(BROKEN + source, **options)


def told(done):
    """How often the failure was told."""
    return done.stderr.count("ValueError: nobody asked")


# What is no asking.


@BOTH
@pytest.mark.parametrize("keep", ["", "kept = "])
def test_it_is_told_with_its_traceback(kind, keep):
    done = script(f"""
        {keep}tarefa.{kind}(target=broken, name="quebrada").start()
    """)
    assert done.stderr.count("Traceback") == told(done) == 1, done.stderr
    assert "quebrada" in done.stderr
    assert "in broken" in done.stderr


@pytest.mark.once("who has asked, and when it is told, the package decides alike on all")
@BOTH
@pytest.mark.parametrize(
    "look",
    [
        "task.join()",
        "task.join(5)",
        "tarefa.wait([task])",
        "tarefa.wait([task], return_when='FIRST_EXCEPTION')",
        "ended(task); task.exitcode, task.state, task.pid, repr(task), task.usage()",
        "ended(task); tarefa.active_tasks()",
        "task.join(); task.close()",
        "task.sentinel; task.join()",
    ],
)
def test_to_look_is_not_to_ask(kind, look):
    done = script(f"""
        task = tarefa.{kind}(target=broken).start()
        {look}
    """)
    assert told(done) == 1, done.stderr


@pytest.mark.once("who has asked, and when it is told, the package decides alike on all")
@BOTH
@pytest.mark.parametrize(
    "ask",
    [
        "try: task.result()\n        except ValueError: pass",
        "task.exception()",
        "task.join(); task.exception()",
        "asyncio.run(wait(task))",
        "asyncio.run(gather(task))",
        "[t.exception() for t in tarefa.wait([task]).done]",
    ],
)
def test_it_is_not_told_to_one_who_asked(kind, ask):
    done = script(f"""
        async def wait(task):
            try: await task
            except ValueError: pass
        async def gather(task):
            async def one(): return await task
            await asyncio.gather(one(), return_exceptions=True)
        task = tarefa.{kind}(target=broken).start()
        ended(task)
        tarefa.active_tasks()
        {ask}
    """)
    assert done.stderr == ""


@BOTH
def test_one_who_did_not_get_it_has_not_asked(kind):
    done = script(f"""
        go = tarefa.Event()
        def later(): go.wait(); broken()
        task = tarefa.{kind}(target=later).start()
        try: task.result(timeout=.01)
        except tarefa.TaskTimeout: pass
        async def give_up():
            async def one(): return await task
            try: await asyncio.wait_for(one(), .01)
            except asyncio.TimeoutError: pass
        asyncio.run(give_up())
        go.set()
    """)
    assert told(done) == 1, done.stderr


# When it is told.


@BOTH
@pytest.mark.parametrize("end", ["task.join()", "ended(task); tarefa.active_tasks()"])
def test_it_is_told_when_the_last_handle_goes(kind, end):
    done = script(f"""
        task = tarefa.{kind}(target=broken).start()
        {end}
        other = task
        del task; gc.collect()
        print("early", file=sys.stderr)
        del other; gc.collect()
        print("later", file=sys.stderr)
    """)
    assert told(done) == 1, done.stderr
    at = done.stderr.index("Traceback")
    assert done.stderr.index("early") < at < done.stderr.index("later")


@BOTH
@pytest.mark.parametrize(
    "end", ["task.join()", "task.join(60)", "tarefa.wait([task]); task.join()"]
)
@pytest.mark.parametrize("target", ["broken", "caused", "deep"])
def test_no_circle_keeps_the_handle_of_one_that_was_joined(kind, end, target):
    done = script(f"""
        gc.disable()
        def caused():
            try: 1 / 0
            except ZeroDivisionError as e: raise ValueError("nobody asked") from e
        def deep(n=3): broken() if n == 0 else deep(n - 1)
        task = tarefa.{kind}(target={target}).start()
        {end}
        print("early", file=sys.stderr)
        del task
        print("later", file=sys.stderr)
    """)
    assert told(done) == 1, done.stderr
    at = done.stderr.index("nobody asked")
    assert done.stderr.index("early") < at < done.stderr.rindex("later")


def test_the_frames_of_the_target_keep_what_they_had():
    done = script("""
        def target():
            mine = 7
            raise ValueError("nobody asked")
        task = tarefa.Thread(target=target).start()
        task.join()
        print(task.exception().__traceback__.tb_frame.f_locals["mine"])
    """)
    assert done.stdout == "7\n"


@BOTH
def test_it_is_told_once_and_raised_after_that(kind):
    done = script(f"""
        task = tarefa.{kind}(target=broken).start()
        task.join()
        tarefa._task._unretrieved.tell_all()
        print("told", file=sys.stderr)
        for _ in range(2):
            try: task.result()
            except ValueError as error: print("raised", error)
    """)
    assert done.stderr.count("Traceback") == told(done) == 1, done.stderr
    assert done.stderr.endswith("told\n")
    assert done.stdout == "raised nobody asked\n" * 2


@pytest.mark.once("who has asked, and when it is told, the package decides alike on all")
@pytest.mark.watchdog(150)
def test_ten_seconds_after_the_end_at_the_latest():
    """In the root, in a task, and in a process that forked by itself; with and without a handle."""
    done = script(
        """
        told = tarefa.List()
        began = time.monotonic()
        def note(what):
            def hook(args): told.append((what, time.monotonic() - began, str(args.exc_value)))
            return hook
        def set_hooks(where):
            threading.excepthook = note(where + " Thread")
            tarefa.excepthook = note(where + " Process")
        def start_both(where):
            set_hooks(where)
            return [K(target=broken).start() for K in (tarefa.Thread, tarefa.Process)]
        def starts():
            kept = start_both("task")
            time.sleep(1000)
        kept = start_both("root")
        tarefa.Process(target=broken).start()
        starter = tarefa.Process(target=starts, daemon=True).start()
        child = os.fork()
        if child == 0:
            kept = start_both("fork")
            time.sleep(1000)
        expected = [f"{w} {k}" for w in ("root", "task", "fork") for k in ("Process", "Thread")]
        expected = sorted([*expected, "root Process"])
        while sorted(what for what, _, _ in told) != expected:
            assert len(told) < len(expected), list(told)
            time.sleep(.1)
        os.kill(child, 9)
        time.sleep(1)
        assert len(told) == len(expected)
        assert min(at for what, at, _ in told if what != "root Process") > 9, list(told)
        assert {text for _, _, text in told} == {"nobody asked"}
        tarefa.excepthook = threading.excepthook = print
        print("all told")
    """,
        flags=("-W", "ignore::DeprecationWarning"),
    )  # CPython's, of a fork
    assert done.stdout == "all told\n", done.stderr
    assert done.stderr == ""


@pytest.mark.once("who has asked, and when it is told, the package decides alike on all")
@pytest.mark.watchdog(150)
def test_later_failures_have_ten_seconds_of_their_own():
    done = script("""
        told = []
        threading.excepthook = tarefa.excepthook = told.append
        kept = []
        for n in range(3):
            for K in (tarefa.Thread, tarefa.Process):
                kept.append(K(target=broken).start())
                kept[-1].join()
                time.sleep(.3)
            time.sleep(2)
        asked = kept.pop(2).exception()
        while len(told) < 5: time.sleep(.1)
        time.sleep(1)
        print(len(told))
    """)
    assert done.stdout == "5\n"
    assert done.stderr == ""


def test_a_program_that_asks_has_no_thread_more():
    done = script("""
        def threads():
            return sorted(open(f"/proc/self/task/{t}/comm").read().strip()
                          for t in os.listdir("/proc/self/task"))
        tarefa.Process(target=int).start().result()
        before = threads()
        for _ in range(20):
            for K in (tarefa.Thread, tarefa.Process):
                task = K(target=broken).start()
                assert isinstance(task.exception(), ValueError)
        time.sleep(.2)
        assert threads() == before, (before, threads())
    """)
    assert done.stderr == ""


def test_a_starter_tells_at_its_own_end():
    done = script("""
        def starts():
            kept = [K(target=broken, name="neta").start() for K in (tarefa.Thread, tarefa.Process)]
            for task in kept: task.join()
        tarefa.Process(target=starts).start().result()
        print("after", file=sys.stderr)
    """)
    assert told(done) == 2, done.stderr
    assert done.stderr.rindex("nobody asked") < done.stderr.index("after")


def test_the_root_tells_for_a_starter_that_died():
    done = script("""
        def starts():
            kept = [tarefa.Process(target=os._exit, args=(3,), name="morta").start(),
                    tarefa.Process(target=broken, name="neta").start()]
            for task in kept: task.join()
            os.kill(os.getpid(), 9)
        starter = tarefa.Process(target=starts).start()
        assert isinstance(starter.exception(), tarefa.WorkerDied)
        ended(starter)
        time.sleep(.5)
    """)
    assert told(done) == 1, done.stderr
    assert "process 'neta'" in done.stderr
    assert "whose starter has died" in done.stderr
    assert "in broken" in done.stderr
    assert done.stderr.count("process 'morta'") == 2, done.stderr
    assert "exited with code 3" in done.stderr


# Handles that travelled.


@pytest.mark.parametrize(
    ("ask", "times"), [("handles[0].exception()", 0), ("handles[0].join()", 1), ("pass", 1)]
)
def test_a_handle_elsewhere_may_ask(ask, times):
    done = script(f"""
        handles = tarefa.List()
        def asks(): {ask}
        task = tarefa.Process(target=broken).start()
        handles.append(task)
        task.join()
        del task; gc.collect()
        print("handle gone", file=sys.stderr)
        tarefa.Process(target=asks).start().result()
        print("asked", file=sys.stderr)
    """)
    assert told(done) == times, done.stderr
    assert "Traceback" not in done.stderr[: done.stderr.index("asked")]


def test_it_is_told_when_the_last_of_several_handles_goes():
    done = script("""
        handles = tarefa.List()
        task = tarefa.Process(target=broken).start()
        handles.append(task)
        again = handles.pop()
        task.join()
        del task; gc.collect()
        print("one left", file=sys.stderr)
        del again; gc.collect()
        print("none left", file=sys.stderr)
    """)
    assert told(done) == 1, done.stderr
    at = done.stderr.index("Traceback")
    assert done.stderr.index("one left") < at < done.stderr.index("none left")


def test_only_the_starter_tells():
    done = script("""
        task = tarefa.Process(target=broken).start()
        def holds(task): task.join()
        tarefa.Process(target=holds, args=(task,)).start().result()
        print("holder gone", file=sys.stderr)
    """)
    assert told(done) == 1, done.stderr
    assert done.stderr.index("holder gone") < done.stderr.index("Traceback")


def test_a_forked_child_does_not_tell_it_again():
    done = script("""
        tasks = [K(target=broken).start() for K in (tarefa.Thread, tarefa.Process)]
        for task in tasks: task.join()
        child = os.fork()
        if child == 0: sys.exit(0)
        os.waitpid(child, 0)
        print("child gone", file=sys.stderr)
    """)
    assert told(done) == 2, done.stderr
    assert done.stderr.index("child gone") < done.stderr.index("Traceback")


def test_a_forked_childs_end_leaves_its_parents_tasks_alone():
    done = script("""
        go, daemon = tarefa.Event(), tarefa.Event()
        tasks = [
            tarefa.Process(target=go.wait).start(),
            tarefa.Process(target=lambda: daemon.wait() and 7, daemon=True).start(),
            tarefa.Thread(target=go.wait).start(),
        ]
        child = os.fork()
        if child == 0: sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        go.set(); daemon.set()
        print([t.result() for t in tasks])
    """)
    assert done.stdout == "[True, 7, True]\n"


# What is a failure.


@pytest.mark.once("who has asked, and when it is told, the package decides alike on all")
@BOTH
@pytest.mark.parametrize(
    "target",
    [
        "int",
        "sys.exit",
        "lambda: sys.exit(3)",
        "lambda: sys.exit(-1)",
        "interrupted",
        "ctrl_c",
    ],
)
def test_what_is_no_failure_is_not_told(kind, target):
    done = script(f"""
        def interrupted(): raise tarefa.Interrupted("done")
        def ctrl_c(): raise KeyboardInterrupt
        tarefa.{kind}(target={target}).start()
    """)
    assert done.stderr == ""


def test_what_sys_exit_says_is_said_once():
    done = script("""
        tarefa.Process(target=lambda: sys.exit("last words")).start().join()
    """)
    assert done.stderr == "last words\n"


@BOTH
@pytest.mark.parametrize("way", ["interrupt", "terminate", "kill"])
def test_what_the_program_did_itself_is_not_told(kind, way):
    done = script(f"""
        ready = tarefa.Event()
        def wait(): ready.set(); tarefa.sleep(1000)
        task = tarefa.{kind}(target=wait).start()
        ready.wait()
        task.{way}()
        task.join()
        del task; gc.collect()
    """)
    assert done.stderr == ""


def test_nor_what_comes_of_it():
    done = script("""
        def starts():
            kept = tarefa.Process(target=time.sleep, args=(1000,)).start()
            ready.set(); time.sleep(1000)
        ready = tarefa.Event()
        starter = tarefa.Process(target=starts).start()
        ready.wait()
        starter.kill()
        starter.join()
        daemons = [K(target=time.sleep, args=(1000,), daemon=True).start()
                   for K in (tarefa.Process, tarefa.Thread)]
        by_ctrl_c = tarefa.Process(target=lambda: (signal.signal(2, signal.SIG_DFL),
                                                   os.kill(os.getpid(), 2))).start()
    """)
    assert done.stderr == ""


@BOTH
def test_a_failure_in_the_answer_to_the_program_is_told(kind):
    done = script(f"""
        ready = tarefa.Event()
        def wait():
            try: ready.set(); tarefa.sleep(1000)
            except KeyboardInterrupt: broken()
        task = tarefa.{kind}(target=wait).start()
        ready.wait()
        task.interrupt()
    """)
    assert told(done) == 1, done.stderr


@BOTH
def test_a_time_limit_is_told(kind):
    done = script(f"""
        tarefa.{kind}(target=time.sleep, args=(1000,), name="longa", time_limit=.2).start()
    """)
    assert "'longa' ran longer than its time limit of 0.2 s" in done.stderr


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("os.abort", "SIGABRT"),
        ("lambda: os._exit(3)", "exited with code 3"),
        ("lambda: os.kill(os.getpid(), 9)", "SIGKILL"),
        ("lambda: os.kill(os.getpid(), 15)", "SIGTERM"),
        ("stubborn", "time limit of 0.5 s"),
    ],
)
def test_a_death_is_told(target, said):
    # Only this one would go on for ever; the others may take longer where much else runs.
    limit = 0.5 if target == "stubborn" else None
    done = script(f"""
        def stubborn():
            while True:
                try: time.sleep(1000)
                except KeyboardInterrupt: pass
        tarefa.Process(target={target}, name="caida", time_limit={limit}).start()
    """)
    assert done.stderr.count("nobody asked for its result") == 1, done.stderr
    assert "'caida' (pid " in done.stderr
    assert said in done.stderr


def test_what_cannot_travel_is_told_with_its_traceback():
    done = script("""
        def fails(): raise ValueError("nobody asked", threading.Lock())
        tarefa.Process(target=fails).start()
    """)
    assert "in fails" in done.stderr
    assert "ValueError: ('nobody asked'" in done.stderr
    assert "cannot pickle '_thread.lock'" in done.stderr


# How it is told.


def test_threading_excepthook_hears_of_a_thread():
    done = script("""
        heard = []
        threading.excepthook = heard.append
        task = tarefa.Thread(target=broken, name="x").start()
        task.join()
        del task; gc.collect()
        args, = heard
        assert args.exc_type is ValueError and str(args.exc_value) == "nobody asked"
        assert args.exc_traceback is args.exc_value.__traceback__
        assert args.exc_traceback.tb_frame.f_code.co_name == "broken"
        assert args.thread.name == "x"
        assert isinstance(args.thread, tarefa.Thread)
    """)
    assert done.stderr == ""


def test_the_hook_of_a_process():
    done = script("""
        heard = []
        tarefa.excepthook = heard.append
        task = tarefa.Process(target=broken, name="x").start()
        task.join()
        pid = task.pid
        del task; gc.collect()
        args, = heard
        assert args.exc_type is ValueError and str(args.exc_value) == "nobody asked"
        assert args.exc_traceback is None and "in broken" in str(args.exc_value.__cause__)
        assert (args.task.name, args.task.pid, args.task.exitcode) == ("x", pid, 1)
        assert args.label == f"process 'x' (pid {pid})"
        tarefa.__excepthook__(args)
        tarefa.Process(target=os.abort).start().join()
        assert heard[-1].exc_type is tarefa.WorkerDied
    """)
    assert told(done) == 1, done.stderr


@pytest.mark.parametrize("hook", ["None", "tarefa.__excepthook__"])
def test_without_a_hook_of_the_programs(hook):
    done = script(f"""
        tarefa.excepthook = {hook}
        tarefa.Process(target=broken).start()
    """)
    assert told(done) == 1, done.stderr


@BOTH
@pytest.mark.parametrize("error", ["KeyError('of the hook')", "SystemExit('of the hook')"])
def test_a_hook_that_fails(kind, error):
    done = script(f"""
        def hook(args): raise {error}
        tarefa.excepthook = threading.excepthook = hook
        task = tarefa.{kind}(target=broken, name="x").start()
        task.join()
        del task; gc.collect()
        print("goes on")
    """)
    assert done.stdout == "goes on\n"
    assert "in hook" in done.stderr
    assert "of the hook" in done.stderr
    assert "excepthook" in done.stderr.splitlines()[0]
    assert "Original exception was" in done.stderr
    assert told(done) == 1, done.stderr


def test_a_hook_that_does_not_come_back_does_not_keep_the_program():
    done = script("""
        tarefa._task._unretrieved._PATIENCE = .1
        def hook(args): time.sleep(1000)
        tarefa.excepthook = hook
        task = tarefa.Process(target=broken).start()
        task.join()
        tarefa._task._unretrieved._TOGETHER = 10**12
        tarefa._task._unretrieved.on_reminder()
        while tarefa._task._current.unretrieved(): time.sleep(.01)
        print("ends")
    """)
    assert done.stdout == "ends\n"


def test_it_is_written_to_sys_stderr_at_once():
    done = script("""
        class Stream(io.StringIO):
            writes = []
            def write(self, text): self.writes.append(text); return len(text)
        sys.stderr = Stream()
        task = tarefa.Process(target=broken, name="x").start()
        task.join()
        pid = task.pid
        del task; gc.collect()
        text, = Stream.writes
        assert text.startswith(f"tarefa: process 'x' (pid {pid}) failed")
        assert text.endswith("ValueError: nobody asked\\n")
        sys.stderr = None
        tarefa.Process(target=broken).start().join()
    """)
    assert told(done) == 1, "without sys.stderr, to sys.__stderr__"


def test_a_finalizer_that_comes_while_its_thread_writes():
    done = script("""
        class Stream(io.RawIOBase):
            def writable(self): return True
            def write(self, data):
                global task
                task = None
                return os.write(2, data)
        sys.stderr = io.TextIOWrapper(io.BufferedWriter(Stream()), line_buffering=True)
        task = tarefa.Process(target=broken).start()
        task.join()
        print("written", file=sys.stderr)
    """)
    assert told(done) == 1, done.stderr
    assert "written" in done.stderr


def test_many_are_told_each_once():
    done = script("""
        for K in (tarefa.Thread, tarefa.Process):
            for n in range(30): K(target=broken, name=f"n{n}").start()
    """)
    assert told(done) == 60
