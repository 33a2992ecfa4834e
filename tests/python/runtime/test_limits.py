"""No memory, no descriptors, no processes: a clear error at the call, and the runtime goes on."""

import os
import shutil
import sys
import textwrap

import pytest
from support import run, run_script

MEBIBYTE = 1 << 20


def test_a_full_arena_is_a_memory_error_with_sizes_and_the_list_stays_whole():
    done = run_script(
        """
        import re, tarefa
        l, block = tarefa.List(), b"x" * (1 << 20)
        n = 0
        try:
            while True:
                l.append(block); n += 1
        except MemoryError as error:
            assert isinstance(error, tarefa.ArenaFull), type(error)
            assert re.search(r"\\d", str(error)) and "TAREFA_ARENA_MAX" in str(error), error
        assert 8 <= n < 32, n
        assert len(l) == n and all(x == block for x in l)
        l.append(7)
        assert l[-1] == 7
        l.clear()
        for _ in range(n): l.append(block)
        assert len(l) == n
        print("all well")
        """,
        env={"TAREFA_ARENA_MAX": str(32 * MEBIBYTE)},
    )
    assert "all well" in done.stdout


def test_a_full_arena_of_small_elements():
    done = run_script(
        """
        import tarefa
        l, n = tarefa.List(), 0
        try:
            while True:
                l.append((n, "text")); n += 1
        except MemoryError: pass
        assert n > 10_000 and len(l) == n, (n, len(l))
        assert l[0] == (0, "text") and l[n - 1] == (n - 1, "text") and l[n // 2] == (n // 2, "text")
        while len(l) > n // 2: l.pop()
        l.append("again")
        assert l[-1] == "again"
        print("all well")
        """,
        env={"TAREFA_ARENA_MAX": str(16 * MEBIBYTE)},
    )
    assert "all well" in done.stdout


def test_an_extend_and_a_slice_that_do_not_fit_change_nothing():
    done = run_script(
        """
        import tarefa
        l = tarefa.List([1, 2, 3])
        big = [b"y" * (1 << 20)] * 100
        one = b"y" * (99 << 20)
        for change in (
            lambda: l.extend(big),
            lambda: l.__setitem__(slice(1, 2), big),
            lambda: l.__setitem__(0, one),
            lambda: l.insert(0, one),
        ):
            try: change()
            except MemoryError: pass
            else: raise SystemExit("no error")
            assert l == [1, 2, 3], len(l)
        print("all well")
        """,
        env={"TAREFA_ARENA_MAX": str(16 * MEBIBYTE)},
    )
    assert "all well" in done.stdout


def test_a_full_arena_seen_from_a_process_and_results_that_do_not_fit():
    done = run_script(
        """
        import tarefa
        def fill(l):
            try:
                while True: l.append(b"z" * 100_000)
            except MemoryError as error: return type(error).__name__
        l = tarefa.List()
        assert tarefa.Process(target=fill, args=(l,)).start().result() == "ArenaFull"
        n = len(l)
        assert n > 10 and all(x == b"z" * 100_000 for x in l)
        while len(l) > n // 2: l.pop()
        assert tarefa.Process(target=lambda: 5).start().result() == 5
        error = tarefa.Process(target=lambda: b"r" * (64 << 20)).start().exception()
        assert isinstance(error, MemoryError), error
        print("all well")
        """,
        env={"TAREFA_ARENA_MAX": str(24 * MEBIBYTE)},
    )
    assert "all well" in done.stdout


@pytest.mark.parametrize("value", ["banana", "-1", "0", ""])
def test_a_limit_that_is_none_is_named(value):
    done = run_script(
        "import tarefa\ntarefa.List([1])\nprint('worked')",
        env={"TAREFA_ARENA_MAX": value},
        code=None,
    )
    assert ("TAREFA_ARENA_MAX" in done.stderr) or (value == "" and done.stdout == "worked\n")


FEW = """
    import os, resource, sys, tarefa
    assert tarefa.Process(target=int).start().result() == 0
    go, l = tarefa.Event(), tarefa.List()
    def hold(n):
        l.append(n); go.wait(); return n
    {limit}
    ts, refused = [], []
    for n in range(80):
        try: ts.append(tarefa.Process(target=hold, args=(n,)).start())
        except tarefa.StartError as error:
            assert isinstance(error, OSError) and {word!r} in str(error), error
            refused.append(error)
    l.append("the list works")
    go.set()
    rs = [t.result() for t in ts]
    assert len(set(rs)) == len(ts)
    assert {enough}, (len(ts), len(refused))
    ts.clear(); t = None
    import gc; gc.collect()
    assert tarefa.Process(target=lambda: 5).start().result() == 5
    assert tarefa.Thread(target=lambda: 6).start().result() == 6
    print("all well", len(rs), len(refused))
"""


def test_no_descriptors():
    limit = (
        "most = len(os.listdir('/proc/self/fd')) + 12;"
        " resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))"
    )
    done = run_script(FEW.format(limit=limit, word="RLIMIT_NOFILE", enough="rs"))
    assert "all well" in done.stdout


def test_no_descriptors_before_the_runtime_is_made():
    done = run_script("""
        import os, resource, tarefa
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (4, hard))
        held = []
        try:
            while True: held.append(os.dup(0))
        except OSError: pass
        try:
            tarefa.Process(target=int).start().result()
        except OSError as error:
            assert isinstance(error, tarefa.TarefaError), type(error)
        else: raise SystemExit("no error")
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in held: os.close(fd)
        assert tarefa.Process(target=lambda: 5).start().result() == 5
        print("all well")
    """)
    assert "all well" in done.stdout


def test_a_signal_needs_no_descriptor():
    done = run_script("""
        import os, resource, time, tarefa
        tasks = [tarefa.Process(target=time.sleep, args=(600,)).start() for _ in range(3)]
        asleep, ended, told = tasks
        ended.kill(); ended.join()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        held = []
        try:
            while True: held.append(os.dup(0))
        except OSError: pass
        asleep.kill(); told.interrupt(); ended.kill()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in held: os.close(fd)
        for task, error in (asleep, tarefa.WorkerDied), (told, tarefa.TaskInterrupted):
            try: task.result()
            except error as e: assert error is not tarefa.WorkerDied or "kill()" in str(e), e
            else: raise SystemExit(f"{task} lives on")
        print("all well")
    """)
    assert "all well" in done.stdout


def test_no_processes(tmp_path):
    limit = "resource.setrlimit(resource.RLIMIT_NPROC, (30, 30))"
    source = FEW.format(limit=limit, word="RLIMIT_NPROC", enough="rs and refused")
    if os.getuid() != 0:
        pytest.skip(
            "the limit counts all processes of a user: only root can take one that has none yet"
        )
    setpriv = shutil.which("setpriv")
    if not setpriv:
        pytest.skip("setpriv (util-linux) is not installed")
    # The limit is not enforced for root. The other user may read all, for the interpreter's files.
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(source))
    user = [
        "--reuid=54321",
        "--regid=54321",
        "--clear-groups",
        "--inh-caps=+dac_read_search",
        "--ambient-caps=+dac_read_search",
    ]
    done = run([setpriv, *user, sys.executable, "-B", str(path)])
    assert "all well" in done.stdout


def test_too_little_private_memory_is_named():
    run_script(
        """
        import resource, tarefa
        resource.setrlimit(resource.RLIMIT_DATA, (3 << 20, resource.RLIM_INFINITY))
        try:
            tarefa.List()
        except tarefa.StartError as e:
            assert "RLIMIT_DATA" in str(e), e
        else:
            raise AssertionError("no error")
        """
    )
    run_script(
        """
        import resource, tarefa
        tarefa.Process(target=int).start().join()
        resource.setrlimit(resource.RLIMIT_DATA, (1 << 20, resource.RLIM_INFINITY))
        try:
            tarefa.Thread(target=int).start()
        except tarefa.StartError as e:
            assert "RLIMIT_DATA" in str(e) and "RLIMIT_NPROC" not in str(e), e
        else:
            raise AssertionError("no error")
        # It cannot even say what it has been refused.
        error = tarefa.Process(target=lambda: bytearray(50 << 20)).start().exception()
        assert isinstance(error, MemoryError) or "RLIMIT_DATA" in str(error), error
        """
    )


def test_too_little_address_space_is_named():
    run_script(
        """
        import resource, tarefa
        tarefa.Process(target=int).start().join()
        many = list(range(3_000_000))
        resource.setrlimit(resource.RLIMIT_AS, (300 << 20, resource.RLIM_INFINITY))
        for act in (tarefa.Thread(target=int).start, lambda: tarefa.List(many)):
            try:
                act()
            except (tarefa.StartError, MemoryError) as e:
                assert "RLIMIT_AS" in str(e) and "RLIMIT_NPROC" not in str(e), e
            else:
                raise AssertionError("no error")
        """
    )


def test_no_address_space():
    """A limit on address space makes the reservation smaller, not the program fail."""
    done = run_script("""
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        import tarefa
        l = tarefa.List([1])
        tarefa.Process(target=l.append, args=(2,)).start().result()
        assert l == [1, 2]
        print("all well")
    """)
    assert "all well" in done.stdout


def test_what_a_wait_needs_is_there_from_the_start():
    """Later there may be no descriptor to read it with."""
    run_script("import sys, tarefa; assert 'tarefa._runtime._eval_breaker' in sys.modules")
