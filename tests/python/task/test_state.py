"""The states of a task have the numbers that the engine stores."""

import tarefa
from tarefa import State
from tarefa._task import _state_numbers


def test_each_has_the_engines_number_and_name():
    assert [state.name for state in State] == list(tarefa._engine.STATE_NAMES)
    assert [int(state) for state in State] == list(range(len(State)))


def test_the_plain_numbers_are_the_states():
    for state in State:
        assert getattr(_state_numbers, state.name) == state
    assert all((state >= _state_numbers.FINISHED) == state.is_final for state in State)
    assert [State(number) for number in _state_numbers.ALIVE] == [State.STARTING, State.RUNNING]
