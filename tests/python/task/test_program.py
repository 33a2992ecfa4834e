"""`Program`: an executable is a target like any other, on both kinds."""

import gzip
import os
import signal
import sys

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
