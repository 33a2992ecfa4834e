"""A script that sets its names anew between starts: each process has them as they are then."""

import textwrap

from support import run_script


def well(source, **rest):
    done = run_script(textwrap.dedent(source) + "\nprint('all well')\n", **rest)
    assert done.stdout.endswith("all well\n"), done.stdout + done.stderr
    return done


def test_numbers_and_texts_that_come_to_be_where_others_were():
    # Set twice between starts, the second value is often where the one before the first was. It
    # is done in a function, so that no other name of the script changes.
    well("""
        import tarefa
        number, count, text = 0.0, 1000, ""
        def get(): return number, count, text
        def turn():
            global number, count, text
            for i in range(12):
                number = i * 0.5
                number = number + 0.25
                count += 1000
                count += 1000
                text = "a%d" % (i + 10)
                text = "b%d" % (i + 10)
                found = tarefa.Process(target=get).start().result()
                assert found == (number, count, text), (i, found)
        turn()
    """)


def test_a_name_that_stands_for_one_thing_after_another():
    well("""
        import tarefa
        def get(): return x() if callable(x) else x
        run = lambda: tarefa.Process(target=get).start().result()
        x = 1
        assert run() == 1
        def x(): return 2
        assert run() == 2
        class x:
            def __new__(cls): return 3
        assert run() == 3
        x = [4]
        assert run() == [4]
        x.append(5)
        assert run() == [4, 5]
        del x
        for value in ("NameError", 7, "NameError", (8,)):
            if value != "NameError": x = value
            try: assert run() == value
            except NameError: assert value == "NameError"
            if value != "NameError": del x
        def len(x): return 99
        assert tarefa.Process(target=lambda: len("ab")).start().result() == 99
        del len
        assert tarefa.Process(target=lambda: len("ab")).start().result() == 2
    """)


def test_attributes_of_classes_go_into_the_image_too():
    well("""
        import tarefa
        class C:
            n = 0
            class Inside: m = 0
            @classmethod
            def look(cls): return cls.n, cls.Inside.m, getattr(cls, "extra", None)
        def look(): return C.n, C.Inside.m, getattr(C, "extra", None)
        def check(times=1):
            for _ in range(times):
                for target in (look, C.look):
                    found = tarefa.Process(target=target).start().result()
                    assert found == look(), (found, look())
        for n in range(4):
            C.n, C.Inside.m = n, -n
            check()
        check(6)  # into the image
        C.n = 9
        check()
        text = "x" * 100_000  # into the image at once
        check()
        C.extra = 5
        check(6)
        del C.extra
        check(6)
        text += "y"
        check()
    """)


def test_attributes_of_a_class_that_came_after_the_image():
    well("""
        import tarefa
        tarefa.Process(target=int).start().join()
        class C: n = 0
        found = []
        for C.n in (*range(7), 0, 1):
            found.append(tarefa.Process(target=lambda: C.n).start().result())
        assert found == [*range(7), 0, 1], found
    """)


def test_attributes_of_a_class_whose_objects_were_shared_before():
    well("""
        import tarefa
        class C: n = 0
        shared = tarefa.List([C()])
        C.n = 5
        def look(): return C.n, shared[0].n, type(shared[0]) is C
        assert tarefa.Process(target=look).start().result() == (5, 5, True)
        class D: n = 0
        shared.append(D())
        def look(): return D.n, shared[1].n, type(shared[1]) is D
        for D.n in range(7):
            found = tarefa.Process(target=look).start().result()
            assert found == (D.n, D.n, True), found
    """)


def test_data_that_functions_without_a_name_reach():
    well("""
        import tarefa
        data = [0]
        def closure():
            one = 1
            def inner(): return data[0] + one
            return inner
        def call(f): return f()
        table = {"a": lambda: data[0] + 1}
        pair = (lambda: data[0] + 1,)
        class C:
            def run(self): return 0
        c = C()
        def entry(): return table["a"]()
        def first(): return pair[0]()
        def method(): return C().run()
        def of_its_own(): return c.own()
        assert tarefa.Process(target=method).start().result() == 0
        C.run = lambda self: data[0] + 1
        c.own = lambda: data[0] + 1
        for data[0] in range(3):
            for target, *args in (
                (closure(),), (call, closure()), (call, lambda: data[0] + 1),
                (entry,), (first,), (method,), (of_its_own,),
            ):
                found = tarefa.Process(target=target, args=args).start().result()
                assert found == data[0] + 1, (target, found)
    """)


def test_data_that_is_asked_for_by_its_name_in_a_text_or_as_an_attribute():
    well("""
        import sys, __main__, tarefa
        config = {"n": 0}
        def as_global(): return globals()["config"]["n"]
        def as_attribute(): return __main__.config["n"]
        def evaluated(): return eval("config['n']")
        def of_modules(): return sys.modules["__main__"].config["n"]
        def imported():
            from __main__ import config as mine
            return mine["n"]
        for n in range(3):
            config["n"] = n
            for target in (as_global, as_attribute, evaluated, of_modules, imported):
                found = tarefa.Process(target=target).start().result()
                assert found == n, (target, found)
    """)


def test_defaults_that_were_set_reach_those_who_call_by_name():
    well("""
        import tarefa
        def f(a=1, *, b=2): return a, b
        def g(): return f()
        def check():
            for target in (f, g):
                found = tarefa.Process(target=target).start().result()
                assert found == f(), (target, found)
        check()
        f.__defaults__ = (5,)
        check()
        f.__kwdefaults__ = {"b": 6}
        check()
        f.__kwdefaults__["b"] = 7
        check()
        for n in range(3):
            f.__defaults__ = (n,)
            check()
    """)


def test_a_large_text_that_is_set_anew_takes_no_more_and_more_memory():
    well("""
        import os, tarefa
        def look(): return len(text), text[:5]
        def used():
            return sum(
                os.fstat(int(fd)).st_blocks * 512
                for fd in os.listdir("/proc/self/fd")
                if os.path.exists(f"/proc/self/fd/{fd}")
                and "memfd" in os.readlink(f"/proc/self/fd/{fd}")
            )
        before = 0
        for n in range(60):
            text = "%05d" % n + "x" * 300_000
            assert tarefa.Process(target=look).start().result() == (300_005, "%05d" % n)
            if n == 5: before = used()
        # Spares that are sent away have theirs until they are gone.
        assert before and used() < before + 20 * 300_000, (before, used())
    """)
