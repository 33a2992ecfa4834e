"""Timelines: who ran what when, of pools and of the whole program."""

import contextlib
import os
import signal
import time
import xml.etree.ElementTree as ET

import perfetto_rules
import pytest
from support import eventually

import tarefa
from tarefa._engine import is_traced


def double(x):
    return 2 * x


def nap(seconds):
    time.sleep(seconds)
    return seconds


def fail(x):
    raise ValueError(x)


async def later(x):
    return x + 1


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def compute(seconds, core, together):
    os.sched_setaffinity(0, {core})
    together.wait()
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def told(path):
    """What a file says, in an order of its own; the thread's name stands with its track."""
    said = []
    for event in perfetto_rules.load(path):
        args = {name: value for name, value in event.get("args", {}).items() if name != "worker"}
        times = (round(1000 * event.get(time, 0)) for time in ("ts", "dur"))
        rest = (event.get("cat"), event["pid"], event["tid"], event["name"])
        said.append((event["ph"], *times, *map(str, rest), sorted(args.items())))
    return sorted(said)


def whole(timeline, folder):
    """A timeline, all that holds of any looked at."""
    assert timeline._core.check() == []
    timeline.save(folder / "checked.json")
    timeline.save(folder / "checked.pftrace")
    assert told(folder / "checked.pftrace") == told(folder / "checked.json")
    for s in timeline.slices:
        assert timeline.start <= s.start <= s.end <= timeline.end
    return timeline


@pytest.fixture(params=["process", "thread"])
def kind(request):
    return request.param


def test_calls_of_a_pool(kind, tmp_path):
    before = time.monotonic()
    with tarefa.Pool(2, kind, name="ants", timeline=True) as pool:
        assert list(pool.map(double, range(20))) == [2 * x for x in range(20)]
        assert pool.submit(fail, 1).exception()
        assert pool.submit(later, x=1).result() == 2
        during = whole(pool.timeline(), tmp_path)
        assert len(during.slices) == 22
    assert not is_traced()
    timeline = whole(pool.timeline(), tmp_path)
    after = time.monotonic()
    assert before <= timeline.start < timeline.end <= after
    assert timeline.lost == 0
    calls = timeline.slices
    assert sorted(s.name for s in calls) == ["double"] * 20 + ["fail", "later"]
    assert {s.kind for s in calls} == {"call"}
    assert {s.ended for s in calls if s.name != "fail"} == {"returned"}
    assert [s.ended for s in calls if s.name == "fail"] == ["failed"]
    assert {s.worker for s in calls} <= {"ants-1", "ants-2"}
    assert (os.getpid() in {s.pid for s in calls}) == (kind == "thread")
    assert timeline.on_core_source in ("kernel", "sampled", "mixed", "unknown")


def test_results_that_are_kept_and_batches(kind, tmp_path):
    with tarefa.Pool(2, kind, timeline=True) as pool:
        assert list(pool.map(double, range(3000), chunksize=100)) == [2 * x for x in range(3000)]
        assert list(pool.starmap(pow, [(2, 3)] * 50, chunksize=7)) == [8] * 50
    timeline = whole(pool.timeline(), tmp_path)
    assert len(timeline.slices) == 3050


def test_a_pool_that_chooses(tmp_path):
    with tarefa.Pool(2, "auto", timeline=True) as pool:
        assert list(pool.map(double, range(200))) == [2 * x for x in range(200)]
    timeline = whole(pool.timeline(), tmp_path)
    assert {s.name for s in timeline.slices} == {"double"}


def test_a_pool_shows_only_its_own_calls(kind, tmp_path):
    with tarefa.Pool(1, kind, timeline=True) as one, tarefa.Pool(1, kind, timeline=True) as two:
        assert list(one.map(double, range(5))) == [0, 2, 4, 6, 8]
        assert two.submit(nap, 0).result() == 0
    assert [s.name for s in whole(one.timeline(), tmp_path).slices] == ["double"] * 5
    assert [s.name for s in whole(two.timeline(), tmp_path).slices] == ["nap"]


def test_nothing_is_recorded_before_it_is_asked_for(kind, tmp_path):
    with tarefa.Pool(1, kind) as pool:
        assert pool.submit(double, 1).result() == 2
        assert not is_traced()
        with pytest.raises(ValueError, match="timeline=True"):
            pool.save_timeline(tmp_path / "none.json")
        with pytest.raises(ValueError, match=r"\.svg"):
            pool.save_timeline(tmp_path / "none.png")
        assert pool.timeline().slices == []
        assert pool.submit(nap, 0).result() == 0
        pool.save_timeline(tmp_path / "one.json")
    assert [s["name"] for s in perfetto_rules.slices(tmp_path / "one.json", "call")] == ["nap"]
    with pytest.raises(FileNotFoundError):
        pool.save_timeline(tmp_path / "no folder" / "one.json")


def test_files_and_pictures(kind, tmp_path):
    with tarefa.Pool(2, kind, name="a<b>&'c\"\x01", timeline=True) as pool:
        assert list(pool.map(nap, [0.01] * 4)) == [0.01] * 4
    timeline = pool.timeline()
    for name in ("it.json", "it.pftrace", "it.svg", "it.html", "it.txt", "IT.SVG"):
        pool.save_timeline(tmp_path / name)
    svg = (tmp_path / "it.svg").read_text()
    for document in (svg, timeline._repr_svg_()):
        root = ET.fromstring(document)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "nap: " in "".join(root.itertext())
    page = (tmp_path / "it.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    for text in (page, timeline._repr_html_()):
        assert "<svg" in text
        assert "<td" in text
        assert "src=" not in text
        assert "href=" not in text
    assert (tmp_path / "it.txt").read_text().rstrip("\n") == str(timeline)
    lines = timeline.text(60).splitlines()
    assert max(map(len, lines[:-1])) <= 60
    for name in ("it.json", "it.pftrace"):
        assert len(perfetto_rules.slices(tmp_path / name, "call")) == 4
    assert "slices on" in repr(timeline)


def test_a_killed_task_ends_at_its_death(tmp_path):
    with tarefa.Pool(2, timeline=True) as pool:
        dead = pool.submit(die, 1)
        assert isinstance(dead.exception(), tarefa.WorkerDied)
        assert pool.submit(double, 4).result() == 8
        ended = eventually(lambda: [s for s in pool.timeline().slices if s.ended == "SIGKILL"])
    timeline = whole(pool.timeline(), tmp_path)
    assert [s.name for s in ended] == ["die"]
    assert {s.name: s.ended for s in timeline.slices} == {"die": "SIGKILL", "double": "returned"}
    events = perfetto_rules.load(tmp_path / "checked.json")
    assert [e["name"] for e in events if e["ph"] == "i"] == ["SIGKILL"]


def test_a_timeline_while_workers_are_killed(tmp_path):
    with tarefa.Pool(3, retries=30, timeline=True) as pool:
        futures = [pool.submit(nap, 0.01) for _ in range(60)]
        killed = 0
        while killed < 6 and not all(f.done() for f in futures):
            for worker in pool.stats().workers:
                if worker.pid is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker.pid, signal.SIGKILL)
                        killed += 1
                    break
            whole(pool.timeline(), tmp_path)
        assert [f.result() for f in futures] == [0.01] * 60
    timeline = whole(pool.timeline(), tmp_path)
    assert sum(s.ended == "returned" for s in timeline.slices) >= 60
    assert {s.ended for s in timeline.slices} <= {"returned", "SIGKILL"}
    assert timeline.lost == 0


@pytest.mark.parametrize("make", [tarefa.Process, tarefa.Thread])
def test_tasks_of_the_program(make, tmp_path):
    ready, go = tarefa.Event(), tarefa.Event()

    def wait_for(ready, go):
        ready.set()
        go.wait()

    before = make(target=wait_for, args=(ready, go), name="runs already").start()
    ready.wait()
    with tarefa.timeline() as recording:
        good = make(target=double, args=(2,), name="good").start()
        assert good.result() == 4
        bad = make(target=fail, args=(2,), name="bad " + "long " * 40).start()
        with pytest.raises(ValueError, match="2"):
            bad.result()
        assert {s.name: s.ended for s in recording.timeline().slices}["runs already"] == "running"
        go.set()
        before.join()
    assert not is_traced()
    timeline = whole(recording.timeline(), tmp_path)
    found = {s.name.split()[0]: s for s in timeline.slices}
    assert {name: s.ended for name, s in found.items()} == {
        "runs": "returned",
        "good": "returned",
        "bad": "failed",
    }
    assert {s.kind for s in timeline.slices} == {make.__name__.lower()}
    assert found["runs"].start == timeline.start
    assert found["good"].pid == good.pid
    assert repr(recording).endswith("stopped>")
    assert recording.stop() is recording.timeline()


def test_threads_of_processes_and_pools_in_them(tmp_path):
    with tarefa.timeline() as recording:
        assert tarefa.Process(target=with_threads, name="outer").start().result() == [0, 2, 4]
    timeline = whole(recording.timeline(), tmp_path)
    names = [s.name for s in timeline.slices]
    assert names.count("double") == 3
    assert "outer" in names
    assert {s.pid for s in timeline.slices} == {timeline.slices[0].pid}


def with_threads():
    with tarefa.Pool(2, "thread") as pool:
        return list(pool.map(double, range(3)))


def record_for_ever(ready):
    recording = tarefa.timeline()
    ready.set()
    time.sleep(1000)
    recording.stop()


def test_a_killed_recorder_leaves_nothing():
    ready = tarefa.Event()
    task = tarefa.Process(target=record_for_ever, args=(ready,)).start()
    ready.wait()
    assert is_traced()
    task.kill()
    task.join()
    eventually(lambda: not is_traced())


def test_recordings_at_once(tmp_path):
    with tarefa.timeline() as outer:
        with tarefa.timeline(sampled=True) as inner:
            tarefa.Thread(target=double, args=(1,), name="one").start().join()
        assert is_traced()
        tarefa.Thread(target=double, args=(1,), name="two").start().join()
    assert not is_traced()
    assert [s.name for s in whole(inner.timeline(), tmp_path).slices] == ["one"]
    assert [s.name for s in whole(outer.timeline(), tmp_path).slices] == ["one", "two"]


def at_once(timeline):
    """Seconds during which two or more threads were on cores."""
    edges = sorted(edge for on in timeline.on_core for edge in ((on.start, 1), (on.end, -1)))
    running, before, both = 0, 0.0, 0.0
    for at, step in edges:
        both += (at - before) * (running > 1)
        running, before = running + step, at
    return both


def computing(cores, sampled):
    together = tarefa.Barrier(2)
    with tarefa.timeline(sampled=sampled) as recording:
        tasks = [
            tarefa.Process(target=compute, args=(0.1, core, together)).start() for core in cores
        ]
        for task in tasks:
            task.join()
    return recording.timeline()


@pytest.mark.parametrize("sampled", [True, False])
def test_turns_on_one_core_and_at_once_on_two(sampled, tmp_path):
    first, *others = sorted(os.sched_getaffinity(0))
    turns = whole(computing([first, first], sampled), tmp_path)
    if sampled:
        assert turns.on_core_source == "sampled"
    on_it = [on for on in turns.on_core if on.core == first]
    assert len(on_it) >= 2
    seconds = sum(on.end - on.start for on in on_it)
    assert seconds > 0.05
    # Until they are there, they may be on another.
    assert at_once(turns) < seconds / 2
    if others:
        # Others may have the cores for a while.
        cores = [first, others[0]]
        eventually(lambda: at_once(whole(computing(cores, sampled), tmp_path)) > 0.001)
