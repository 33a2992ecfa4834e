"""A queue of Python and a channel of Rust are one object."""

import os
import subprocess
from pathlib import Path

import pytest
from support import run_script

import tarefa

pytestmark = pytest.mark.once("what both languages read alike is the engine's")


@pytest.fixture
def example():
    """The example of the Rust crate that takes part in a Python program's queues."""
    folder = os.environ.get("TAREFA_RUST_EXAMPLES")
    path = Path(folder or "", "queues")
    if not folder or not path.exists():
        pytest.skip("the Rust examples are not built: make test-python does it")
    return path


def test_a_rust_program_takes_part_in_the_same_queues(example):
    numbers, results, mixed = tarefa.Queue(), tarefa.Queue(maxsize=3), tarefa.Queue()
    addresses = [tarefa.address(q) for q in (numbers, results, mixed)]
    with subprocess.Popen([example, *addresses], stdout=subprocess.PIPE, text=True) as rust:
        for n in range(-50, 50):
            numbers.put(n)
            if n >= -47:
                assert results.get(timeout=50) == (n - 3) ** 2
        numbers.shutdown()
        assert [results.get(timeout=50) for _ in range(3)] == [47**2, 48**2, 49**2]
        assert rust.stdout.readline() == "squared\n"
        mixed.put_many(["texto é", b"bytes\0", 0.25, {"no": "number"}])
        assert rust.stdout.readline() == "true\n"
        assert mixed.get_many(3) == ["TEXTO É", b"bytes\0", 0.125]
        # One that the Rust program has made. Who attaches stays a member of that.
        other = """
            import sys, tarefa

            theirs = tarefa.attach(sys.argv[1])
            print(type(theirs) is tarefa.Queue, theirs.maxsize)
            theirs.put_many(range(100))
            theirs.shutdown()
        """
        assert run_script(other, rust.stdout.readline().strip()).stdout == "True 10\n"
        assert rust.stdout.readline() == f"{sum(range(100))}\n"
        assert rust.wait(50) == 0


def test_the_death_of_a_rust_program_leaves_the_queue_whole(example):
    numbers, results, mixed = tarefa.Queue(), tarefa.Queue(), tarefa.Queue()
    addresses = [tarefa.address(q) for q in (numbers, results, mixed)]
    with subprocess.Popen([example, *addresses], stdout=subprocess.PIPE) as rust:
        numbers.put(3)
        assert results.get(timeout=50) == 9
        rust.kill()
        rust.wait(50)
    numbers.put(4)
    assert numbers.get(timeout=50) == 4
    results.put(5)
    assert results.get(timeout=50) == 5
