"""What a target raises is what the asker gets: class, arguments, attributes, on both kinds alike.

But for what would end the asker: an interrupt, `sys.exit`, and other exceptions that are none of
`Exception` are told by one that is.
"""

import asyncio
import collections
import copyreg
import json
import subprocess
import threading
import traceback
import urllib.error

import pytest
import targets

import tarefa
from tarefa import State
from tarefa._convert import _exceptions


def raised(Task, make, **options):
    """The exception of a task whose target raises what `make` returns."""

    def fail():
        raise make()

    return Task(target=fail, **options).start().exception()


class Broken(Exception):
    """Its constructor takes something else than what it hands on."""

    made = 0

    def __init__(self, what, where, *, why="so"):
        type(self).made += 1
        super().__init__(what)
        self.where, self.why = where, why

    def __str__(self):
        return f"{self.args[0]} at {self.where}"


def test_a_constructor_of_its_own_is_not_called_again(Task):
    def fail():
        Broken.made = 0
        raise Broken("pipe", where=7, why="old")

    error = Task(target=fail).start().exception()
    assert type(error) is Broken
    assert (error.args, error.where, error.why, str(error)) == (("pipe",), 7, "old", "pipe at 7")


class Slotted(ValueError):
    __slots__ = ("__hidden", "message", "unset")

    def __init__(self, hidden):
        self.__hidden = hidden
        self.message = "in a slot"

    def hidden(self):
        return self.__hidden


def test_slots_and_attributes_travel(Task):
    def make():
        error = Slotted([1])
        error.later = {"a": 1}
        return error

    error = raised(Task, make)
    assert type(error) is Slotted
    assert (error.hidden(), error.message, error.later) == ([1], "in a slot", {"a": 1})
    assert not hasattr(error, "unset")
    assert error.args == ([1],)


class Reduces(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")
        self.a, self.b = a, b
        self.calls = ["made"]

    def __reduce__(self):
        return type(self), (self.a, self.b * 10)


class ReducesEx(Reduces):
    def __reduce_ex__(self, protocol):
        return type(self), (self.a, self.b * 100)


class Registered(Exception):
    def __init__(self, a, b):
        super().__init__(a)
        self.b = b


copyreg.pickle(Registered, lambda error: (Registered, (error.args[0], error.b * 1000)))


class States(Exception):
    def __init__(self, lock):
        super().__init__("states")
        self.lock, self.number = lock, 3

    def __getstate__(self):
        return {"number": self.number}

    def __setstate__(self, state):
        self.number, self.lock = state["number"], "a new one"


@pytest.mark.parametrize(("Class", "factor"), [(Reduces, 10), (ReducesEx, 100), (Registered, 1000)])
def test_a_class_that_says_how_it_is_pickled_is_taken_at_its_word(Class, factor):
    # The class of a module, which knows both ways of saying so; a thread's is the object itself.
    error = tarefa.Process(target=targets.raise_it, args=(Class, "x", 2)).start().exception()
    assert type(error).__name__ == Class.__name__
    assert error.b == 2 * factor
    error = tarefa.Thread(target=targets.raise_it, args=(Class, "x", 2)).start().exception()
    assert error.b == 2


def test_getstate_and_setstate_are_used():
    error = raised(tarefa.Process, lambda: States(threading.Lock()))
    assert (error.number, error.lock, error.args[1:]) == (3, "a new one", ())


class Derived(OSError):
    """As many do: an OSError with arguments of its own."""

    def __init__(self, path, **more):
        super().__init__(2, "gone", path)
        self.more = more


BUILT_IN = {
    "OSError with a file": lambda: FileNotFoundError(2, "No such file", "a.txt"),
    "OSError with two": lambda: OSError(18, "cross", "a", None, "b"),
    "OSError by class alone": lambda: OSError("only text"),
    "OSError, number set later": lambda: set_attributes(OSError("late"), errno=5, strerror="io"),
    "OSError of another class": lambda: Derived("where.txt", tries=3),
    "BlockingIOError": lambda: set_attributes(BlockingIOError(11, "again"), characters_written=7),
    "UnicodeDecodeError": lambda: UnicodeDecodeError("utf-8", b"a\xff", 1, 2, "bad byte"),
    "UnicodeEncodeError": lambda: UnicodeEncodeError("ascii", "é", 0, 1, "not ascii"),
    "ImportError": lambda: ImportError("no", name="spam", path="/x/spam.py"),
    "SyntaxError": lambda: SyntaxError("bad", ("f.py", 3, 5, "x = ", 3, 6)),
    "StopIteration": lambda: StopIteration(42),
    "KeyError": lambda: KeyError(("a", 1)),
    "NameError": lambda: set_attributes(NameError("no x"), name="x"),
    "AttributeError": lambda: AttributeError("no y", name="y", obj=threading.Lock()),
    "no arguments": lambda: ValueError(),
    "many arguments": lambda: ValueError(1, "two", None, b"4", [5]),
    "arguments set later": lambda: set_attributes(KeyError("a"), args=(1, 2)),
    "JSONDecodeError": lambda: json.JSONDecodeError("bad", "{x", 1),
    "CalledProcessError": lambda: subprocess.CalledProcessError(3, ["x"], b"out"),
    "HTTPError": lambda: urllib.error.HTTPError("http://x", 404, "Not Found", {"a": "b"}, None),
    "StateError": lambda: tarefa.StateError("tarefa's own"),
    "WorkerDied": lambda: tarefa.WorkerDied("died", 7, -9, 1 << 20),
}

FIELDS = (
    *("errno", "strerror", "filename", "filename2", "characters_written", "encoding", "object"),
    *("start", "end", "reason", "msg", "name", "path", "lineno", "offset", "text", "end_lineno"),
    *("end_offset", "value", "doc", "pos", "returncode", "cmd", "output", "code", "hdrs", "more"),
    *("exitcode", "peak_memory"),
)


def set_attributes(error, **attributes):
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


@pytest.mark.parametrize("make", BUILT_IN.values(), ids=BUILT_IN)
def test_what_a_built_in_class_keeps_travels(Task, make):
    error, like = raised(Task, make), make()
    assert type(error) is type(like)
    assert error.args == like.args
    assert str(error) == str(like)
    for name in FIELDS:
        assert getattr(error, name, "none") == getattr(like, name, "none"), name
    with pytest.raises(type(like)) as caught:
        raise _exceptions.copy(error)
    assert str(caught.value) == str(like)


def test_cause_context_and_notes_travel(Task):
    def fail():
        try:
            try:
                raise KeyError("deepest")
            except KeyError:
                raise Broken("cause", where=1) from None
        except Broken as cause:
            try:
                raise OSError(5, "context")
            except OSError:
                error = ValueError("itself")
                error.add_note("a note")
                cause.add_note("of the cause")
                raise error from cause

    error = Task(target=fail).start().exception()
    assert (type(error), error.__notes__, error.__suppress_context__) == (
        ValueError,
        ["a note"],
        True,
    )
    assert type(error.__cause__) is Broken
    assert (error.__cause__.where, error.__cause__.__notes__) == (1, ["of the cause"])
    assert error.__cause__.__suppress_context__
    assert type(error.__cause__.__context__) is KeyError
    assert (type(error.__context__), error.__context__.errno) == (OSError, 5)
    text = "".join(traceback.format_exception(error))
    assert "in fail" in text
    assert "direct cause" in text


def test_a_context_stays_one(Task):
    def fail():
        try:
            targets.explode("first")
        except ValueError:
            raise KeyError("second")  # noqa: B904

    error = Task(target=fail).start().exception()
    assert error.__cause__ is None
    assert not error.__suppress_context__
    assert type(error.__context__) is ValueError
    assert "in explode" in "".join(traceback.format_exception(error))


def test_long_chains_and_circles_travel(Task):
    def chain():
        error = None
        for n in range(3000):
            following = ValueError(n)
            following.__context__ = error
            error = following
        raise error

    error, depth = Task(target=chain).start().exception(), 0
    while error is not None and not isinstance(error, tarefa.RemoteTraceback):
        error, depth = error.__context__, depth + 1
    assert depth == 3000

    def circle():
        a, b = ValueError("a"), KeyError("b")
        a.other, a.me, b.__context__ = b, a, a
        raise a from b

    error = Task(target=circle).start().exception()
    assert type(error.other) is KeyError
    assert error.other is error.__cause__
    assert error.me is error
    assert error.__cause__.__context__ is error


class Several(ExceptionGroup):
    def __new__(cls, message, members, code):
        made = super().__new__(cls, message, members)
        made.code = code
        return made

    def derive(self, members):
        return Several(self.message, members, self.code)


def test_groups_travel_with_their_members(Task):
    def fail():
        inner = ExceptionGroup("inner", [Broken("x", where=2), OSError(2, "gone", "f")])
        outer = Several("outer", [inner, KeyError("k")], 9)
        outer.add_note("of the group")
        raise outer

    error = Task(target=fail).start().exception()
    assert type(error) is Several
    assert (error.message, error.code, error.__notes__) == ("outer", 9, ["of the group"])
    inner, key = error.exceptions
    assert type(inner) is ExceptionGroup
    assert [type(e) for e in (*inner.exceptions, key)] == [Broken, FileNotFoundError, KeyError]
    assert (inner.exceptions[0].where, inner.exceptions[1].filename) == (2, "f")
    matched, rest = error.split(KeyError)
    assert (matched.code, len(rest.exceptions)) == (9, 1)


def test_exceptions_in_arguments_and_attributes_travel(Task):
    def fail():
        error = RuntimeError("outer", Broken("inner", where=3))
        error.all = [Broken("a", where=4), States(threading.Lock())]
        raise error

    error = Task(target=fail).start().exception()
    assert type(error.args[1]) is Broken
    assert (error.args[1].where, error.all[0].where, error.all[1].number) == (3, 4, 3)


# What cannot travel.


def test_an_attribute_that_cannot_travel_is_left_with_a_note():
    def fail():
        error = Broken("has a lock", where=5)
        error.lock = threading.Lock()
        error.later = targets.NoUnpickle()
        error.add_note("before")
        raise error

    error = tarefa.Process(target=fail).start().exception()
    assert type(error) is Broken
    assert (error.args, error.where) == (("has a lock",), 5)
    assert not hasattr(error, "lock")
    assert not hasattr(error, "later")
    before, lock, later = error.__notes__
    assert before == "before"
    assert "'lock'" in lock
    assert "cannot pickle" in lock
    assert "'later'" in later
    assert "cannot be built" in later


def test_an_argument_that_cannot_travel_makes_it_a_remote_error():
    error = raised(tarefa.Process, lambda: ValueError("text", threading.Lock()))
    assert type(error) is tarefa.RemoteError
    assert error.type_name == "ValueError"
    assert "ValueError: ('text'" in str(error)
    for text in (str(error), error.reason):
        assert "args[1]" in text
        assert "cannot pickle '_thread.lock'" in text
    assert "in fail" in error.remote_traceback
    assert "in fail" in str(error.__cause__)


class Refuses(Exception):
    def __reduce__(self):
        raise TypeError("this one stays at home")


class Misleads(Exception):
    def __init__(self, a, b):
        super().__init__(a)

    def __reduce__(self):
        return type(self), (1,)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Refuses("x"), "this one stays at home"),
        (lambda: Misleads(1, 2), "missing 1 required positional argument"),
    ],
)
def test_a_class_whose_own_way_fails_is_a_remote_error(make, why):
    error = raised(tarefa.Process, make)
    assert type(error) is tarefa.RemoteError
    assert why in error.reason
    assert why in str(error)


def test_only_what_cannot_travel_is_replaced():
    def fail():
        try:
            raise Refuses("stays")
        except Refuses as cause:
            members = [Broken("goes", where=1), ValueError(threading.Lock())]
            raise ExceptionGroup("some", members) from cause

    error = tarefa.Process(target=fail).start().exception()
    assert type(error) is ExceptionGroup
    assert [type(e) for e in error.exceptions] == [Broken, tarefa.RemoteError]
    assert type(error.__cause__) is tarefa.RemoteError
    assert "stays at home" in str(error.__cause__)


def test_a_class_that_the_asker_does_not_know():
    def fail():
        import sys
        import types

        module = types.ModuleType("made_in_the_task")
        exec("class Here(Exception): pass", module.__dict__)
        module.Here.__module__ = module.__name__
        sys.modules[module.__name__] = module
        raise module.Here("known there only")

    error = tarefa.Process(target=fail).start().exception()
    assert "Here" in type(error).__name__ + str(error)
    assert "known there only" in str(error)


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def test_one_without_a_text(Task):
    assert type(raised(Task, Unspeakable)) is Unspeakable


def test_shared_objects_in_an_exception_live_as_long_as_it(Task):
    def fail():
        raise ValueError("with a list", tarefa.List([1, 2]))

    task = Task(target=fail).start()
    task.join()
    assert task.exception().args[1] == [1, 2]


# What would end the asker.


def stop(exception, *args):
    raise exception(*args)


class Odd(BaseException):
    pass


@pytest.mark.parametrize(
    ("exception", "args", "expected"),
    [
        (GeneratorExit, ("gen",), tarefa.TaskFailed),
        (asyncio.CancelledError, ("cancel",), tarefa.TaskFailed),
        (Odd, ("odd",), tarefa.TaskFailed),
        (KeyboardInterrupt, ("ctrl-c",), tarefa.TaskInterrupted),
        (tarefa.Interrupted, ("by hand",), tarefa.TaskInterrupted),
        (SystemExit, (3,), tarefa.TaskExited),
    ],
)
@pytest.mark.parametrize("way", ["result", "await", "gather"])
def test_no_asker_is_ended(Task, exception, args, expected, way):
    task = Task(target=stop, args=(exception, *args), name="odd").start()

    async def wait():
        return await task

    async def gather():
        return (await asyncio.gather(wait(), return_exceptions=True))[0]

    ways = {"result": task.result, "await": lambda: asyncio.run(wait()), "gather": None}
    try:
        error = asyncio.run(gather()) if way == "gather" else ways[way]()
    except Exception as caught:
        error = caught
    assert type(error) is expected
    assert isinstance(error, Exception)
    assert isinstance(error, tarefa.TarefaError)
    assert type(error.__cause__) is exception
    assert error.__cause__.args == args
    assert str(args[0]) in str(error)
    assert type(task.exception()) is expected


def test_one_that_is_no_exception_is_named(Task):
    error = Task(target=stop, args=(asyncio.CancelledError, "why"), name="odd").start().exception()
    assert str(error).endswith("'odd' ended with asyncio.exceptions.CancelledError: why")


@pytest.mark.parametrize(
    ("code", "exitcode"),
    [(3, 3), (True, 1), (-1, 255), (256, 1), ("text", 1), ({"a": 1}, 1), (0.0, 1)],
)
def test_sys_exit_keeps_its_code(Task, code, exitcode):
    task = Task(target=stop, args=(SystemExit, code), name="left").start()
    error = task.exception()
    assert type(error) is tarefa.TaskExited
    assert error.code == code
    assert type(error.code) is type(code)
    assert repr(code) in str(error)
    task.join()  # its exit functions may run still
    assert task.exitcode == exitcode
    assert task.state is State.FAILED


@pytest.mark.parametrize("code", [None, 0, False])
def test_sys_exit_without_an_error_is_a_result(Task, code):
    task = Task(target=stop, args=(SystemExit, code)).start()
    assert task.result() is None
    assert task.exception() is None
    assert task.state is State.FINISHED
    assert task.exitcode == 0


def test_a_code_that_cannot_travel():
    error = raised(tarefa.Process, lambda: SystemExit(threading.Lock()))
    assert "SystemExit" in str(error)
    assert isinstance(error, Exception)


def test_the_interrupt_of_another_task_does_not_interrupt_the_asker(Task):
    def ask():
        other = Task(target=tarefa.sleep, args=(10_000,), name="other").start()
        other.interrupt()
        try:
            other.result()
        except Exception as error:
            return type(error).__name__

    assert Task(target=ask).start().result() == "TaskInterrupted"


def test_stop_iteration_is_an_error_for_one_who_awaits(Task):
    task = Task(target=stop, args=(StopIteration, 3)).start()

    async def wait():
        await task

    with pytest.raises(RuntimeError) as caught:
        asyncio.run(wait())
    assert type(caught.value.__cause__) is StopIteration


def test_errors_of_tarefa_travel_as_values(Task):
    made = [
        tarefa.TaskExited("left", 3),
        tarefa.RemoteError("remote", "ValueError", "text", "why"),
        tarefa.TimeLimitExceeded("late"),
    ]
    back = Task(target=targets.pass_through, args=(made,)).start().result()
    assert [(type(e), e.args, vars(e)) for e in back] == [(type(e), e.args, vars(e)) for e in made]


# Asking again.


def depth(error):
    return len(list(traceback.walk_tb(error.__traceback__)))


def asked(task):
    try:
        task.result()
    except ValueError as error:
        return error


def test_asking_often_leaves_one_traceback(Task):
    task = Task(target=targets.explode).start()
    first = depth(asked(task))
    errors = [asked(task) for _ in range(50)]
    assert [depth(error) for error in errors] == [first] * 50
    for _ in range(50):
        with pytest.raises(ValueError, match="boom"):
            raise task.exception()
    assert depth(task.exception()) < first
    assert depth(asked(task)) == first
    assert len(set(map(id, errors))) == 50
    assert task.exception() is task.exception()


def test_so_does_asking_from_many_threads(Task):
    task = Task(target=targets.explode).start()
    first = depth(asked(task))
    depths = collections.Counter()
    lock = threading.Lock()

    def ask():
        found = [depth(asked(task)) for _ in range(50)]
        with lock:
            depths.update(found)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert depths == {first: 400}


def test_asking_while_handling_another_error_leaves_no_context(Task):
    task = Task(target=targets.explode).start()
    try:
        raise KeyError("another")
    except KeyError:
        assert type(asked(task).__context__) is KeyError
    assert asked(task).__context__ is None
    assert task.exception().__context__ is None


def test_what_is_raised_is_like_what_was_raised(Task):
    def fail():
        error = Slotted("s")
        error.later = [1]
        error.add_note("n")
        raise error from KeyError("cause")

    task = Task(target=fail).start()
    found = asked(task)
    assert type(found) is Slotted
    assert (found.hidden(), found.later, found.__notes__) == ("s", [1], ["n"])
    assert type(found.__cause__) is KeyError
    found.add_note("of this asker")
    assert asked(task).__notes__ == ["n"]


def test_a_thread_gives_its_very_exception():
    made = ValueError("this one")

    def fail():
        raise made

    assert tarefa.Thread(target=fail).start().exception() is made


# States.


def test_a_state_is_a_word(Task):
    task = Task(target=targets.pass_through, args=(1,)).start()
    task.join()
    assert str(task.state) == f"{task.state}" == "%s" % task.state == "FINISHED"  # noqa: UP031
    assert f"{task.state:>9}|{task.state:d}" == " FINISHED|3"
    assert task.state == State.FINISHED
    assert int(task.state) == 3
    assert repr(task.state) == "<State.FINISHED: 3>"
    assert State["FINISHED"] is State(3) is task.state
