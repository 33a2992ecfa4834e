"""`address` and `attach`: objects for programs that are no tasks of this one, in Rust too."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import tarefa

OBJECTS = {
    "List": lambda: tarefa.List([1, "two"]),
    "Dict": lambda: tarefa.Dict(a=1),
    "Set": lambda: tarefa.Set([1, 2]),
    "Counter": lambda: tarefa.Counter("aab"),
    "Namespace": lambda: tarefa.Namespace(a=1),
    "Value": lambda: tarefa.Value("i", 7),
    "RawValue": lambda: tarefa.RawValue("d", 0.5),
    "Array": lambda: tarefa.Array("d", [1.0, 2.0]),
    "Lock": tarefa.Lock,
    "RLock": tarefa.RLock,
    "Event": tarefa.Event,
    "Semaphore": lambda: tarefa.Semaphore(3),
    "BoundedSemaphore": lambda: tarefa.BoundedSemaphore(3),
    "Condition": tarefa.Condition,
    "Barrier": lambda: tarefa.Barrier(2),
    "RWLock": tarefa.RWLock,
}


def other_program(code, *args):
    """What another Python program prints, which is given texts as arguments."""
    code = "import sys, tarefa\n" + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", OBJECTS)
def test_the_object_at_its_address_is_the_object(name):
    made = OBJECTS[name]()
    found = tarefa.attach(tarefa.address(made))
    assert type(found) is type(made)
    assert tarefa.address(found) == tarefa.address(made)
    said = other_program("print(type(tarefa.attach(sys.argv[1])).__name__)", tarefa.address(made))
    assert said == name


def test_another_program_changes_what_it_is_given():
    numbers, lock = tarefa.List([1, 2]), tarefa.Lock()
    other_program(
        """
        numbers, lock = map(tarefa.attach, sys.argv[1:])
        with lock:
            numbers.append(sum(numbers))
        """,
        tarefa.address(numbers),
        tarefa.address(lock),
    )
    assert numbers == [1, 2, 3]


@pytest.mark.parametrize(
    "text",
    ["", "tarefa:", "a list", "tarefa:1:2:3", "tarefa:1:2:3:4:5:6:7", "tarefa:1:2:3:4:5:x", "\0é"],
)
def test_what_is_no_address_is_a_value_error(text):
    with pytest.raises(ValueError, match="no address of a shared object"):
        tarefa.attach(text)


@pytest.mark.parametrize("text", [None, 7, b"tarefa:1:2:3:4:5:6"])
def test_what_is_no_text_is_a_type_error(text):
    with pytest.raises(TypeError):
        tarefa.attach(text)


def changed(address, part, number):
    words = address.split(":")
    words[part] = f"{number:x}"
    return ":".join(words)


def test_an_address_that_was_changed_leads_nowhere():
    made = tarefa.List()
    whole = tarefa.address(made)
    _, _, runtime, off, kind, number = (int(word, 16) for word in whole.split(":")[1:])
    with pytest.raises(tarefa.HandleGone):
        tarefa.attach(changed(whole, 6, number + 1))
    for nowhere in [0, 8, off + 8, off + 16, 1 << 39, (1 << 63) - 16, (1 << 64) - 16]:
        with pytest.raises(tarefa.HandleGone):
            tarefa.attach(changed(whole, 4, nowhere))
    with pytest.raises(ValueError, match="another sort"):
        tarefa.attach(changed(whole, 5, kind + 3))
    with pytest.raises(tarefa.HandleGone):
        tarefa.attach(changed(whole, 3, runtime ^ 2))
    assert tarefa.attach(whole) == []


def test_an_object_that_is_gone_is_said_to_be():
    text = tarefa.address(tarefa.List())
    with pytest.raises(tarefa.HandleGone, match="keep it"):
        tarefa.attach(text)
    text = other_program("print(tarefa.address(tarefa.List()))")
    with pytest.raises(tarefa.HandleGone):
        tarefa.attach(text)


class Derived(tarefa.List):
    """A class of a program's own, which the other program does not have."""


@pytest.mark.parametrize(
    "make",
    [
        list,
        object,
        lambda: 3,
        lambda: tarefa.List,
        Derived,
        lambda: tarefa.Value("i", 1, lock=__import__("threading").Lock()),
    ],
)
def test_what_has_no_address_is_a_type_error(make):
    with pytest.raises(TypeError, match="has no address"):
        tarefa.address(make())


@pytest.fixture
def visitor():
    """The example of the Rust crate that works on a Python program's objects."""
    folder = os.environ.get("TAREFA_RUST_EXAMPLES")
    path = Path(folder or "", "visitor")
    if not folder or not path.exists():
        pytest.skip("the Rust examples are not built: make test-python does it")
    return path


class Given:
    def __init__(self):
        self.numbers = tarefa.List([20, 21])
        self.counts = tarefa.Dict(um=5)
        self.total = tarefa.Value("q", 0)
        self.points = tarefa.Array("d", [1.0, 3.0])
        self.lock, self.ready = tarefa.Lock(), tarefa.Event()

    def addresses(self):
        return [tarefa.address(it) for it in vars(self).values()]

    def check(self):
        assert self.numbers == [20, 21, 42]
        assert self.counts == {"um": 7, "dois": 1}
        assert self.total.value == 42
        assert self.points[:] == [0.5, 1.5]


def test_a_rust_program_works_on_the_same_objects(visitor):
    given = Given()
    with subprocess.Popen(
        [visitor, *given.addresses()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as rust:
        assert given.ready.wait(50)
        made = rust.stdout.readline().strip()
        with given.lock:
            given.check()
        # In memory of the Rust program's own; who attaches stays a member of that.
        append = "made = tarefa.attach(sys.argv[1]); made.append('e Python')"
        other_program(append, made)
        assert other_program("print(*tarefa.attach(sys.argv[1]))", made) == "de Rust e Python"
        rust.communicate("\n", timeout=50)
    assert rust.returncode == 0


def test_the_death_of_a_rust_program_is_told_in_python(visitor):
    given = Given()
    with subprocess.Popen([visitor, *given.addresses(), "hold"], stdout=subprocess.PIPE) as rust:
        assert given.ready.wait(50)
        owner = given.lock.owner()
        assert owner is not None
        assert owner.pid == rust.pid
        rust.send_signal(signal.SIGKILL)
        rust.wait(50)
    with pytest.raises(tarefa.OwnerDied):
        given.lock.acquire()
    with given.lock:
        given.check()


def test_a_rust_program_cannot_repair_and_leaves_it_to_who_can(visitor):
    given, fixed = Given(), tarefa.List()
    given.lock = tarefa.Lock(repair=lambda: fixed.append(1))

    def die():
        given.lock.acquire()
        os.kill(os.getpid(), signal.SIGKILL)

    tarefa.Process(target=die).start().join()
    # It is told, and may take the lock then: that repairs nothing.
    for told in (True, False):
        rust = subprocess.run(
            [visitor, *given.addresses()],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=50,
            check=False,
        )
        assert (rust.returncode != 0) is told
        assert (b"OwnerDied" in rust.stderr) is told
        assert not fixed
    with given.lock:
        assert fixed == [1]


def test_a_rust_program_says_what_is_wrong(visitor):
    given = Given()
    right = given.addresses()
    for args, said in [
        (["nothing", *right[1:]], "is no address of a shared object"),
        ([right[1], *right[1:]], "a handle of the dict was given"),
        ([changed(right[0], 6, 1 << 60), *right[1:]], "is gone"),
    ]:
        done = subprocess.run(
            [visitor, *args], capture_output=True, text=True, timeout=50, check=False
        )
        assert done.returncode != 0
        assert said in done.stderr
