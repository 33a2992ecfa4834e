"""The environment variables: all processes have what they say; what is no value is told."""

import pytest
from support import run_script

import tarefa


def wanted(**env):
    return run_script(
        """
        import tarefa
        tarefa.Process(target=int)
        print(tarefa._engine.diagnostics()["spares_wanted"], tarefa.cpu_count())
        """,
        env=env,
    ).stdout.split()


def test_spares_without_a_number_go_by_the_processors():
    spares, processors = map(int, wanted(TAREFA_SPARES=""))
    assert spares == min(2 * processors, 8)


@pytest.mark.parametrize("text", ["0", "3", " 64 "])
def test_spares_from_outside(text):
    assert int(wanted(TAREFA_SPARES=text)[0]) == int(text)


@pytest.mark.parametrize("text", ["65", "-1", "many", "1.5"])
def test_spares_that_are_none_are_told_each_time(text):
    done = run_script(
        """
        import tarefa
        for _ in range(2):
            try:
                tarefa.Process(target=int)
            except ValueError as e:
                print(e)
        """,
        env={"TAREFA_SPARES": text},
    )
    told = (
        f'TAREFA_SPARES must be a whole number from 0 to 64, as in 4, not "{text}": '
        "correct it, or take it out of the environment\n"
    )
    assert done.stdout == told * 2


@pytest.mark.parametrize(
    ("name", "text"), [("TAREFA_ARENA_MAX", "banana"), ("TAREFA_REPORT_AFTER", "soon")]
)
def test_others_that_are_none_are_value_errors_too(name, text):
    done = run_script(
        """
        import tarefa
        try:
            tarefa.List()
        except ValueError as e:
            print(e)
        """,
        env={name: text},
    )
    assert done.stdout.startswith(f"{name} must be a ")
    assert f'not "{text}"' in done.stdout


def test_a_program_may_ask_for_as_many_as_the_environment():
    with pytest.raises(ValueError, match="from 0 to 64"):
        tarefa.configure(spares=65)
