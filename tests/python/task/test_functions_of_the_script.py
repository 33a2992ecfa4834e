"""Functions and classes of the script of all sorts, also those that other modules have made."""

import textwrap

from support import run_script


def well(source, **rest):
    done = run_script(textwrap.dedent(source) + "\nprint('all well')\n", **rest)
    assert done.stdout.endswith("all well\n"), done.stdout + done.stderr
    return done


def test_what_a_decorator_of_another_module_has_made():
    well("""
        import contextlib, functools, tarefa
        depth = [0]
        @contextlib.contextmanager
        def deeper(by=1):
            depth[0] += by
            yield depth[0]
            depth[0] -= by
        @functools.singledispatch
        def kind(x): return "thing"
        @kind.register
        def _(x: int): return "number"
        class Holder:
            @contextlib.contextmanager
            def inside(self): yield "inside"
            @functools.singledispatchmethod
            def kind(self, x): return "thing"
            @kind.register
            def _(self, x: str): return "text"
        def use():
            with deeper() as first, deeper(2) as second, Holder().inside() as third:
                return first, second, third, depth[0], kind(1), kind("x"), Holder().kind("x")
        run = lambda f, *args: tarefa.Process(target=f, args=args).start().result()
        assert run(use) == (1, 3, "inside", 3, "number", "thing", "text")
        depth[0] = 10
        assert run(use)[:2] == (11, 13)
        assert run(kind, 5) == "number"
        assert run(Holder().kind, 5) == "thing"
        with run(lambda: deeper)() as now:
            assert now == 11
        assert tarefa.List([deeper, kind])[:] == [deeper, kind]
    """)


def test_a_function_that_a_module_has_made_has_the_names_of_that_module(tmp_path):
    (tmp_path / "makers.py").write_text(
        textwrap.dedent("""
            calls = []
            def counted(function):
                def counting(*args):
                    calls.append(function.__name__)
                    return function(*args)
                return counting
        """)
    )
    well(
        f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import makers, tarefa
        base = 1
        @makers.counted
        def add(x): return base + x
        def use(): return add(1), add(2), makers.calls
        assert tarefa.Process(target=use).start().result() == (2, 3, ["add", "add"])
        base = 5
        assert tarefa.Process(target=add, args=(1,)).start().result() == 6
        assert tarefa.Process(target=makers.counted(abs), args=(-1,)).start().result() == 1
        """
    )


def test_code_and_defaults_that_were_set():
    well("""
        import tarefa
        def f(a=1, *, b=2): return a, b
        def g(): return "g"
        class C:
            def m(self): return "m"
        def use(): return f(), g(), C().m()
        def other(): return f(), g(), C().m()
        run = lambda f: tarefa.Process(target=f).start().result()
        assert run(use) == ((1, 2), "g", "m")
        f.__defaults__, f.__kwdefaults__ = (5,), {"b": 6}
        g.__code__ = (lambda: "h").__code__
        C.m.__code__ = (lambda self: "n").__code__
        for target in (use, other, use):
            assert run(target) == ((5, 6), "h", "n"), run(target)
        assert run(f) == (5, 6) and run(g) == "h"
        assert run(lambda: tarefa.Process(target=use).start().result()) == ((5, 6), "h", "n")
        g.__code__ = (lambda: "i").__code__
        assert run(use) == ((5, 6), "h".replace("h", "i"), "n")
    """)


def test_what_was_defined_since_reaches_the_processes_of_a_process():
    well("""
        import tarefa
        def first(): return 1
        assert tarefa.Process(target=first).start().result() == 1
        def second(): return first() + 1
        class Late:
            value = 3
        def starts(target):
            return tarefa.Process(target=target).start().result()
        def reads(): return second(), Late().value, type(Late()) is Late
        assert starts(reads) == (2, 3, True)
        assert tarefa.Process(target=starts, args=(reads,)).start().result() == (2, 3, True)
        assert tarefa.Process(target=starts, args=(first,)).start().result() == 1
    """)


def test_classes_that_refuse_to_be_asked():
    well("""
        import typing, tarefa
        class Settings(typing.TypedDict):
            name: str
        class Named(typing.Protocol):
            name: str
        def make(): return Settings(name="x"), Named.__name__
        assert tarefa.Process(target=make).start().result() == ({"name": "x"}, "Named")
    """)


def test_classes_with_slots():
    well("""
        import dataclasses, tarefa
        @dataclasses.dataclass(slots=True)
        class Point: x: int; y: int = 2
        @dataclasses.dataclass(slots=True, frozen=True, weakref_slot=True)
        class Fixed: x: int = 1
        class Private:
            __slots__ = ("__x", "y")
            def __init__(self): self.__x, self.y = 1, 2
            def get(self): return self.__x, self.y
        class More(Private):
            __slots__ = "z"
            def __init__(self): super().__init__(); self.z = 3
        class WithAll:
            __slots__ = ("__dict__", "__weakref__", "a")
        class Broken(Exception):
            __slots__ = ("code",)
            def __init__(self, code): super().__init__(); self.code = code
        class Numbers(list):
            __slots__ = {"unit": "what they are"}
        def shape(cls, args):
            made = cls(*args)
            try: made.other = 1
            except (AttributeError, TypeError): return made, False
            return made, True
        for cls, args in (
            (Point, (1,)), (Fixed, ()), (Private, ()), (More, ()), (WithAll, ()), (Numbers, ([1],)),
        ):
            made, takes_all = tarefa.Process(target=shape, args=(cls, args)).start().result()
            assert type(made) is cls, made
            assert takes_all == shape(cls, args)[1], cls
            if cls in (Private, More): assert made.get() == (1, 2)
            assert cls is not More or made.z == 3
        def fail(): raise Broken(7)
        for kind in (tarefa.Thread, tarefa.Process):
            error = kind(target=fail).start().exception()
            assert type(error) is Broken and error.code == 7, (kind, error)
    """)


def test_classes_that_register_themselves_do_so_once():
    well("""
        import abc, tarefa
        registry, made = [], {}
        class Plugin:
            key = None
            def __init_subclass__(cls, *, key, **rest):
                super().__init_subclass__(**rest)
                cls.key = key
                registry.append(cls.__name__)
        class One(Plugin, key="one"): pass
        class Two(One, key="two"): pass
        class Meta(abc.ABCMeta):
            def __new__(meta, name, bases, names, **rest):
                cls = super().__new__(meta, name, bases, names)
                made[name] = rest
                return cls
            def __init__(cls, name, bases, names, **rest): super().__init__(name, bases, names)
        class Base(metaclass=Meta, n=1):
            @abc.abstractmethod
            def run(self): ...
        class Fine(Base, n=2):
            def run(self): return 1
        def look(): return list(registry), dict(made), Two.key, Fine().run(), type(Fine) is Meta
        def fresh():
            class Three(Two, key="three"): pass
            class Other(Fine, n=3): pass
            return look()
        expected = look()
        assert tarefa.Process(target=look).start().result() == expected
        found = tarefa.Process(target=fresh).start().result()
        assert found[0] == [*registry, "Three"] and found[1] == {**made, "Other": {"n": 3}}, found
        class Late(Plugin, key="late"): pass
        class LateBase(Base, n=4): pass
        assert tarefa.Process(target=look).start().result() == look()
        try: tarefa.Process(target=lambda: Base()).start().result()
        except TypeError: pass
        else: raise AssertionError
    """)
