"""`tarefa map`: a command for each of many arguments."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
from pseudo_terminal import Terminal
from support import eventually, is_alive, run

pytestmark = pytest.mark.once("the command runs other commands, and no interpreter")

COMMAND = str(Path(sysconfig.get_path("scripts"), "tarefa"))
UTF8 = {"LC_ALL": "C.UTF-8"}


def tarefa_map(*arguments, code=0, **rest):
    return run([COMMAND, "map", *map(str, arguments)], code=code, env=UTF8, **rest)


def shell(source):
    """Return a command that runs this with its argument as $1."""
    return ["sh", "-c", source, "sh"]


def test_output_is_in_order_and_in_one_piece():
    slow_first = shell("echo begin $1; [ $1 = 1 ] && sleep 0.2; echo end $1; echo err $1 >&2")
    done = tarefa_map("-j", 4, *slow_first, ":::", *range(1, 6))
    assert done.stdout == "".join(f"begin {i}\nend {i}\n" for i in range(1, 6))
    assert done.stderr == "".join(f"err {i}\n" for i in range(1, 6))


def test_arguments_take_their_places():
    assert tarefa_map("echo", ":::", "a b", "c").stdout == "a b\nc\n"
    assert tarefa_map("echo", "<{}>", "{}-{}", ":::", "x").stdout == "<x> x-x\n"
    assert tarefa_map("echo", ":::", "$HOME", "*", "'").stdout == "$HOME\n*\n'\n"
    combined = tarefa_map("-j1", "echo", ":::", "a", "b", ":::", "1", "2").stdout
    assert combined == "a 1\na 2\nb 1\nb 2\n"
    assert tarefa_map("echo", "-n", "--", "{}", ":::", "--json").stdout == "-- --json"
    assert tarefa_map("echo", ":::").stdout == ""


def test_lines_of_standard_input():
    assert tarefa_map("echo", "got", stdin="a b\n\nc").stdout == "got a b\ngot c\n"
    assert tarefa_map("echo", stdin="").stdout == ""
    many = "".join(f"{i}\n" for i in range(1000))
    assert tarefa_map("-j", 4, "echo", stdin=many).stdout == many
    bad = subprocess.run([COMMAND, "map", "echo"], input=b"\xff\xfe\n", capture_output=True)
    assert bad.stdout == b"\xff\xfe\n"


def test_a_line_is_run_as_it_comes():
    with subprocess.Popen(
        [COMMAND, "map", "echo"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        for i in range(3):
            print(i, file=process.stdin, flush=True)
            assert process.stdout.readline() == f"{i}\n"


def test_the_exit_code_counts_failures():
    assert tarefa_map("test", "{}", "-lt", 3, ":::", 1, 2, 3, 4, 5, code=3).stdout == ""
    assert tarefa_map("false", ":::", *range(150), code=101)
    tarefa_map(*shell("kill -9 $$"), ":::", 1, code=1)
    missing = tarefa_map("no such thing", ":::", 1, 2, code=2)
    assert missing.stderr.count("tarefa: no such thing: ") == 2
    assert "::: " in tarefa_map(code=2).stderr or "COMMAND" in tarefa_map(code=2).stderr


def test_so_many_at_once(tmp_path):
    source = f"""
        touch {tmp_path}/$1; ls {tmp_path} | wc -l; sleep 0.1; rm {tmp_path}/$1
    """
    counts = tarefa_map("-j", 3, *shell(source), ":::", *range(9)).stdout.split()
    assert 1 <= max(map(int, counts)) <= 3
    assert set(tarefa_map("-j1", *shell(source), ":::", *range(4)).stdout.split()) == {"1"}


def test_failures_are_tried_again(tmp_path):
    source = f"echo x >> {tmp_path}/$1; [ $(wc -l < {tmp_path}/$1) -ge 3 ]"
    tarefa_map("--retry", 2, *shell(source), ":::", "a", "b")
    assert (tmp_path / "a").read_text().count("x") == 3
    (tmp_path / "a").unlink()
    report = tarefa_map("--retry=1", "--json", *shell(source), ":::", "a", code=1).stdout
    assert json.loads(report)["attempts"] == 2


def test_time_and_memory_are_limited():
    begin = time.monotonic()
    done = tarefa_map("--timeout", 0.2, *shell("echo begun; sleep 50 & wait"), ":::", 1, code=1)
    assert done.stdout == "begun\n"
    assert "its time is up" in done.stderr
    assert time.monotonic() - begin < 40
    take = [sys.executable, "-c", "import sys; bytearray(int(sys.argv[1]) << 20)"]
    done = tarefa_map("--memory", "200M", *take, ":::", 1, 400, code=1)
    assert done.stderr.count("MemoryError") == 1


def test_a_log_and_what_is_resumed(tmp_path):
    log, seen = tmp_path / "log", tmp_path / "seen"
    source = f"echo $1 >> {seen}; [ $1 != bad ]"
    tarefa_map("--joblog", log, *shell(source), ":::", "a", "bad", "c", code=1)
    rows = [line.split("\t") for line in log.read_text().splitlines()]
    assert rows[0][:4] == ["Seq", "Host", "Starttime", "JobRuntime"]
    by_number = {row[0]: row for row in rows[1:]}
    assert [by_number[n][6] for n in "123"] == ["0", "1", "0"]
    assert by_number["3"][8].endswith(" sh c")
    # A line that was cut off does not count, and is not the beginning of the next. They are in the
    # order in which the jobs ended.
    last = rows[-1][8].split()[-1]
    log.write_bytes(log.read_bytes()[:-5])
    again = tarefa_map("--joblog", log, "--resume", *shell(source), ":::", "a", "bad", "c", code=1)
    assert again.stdout == ""
    ran = seen.read_text().split()
    assert {job: ran.count(job) for job in ("a", "bad", "c")} == {"a": 1, "bad": 2, "c": 1} | {
        last: 2
    }
    assert len(by_number_of(log)) == 3
    tarefa_map("--joblog", log, *shell(source), ":::", "x")
    assert len(log.read_text().splitlines()) == 2
    nowhere = tarefa_map("--joblog", "/nowhere/log", "true", ":::", 1, code=255)
    assert "/nowhere/log" in nowhere.stderr
    assert "--joblog" in tarefa_map("--resume", "true", ":::", 1, code=2).stderr


def by_number_of(log):
    rows = [line.split("\t") for line in log.read_text().splitlines()[1:]]
    return {row[0]: row for row in rows if len(row) == 9}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_all_jobs(number, tmp_path):
    source = f"echo $$ > {tmp_path}/$1.new; mv {tmp_path}/$1.new {tmp_path}/$1; sleep 60"
    with subprocess.Popen([COMMAND, "map", "-j2", *shell(source), ":::", "a", "b"]) as process:
        files = [tmp_path / "a", tmp_path / "b"]
        eventually(lambda: all(file.exists() for file in files))
        process.send_signal(number)
        assert process.wait() == 128 + number
    for file in files:
        assert not is_alive(int(file.read_text()))


def test_json_is_a_line_for_each():
    done = tarefa_map("--json", *shell("echo out $1; echo err >&2; exit $1"), ":::", 0, 3, code=1)
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["number"], first["exit"], first["stdout"]) == (1, 0, "out 0\n")
    assert (second["exit"], second["stderr"], second["command"][-1]) == (3, "err\n", "3")
    assert done.stderr == ""


def test_progress_is_told():
    assert tarefa_map("--progress", "true", ":::", 1, 2).stderr.startswith("2/2 done, 0 running")
    told = run([COMMAND, "--lang=pt", "map", "--progress", "true", ":::", "1"], env=UTF8).stderr
    assert told.startswith("1/1 feitas")
    command = [COMMAND, "map", "--progress", "-j1", "sleep", ":::", "0.2", "0.2"]
    with Terminal(command, env=UTF8) as terminal:
        text = terminal.ended()
        assert "\r" in text
        assert "2/2 done" in text


def test_what_has_left_the_group_of_a_job_is_ended_with_it(tmp_path):
    file = tmp_path / "pid"
    leaves = f"setsid sh -c 'echo $$ > {file}.new; mv {file}.new {file}; exec sleep 1000' & wait"
    tarefa_map("--timeout", 1, *shell(leaves), ":::", 1, code=1)
    pid = int(file.read_text())
    eventually(lambda: not is_alive(pid))
    file.unlink()
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    for number in (signal.SIGTERM, signal.SIGKILL):
        command = [COMMAND, "map", *shell(leaves), ":::", "1"]
        with subprocess.Popen(command, **streams) as process:
            eventually(file.exists)
            process.send_signal(number)
        pid = int(file.read_text())
        eventually(lambda pid=pid: not is_alive(pid))
        file.unlink()


def test_ctrl_z_stops_the_jobs_as_well(tmp_path):
    def state(pid):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]

    file = tmp_path / "pid"
    job = shell(f"echo $$ > {file}.new; mv {file}.new {file}; exec sleep 1000")
    with subprocess.Popen([COMMAND, "map", *job, ":::", "1"]) as process:
        eventually(file.exists)
        pid = int(file.read_text())
        for _ in range(2):
            process.send_signal(signal.SIGTSTP)
            eventually(lambda: (state(process.pid), state(pid)) == ("T", "T"))
            process.send_signal(signal.SIGCONT)
            eventually(lambda: "T" not in (state(process.pid), state(pid)))
        process.send_signal(signal.SIGTSTP)
        eventually(lambda: (state(process.pid), state(pid)) == ("T", "T"))
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        assert process.wait() == 128 + signal.SIGTERM
    assert not is_alive(pid)


def test_a_log_may_be_a_pipe_or_a_terminal(tmp_path):
    done = tarefa_map("--joblog", "/dev/stderr", "true", ":::", 1)
    assert done.stderr.startswith("Seq\tHost\t")
    assert "true 1" in done.stderr
    with Terminal([COMMAND, "map", "--joblog", "/dev/stdout", "true", ":::", "1"]) as terminal:
        assert "true 1" in terminal.ended()
    os.mkfifo(tmp_path / "log")
    resumed = tarefa_map("--resume", "--joblog", tmp_path / "log", "true", ":::", 1, code=255)
    assert "nothing can be resumed" in resumed.stderr


def test_a_log_of_two_commands_tells_both(tmp_path):
    log, seen = tmp_path / "log", tmp_path / "seen"
    first = ["--joblog", log, "--resume", *shell(f"echo x >> {seen}; exit $1"), ":::", 0, 1]
    tarefa_map(*first, code=1)
    tarefa_map("--joblog", log, "--resume", "true", ":::", "a")
    tarefa_map(*first, code=1)
    assert seen.read_text().count("x") == 3


def test_signals_of_children_that_the_starter_ignores():
    code = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
"""
    done = run([sys.executable, "-c", code, COMMAND, "map", "false", ":::", "1", "2"], code=2)
    assert done.stderr == ""


def test_what_is_said_twice_counts_as_said_last():
    assert tarefa_map("-j4", "-j1", "echo", ":::", 1).stdout == "1\n"


@pytest.mark.parametrize("mark", ["::::", ":::+", "::::+"])
def test_marks_of_others_are_refused(mark):
    assert mark in tarefa_map("echo", mark, "a", code=2).stderr


def test_an_output_that_takes_nothing_is_told():
    with open("/dev/full", "w") as full:
        for arguments in (["map", "echo", ":::", "1"], ["--help"], ["man"], ["ps"]):
            command = [COMMAND, *arguments]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
            assert done.returncode in (2, 255)
            assert "No space left" in done.stderr


def test_it_can_be_looked_into(tmp_path):
    file = tmp_path / "there"
    job = shell(f"touch {file}; exec sleep 1000")
    with subprocess.Popen([COMMAND, "map", "-j2", *job, ":::", "1"]) as process:
        eventually(file.exists)
        assert "map-1" in run([COMMAND, "ps", str(process.pid)], env=UTF8).stdout
        process.terminate()


def test_who_reads_no_further_ends_it():
    with subprocess.Popen(
        [COMMAND, "map", "-j2", "echo"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **UTF8},
    ) as process:
        process.stdin.write(b"1\n" * 1000)
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        assert process.wait() == 255
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    "wrong",
    [["-j", "0"], ["-j=x"], ["-j", "-1"], ["-j2000"], ["--timeout", "-1"], ["--retry", "-1"]],
)
def test_wrong_arguments(wrong):
    assert "is no value for" in tarefa_map(*wrong, "true", ":::", 1, code=2).stderr


def test_a_kill_ends_the_jobs_with_it(tmp_path):
    file = tmp_path / "pids"
    # A process that the job has started, and the job.
    job = shell(f"sleep 1000 & echo $$ $! >> {file}; wait")
    # Its errors go where nobody reads: who holds the test's own would hold up the test.
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([COMMAND, "map", "-j2", *job, ":::", "1", "2"], **streams) as process:
        eventually(lambda: file.exists() and len(file.read_text().split()) == 4)
        process.kill()
    pids = [int(pid) for pid in file.read_text().split()]
    eventually(lambda: not any(is_alive(pid) for pid in pids))
