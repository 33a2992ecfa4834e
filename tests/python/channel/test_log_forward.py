"""Logging of processes reaches the program's handlers; what is standard works with queues."""

import asyncio
import concurrent.futures
import logging
import logging.handlers
import os
import signal
import time

import pytest
from support import eventually, run_script

import tarefa

ROOT = logging.getLogger()


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)

    @property
    def texts(self):
        return [r.getMessage() for r in self.records]


@pytest.fixture
def kept():
    """What the program's only handler has got, with processes' logging forwarded."""
    root, handler = ROOT, Kept()
    before, level = list(root.handlers), root.level
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    tarefa.configure(logging="forward")
    yield handler
    tarefa.configure(logging=None)
    root.handlers[:] = before
    root.setLevel(level)


def drained(kept):
    """What has come, once all has that was logged."""
    tarefa.configure(logging=None)
    return kept.texts


def say(*words):
    for word in words:
        logging.getLogger("of.a.task").info("said %s", word)


def test_records_of_tasks_reach_the_programs_handlers_once(Task, kept):
    task = Task(target=say, args=("one", "two"), name="speaker").start()
    task.join()
    assert drained(kept) == ["said one", "said two"]
    first = kept.records[0]
    assert (first.name, first.levelname, first.funcName) == ("of.a.task", "INFO", "say")
    if Task is tarefa.Process:
        assert (first.processName, first.process) == ("speaker", task.pid)


def log_levels():
    log = logging.getLogger("quiet")
    log.debug("not this")
    log.warning("but this")
    logging.getLogger("loud").debug("and this")
    logging.getLogger().debug("not that")


def test_levels_and_loggers_that_keep_to_themselves(kept):
    loud, own = logging.getLogger("loud"), Kept()
    loud.setLevel(logging.DEBUG)
    loud.propagate = False
    loud.addHandler(own)
    try:
        tarefa.Process(target=log_levels).start().join()
        assert drained(kept) == ["but this"]
        assert own.texts == ["and this"]
    finally:
        loud.setLevel(logging.NOTSET)
        loud.propagate = True
        loud.removeHandler(own)


class Odd:
    def __reduce__(self):
        raise TypeError("never travels")

    def __repr__(self):
        return "<odd>"


def fail():
    try:
        raise KeyError("missing")
    except KeyError:
        ROOT.exception("it failed with %r", Odd(), extra={"odd": Odd(), "fine": [1]})


def test_tracebacks_arguments_and_extras_come_as_far_as_they_can(kept):
    tarefa.Process(target=fail).start().join()
    assert drained(kept) == ["it failed with <odd>"]
    (record,) = kept.records
    assert (record.odd, record.fine, record.exc_info) == ("<odd>", [1], None)
    shown = logging.Formatter("%(message)s").format(record)
    assert shown.startswith("it failed with <odd>\nTraceback")
    assert shown.endswith("KeyError: 'missing'")


def start_another():
    tarefa.Process(target=say, args=("deep",)).start().join()


def test_processes_of_processes_forward_too(kept):
    tarefa.Process(target=start_another).start().join()
    assert drained(kept) == ["said deep"]


def configure_again():
    tarefa.configure(logging="forward")
    say("still")
    tarefa.configure(logging=None)
    say("and still")


def test_in_a_process_it_changes_nothing(kept):
    tarefa.Process(target=configure_again).start().join()
    assert drained(kept) == ["said still", "said and still"]


def say_and_die():
    for n in range(1000):
        ROOT.info("%d", n)
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_process_has_logged_is_told(kept):
    tasks = [tarefa.Process(target=say_and_die).start() for _ in range(3)]
    tarefa.wait(tasks)
    texts = drained(kept)
    assert len(texts) == 3000
    assert texts.count("999") == 3


def say_for_ever():
    while True:
        ROOT.info("x" * 100)


def test_the_listener_goes_on_when_processes_are_killed_in_the_middle(kept):
    for _ in range(15):
        before = len(kept.records)
        task = tarefa.Process(target=say_for_ever).start()
        eventually(lambda before=before: len(kept.records) > before)
        task.kill()
        task.join()
    tarefa.Process(target=say, args=("last",)).start().join()
    assert drained(kept)[-1] == "said last"
    assert set(kept.texts) == {"x" * 100, "said last"}


def say_late(go):
    go.wait()
    ROOT.error("late")
    ROOT.info("never")


def test_what_is_logged_after_its_end_goes_to_standard_error(kept, capfd):
    go = tarefa.Event()
    task = tarefa.Process(target=say_late, args=(go,)).start()
    time.sleep(0.1)
    tarefa.configure(logging=None)
    go.set()
    task.join()
    assert kept.texts == []
    assert capfd.readouterr().err == "late\n"


def test_a_handler_that_fails_does_not_end_it(kept, capfd):
    emit = kept.emit
    kept.emit = lambda record: emit(record) if "two" in record.getMessage() else 1 / 0
    tarefa.Process(target=say, args=("one", "two")).start().join()
    assert drained(kept) == ["said two"]
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_all_is_handled_before_the_program_ends():
    source = """
        import logging
        import tarefa

        def work():
            for n in range(500):
                logging.info("record %d", n)

        logging.basicConfig(level=logging.INFO, format="%(processName)s %(message)s")
        tarefa.configure(logging="forward")
        for n in range(2):
            tarefa.Process(target=work, name=f"p{n}").start()
    """
    lines = run_script(source).stderr.splitlines()
    assert len(lines) == 1000
    for name in ("p0", "p1"):
        own = [line for line in lines if line.startswith(name)]
        assert own == [f"{name} record {n}" for n in range(500)]


def test_other_values_are_refused():
    with pytest.raises(ValueError, match="'forward' or None"):
        tarefa.configure(logging="backward")
    tarefa.configure(logging=None)


def log_to(queue):
    log = logging.getLogger("by.queue")
    log.propagate = False
    log.setLevel(logging.INFO)
    log.handlers[:] = [logging.handlers.QueueHandler(queue)]
    try:
        log.info("through %s", "a queue")
    finally:
        log.handlers.clear()
        log.propagate = True


def test_the_standard_queue_handler_and_listener(Task):
    queue, kept = tarefa.Queue(), Kept()
    listener = logging.handlers.QueueListener(queue, kept)
    listener.start()
    Task(target=log_to, args=(queue,)).start().join()
    listener.stop()
    assert kept.texts == ["through a queue"]


def double(numbers, doubled):
    for n in numbers:
        doubled.put(2 * n)


def test_asyncio(Task):
    async def main():
        numbers, doubled = tarefa.Queue(), tarefa.Queue(maxsize=2)
        task = Task(target=double, args=(numbers, doubled)).start()

        async def feed():
            for n in range(20):
                await numbers.aput(n)
            numbers.shutdown()

        feeding = asyncio.create_task(feed())
        found = [await doubled.aget() for _ in range(20)]
        await feeding
        await task
        return found

    assert asyncio.run(main()) == [2 * n for n in range(20)]


def test_executors_of_concurrent_futures():
    numbers, doubled = tarefa.Queue(), tarefa.Queue()
    task = tarefa.Process(target=double, args=(numbers, doubled)).start()
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(numbers.put, range(30)))
        numbers.shutdown()
        found = [pool.submit(doubled.get) for _ in range(30)]
        done = concurrent.futures.wait(found, 30).done
    assert sorted(f.result() for f in done) == [2 * n for n in range(30)]
    task.join()
