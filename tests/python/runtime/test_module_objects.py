"""A shared object that a module makes as it is imported is one object in all processes."""

import textwrap

from support import run_script

MODULE = """
    import tarefa
    List = tarefa.List
    numbers = List([1])
    class Config:
        seen = tarefa.Set("a")
        lock, r = tarefa.Lock(), tarefa.RLock()
        table = tarefa.Dict(a=1)
        class Inner: event = tarefa.Event()
    def f(x=tarefa.Counter("aab"), *, y=tarefa.Namespace(n=5)): return x, y
    many = [tarefa.List([n]) for n in range(3)]
    loop = {}
    for name in "ab":
        loop[name] = tarefa.List([name])
    pair = (tarefa.List(), tarefa.List())
    class Holder:
        def __init__(self): self.list, self.value = tarefa.List(), tarefa.Value("i", 7)
    one, two = Holder(), Holder()
    def make(n): return tarefa.Array("d", [n, n])
    array = make(2.0)
    class Stack(tarefa.List):
        def push(self, x): self.append(x)
    class Full(tarefa.List):
        def __init__(self, *items): super().__init__(items); self.mine = 3
    stack, full = Stack([1, 2]), Full(1, 2)
    semaphore, bounded = tarefa.Semaphore(3), tarefa.BoundedSemaphore(2)
    condition, barrier, rwlock = tarefa.Condition(), tarefa.Barrier(2), tarefa.RWLock()
    raw = tarefa.RawValue("d", 0.5)
    class Number(tarefa.Value):
        def double(self): return 2 * self.value
    number = Number("i", 21)
    def everything():
        own = [numbers, Config.seen, Config.lock, Config.r, Config.table, Config.Inner.event]
        own += [*f(), *many, *loop.values(), *pair, one.list, one.value, two.list, two.value]
        own += [array, stack, full, semaphore, bounded, condition, barrier, rwlock, raw, number]
        return own
    def ids():
        from tarefa._runtime._module_objects import id_of
        return [id_of(o) for o in everything()]
    def check():
        assert numbers == [1] and Config.seen == {"a"} and Config.table == {"a": 1}
        assert f()[0] == {"a": 2, "b": 1} and f()[1].n == 5 and many == [[0], [1], [2]]
        assert loop == {"a": ["a"], "b": ["b"]} and one.value.value == 7
        assert list(array) == [2, 2] and semaphore.get_value() == 3 and barrier.parties == 2
        assert type(stack) is Stack and stack == [1, 2] and type(full) is Full
        assert full == [1, 2] and full.mine == 3 and raw.value == 0.5 and number.double() == 42
        assert not [w for w in (tarefa.List(),) if w != []]
        return ids()
"""


def with_module(source, module=MODULE, **others):
    """Run a script beside a module `aside`; in its output `all well` says that it came through."""
    files = {"aside": module, **others}
    made = "".join(
        f"pathlib.Path(folder, {name + '.py'!r}).write_text({textwrap.dedent(text)!r})\n"
        for name, text in files.items()
    )
    head = "import pathlib, sys\nfolder = pathlib.Path(__file__).parent\n" + made
    body = textwrap.dedent(source)
    done = run_script(head + body + "\nprint('all well')\n")
    assert done.stdout.endswith("all well\n"), done.stdout + done.stderr
    return done


def test_one_object_whatever_the_place_and_the_kind():
    with_module("""
        import aside, tarefa
        mine = aside.check()
        assert len(set(mine)) == len(mine)
        for _ in range(3):
            assert tarefa.Process(target=aside.check).start().result() == mine
        tarefa.configure(spares=0)
        assert tarefa.Process(target=aside.check).start().result() == mine
        assert tarefa.Thread(target=aside.check).start().result() == mine
    """)


def test_what_is_changed_is_changed_for_all():
    with_module(
        """
        import aside, tarefa
        for i in range(3): tarefa.Process(target=aside.hit).start().result()
        assert aside.hits["n"] == 3 and len(aside.seen) == 3, (aside.hits, aside.seen)
        """,
        """
        import tarefa
        hits, seen = tarefa.Counter(), tarefa.List()
        def hit(): hits.update(["n"]); seen.append(1)
        """,
    )


def test_a_module_that_only_tasks_import_and_all_at_once():
    with_module("""
        import tarefa
        gate = tarefa.Barrier(6)
        def by_name(gate):
            gate.wait()
            import aside
            return aside.check()
        ts = [tarefa.Process(target=by_name, args=(gate,)).start() for _ in range(6)]
        ids = [t.result() for t in ts]
        assert all(i == ids[0] for i in ids), ids
        assert tarefa.Process(target=by_name, args=(tarefa.Barrier(1),)).start().result() == ids[0]
        import aside
        assert aside.check() == ids[0]
    """)


OWN_CLASSES = """
    import os, pathlib, tarefa
    class Settings(tarefa.Dict):
        def __init__(self, start):
            super().__init__(kind="settings")
            self["count"] = start
            self.start, self.inner = start, tarefa.List([start])
    class Log(tarefa.List):
        def __init__(self):
            super().__init__()
            self.append(os.getpid())
    class Level(tarefa.Value):
        def __init__(self, *args): self.value *= 10
    class Named(tarefa.Lock):
        def __init__(self, name): self.name = name
    class Twice(Log):
        def __init__(self):
            super().__init__()
            self.append("twice")
    settings, log, level, lock, twice = Settings(3), Log(), Level("i", 4), Named("n"), Twice()
    copy = log.copy()
    def look():
        ours = (settings.start, list(settings.inner), level.value, lock.name, type(lock).__name__)
        return ours, dict(settings), list(log), list(twice), settings.inner.object_id
    def count(): settings["count"] += 1; level.value += 1
"""


def test_a_constructor_of_the_programs_own_runs_once():
    with_module(
        """
        import aside, os, tarefa
        first = aside.look()
        assert first[:2] == ((3, [3], 40, "n", "Named"), {"kind": "settings", "count": 3}), first
        assert first[2] == [os.getpid()] and first[3] == [os.getpid(), "twice"], first
        assert list(aside.copy) == first[2]
        tarefa.Process(target=aside.count).start().result()
        for _ in range(2):
            now = tarefa.Process(target=aside.look).start().result()
            assert now == aside.look() and now[2:] == first[2:], (first, now)
            assert now[1]["count"] == 4 and now[0][2] == 41, now
        more = aside.Settings(5)
        assert (dict(more), more.start) == ({"kind": "settings", "count": 5}, 5)
        """,
        OWN_CLASSES,
    )


def test_constructors_of_classes_of_all_kinds():
    with_module(
        """
        import aside, tarefa
        first = aside.look()
        assert first[0] == list(range(11)), first
        assert first[1:5] == ([9, 2], [1, 2], 5, ["abstract"]), first
        for _ in range(2):
            assert tarefa.Process(target=aside.look).start().result() == first
        assert "__init__" not in vars(aside.made[0].__class__), vars(aside.made[0].__class__)
        """,
        """
        import abc, tarefa
        class Tagged:
            def __init__(self, *args, tag, **kwargs):
                super().__init__(*args, **kwargs)
                self.tag = tag
        GIVEN = {
            "Barrier": (2,), "Queue": (50,), "PriorityQueue": (), "Semaphore": (3,),
            "BoundedSemaphore": (2,), "Condition": (), "RWLock": (), "Event": (), "Set": ([1],),
            "Counter": ("aab",), "RLock": (),
        }
        classes = [type("My" + name, (Tagged, getattr(tarefa, name)), {}) for name in GIVEN]
        made = [c(*GIVEN[c.__name__[2:]], tag=n) for n, c in enumerate(classes)]
        class Items(tarefa.Array):
            def __init__(self, *args): self[0] = 9
        class Slotted(tarefa.List):
            __slots__ = ("slot",)
            def __init__(self):
                super().__init__([1])
                self.slot = 5
                self.append(2)
        class Abstract(tarefa.List, abc.ABC):
            def __init__(self):
                super().__init__()
                self.append("abstract")
        class Holder:
            def __init__(self): self.own = Slotted()
        items, slotted, abstract, holder = Items("i", [1, 2]), Slotted(), Abstract(), Holder()
        def look():
            every = [*made, items, slotted, abstract, holder.own]
            return (
                [one.tag for one in made], list(items), list(slotted), slotted.slot,
                list(abstract), made[0].parties, made[1].maxsize, made[3].get_value(),
                sorted(made[8]), made[9]["a"], list(holder.own), holder.own.slot,
                [one.object_id for one in every], [type(one).__name__ for one in every],
            )
        """,
    )


def test_a_constructor_of_the_programs_own_when_many_import_at_once():
    with_module(
        """
        import tarefa
        gate = tarefa.Barrier(5)
        def by_name(gate):
            gate.wait()
            import aside
            return aside.look()
        ts = [tarefa.Process(target=by_name, args=(gate,)).start() for _ in range(5)]
        found = [t.result() for t in ts]
        assert all(one == found[0] for one in found), found
        assert len(found[0][2]) == 1, found
        """,
        OWN_CLASSES,
    )


def test_a_constructor_of_the_programs_own_that_dies_or_fails_half_way():
    with_module(
        """
        import tarefa
        def by_name():
            try: import aside
            except ZeroDivisionError: import aside
            return list(aside.one), aside.one.object_id
        for n in range(2):
            t = tarefa.Process(target=by_name).start(); t.join()
            assert t.exitcode == -9, (n, t.exitcode)
        found = [tarefa.Process(target=by_name).start().result() for _ in range(3)]
        assert found[0] == found[1] == found[2] and found[0][0] == ["begun", "done"], found
        """,
        """
        import os, pathlib, tarefa
        marks = pathlib.Path(__file__).parent
        def passed(name):
            mark = marks / name
            return mark.exists() or mark.touch()
        class One(tarefa.List):
            def __init__(self):
                super().__init__(["begun"])
                if not passed("first") or not passed("second"): os.kill(os.getpid(), 9)
                if not passed("third"): 1 / 0
                self.append("done")
        one = One()
        """,
    )


def test_a_constructor_whose_attributes_cannot_travel_runs_in_each():
    with_module(
        """
        import aside, tarefa
        def look(): return list(aside.one), aside.one.open.closed
        assert look() == ([1], False)
        assert tarefa.Process(target=look).start().result() == ([1], False)
        """,
        """
        import tarefa
        class One(tarefa.List):
            def __init__(self):
                super().__init__([1])
                self.open = open(__file__)
        one = One()
        """,
    )


def test_a_process_that_its_own_maker_waits_for_does_not_wait_for_ever():
    with_module(
        """
        import aside
        assert list(aside.one) == ["begun", 1], aside.one
        """,
        """
        import tarefa
        from tarefa._runtime import _constructors
        _constructors.PATIENCE = 0.2
        def look():
            import aside
            return len(aside.one)
        class One(tarefa.List):
            def __init__(self):
                super().__init__(["begun"])
                if tarefa.parent_process() is None:
                    self.append(tarefa.Process(target=look).start().result())
        one = One()
        """,
    )


def test_ends_of_a_pipe_are_handed_over_not_found():
    done = with_module(
        """
        import aside, tarefa
        def look():
            import later
            return later.queue.object_id
        task = tarefa.Process(target=aside.answer, args=(aside.theirs,)).start()
        aside.theirs.close()
        aside.mine.send(20)
        assert aside.mine.recv() == 21
        one, other = [tarefa.Process(target=look).start().result() for _ in range(2)]
        assert one == other
        """,
        """
        import tarefa
        mine, theirs = tarefa.Pipe()
        def answer(end): end.send(end.recv() + 1)
        """,
        later="""
        import tarefa
        def both(): return tarefa.Pipe()
        two = both()
        one, queue = tarefa.Pipe(), tarefa.Queue()
        """,
    )
    said = [line for line in done.stderr.splitlines() if "makes this pipe" in line]
    assert any("aside.py:3:" in line and "module 'aside'" in line for line in said), done.stderr
    later = [line for line in said if "module 'later'" in line]
    assert len(later) == 2, done.stderr
    assert all("later.py:5:" in line for line in later), later


def test_the_first_importer_is_killed_half_way():
    with_module(
        """
        import tarefa
        def by_name():
            import aside
            return aside.a.object_id, aside.b.object_id, list(aside.a)
        t = tarefa.Process(target=by_name).start(); t.join()
        assert t.exitcode == -9, t.exitcode
        seen = [tarefa.Process(target=by_name).start().result() for _ in range(3)]
        assert seen[0] == seen[1] == seen[2] and seen[0][2] == [1], seen
        """,
        """
        import os, pathlib, tarefa
        a = tarefa.List([1])
        mark = pathlib.Path(__file__).with_name("mark")
        if not mark.exists():
            mark.touch(); os.kill(os.getpid(), 9)
        b = tarefa.List()
        """,
    )


def test_an_import_that_fails_and_is_tried_again():
    with_module(
        """
        import tarefa
        def twice():
            try: import aside
            except ZeroDivisionError: pass
            import aside
            return aside.a.object_id, list(aside.a)
        first = twice()
        assert first[1] == [1]
        assert tarefa.Process(target=twice).start().result() == first
        """,
        """
        import pathlib, tarefa
        a = tarefa.List([1])
        mark = pathlib.Path(__file__).with_name("mark")
        if not mark.exists():
            mark.touch(); 1 / 0
        """,
    )


def test_reload_makes_new_ones():
    with_module(
        """
        import aside, importlib, tarefa
        old = aside.a; aside.a.append(2)
        importlib.reload(aside)
        assert aside.a.object_id != old.object_id and list(aside.a) == [1] and list(old) == [1, 2]
        def by_name():
            import aside
            return aside.a.object_id
        assert tarefa.Process(target=by_name).start().result() == aside.a.object_id
        # Imported anew, it is not made anew.
        import sys; del sys.modules["aside"]; now = aside.a.object_id
        import aside
        assert aside.a.object_id == now
        """,
        """
        import tarefa
        a = tarefa.List([1])
        """,
    )


def test_one_file_under_two_names_is_two_modules():
    with_module(
        """
        import aside, importlib.util, sys, tarefa
        spec = importlib.util.spec_from_file_location("other", aside.__file__)
        other = importlib.util.module_from_spec(spec); sys.modules["other"] = other
        spec.loader.exec_module(other)
        assert other.a.object_id != aside.a.object_id
        """,
        """
        import tarefa
        a = tarefa.List([1])
        """,
    )


def test_a_module_that_cannot_be_told_is_worth_a_word():
    with_module(
        """
        import importlib.util, pathlib, warnings
        path = str(pathlib.Path(__file__).with_name("aside.py"))
        spec = importlib.util.spec_from_file_location("plugin", path)
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            for _ in range(2):
                plugin = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(plugin)
        assert plugin.a == [1]
        assert len(heard) == 1, [str(w.message) for w in heard]
        assert heard[0].filename == path and heard[0].lineno == 3, heard[0]
        assert "plugin" in str(heard[0].message) and "List" in str(heard[0].message)
        """,
        """
        import tarefa
        a = tarefa.List([1])
        """,
    )


def test_what_is_made_at_other_times_is_new_each_time():
    with_module(
        """
        import aside, tarefa
        assert len({aside.make().object_id for _ in range(5)}) == 5
        assert aside.make() == [0]
        def both():
            import aside
            return aside.make().object_id
        assert tarefa.Process(target=both).start().result() != both()
        mine = [tarefa.List([1]) for _ in range(3)]
        assert len({l.object_id for l in mine}) == 3
        """,
        """
        import tarefa
        def make(): return tarefa.List([0])
        """,
    )


def test_what_functions_made_for_a_moment_does_not_stay():
    with_module(
        """
        import tarefa
        keep = tarefa.List()
        objects = lambda: tarefa._engine.diagnostics()["objects"]
        before = objects()
        import aside
        assert objects() < before + 300, (before, objects())
        assert aside.kept == [1]
        """,
        """
        import tarefa
        def moment(): return len(tarefa.List([1]))
        for _ in range(2000): moment()
        def made(): return tarefa.List([1])
        kept = made()
        """,
    )


def test_a_thread_of_the_import_makes_its_own():
    with_module(
        """
        import aside, tarefa
        assert aside.here[0].object_id != aside.top.object_id
        assert tarefa.Process(target=lambda: aside.top.object_id).start().result() == (
            aside.top.object_id)
        """,
        """
        import tarefa, threading
        top, here = tarefa.List(), []
        t = threading.Thread(target=lambda: here.append(tarefa.List()))
        t.start(); t.join()
        """,
    )
