"""What is executed as the process that forks tasks: an interpreter, never the program itself."""

import os
import subprocess
import sys
import textwrap

import pytest
from support import run, run_script

import tarefa

# A program that is its own interpreter, as a frozen one is.
FROZEN = """\
import os, sys, tarefa
sys.frozen, sys.executable = True, os.environ["FROZEN"]
with open(os.environ["FROZEN"] + ".runs", "a") as f: f.write(sys.argv[-1] + "\\n")
{support}
K = 40
class Thing: pass
def f(x): return x + K, Thing(), sys.executable == os.environ["FROZEN"], sys.argv[1:]
if __name__ == "__main__":
    {start}
"""
GOES_ON = """
    got = tarefa.Process(target=f, args=(2,)).start().result()
    assert got[0] == 42 and type(got[1]) is Thing and got[2] and got[3] == ["argument"], got
    print("all", "well")
"""
IS_REFUSED = """
    l = tarefa.List([1])
    import pickle; pickle.dumps(l)
    try: tarefa.Process(target=f, args=(2,)).start()
    except tarefa.StartError as e: assert "freeze_support" in str(e) and "frozen" in str(e), e
    else: raise AssertionError("started")
    assert tarefa.Thread(target=f, args=(2,)).start().result()[0] == 42
    print("all", "well")
"""


def run_frozen(folder, support, start):
    script = folder / "program.py"
    script.write_text(
        FROZEN.format(support=support, start=textwrap.dedent(start).strip().replace("\n", "\n    "))
    )
    binary = folder / "frozen"
    binary.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
    binary.chmod(0o755)
    done = run([str(binary), "argument"], env={"FROZEN": str(binary)})
    assert done.stdout == "all well\n", done.stdout + done.stderr
    assert not done.stderr, done.stderr
    return (folder / "frozen.runs").read_text().split()


def test_a_frozen_program_that_does_not_serve_is_refused(tmp_path):
    assert run_frozen(tmp_path, "", IS_REFUSED) == ["argument"]


def test_a_frozen_program_that_serves_works(tmp_path):
    assert len(run_frozen(tmp_path, "tarefa.freeze_support()", GOES_ON)) == 2


def test_freeze_support_does_nothing_elsewhere():
    assert tarefa.freeze_support() is None


@pytest.mark.parametrize("value", ["None", "''", "'/no/such/python'", "b'python'", "sys.argv[0]"])
def test_an_executable_that_is_none(value):
    """The interpreter that runs is one, whatever `sys.executable` says."""
    done = run_script(f"""
        import sys, tarefa
        sys.executable = {value}
        look = lambda: (sys.executable, sys.prefix, tarefa.__file__)
        assert tarefa.Process(target=look).start().result() == look()
        print("all well")
    """)
    assert done.stdout == "all well\n"


def test_a_program_with_an_interpreter_inside_must_name_one(tmp_path):
    binary = tmp_path / "application"
    os.symlink(os.path.realpath(sys.executable), binary)
    script = tmp_path / "inside.py"
    # Neither what runs nor `sys.executable` has an interpreter's name.
    script.write_text(
        textwrap.dedent("""
        import sys, tarefa
        from tarefa._runtime import _executable
        _executable._running = lambda: "/usr/bin/application"
        sys.executable = sys.argv[1]
        try: tarefa.Process(target=int)
        except tarefa.StartError as e:
            assert "configure(executable" in str(e) and "application" in str(e), e
        else: raise AssertionError
        tarefa.configure(executable=sys.argv[2])
        assert tarefa.Process(target=int).start().result() == 0
        print("all well")
        """)
    )
    done = run([sys.executable, str(script), str(binary), sys.executable])
    assert done.stdout == "all well\n"


def test_another_version_is_told(tmp_path):
    other = next(
        (p for v in (11, 12, 13) if (p := f"/usr/bin/python3.{v}") and os.path.exists(p)), None
    )
    fake = tmp_path / "python3"
    fake.write_text(
        f"#!{sys.executable}\nimport sys\nsys.version = '3.1.0 (fake)'\n"
        "sys.path.insert(0, sys.argv[-5])\n"
        "from tarefa._hooks import run_zygote\nrun_zygote()\n"
    )
    fake.chmod(0o755)
    assert other is None or os.path.exists(other)
    done = run_script(
        """
        import sys, tarefa
        tarefa.configure(executable=sys.argv[1])
        try: tarefa.Process(target=int).start()
        except tarefa.StartError: print("all well")
        """,
        str(fake),
    )
    assert done.stdout == "all well\n"
    assert "is Python 3.1.0" in done.stderr, done.stderr


def test_what_configure_refuses(tmp_path):
    text = tmp_path / "text"
    text.write_text("no program")
    for wrong in (text, str(tmp_path), b"/no/such", tmp_path / "none"):
        with pytest.raises(ValueError, match="executable"):
            tarefa.configure(executable=wrong)
    with pytest.raises(TypeError):
        tarefa.configure(executable=3)
    with pytest.raises(tarefa.StateError, match="first Process"):
        tarefa.configure(executable="/bin/sh")


def test_to_name_the_one_that_is_in_use_changes_nothing():
    for same in (sys.executable, os.fsencode(sys.executable)):
        tarefa.configure(executable=same)
        tarefa.get_context().set_executable(same)


def test_command_lines_are_short_however_long_the_programs_is(tmp_path):
    many = [f"some/folder/of/the/tree/file{n:06}.py" for n in range(6000)]
    done = run_script(
        """
        import sys, tarefa
        assert tarefa.Process(target=lambda: len(sys.argv)).start().result() == 6001
        pid = tarefa._engine.diagnostics()["zygote_pid"]
        print(len(open(f"/proc/{pid}/cmdline").read()) < 1000)
        """,
        *many,
    )
    assert done.stdout == "True\n"


@pytest.mark.parametrize(
    "flags",
    [("-bb",), ("-b",), ("-X", "dev"), ("-OO",), ("-s", "-E"), ("-W", "error", "-bb"), ("-v",)],
    ids=" ".join,
)
def test_flags_of_the_interpreter(flags):
    done = run_script(
        """
        import sys, tarefa
        K = b"bytes"
        class C: pass
        def look():
            f = sys.flags
            names = ("bytes_warning", "dev_mode", "optimize", "no_user_site", "ignore_environment")
            return [getattr(f, n) for n in names], list(sys.warnoptions), K
        assert tarefa.Process(target=look).start().result() == look()
        d = tarefa.Dict({b"a": 1, 1: C}); l = tarefa.List([C(), b"x", "x"])
        d["a"] = 2
        def use(d, l): return d[b"a"], d["a"], type(l[0]) is C, l[1:] == [b"x", "x"]
        assert tarefa.Process(target=use, args=(d, l)).start().result() == (1, 2, True, True)
        print("all well")
        """,
        flags=flags,
    )
    assert done.stdout == "all well\n"


def test_odd_surroundings():
    done = run_script("""
        import os, pathlib, sys, tarefa
        os.environb[b"ODD\\xff"] = b"\\xfe\\n value"; os.environ["EMPTY"] = ""
        sys.path += [pathlib.Path("/a"), b"/b", None, 3, "missing", "", "relative/x"]
        sys.argv = ["a", "\\udcff", ""]
        def look(): return dict(os.environb), list(sys.path), sys.argv, os.getcwd()
        run = lambda: tarefa.Process(target=look).start().result()
        assert run() == look()
        sys.argv = ("now", "a tuple"); sys.path.append("later"); os.environ["LATER"] = "x"
        assert run() == look()
        del sys.argv
        assert tarefa.Process(target=lambda: getattr(sys, "argv", "none")).start().result() is None
        os.environ = {"PLAIN": "dict"}
        get = lambda: os.environ["PLAIN"]
        assert tarefa.Process(target=get).start().result() == "dict"
        print("all well")
    """)
    assert done.stdout == "all well\n"


def test_a_working_directory_that_is_gone():
    done = run_script("""
        import os, tempfile, tarefa
        d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)
        assert tarefa.Process(target=lambda: 42).start().result() == 42
        def where():
            inner = tarefa.Process(target=os.stat, args=(".",)).start().result()
            return os.stat("."), inner
        for _ in range(2):
            assert tarefa.Process(target=where).start().result() == (os.stat("."),) * 2
            assert os.stat(".").st_nlink == 0 or not os.path.exists(d)
            d = tempfile.mkdtemp(); os.chdir(d)
            assert tarefa.Process(target=os.getcwd).start().result() == d
            os.rmdir(d)
        os.chdir("/")
        assert tarefa.Process(target=os.getcwd).start().result() == "/"
        print("all well")
    """)
    assert done.stdout == "all well\n"


APP = """\
import sys, tarefa
def f(): return 1
def main():
    try: print("result", tarefa.Process(target=f, name="p").start().result())
    except tarefa.StateError as e:
        text = str(e)
        assert "'app'" in text and "__main__" in text and "'p'" in text, text
main()
"""


def test_a_module_that_starts_a_process_as_it_is_imported(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    done = run([sys.executable, "-c", "import app"], env={"PYTHONPATH": str(tmp_path)})
    assert done.stdout == "result 1\n", done.stdout + done.stderr


def test_a_module_whose_import_fails_for_that(tmp_path):
    (tmp_path / "app.py").write_text(
        "import tarefa\ndef f(): return 1\nprint(tarefa.Process(target=f).start().result())\n"
    )
    done = run([sys.executable, "-c", "import app"], env={"PYTHONPATH": str(tmp_path)}, code=1)
    assert "StateError" in done.stderr
    assert 'if __name__ == "__main__"' in done.stderr
    assert done.stderr.count("is not started") <= 4, done.stderr


def test_a_console_script_and_a_zipped_program(tmp_path):
    import zipapp

    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "app.py").write_text(APP.replace("\nmain()", ""))
    script = tmp_path / "script"
    script.write_text("import sys\nfrom app import main\nsys.exit(main())\n")
    environment = {"PYTHONPATH": str(tmp_path / "src")}
    assert run([sys.executable, str(script)], env=environment).stdout == "result 1\n"
    zipapp.create_archive(tmp_path / "src", tmp_path / "app.pyz", main="app:main")
    assert run([sys.executable, str(tmp_path / "app.pyz")]).stdout == "result 1\n"


DEEP = """
    import sys, tarefa
    {configure}
    def down(n):
        try: task = tarefa.Process(target=down, args=(n + 1,)).start()
        except tarefa.StartError as e: return n, str(e)
        return task.result()
    depth, text = tarefa.Process(target=down, args=(1,)).start().result()
    assert depth == {depth}, depth
    assert "depth" in text and "TAREFA_MAX_DEPTH" in text and "max_depth" in text, text
    assert tarefa.Process(target=tarefa.Thread, args=()).start().exception() is None or True
    print("all well")
"""


def test_how_deep_processes_start_processes():
    source = DEEP.format(configure="tarefa.configure(max_depth=3)", depth=3)
    assert run_script(source).stdout == "all well\n"
    source = DEEP.format(configure="", depth=2)
    assert run_script(source, env={"TAREFA_MAX_DEPTH": "2"}).stdout == "all well\n"


def test_a_fork_in_a_process_is_as_deep():
    done = run_script("""
        import os, tarefa
        tarefa.configure(max_depth=1)
        def inside():
            if os.fork(): return os.wait()[1]
            try: tarefa.Process(target=int).start()
            except tarefa.StartError: os._exit(0)
            os._exit(1)
        assert tarefa.Process(target=inside).start().result() == 0
        if os.fork() == 0:
            assert tarefa.Process(target=int).start().result() == 0
            os._exit(0)
        assert os.wait()[1] == 0
        print("all well")
    """)
    assert done.stdout == "all well\n"


def test_a_wrong_depth():
    for wrong, error in ((0, ValueError), (-1, ValueError), ("3", TypeError), (True, TypeError)):
        with pytest.raises(error, match="max_depth"):
            tarefa.configure(max_depth=wrong)
    source = "import tarefa\ntarefa.Process(target=int).start()\n"
    done = subprocess.run(
        [sys.executable, "-c", source],
        env=os.environ | {"TAREFA_MAX_DEPTH": "deep"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "TAREFA_MAX_DEPTH" in done.stderr
    assert "ValueError" in done.stderr
