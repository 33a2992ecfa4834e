"""What type checkers know of a program: results, elements, and what is refused.

In the sample a line with a type in a comment is one whose expression has it, and one that ends in
`# refused` is one that a checker must complain about.
"""

import importlib.util
import re
import subprocess
import sys
import textwrap

import pytest

SAMPLE = """
import sys
import time
from typing import Any
import tarefa
from tarefa import Process, Thread

def none() -> int: return 1
def some(a: int, b: str = "") -> float: return 1.0
def many(*a: int, k: int = 0) -> str: return ""
async def waits(a: int, b: str = "") -> str: return ""
def anything(*a: Any) -> Any: return 1

class Own(Process[int]):
    def __init__(self, n: int) -> None:
        super().__init__(name="own")
        self.n = n

    def run(self) -> int:
        return self.n

reveal_type(Process(target=none).start().result())  # int
reveal_type(Thread(target=none).start().result())  # int
reveal_type(Process(target=some, args=(1,)).start().result())  # float
reveal_type(Thread(target=some, args=(1, "x"), name="n", daemon=True).start().result())  # float
reveal_type(Thread(target=some, kwargs={"a": 1}).result())  # float
reveal_type(Thread(target=some, args=(1,), kwargs={"b": "x"}).result())  # float
reveal_type(Thread(target=some, args=[1]).result())  # float
reveal_type(Process(target=many, args=(1, 2)).result())  # str
reveal_type(Process(target=time.sleep, args=(1,)).result())  # None
reveal_type(Process(target=lambda: 3).result())  # int
reveal_type(Process(None, none).result())  # int
reveal_type(Process(None, some, "name", (1,)).result())  # float
reveal_type(Process(target=int).result())  # int
reveal_type(Process(target=int, args=("3",)).result())  # int
reveal_type(Process(target=print, args=("3", 4)).result())  # None
reveal_type(Own(3).start().result())  # int
reveal_type(Own(3).n)  # int
reveal_type(Process())  # Process[Any]
reveal_type(Process(target=tarefa.Program("true")).result().returncode)  # int
reveal_type([Process(target=some, args=(i,)) for i in range(3)])  # list[Process[float]]
reveal_type(tarefa.Timer(1, some, (1,)).result())  # float
reveal_type(Process(target=waits, args=(1,)).start().result())  # str
reveal_type(Thread(target=waits, args=(1,), kwargs={"b": "x"}).result())  # str
reveal_type(Thread(target=waits, args=[1]).result())  # str
reveal_type(Process(None, waits, "name", (1,)).result())  # str
reveal_type(Process(target=anything).result())  # Any
reveal_type(tarefa.Timer(1, waits, (1,)).result())  # str
Process(target=waits)  # refused
Thread(target=waits, args=("x",))  # refused
reveal_type(tarefa.TaskGroup().start(waits, 1).result())  # str
reveal_type(tarefa.TaskGroup().start(some, 1).result())  # float
reveal_type(tarefa.TaskGroup().start(Process(target=none)).result())  # int
reveal_type(tarefa.Pool().submit(waits, 1).result())  # str
reveal_type(tarefa.Pool().submit(some, 1).result())  # float
reveal_type(tarefa.Pool().options(retries=1).submit(waits, 1).result())  # str
reveal_type(tarefa.Pool().apply(waits, (1,)))  # str
reveal_type(tarefa.Pool().apply(some, (1,)))  # float
reveal_type(tarefa.Pool().starmap(waits, [(1,)]))  # list[str]
reveal_type(tarefa.Pool().imap(waits, [1]))  # Results[str]
reveal_type(tarefa.Pool().imap(some, [1]).next(timeout=1))  # float
reveal_type(tarefa.Pool().imap_unordered(some, [1]))  # Results[float]
reveal_type(tarefa.Pool().map(some, [1]))  # Results[float]
reveal_type(tarefa.Pool().map(waits, [1]))  # Results[str]
reveal_type(list(tarefa.Pool().map(len, ["a"])))  # list[int]
reveal_type(tarefa.Pool().map(some, [1], return_exceptions=True))  # Results[Any]
reveal_type(tarefa.Pool().map_slices(len, "abc"))  # Results[int]
reveal_type(tarefa.Pool().amap(some, [1]))  # AsyncResults[float]
reveal_type(tarefa.Pool().apply_async(some, (1,)).get())  # float
reveal_type(tarefa.Pool().apply_async(waits, (1,)).get(1))  # str
reveal_type(tarefa.Pool().map_async(some, [1]).get())  # list[float]
reveal_type(tarefa.Pool().starmap_async(waits, [(1,)]).get())  # list[str]
reveal_type(tarefa.ThreadPool().map(some, [1]))  # list[float]
reveal_type(tarefa.ThreadPool().imap(some, [1]))  # Results[float]
reveal_type(tarefa.map(some, [1]))  # Results[float]
reveal_type(tarefa.map(waits, [1], workers=2))  # Results[str]
bad_map: list[str] = list(tarefa.Pool().map(len, ["a"]))  # refused
bad_call: str = tarefa.Pool().apply_async(len, ("a",)).get()  # refused
ends = Process(target=sys.exit).start()
ends_too = tarefa.Pool().submit(sys.exit, 1)
tarefa.Pool().submit(waits)  # refused
bad_result: str = Process(target=none).start().result()  # refused
bad_thread: str = Thread(target=none).start().result()  # refused
Process(target=some)  # refused
Process(target=none, args=(1,))  # refused
Thread(target=some, args=("x",))  # refused
Thread(target=some, args=(1, 2))  # refused

numbers: tarefa.List[int] = tarefa.List()
reveal_type(numbers[0])  # int
reveal_type(numbers[1:])  # list[int]
reveal_type(numbers.pop())  # int
reveal_type(numbers.snapshot())  # list[int]
reveal_type(tarefa.List([1, 2]))  # List[int]
numbers.append("a")  # refused
numbers.update(0, lambda n: "x")  # refused
for n in numbers:
    reveal_type(n)  # int

counts: tarefa.Dict[str, int] = tarefa.Dict()
reveal_type(counts["a"])  # int
reveal_type(counts.get("a"))  # int | None
reveal_type(counts.get("a", 0))  # int
reveal_type(counts.pop("a", None))  # int | None
reveal_type(counts.setdefault("a", 1))  # int
reveal_type(counts.snapshot())  # dict[str, int]
reveal_type(tarefa.Dict(a=1))  # Dict[str, int]
reveal_type(tarefa.Dict({1: "x"}))  # Dict[int, str]
counts[1] = 2  # refused
for key, value in counts.items():
    reveal_type(value)  # int

reveal_type(tarefa.Set([1]))  # Set[int]
reveal_type(tarefa.Counter("ab"))  # Counter[str]
reveal_type(tarefa.Counter("ab").most_common())  # list[tuple[str, int]]
reveal_type(tarefa.Value("i", 3))  # Value[int]
reveal_type(tarefa.Value("d").value)  # float
reveal_type(tarefa.Value("c").value)  # bytes
reveal_type(tarefa.Array("i", 3)[0])  # int
reveal_type(tarefa.Array(float, 3)[0])  # float
number: tarefa.Value[int] = tarefa.Value("i")
reveal_type(number.add(1))  # int
number.value = "x"  # refused
tarefa.nothing  # refused

async def main() -> None:
    reveal_type(await Process(target=none).start())  # int
    reveal_type(await Process(target=waits, args=(1,)).start())  # str
    reveal_type(await tarefa.run(waits, 1))  # str
    reveal_type(await tarefa.run(waits, 1, kind=Thread))  # str
    reveal_type(await tarefa.run(some, 1))  # float
    reveal_type(await tarefa.Pool().run(waits, 1))  # str
    reveal_type(await tarefa.Pool().run(some, 1))  # float
    bad_await: str = await Process(target=none).start()  # refused
"""


def expected():
    types, refused = {}, set()
    for number, line in enumerate(SAMPLE.splitlines(), 1):
        code, _, comment = line.partition("  # ")
        if comment == "refused":
            refused.add(number)
        elif "reveal_type(" in code:
            types[number] = comment
    return types, refused


def check(command, text_of_type, is_error, tmp_path):
    sample = tmp_path / "sample.py"
    sample.write_text(textwrap.dedent(SAMPLE))
    run = subprocess.run([*command, str(sample)], capture_output=True, text=True, cwd=tmp_path)
    types, refused = {}, set()
    for line in run.stdout.splitlines():
        place = re.search(r"sample\.py:(\d+)", line)
        if place is None:
            continue
        number = int(place[1])
        if found := text_of_type.search(line):
            types[number] = re.sub(r"\b[a-z_]+\.", "", found[1]).replace("_collections.", "")
        elif is_error in line:
            refused.add(number)
    assert types, run.stdout + run.stderr
    wanted_types, wanted_refused = expected()
    assert types == wanted_types
    assert refused == wanted_refused


@pytest.mark.watchdog(400)
def test_mypy(tmp_path):
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--check-untyped-defs"]
    check(command, re.compile(r'Revealed type is "(.*)"'), " error: ", tmp_path)


@pytest.mark.watchdog(400)
def test_what_a_star_does_not_bring_is_exported_all_the_same(tmp_path):
    pytest.importorskip("mypy")
    sample = tmp_path / "sample.py"
    sample.write_text("import tarefa\nprint(list(tarefa.map(str, [1])), tarefa.enumerate())\n")
    command = [sys.executable, "-m", "mypy", "--strict", str(sample)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.watchdog(400)
def test_pyright(tmp_path):
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("pyright is not installed")
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable]
    version = subprocess.run([*command, "--version"], capture_output=True, text=True)
    if version.returncode:
        pytest.skip(f"pyright does not start: {version.stderr[-300:]}")
    check(command, re.compile(r' is "([^"]*)"$'), " - error: ", tmp_path)
