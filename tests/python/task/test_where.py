"""Wherever a program comes from, tasks start and the shared list is one list."""

import sys
import textwrap
import threading

import pytest
from support import run, run_script

import tarefa

PROGRAM = """\
import tarefa
lista = tarefa.List()
def guarda(numero):
    lista.append(numero)

kinds = (tarefa.Thread, tarefa.Process)
ts = [T(target=guarda, args=(n,)).start() for T in kinds for n in range(2)]
rs = [t.result() for t in ts]
assert sorted(lista) == [0, 0, 1, 1], lista
print("all", "well")
"""


def well(done):
    assert done.stdout.count("all well") == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_script_without_a_guard():
    well(run_script(PROGRAM))


def test_a_script_with_a_guard():
    guarded = "if __name__ == '__main__':\n    main()\n"
    well(run_script("def main():\n" + textwrap.indent(PROGRAM, "    ") + guarded))


def test_a_script_of_an_odd_name():
    well(run_script(PROGRAM, name="my program (1) é.txt"))


def test_the_command_line():
    well(run([sys.executable, "-c", PROGRAM]))


def test_standard_input():
    well(run([sys.executable, "-"], stdin=PROGRAM))


def test_the_prompt():
    well(run([sys.executable, "-i", "-q"], stdin=PROGRAM))


@pytest.mark.parametrize(
    "flags", [("-I",), ("-O",), ("-W", "error"), ("-X", "utf8", "-B")], ids=" ".join
)
def test_with_flags(flags):
    well(run([sys.executable, *flags, "-c", PROGRAM]))


def test_a_module_of_a_package(tmp_path):
    package = tmp_path / "pacote"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "dados.py").write_text("VALOR = 7\n")
    (package / "principal.py").write_text(
        PROGRAM
        + "from .dados import VALOR\n"
        + "assert tarefa.Process(target=lambda: VALOR).start().result() == 7\n"
    )
    well(run([sys.executable, "-m", "pacote.principal"], cwd=tmp_path))


def test_a_folder_with_main(tmp_path):
    (tmp_path / "ao_lado.py").write_text("def f():\n    return 1\n")
    (tmp_path / "__main__.py").write_text(
        PROGRAM + "import ao_lado\nassert tarefa.Process(target=ao_lado.f).start().result() == 1\n"
    )
    well(run([sys.executable, str(tmp_path)]))


def test_a_zip_file(tmp_path):
    import zipapp

    source = tmp_path / "app"
    source.mkdir()
    (source / "__main__.py").write_text(PROGRAM)
    zipapp.create_archive(source, tmp_path / "app.pyz")
    well(run([sys.executable, str(tmp_path / "app.pyz")]))


def test_a_thread_that_is_not_the_main_one():
    well(
        run_script(
            "import threading\n"
            f"t = threading.Thread(target=exec, args=({PROGRAM!r}, globals()))\n"
            "t.start(); t.join()"
        )
    )


def test_a_thread_of_this_process(Task):
    results = []

    def body():
        numbers = tarefa.List()
        Task(target=numbers.append, args=(1,)).start().join()
        results.append(list(numbers))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert results == [[1]]


def test_a_class_an_exception_and_a_constant_of_the_script():
    done = run_script("""
        import dataclasses, enum, tarefa
        @dataclasses.dataclass
        class Ponto:
            x: int
        class Cor(enum.Enum):
            AZUL = 1
        class MyError(Exception): pass
        K = 40
        def f(p, cor):
            if cor is not Cor.AZUL: return "another class"
            return Ponto(p.x + K)
        def g(): raise MyError("mine")
        r = tarefa.Process(target=f, args=(Ponto(2), Cor.AZUL)).start().result()
        assert type(r) is Ponto and r == Ponto(42), r
        try: tarefa.Process(target=g).start().result()
        except MyError as e: assert str(e) == "mine"
        l = tarefa.List([Ponto(1)])
        assert type(l[0]) is Ponto
        def h(l):
            l.append(Ponto(2)); return len(l)
        assert tarefa.Process(target=h, args=(l,)).start().result() == 2
        assert type(l[1]) is Ponto, type(l[1])
        print("all well")
    """)
    well(done)


def test_the_script_is_run_once():
    done = run_script("""
        print("top of the script")
        import tarefa
        ps = [tarefa.Process(target=lambda: 1).start() for _ in range(3)]
        assert [p.result() for p in ps] == [1, 1, 1]
        print("all well")
    """)
    well(done)
    assert done.stdout.count("top of the script") == 1


def test_three_deep_inside_other_tasks():
    numbers = tarefa.List()

    def tree(numbers, depth):
        if depth == 0:
            numbers.append(1)
            return 1
        kinds = (tarefa.Thread, tarefa.Process)
        tasks = [kind(target=tree, args=(numbers, depth - 1)).start() for kind in kinds]
        return sum(task.result() for task in tasks)

    assert tarefa.Process(target=tree, args=(numbers, 3)).start().result() == 8
    assert len(numbers) == 8


@pytest.mark.once("what other programs of the interpreter's do is tried one by one")
def test_a_script_three_deep():
    done = run_script("""
        import tarefa
        def f(n):
            if n == 0: return 1
            ps = [tarefa.Process(target=f, args=(n - 1,)).start() for _ in range(2)]
            return sum(p.result() for p in ps)
        assert tarefa.Process(target=f, args=(3,)).start().result() == 8
        print("all well")
    """)
    well(done)


def test_pytest_with_several_workers(tmp_path):
    pytest.importorskip("xdist")
    (tmp_path / "test_dentro.py").write_text(
        "import pytest\n\n@pytest.mark.parametrize('n', range(4))\ndef test_it(n):\n"
        + textwrap.indent(PROGRAM, "    ")
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-n",
        "2",
        str(tmp_path),
    ]
    done = run(command, cwd=tmp_path)
    assert "4 passed" in done.stdout


FORK = """
    import os, tarefa
    if {before}: assert tarefa.Process(target=int).start().result() == 0
    lista = tarefa.List(); lock = tarefa.Lock()
    def guarda(n): lista.append(n)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with lock: lista.append("child")
            for T in (tarefa.Thread, tarefa.Process):
                T(target=guarda, args=(T.__name__,)).start().result()
            code = 0
        finally:
            if code:
                import traceback; traceback.print_exc()
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert sorted(lista) == ["Process", "Thread", "child"], lista
    guarda("parent")
    assert tarefa.Process(target=lambda: len(lista)).start().result() == 4
    print("all well")
"""


@pytest.mark.parametrize("before", [True, False], ids=["after a first task", "before any task"])
def test_after_os_fork(before):
    well(run_script(FORK.format(before=before)))


def test_a_fork_that_uses_its_own_list():
    done = run_script("""
        import os, tarefa
        child = os.fork()
        l = tarefa.List()
        tarefa.Process(target=l.append, args=(1,)).start().result()
        assert l == [1]
        if child:
            assert os.waitpid(child, 0)[1] == 0
            print("all well")
    """)
    well(done)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_inside_multiprocessing(method):
    done = run_script(
        """
        import multiprocessing as mp, sys, tarefa
        def inside(lista, lock, event):
            with lock: lista.append("child")
            for T in (tarefa.Thread, tarefa.Process):
                T(target=lista.append, args=(T.__name__,)).start().result()
            event.set()
        if __name__ == "__main__":
            lista, lock, event = tarefa.List(), tarefa.Lock(), tarefa.Event()
            p = mp.get_context(sys.argv[1]).Process(target=inside, args=(lista, lock, event))
            p.start(); p.join()
            assert p.exitcode == 0, p.exitcode
            assert event.is_set() and sorted(lista) == ["Process", "Thread", "child"], lista
            print("all well")
        """,
        method,
    )
    well(done)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_multiprocessing_child_that_is_killed_holding_a_lock(method):
    done = run_script(
        """
        import multiprocessing as mp, os, signal, sys, tarefa
        def inside(lock):
            lock.acquire(); os.kill(os.getpid(), signal.SIGKILL)
        if __name__ == "__main__":
            lock = tarefa.Lock()
            p = mp.get_context(sys.argv[1]).Process(target=inside, args=(lock,))
            p.start(); p.join()
            try: lock.acquire(); sys.exit("no OwnerDied")
            except tarefa.OwnerDied: pass
            with lock: print("all well")
        """,
        method,
    )
    well(done)


def test_a_handle_in_a_plain_subprocess():
    done = run_script("""
        import base64, pickle, subprocess, sys, tarefa
        l = tarefa.List([1])
        source = "import base64, pickle, sys; pickle.loads(base64.b64decode(sys.argv[1])).append(2)"
        handle = base64.b64encode(pickle.dumps(l)).decode()
        subprocess.run([sys.executable, "-c", source, handle], check=True)
        assert l == [1, 2], l
        print("all well")
    """)
    well(done)


def test_a_concurrent_futures_worker():
    from concurrent.futures import ThreadPoolExecutor

    numbers = tarefa.List()
    with ThreadPoolExecutor(2) as pool:
        list(
            pool.map(
                lambda n: tarefa.Process(target=numbers.append, args=(n,)).start().result(),
                range(4),
            )
        )
    assert sorted(numbers) == [0, 1, 2, 3]


def test_a_notebook_kernel():
    pytest.importorskip("ipykernel")
    pytest.importorskip("jupyter_client")
    # In a process of its own, for the client keeps an event loop to itself.
    done = run_script(
        """
        import sys
        from jupyter_client.manager import start_new_kernel
        kernel, client = start_new_kernel(kernel_name="python3")
        said = []
        try:
            reply = client.execute_interactive(
                sys.argv[1], timeout=50, output_hook=lambda m: said.append(m["content"])
            )
            assert reply["content"]["status"] == "ok", said
            print(said)
        finally:
            client.stop_channels()
            kernel.shutdown_kernel()
        """,
        PROGRAM,
    )
    assert "all well" in done.stdout


def test_an_event_loop():
    done = run_script("""
        import asyncio, tarefa
        async def main():
            ts = [T(target=lambda: 1).start() for T in (tarefa.Thread, tarefa.Process)]
            return await asyncio.gather(*ts)
        assert asyncio.run(main()) == [1, 1]
        print("all well")
    """)
    well(done)


def test_code_without_a_file():
    namespace = {"__name__": "nowhere"}
    exec("def f(x):\n    return x + 1", namespace)
    assert tarefa.Process(target=namespace["f"], args=(1,)).start().result() == 2


def test_closed_standard_streams():
    done = run_script("""
        import os, sys
        saida = os.dup(1)
        for fd in (0, 1, 2): os.close(fd)
        import tarefa
        l = tarefa.List()
        tarefa.Process(target=l.append, args=(1,)).start().result()
        if l == [1]: os.write(saida, b"all well")
    """)
    well(done)
