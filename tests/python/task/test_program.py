"""`Program`: an executable is a target like any other, on both kinds."""

import copy
import gzip
import os
import pickle
import signal
import subprocess
import sys
import time

import pytest
from support import eventually, is_alive

import tarefa
from tarefa import Program


def python(source, *arguments, **rest):
    return Program(sys.executable, "-c", source, *arguments, **rest)


def outcome(Task, program):
    return Task(target=program).start().result()


def test_it_runs_an_executable(Task, tmp_path):
    path = tmp_path / "texto"
    path.write_text("tarefa " * 1000)
    completed = outcome(Task, Program("gzip", "-k", path))
    assert completed.returncode == 0
    assert gzip.decompress((tmp_path / "texto.gz").read_bytes()) == path.read_bytes()


def test_output_is_captured(Task):
    completed = outcome(
        Task, python("import sys; print('out'); print('err', file=sys.stderr)", capture=True)
    )
    assert completed.stdout == b"out\n"
    assert completed.stderr == b"err\n"


def test_without_capture_there_is_none(Task):
    completed = outcome(Task, python("pass"))
    assert (completed.stdout, completed.stderr) == (None, None)


def test_the_arguments_are_in_the_answer(Task):
    completed = outcome(Task, python("pass", "a b", "ç"))
    assert [*completed.args] == [sys.executable, "-c", "pass", "a b", "ç"]


def test_a_return_code_that_is_not_zero_is_a_result(Task):
    task = Task(target=python("raise SystemExit(3)")).start()
    assert task.result().returncode == 3
    assert task.state is tarefa.State.FINISHED


def test_with_check_it_is_an_error(Task):
    task = Task(target=python("import sys; sys.exit('it broke')", check=True, capture=True)).start()
    error = task.exception()
    assert isinstance(error, tarefa.ProgramFailed)
    assert "1" in str(error)
    assert task.state is tarefa.State.FAILED


def test_the_error_is_that_of_subprocess_as_well(Task):
    script = "import sys; print('out'); sys.exit('it broke')"
    program = python(script, check=True, capture=True, text=True)
    error = Task(target=program).start().exception()
    for one in (error, pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert isinstance(one, subprocess.CalledProcessError)
        assert (one.returncode, one.stdout, one.output) == (1, "out\n", "out\n")
        assert one.stderr == "it broke\n"
        assert one.cmd == one.completed.args
        assert str(one) == str(error)
    with pytest.raises(subprocess.CalledProcessError):
        Task(target=program).start().result()


def test_it_names_the_signal(Task):
    program = python("import os; os.kill(os.getpid(), 9)", check=True)
    error = Task(target=program).start().exception()
    assert "SIGKILL" in str(error)
    assert error.returncode == -9
    assert str(tarefa.ProgramFailed("of nothing")) == "of nothing"


def test_a_program_ended_by_a_signal(Task):
    completed = outcome(Task, python("import os; os.kill(os.getpid(), 9)"))
    assert completed.returncode == -signal.SIGKILL


def test_environment_and_folder(Task, tmp_path):
    source = "import os; print(os.environ['COR'], os.getcwd())"
    completed = outcome(
        Task, python(source, env={**os.environ, "COR": "azul"}, cwd=tmp_path, capture=True)
    )
    assert completed.stdout.decode().split() == ["azul", str(tmp_path)]


def test_input_comes_from_a_file(Task, tmp_path):
    path = tmp_path / "entrada"
    path.write_text("linha\n")
    completed = outcome(Task, Program("cat", stdin=path, capture=True))
    assert completed.stdout == b"linha\n"


def test_input_comes_from_memory(Task):
    assert outcome(Task, Program("cat", stdin=b"linha", capture=True)).stdout == b"linha"


def test_a_descriptor_is_refused_for_it_means_nothing_elsewhere():
    with pytest.raises(TypeError, match="stdin"):
        Program("cat", stdin=0)
    with pytest.raises(TypeError, match="stdout"):
        Program("cat", stdout=sys.stdout)


def test_output_goes_to_a_file(Task, tmp_path):
    path = tmp_path / "saida"
    outcome(Task, python("print('escrito')", stdout=path))
    assert path.read_text() == "escrito\n"


def test_much_output_on_both_streams(Task):
    source = "import sys; sys.stdout.write('o' * 3_000_000); sys.stderr.write('e' * 3_000_000)"
    completed = outcome(Task, python(source, capture=True))
    assert (len(completed.stdout), len(completed.stderr)) == (3_000_000, 3_000_000)


def test_an_executable_that_is_not_there(Task):
    task = Task(target=Program("no-such-program-here"))
    with pytest.raises(OSError, match="no-such-program-here"):
        task.start().result()
    assert not task.is_alive()


def test_a_file_that_cannot_be_executed(Task, tmp_path):
    path = tmp_path / "dados"
    path.write_text("dados")
    with pytest.raises(OSError, match="dados"):
        Task(target=Program(path)).start().result()
    assert path.exists()


def test_the_same_program_runs_many_times(Task):
    program = python("import os; print(os.getpid())", capture=True)
    tasks = [Task(target=program).start() for _ in range(4)]
    assert len({task.result().stdout for task in tasks}) == 4


@pytest.mark.parametrize("end", ["kill", "terminate", "interrupt"])
def test_ending_the_task_ends_the_program(Task, tmp_path, end):
    path = tmp_path / "pid"
    source = (
        "import os, sys, time; open(sys.argv[1], 'w').write(f'{os.getpid()} '); time.sleep(1000)"
    )
    task = Task(target=python(source, path)).start()
    pid = int(
        eventually(lambda: path.exists() and path.read_text().endswith(" ") and path.read_text())
    )
    getattr(task, end)()
    task.join()
    eventually(lambda: not is_alive(pid))
    assert task.state in (tarefa.State.INTERRUPTED, tarefa.State.KILLED, tarefa.State.FINISHED)


def test_repr_shows_the_command():
    assert "gzip" in repr(Program("gzip", "-k", "file"))


def test_text(Task):
    program = Program("cat", input="linha\r\nç", text=True, encoding="utf-8", capture=True)
    completed = outcome(Task, program)
    assert completed.stdout == "linha\nç"
    assert completed.stderr == ""


def test_input(Task):
    assert outcome(Task, Program("cat", input=b"dados", capture=True)).stdout == b"dados"
    assert outcome(Task, Program("cat", input=b"", capture=True)).stdout == b""
    much = bytes(3_000_000)
    assert outcome(Task, Program("cat", input=much, capture=True)).stdout == much


def test_a_program_that_does_not_read_its_input(Task):
    assert outcome(Task, Program("true", input=bytes(3_000_000))).returncode == 0


def test_errors_go_where_the_output_goes(Task, tmp_path):
    source = "import sys; print('out', flush=True); print('err', file=sys.stderr)"
    completed = outcome(Task, python(source, capture=True, stderr=subprocess.STDOUT))
    assert (completed.stdout, completed.stderr) == (b"out\nerr\n", None)
    path = tmp_path / "both"
    outcome(Task, python(source, stdout=path, stderr=subprocess.STDOUT))
    assert path.read_text() == "out\nerr\n"


def test_pipe_and_devnull(Task):
    source = "import sys; print('out'); print('err', file=sys.stderr)"
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    completed = outcome(Task, python(source, stdout=pipe, stderr=null, stdin=null))
    assert (completed.stdout, completed.stderr) == (b"out\n", None)


def test_a_timeout_kills_it(Task):
    source = "import time; print('began', flush=True); time.sleep(1000)"
    began = time.monotonic()
    error = Task(target=python(source, capture=True, timeout=1)).start().exception()
    assert isinstance(error, subprocess.TimeoutExpired)
    assert time.monotonic() - began >= 1
    assert error.timeout == 1
    assert error.output in (b"began\n", b"")
    assert "sleep" in str(error)


def test_a_timeout_is_told_as_it_was_given(Task):
    error = Task(target=Program("sleep", "1000", timeout=0.25)).start().exception()
    assert isinstance(error, subprocess.TimeoutExpired)
    assert error.timeout == 0.25
    with pytest.raises(TypeError, match="timeout of a Program must be a number"):
        Program("true", timeout="1")


def test_a_timeout_that_is_not_needed(Task):
    assert outcome(Task, Program("true", timeout=100)).returncode == 0


def test_lines_go_to_a_list_as_they_come(Task):
    lines, errors = tarefa.List(), tarefa.List()
    source = """
import sys
print("first", flush=True)
print("error", file=sys.stderr, flush=True)
sys.stdin.read()
print("last", end="")
"""
    read, write = os.pipe()
    program = python(source, stdout=lines, stderr=errors, text=True, stdin=f"/proc/self/fd/{read}")
    if Task is tarefa.Process:
        program = python(
            source, stdout=lines, stderr=errors, text=True, stdin=f"/proc/{os.getpid()}/fd/{read}"
        )
    task = Task(target=program).start()
    try:
        eventually(lambda: lines == ["first"])
        eventually(lambda: errors == ["error"])
        assert task.is_alive()
    finally:
        os.close(write)
    assert task.result().stdout is None
    os.close(read)
    assert lines == ["first", "last"]


def test_lines_go_to_a_function(Task):
    seen = tarefa.List()
    outcome(Task, python("print('a\\n\\nb')", stdout=lambda line: seen.append(line + b"!")))
    assert seen == [b"a!", b"!", b"b!"]


def test_a_function_for_lines_that_fails(Task):
    def fails(line):
        raise LookupError(line)

    source = "import time; print('x', flush=True); time.sleep(1000)"
    assert isinstance(Task(target=python(source, stdout=fails)).start().exception(), LookupError)


def test_iterating_over_lines():
    assert [*python("print('a'); print('b')").lines()] == [b"a", b"b"]
    assert [*python("print('ç\\r\\nb')", text=True, encoding="utf-8").lines()] == ["ç", "b"]
    assert [*python("pass").lines()] == []
    with pytest.raises(tarefa.ProgramFailed):
        list(python("raise SystemExit(3)", check=True).lines())
    with pytest.raises(ValueError, match="stdout"):
        next(python("pass", stdout="file").lines())


def test_giving_up_iterating_ends_the_program():
    source = "import os, time; print(os.getpid(), flush=True); time.sleep(1000)"
    lines = python(source).lines()
    pid = int(next(lines))
    assert is_alive(pid)
    lines.close()
    eventually(lambda: not is_alive(pid))


def test_the_pid_of_the_program(Task):
    program = python("import time; time.sleep(1000)")
    assert program.pid is None
    task = Task(target=program).start()
    pid = eventually(lambda: program.pid)
    assert pid not in (os.getpid(), task.pid if Task is tarefa.Process else None)
    os.kill(pid, signal.SIGKILL)
    completed = task.result()
    assert (completed.returncode, completed.pid) == (-signal.SIGKILL, pid)
    assert program.pid is None


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"stdin": 3}, TypeError, "input="),
        ({"stdin": 1.5}, TypeError, "stdin.*float"),
        ({"stdin": True}, TypeError, "stdin.*bool"),
        ({"stdin": sys.stdin}, TypeError, "stdin.*input="),
        ({"stdin": subprocess.PIPE}, ValueError, "stdin=PIPE.*input="),
        ({"stdin": subprocess.STDOUT}, TypeError, "stdin"),
        ({"stdin": b"x", "input": b"y"}, ValueError, "stdin and input arguments may not both"),
        ({"input": "text"}, TypeError, "a bytes-like object is required, not 'str'.*text=True"),
        ({"input": b"x", "text": True}, TypeError, "must be str"),
        ({"input": 7}, TypeError, "a bytes-like object is required, not 'int'"),
        ({"stdout": subprocess.STDOUT}, ValueError, "STDOUT can only be used for stderr"),
        ({"stdout": 1}, TypeError, "stdout"),
        ({"stderr": 2}, TypeError, "stderr"),
        ({"timeout": "soon"}, TypeError, ""),
    ],
)
def test_arguments_that_make_no_sense(given, error, words):
    with pytest.raises(error, match=words):
        Program("cat", **given)


def test_a_text_as_stdin_is_a_path_that_is_not_there(Task):
    error = Task(target=Program("cat", stdin="some text")).start().exception()
    assert isinstance(error, FileNotFoundError)
    assert any("give input" in note for note in error.__notes__)


def test_both_outputs_in_one_file(Task, tmp_path):
    path = tmp_path / "out"
    code = "import os; [os.write(fd, b'%d\\n' % i) for i, fd in enumerate([1, 2, 1])]"
    program = Program(sys.executable, "-c", code, stdout=path, stderr=str(path))
    Task(target=program).start().result(30)
    assert path.read_text() == "0\n1\n2\n"
