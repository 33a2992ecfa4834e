"""In a process `__main__` is the script's module: found by name, one dictionary, not run again."""

import sys
import textwrap

from support import run, run_script


def well(source, **rest):
    done = run_script(textwrap.dedent(source) + "\nprint('all well')\n", **rest)
    assert done.stdout.endswith("all well\n"), done.stdout + done.stderr
    return done


def test_names_are_found_by_name():
    well("""
        import pickle, sys, tarefa
        class Model:
            class Part: pass
            def method(self): return "method"
        def square(x): return x * x
        def load(data): return type(pickle.loads(data)).__qualname__
        def save(): return len(pickle.dumps(Model()))
        def in_globals(name): return globals()[name](3)
        def by_import():
            import __main__
            return __main__.square(3), __main__.__name__, __main__ is sys.modules["__main__"]
        def by_eval(): return eval("square(4)")
        def where(): return __file__, __name__, sys.modules["__main__"].__file__
        def source():
            import inspect
            return inspect.getsource(square)
        run = lambda f, *args: tarefa.Process(target=f, args=args).start().result()
        assert run(load, pickle.dumps(Model())) == "Model"
        assert run(load, pickle.dumps(Model.Part())) == "Model.Part"
        assert run(save) > 0
        assert run(in_globals, "square") == 9
        assert run(by_import) == (9, "__main__", True)
        assert run(by_eval) == 16
        assert run(where) == (__file__, "__main__", __file__)
        assert run(source).startswith("def square")
        assert run(Model().method) == "method"
    """)


def test_the_dictionary_is_one():
    well("""
        import tarefa
        counter = 0
        def read(): return counter
        class Reader:
            def read(self): return counter
            @staticmethod
            def static(): return counter
        def target(*callbacks):
            global counter
            counter += 1
            def inner(): return counter
            return [c() for c in (*callbacks, inner, lambda: counter)]
        args = (read, Reader().read, Reader.static, lambda: counter)
        assert tarefa.Process(target=target, args=args).start().result() == [1] * 6
        assert counter == 0
    """)


def test_a_global_set_in_a_process_stays_there():
    well("""
        import tarefa
        x, made = 1, None
        def change():
            global x, made, new
            x, made, new = 2, [], 3
            return (x, made, new)
        for _ in range(3): assert tarefa.Process(target=change).start().result() == (2, [], 3)
        assert x == 1 and made is None and "new" not in globals()
    """)


def test_constants_functions_and_classes_are_as_they_are_at_the_start():
    well("""
        import tarefa
        def look(): return K, f(), C().m(), g() if "g" in globals() else None
        K = 1
        def f(): return "f1"
        class C:
            def m(self): return "m1"
        run = lambda: tarefa.Process(target=look).start().result()
        assert run() == (1, "f1", "m1", None)
        K = 2
        assert run() == (2, "f1", "m1", None)
        def f(): return "f2"
        def g(): return "g" + str(K)
        assert run() == (2, "f2", "m1", "g2")
        class C:
            def m(self): return "m2"
        for n in range(12):
            K = n
            assert run() == (n, "f2", "m2", "g" + str(n)), n
        del g
        for _ in range(12): assert run() == (11, "f2", "m2", None)
        tarefa.configure(spares=0)
        assert run() == (11, "f2", "m2", None)
    """)


def test_data_is_as_at_the_start_where_the_code_reaches_it():
    well("""
        import functools, tarefa
        seen, table, deep, in_default = [], {}, [], []
        class Box:
            kept = []
            def look(self): return list(deep), list(self.kept), list(Box.kept)
        def helper(): return list(table.items())
        def closure():
            held = []
            def inner(): return list(held)
            return inner, held
        inner, held = closure()
        def target(default=in_default):
            return list(seen), helper(), Box().look(), inner(), list(default)
        run = lambda f: tarefa.Process(target=f).start().result()
        for n in range(8):
            for data in (seen, deep, Box.kept, held, in_default): data.append(n)
            table[n] = n
            now = list(range(n + 1))
            want = (now, [(k, k) for k in now], (now, now, now), now, now)
            assert run(target) == want, (n, run(target))
            assert run(functools.partial(target)) == want
            assert run(lambda: target()) == want
        for _ in range(8): assert run(target) == want
    """)


def test_data_of_which_two_names_speak_is_one():
    well("""
        import tarefa
        a = [1]; b = a; users = [[1], [2]]; by_name = {"x": users[0]}
        def look():
            a.append(2)
            return b is a, by_name["x"] is users[0], b
        for _ in range(8):
            assert tarefa.Process(target=look).start().result() == (True, True, [1, 2])
        users[0].append(5)
        assert tarefa.Process(target=look).start().result() == (True, True, [1, 2])
    """)


def test_attributes_of_a_class_that_are_set_later():
    well("""
        import tarefa
        class Config: debug = False; level = 1; names = []
        def look():
            return Config.debug, Config.level, list(Config.names), getattr(Config, "extra", 0)
        run = lambda: tarefa.Process(target=look).start().result()
        assert run() == (False, 1, [], 0)
        Config.debug, Config.level = True, 2
        Config.names.append("a")
        Config.extra = 5
        assert run() == (True, 2, ["a"], 5)
        Config.method = lambda self: 7
        assert tarefa.Process(target=lambda: Config().method()).start().result() == 7
        def count(): count.calls += 1; return count.calls
        count.calls = 0
        for n in range(3):
            count.calls = n
            assert tarefa.Process(target=count).start().result() == n + 1
    """)


def test_reading_changes_nothing_of_the_readers():
    well("""
        import tarefa
        total = 0
        class Config:
            debug = False; seen = []
            def add(self):
                global total; total += 1
        def make(): return Config()
        def made_with_change():
            global total
            total = 50
            Config.debug = "theirs"
            return Config(), make, (lambda: total), type(Config())
        l = tarefa.List([Config(), Config, make]); Config.debug = True; Config.seen.append(1)
        assert type(l[0]) is Config and l[1] is Config and l[2] is make
        c, m, f, k = tarefa.Process(target=made_with_change).start().result()
        assert type(c) is Config and m is make and k is Config
        assert Config.debug is True and Config.seen == [1] and total == 0 and f() == 0
        l[0].add(); assert total == 1
        local = tarefa.Dict(a=l[0])["a"]; local.add(); assert total == 2
    """)


def test_a_class_of_a_function_is_left_as_it_is():
    well("""
        import tarefa
        def f():
            class Local:
                seen = []
            return Local
        Local = f()
        l = tarefa.List([Local()])
        Local.seen.append(1)
        assert type(l[0]) is Local and Local.seen == [1]
        assert type(tarefa.Process(target=lambda: Local()).start().result()) is Local
        assert Local.seen == [1]
        Other = tarefa.Process(target=f).start().result()
        assert Other.__name__ == "Local" and Other is not Local
    """)


def test_a_class_that_was_replaced():
    well("""
        import tarefa
        class P:
            def say(self): return "old"
        Old = P
        l = tarefa.List([P()])
        def theirs(l): return l[0].say(), type(l[0]) is P
        assert tarefa.Process(target=theirs, args=(l,)).start().result() == ("old", True)
        class P:
            def say(self): return "new"
        assert type(l[0]) is Old and l[0].say() == "old"
        for _ in range(7):
            assert tarefa.Process(target=theirs, args=(l,)).start().result() == ("old", False)
        l.append(P())
        assert type(l[1]) is P and type(l[0]) is Old
        def make(): return P()
        assert type(tarefa.Process(target=make).start().result()) is P
        # The same definition again is the same class to readers.
        class P:
            def say(self): return "new"
        assert l[1].say() == "new"
    """)


def test_what_a_process_defines_comes_back():
    well("""
        import tarefa
        def define():
            global helper, Made
            exec("def helper(): return base * 2\\nbase = 21\\nclass Made:\\n  x = 3\\n"
                 "  def get(self): return helper()", globals())
            return helper, Made(), lambda: helper()
        h, m, l = tarefa.Process(target=define).start().result()
        assert (h(), m.get(), l()) == (42, 42, 42) and m.x == 3
        assert "helper" not in globals() and "base" not in globals() and "Made" not in globals()
    """)


def test_classes_of_all_sorts():
    well("""
        import abc, dataclasses, enum, functools, typing, tarefa
        class Meta(type):
            def __call__(cls, *a): return super().__call__(*a)
        class Base(abc.ABC):
            @abc.abstractmethod
            def area(self): ...
        class Square(Base, metaclass=type("M", (Meta, abc.ABCMeta), {})):
            __slots__ = ("side",)
            def __init__(self, side): self.side = side
            def area(self): return self.side ** 2
            @property
            def double(self): return 2 * self.side
            @classmethod
            def unit(cls): return cls(1)
        @dataclasses.dataclass(frozen=True, order=True)
        class Point:
            x: int
            y: int = 0
            tags: list = dataclasses.field(default_factory=list, compare=False)
        class Colour(enum.Enum):
            RED = 1; BLUE = "b"
            def shout(self): return self.name
        class Flags(enum.IntFlag): A = 1; B = 2
        class Pair(typing.NamedTuple):
            a: int; b: str = "x"
        class Lazy:
            @functools.cached_property
            def value(self): return 42
        class Child(Point): pass
        class Error(Exception):
            def __init__(self, code, *, hint): super().__init__(code, hint); self.hint = hint
            def __reduce__(self): return _error, (self.args[0], self.hint)
        def _error(code, hint): return Error(code, hint=hint)
        @functools.lru_cache
        def cached(n): return n + 1
        def decorate(f):
            @functools.wraps(f)
            def wrapper(*a): return f(*a) + 1
            return wrapper
        @decorate
        def decorated(n): return n
        def same(*them): return them
        them = (Square(3), Point(1, 2), Child(3), Colour.RED, Flags.A | Flags.B, Pair(1), Lazy())
        for got in (tarefa.Process(target=same, args=them).start().result(), tarefa.List(them)):
            for mine, theirs in zip(them, got): assert type(mine) is type(theirs), (mine, theirs)
            assert got[0].area() == 9 and got[0].double == 6 and got[1] == Point(1, 2)
            assert got[3] is Colour.RED and got[4] == 3 and got[5] == (1, "x")
            assert got[6].value == 42
        def inside(colour, point):
            assert colour is Colour.RED and type(point) is Point and isinstance(Square(1), Base)
            return cached(1), decorated(1), Square.unit().area(), Colour("b").shout(), Lazy().value
        run = tarefa.Process(target=inside, args=(Colour.RED, Point(1))).start().result()
        assert run == (2, 2, 1, "BLUE", 42)
        def fail(): raise Error(5, hint="h")
        e = tarefa.Process(target=fail).start().exception()
        assert type(e) is Error and e.hint == "h"
    """)


def test_what_cannot_travel_is_missing_only_where_it_is_used():
    well("""
        import threading, tarefa
        lock = threading.Lock(); out = open(__file__)
        def fine(): return 1
        def uses(): return lock
        def through(): return uses()
        assert tarefa.Process(target=fine).start().result() == 1
        for f in (uses, through):
            try: tarefa.Process(target=f).start()
            except tarefa.NotPicklable as e:
                assert "'lock'" in str(e) and "'uses'" in str(e) and "lock" in str(e), e
            else: raise AssertionError(f)
        assert tarefa.Process(target=fine).start().result() == 1
        def dynamic(): return globals()["out"]
        try: tarefa.Process(target=dynamic).start().result()
        except KeyError: pass
        else: raise AssertionError
    """)


def test_three_deep_each_with_what_its_starter_has():
    well("""
        import tarefa
        level, trail = 0, []
        class Node:
            made = 0
        def down(n):
            global level
            level += 1
            trail.append(level)
            Node.made += 1
            if n == 0: return level, list(trail), Node.made
            return tarefa.Process(target=down, args=(n - 1,)).start().result()
        assert down.__module__ == "__main__"
        for _ in range(3):
            got = tarefa.Process(target=down, args=(3,)).start().result()
            assert got == (4, [1, 2, 3, 4], 4), got
        assert (level, trail, Node.made) == (0, [], 0)
    """)


def test_a_process_starts_others_after_the_script_has_changed():
    well("""
        import tarefa
        go, ready = tarefa.Event(), tarefa.Event()
        def name(): return "first"
        def waits():
            ready.set(); go.wait()
            return tarefa.Process(target=lambda: name()).start().result(), name()
        old = tarefa.Process(target=waits).start(); ready.wait()
        def name(): return "second"
        data = bytes(200_000)
        look = lambda: (name(), len(data))
        for _ in range(8):
            assert tarefa.Process(target=look).start().result() == ("second", 200_000)
        go.set()
        assert old.result() == ("first", "first")
    """)


def test_a_zygote_that_is_killed_is_followed_by_one_that_knows_the_script():
    well("""
        import os, signal, tarefa
        data, K = [1, 2], 1
        def look(): return K, data, f()
        def f(): return "f"
        assert tarefa.Process(target=look).start().result() == (1, [1, 2], "f")
        K = 2
        tarefa.configure(spares=0)
        os.kill(tarefa._engine.diagnostics()["zygote_pid"], signal.SIGKILL)
        assert tarefa.Process(target=look).start().result() == (2, [1, 2], "f")
    """)


def test_shared_objects_of_the_script():
    well("""
        import tarefa
        numbers, lock = tarefa.List(), tarefa.Lock()
        def add(name):
            with globals()["lock"]: globals()[name].append(1)
        for _ in range(3): tarefa.Process(target=add, args=("numbers",)).start().result()
        assert list(numbers) == [1, 1, 1]
        first, numbers = numbers, tarefa.List()
        tarefa.Process(target=add, args=("numbers",)).start().result()
        assert len(first) == 3 and len(numbers) == 1
    """)


def test_a_large_constant_is_sent_once_and_large_data_is_worth_a_word():
    well("""
        import tarefa, warnings
        constant = bytes(3_000_000); data = list(range(600_000)); small = [1]
        def use_constant(): return len(constant)
        def use_data(): return len(data), len(small)
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            for _ in range(6):
                assert tarefa.Process(target=use_constant).start().result() == 3_000_000
            assert not heard, heard
            for n in range(6):
                data.append(n); small.append(n)
                assert tarefa.Process(target=use_data).start().result() == (600_001 + n, 2 + n)
        assert len(heard) == 1, [str(w.message) for w in heard]
        text = str(heard[0].message)
        assert "'data'" in text and "MiB" in text and "tarefa.Array" in text, text
        assert heard[0].filename == __file__
    """)


def test_modules_of_the_script(tmp_path):
    (tmp_path / "ao_lado.py").write_text("state = []\ndef f(): return 'f'\n")
    well(
        f"""
        import sys; sys.path.insert(0, {str(tmp_path)!r})
        import json, ao_lado, os.path as p, tarefa
        from ao_lado import f as renamed
        import xml.etree.ElementTree
        def look(): return (json.dumps(1), ao_lado.f(), renamed(), p.join("a", "b"),
            xml.etree.ElementTree.__name__, globals()["ao_lado"] is sys.modules["ao_lado"])
        for _ in range(4):
            assert tarefa.Process(target=look).start().result() == (
                "1", "f", "f", "a/b", "xml.etree.ElementTree", True)
        """
    )


PROGRAM = """\
import sys, tarefa
K = 5
class Thing:
    def __init__(self): self.k = K
def helper(): return K
def target():
    import __main__
    return Thing(), helper(), __main__.helper is helper, globals()["K"]
thing, *rest = tarefa.Process(target=target).start().result()
assert type(thing) is Thing and thing.k == 5 and rest == [5, True, 5], rest
print("all", "well")
"""


def told(done):
    assert done.stdout.count("all well") == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr


def test_the_command_line():
    told(run([sys.executable, "-c", PROGRAM]))


def test_standard_input():
    told(run([sys.executable, "-"], stdin=PROGRAM))


def test_the_prompt():
    lines = PROGRAM.replace("\nclass", "\n\nclass").replace("\ndef", "\n\ndef")
    told(run([sys.executable, "-i", "-q"], stdin=lines.replace("\nthing", "\n\nthing")))


def test_a_module_run_by_name(tmp_path):
    (tmp_path / "pacote").mkdir()
    (tmp_path / "pacote" / "__init__.py").touch()
    (tmp_path / "pacote" / "dados.py").write_text("VALOR = 7\n")
    (tmp_path / "pacote" / "principal.py").write_text(
        "from .dados import VALOR\n" + PROGRAM + "def spec(): return __spec__.name, __package__\n"
        "assert tarefa.Process(target=spec).start().result() == ('pacote.principal', 'pacote')\n"
        "def relative():\n    from .dados import VALOR\n    return VALOR\n"
        "assert tarefa.Process(target=relative).start().result() == 7\n"
    )
    told(run([sys.executable, "-m", "pacote.principal"], cwd=tmp_path))


def test_a_zip_file(tmp_path):
    import zipapp

    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__main__.py").write_text(PROGRAM)
    zipapp.create_archive(tmp_path / "app", tmp_path / "app.pyz")
    told(run([sys.executable, str(tmp_path / "app.pyz")]))


def test_a_program_run_by_another(tmp_path):
    (tmp_path / "inner.py").write_text(PROGRAM)
    command = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__')"
    told(run([sys.executable, "-c", command, "inner.py"], cwd=tmp_path))


def test_a_program_whose_names_are_not_in_main(tmp_path):
    """A profiler may run it so."""
    program = PROGRAM.replace("__main__.helper is helper", "True")
    (tmp_path / "inner.py").write_text(program)
    command = "exec(open('inner.py').read(), {'__name__': '__main__'})"
    told(run([sys.executable, "-c", command], cwd=tmp_path))
    command = ["-m", "cProfile", "-o", str(tmp_path / "profile"), "inner.py"]
    told(run([sys.executable, *command], cwd=tmp_path))
