"""What `import tarefa` loads: little, for it is most of what a first process takes."""

import textwrap

import pytest
from support import run_script

# Each takes as long as a tenth of all that the first process needs, or imports one that does.
SLOW = ("contextlib", "enum", "inspect", "multiprocessing", "pickle", "re", "signal", "typing")


def loaded(source):
    """Which of the slow modules are loaded after these lines, that were not before."""
    done = run_script(
        "import sys; before = set(sys.modules)\n"
        + textwrap.dedent(source)
        + f"\nprint(*({set(SLOW)} & (set(sys.modules) - before)))"
    )
    return done.stdout.split()


def test_the_import_loads_nothing_slow():
    assert loaded("import tarefa") == []


def test_nor_does_a_program_of_shared_objects():
    assert (
        loaded("""
        import tarefa
        numbers, names, lock = tarefa.List([1]), tarefa.Dict(a=1), tarefa.Lock()
        with lock:
            numbers.append(names["a"])
        tarefa.Event().set()
        thread = tarefa.Thread(target=numbers.append, args=(2,))
        thread.start()
        thread.join()
    """)
        == []
    )


@pytest.mark.parametrize(
    "made",
    [
        'Array("i", 2)',
        "Barrier(2)",
        "Condition()",
        "Counter()",
        "Event()",
        "Namespace()",
        "RWLock()",
        "Semaphore()",
        "Set()",
        'Value("i")',
    ],
)
def test_an_object_arrives_where_its_class_was_not_asked_for(made):
    run_script(
        """
        import tarefa
        given = tarefa.MADE
        def class_of(given):
            name = type(given).__name__
            return name, isinstance(given, getattr(tarefa, name))
        found = tarefa.Process(target=class_of, args=(given,)).start().result()
        assert found == (type(given).__name__, True), found
        """.replace("MADE", made)
    )


@pytest.mark.parametrize(
    ("used", "sent"),
    [
        ('Value("i", 7)', 'Array("i", [7])'),
        ('Array("i", [7])', 'Value("i", 7)'),
        ('RawValue("i", 7)', 'Array("i", [7])'),
        ('Value("i", 7)', 'RawArray("i", [7])'),
    ],
)
def test_one_class_of_arrays_is_asked_for_and_the_other_arrives(used, sent):
    run_script(
        """
        import tarefa
        given = tarefa.SENT
        def look(given):
            other = tarefa.USED
            return type(given).__name__, given[0] if hasattr(given, "__len__") else given.value
        def make():
            other = tarefa.USED
            return tarefa.SENT
        def first():
            import tarefa._collections._making
            return tarefa.List([tarefa.SENT])
        name = type(given).__name__
        assert tarefa.Process(target=look, args=(given,)).start().result() == (name, 7)
        assert type(tarefa.Process(target=make).start().result()).__name__ == name
        assert type(tarefa.Process(target=first).start().result()[0]).__name__ == name
        """.replace("USED", used).replace("SENT", sent)
    )
