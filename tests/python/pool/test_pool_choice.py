"""What follows from figures: who runs a function's tasks. Nothing is measured here."""

import functools

import pytest

import tarefa
from tarefa._pool import _marks
from tarefa._pool._choice import Around, Choice, Figures, choose, duration
from tarefa._pool._clock import Taken
from tarefa._pool._explain import Explanation
from tarefa._pool._subject import ALONE, DECIDED, Subject, key_of

TWO = Around(workers=2, cores=2, started=1)


def kind(figures, around=TWO):
    return choose(figures, around).kind


@pytest.mark.parametrize(
    ("figures", "around", "found"),
    [
        # What computes and holds the interpreter's lock.
        (Figures(0.01, 1.0, 1.0), TWO, "processes"),
        (Figures(0.01, 1.0, None), TWO, "processes"),
        # What waits.
        (Figures(0.01, 0.01, 2.0), TWO, "threads"),
        (Figures(0.01, 0.01, None), TWO, "threads"),
        # What computes and lets others run, or has no lock: a free-threaded interpreter.
        (Figures(0.01, 1.0, 1.95, arguments=1e-3), TWO, "threads"),
        (Figures(0.01, 1.0, 1.95), TWO, "threads"),
        # Tasks that are shorter than their hand-over.
        (Figures(50e-9, 1.0, 1.0), Around(2, 2, 1, 10**6), "caller"),
        # Tasks of a microsecond, of which there are many, and of which there are few.
        (Figures(1e-6, 1.0, 1.0), Around(2, 2, 1, 10**7), "processes"),
        (Figures(1e-6, 1.0, 1.0, start=2e-3), Around(2, 2, 1, 100), "caller"),
        # Arguments that cost more than the tasks.
        (Figures(1e-4, 1.0, 1.0, arguments=1e-3), TWO, "caller"),
        # One processor, one worker.
        (Figures(0.01, 1.0, 1.0), Around(2, 1, 1, 100), "threads"),
        (Figures(1e-5, 1.0, None), Around(1, 2, 1, 100), "caller"),
        # What cannot travel; what must not run on threads.
        (Figures(0.01, 1.0, 1.0), Around(2, 2, 0, travels=False), "threads"),
        (Figures(1e-6, 1.0, 1.0), Around(2, 2, 0, travels=False), "caller"),
        (Figures(0.01, 0.01, 2.0), Around(2, 2, 1, threads=False), "processes"),
        (Figures(1e-6, 1.0, None), Around(2, 2, 1, threads=False), "processes"),
        # Many workers that wait a little less than all of their time.
        (Figures(0.01, 0.5, 1.9), Around(8, 8, 1), "threads"),
        (Figures(0.01, 0.5, 1.2), Around(8, 8, 1), "processes"),
    ],
)
def test_who_runs_them(figures, around, found):
    assert kind(figures, around) == found


def test_each_choice_has_its_reason():
    reasons = {
        choose(
            Figures(wall, cpu, scaling, start=1e-3), Around(2, 2, 1, left, travels, threads)
        ).reason
        for wall in (1e-7, 1e-3, 1.0)
        for cpu in (0.0, 0.5, 1.0)
        for scaling in (None, 1.0, 2.0)
        for left in (None, 1, 10**6)
        for travels, threads in ((True, True), (True, False), (False, True))
    }
    assert len(reasons) > 8
    assert all(reasons)


def test_lengths_of_time_in_words():
    shown = {1.5: "1.5 s", 0.25: "250 ms", 1e-6: "1 µs", 4e-8: "40 ns", 0.0: "0 ns"}
    assert {seconds: duration(seconds) for seconds in shown} == shown


def took(ms, cpu=1.0, seat=0, began=0, telling=0):
    wall = int(ms * 1e6)
    return Taken(wall, int(wall * cpu), 0, telling, began, seat)


def test_what_ran_alone():
    it = Subject(test_what_ran_alone)
    it.begin()
    assert not it.knows_alone
    it.note_alone(1, took(50, 0.2))
    it.note_alone(10, took(10))
    it.note_alone(10, took(20))
    assert it.knows_alone
    # The first is not counted, which may have imported something.
    assert it.figures().wall == pytest.approx(1.5e-3)
    assert it.figures().cpu == 1.0


def test_what_two_threads_got_done():
    def scaling(one, other, later=0):
        it = Subject(took)
        it.begin()
        it.note_alone(1, took(1))
        it.note_alone(10, took(10))
        it.note_paired(10, took(one, seat=1))
        assert not it.knows_paired
        it.note_paired(10, took(other, seat=2, began=int(later * 1e6)))
        it.settle_scaling(None)
        return it.scaling

    assert scaling(20, 20) == pytest.approx(1.0)
    assert scaling(10, 10) == pytest.approx(2.0)
    assert scaling(20, 20, later=10) == pytest.approx(1.0)
    assert scaling(20, 10, later=10) == pytest.approx(1.5)
    # They hardly met: nothing is known.
    assert scaling(10, 10, later=9) is None


class Seen:
    """What a sample of threads says, in the middle of long tasks."""

    def __init__(self, at, busy):
        self.at = int(at * 1e6)
        self.busy = busy

    def busy_since(self, _before):
        return self.busy

    def got_since(self, _before):
        return self.busy

    def had_since(self, _before):
        return True


@pytest.mark.parametrize(
    ("alone", "two", "scaling"),
    [
        (0.05, 0.1, 2.0),
        # A first task imports something, or the sample is short.
        (0.2, 0.1, 2.0),
        (0.15, 0.6, 2.0),
        (0.05, 0.9, None),
        (1.0, 1.0, 1.0),
        (1.0, 2.0, 2.0),
        # The first was seen as it woke up.
        (1.0, 0.3, 2.0),
        # It had no tick yet.
        (0.6, 1.0, 1.0),
        (0.5, 1.0, 2.0),
    ],
)
def test_what_two_threads_get_done_of_long_tasks(alone, two, scaling):
    it = Subject(took)
    it.begin()
    it.note_middle(Seen(0, 0), Seen(6, alone))
    it.sample = Seen(6, 0)
    assert not it.sees_paired(Seen(20, two))
    it.settle_scaling(Seen(30, two))
    assert it.scaling == scaling


def test_tasks_that_change_are_noticed_and_noise_is_not(monkeypatch):
    it = Subject(took)

    def decide(kind):
        it.begin()
        assert it.stage == ALONE
        it.note_alone(1, took(30))
        it.decide(Choice(kind, "so"), None)
        assert it.stage == DECIDED
        monkeypatch.setattr(it, "_next_look", 0.0)

    decide("caller")
    assert not any(it.has_changed(1, took(40)) for _ in range(5))
    assert not it.has_changed(1, took(100))  # one alone says nothing
    assert not it.has_changed(1, took(30))
    assert [it.has_changed(1, took(100)) for _ in range(2)] == [False, True]
    decide("processes")
    assert [it.has_changed(1, took(30, cpu=0.1)) for _ in range(2)] == [False, True]
    # Threads that hold each other up: what is usual is seen then.
    decide("threads")
    assert not any(it.has_changed(1, took(90)) for _ in range(5))
    assert it.looks == 3


def test_a_look_comes_later_where_the_one_before_changed_nothing():
    it = Subject(took)
    pauses = []
    for _ in range(3):
        it.begin()
        it.note_alone(1, took(5))
        it.decide(Choice("caller", "so"), None)
        pauses.append(it._pause)
    assert pauses == sorted(set(pauses))


def test_functions_that_are_the_same():
    def make():
        return lambda x: x

    class Thing:
        def method(self):
            pass

    assert key_of(make()) == key_of(make())
    assert key_of(Thing().method) == key_of(Thing.method)
    assert key_of(functools.partial(took, 3)) == key_of(took)
    assert key_of([].append) == key_of([1].append) != key_of([].pop)
    assert key_of(len) != key_of(abs)
    assert key_of(Thing) == Thing


def test_marks():
    @tarefa.process_only
    def marked():
        pass

    @functools.wraps(marked)
    def wrapper():
        pass

    class Called:
        @tarefa.process_only
        def __call__(self):
            pass

        @tarefa.process_only
        def method(self):
            pass

    for function in (marked, wrapper, Called(), Called().method, functools.partial(marked, 1)):
        assert _marks.is_process_only(function), function
    assert not _marks.is_process_only(took)
    for bad in (3, len):
        with pytest.raises(TypeError, match="process_only"):
            tarefa.process_only(bad)


def test_an_explanation_is_a_text_with_figures():
    it = Subject(took)
    it.begin()
    it.note_alone(1, took(5))
    it.decide(Choice("threads", "they wait"), 7)
    found = Explanation("P", "P: so", [it.shown()])
    assert found.splitlines()[0] == "P: so"
    assert "they wait" in found
    assert (found.choice, found.reason) == ("threads", "they wait")
    assert found.functions[0].wall == pytest.approx(5e-3)
    assert found.as_dict()["took"]["left"] == 7
    assert repr(found) == str(found)
    assert max(map(len, found.splitlines()[1:3])) <= 100
    assert Explanation("P", "P: so", []).choice is None
