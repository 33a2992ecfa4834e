"""Pools, on processes and on threads: calls one by one, and the end of a pool."""

import asyncio
import contextvars
import decimal
import os
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import Executor, Future, as_completed, wait

import pytest
from support import eventually
from targets import double

import tarefa

variable = contextvars.ContextVar("variable", default="nothing")


def read_variable():
    return variable.get()


def fail(error):
    raise error


def keyword(a, *, b):
    return a - b


def test_it_is_an_executor_with_its_futures(pool):
    future = pool.submit(double, 21)
    assert isinstance(pool, Executor)
    assert isinstance(future, Future)
    assert future.result() == 42
    assert future.done()
    assert not future.running()
    assert future.exception() is None


def test_arguments_by_name(pool):
    assert pool.submit(keyword, 5, b=3).result() == 2


def test_lambdas_and_closures(pool):
    k = 20
    assert pool.submit(lambda x: [x + k], 22).result() == [42]


def test_an_exception_is_the_futures(pool):
    future = pool.submit(fail, KeyError("x"))
    assert isinstance(future.exception(), KeyError)
    with pytest.raises(KeyError, match="x"):
        future.result()


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (SystemExit, tarefa.TaskExited),
        (KeyboardInterrupt, tarefa.TaskInterrupted),
        (GeneratorExit, tarefa.TaskFailed),
        (BaseException, tarefa.TaskFailed),
    ],
)
def test_what_is_no_exception_fails_the_task_alone(pool, error, found):
    assert type(pool.submit(fail, error(3)).exception()) is found
    assert pool.submit(double, 1).result() == 2


def test_as_completed_and_wait(pool):
    futures = [pool.submit(double, i) for i in range(20)]
    assert sorted(f.result() for f in as_completed(futures, timeout=30)) == list(range(0, 40, 2))
    futures = [pool.submit(time.sleep, 0.01) for _ in range(4)]
    done, not_done = wait(futures, timeout=30)
    assert (len(done), len(not_done)) == (4, 0)


def test_callbacks_come_though_nobody_waits(pool, caplog):
    got = []
    future = pool.submit(double, 21)
    future.add_done_callback(lambda f: fail(ValueError("told and gone")))
    future.add_done_callback(lambda f: got.append(f.result()))
    eventually(lambda: got == [42])
    assert "exception calling callback" in caplog.text
    # Its records keep the future.
    caplog.clear()


def test_asyncio(pool):
    async def main():
        loop = asyncio.get_running_loop()
        return await asyncio.gather(
            asyncio.wrap_future(pool.submit(double, 1)), loop.run_in_executor(pool, double, 2)
        )

    assert asyncio.run(main()) == [2, 4]


def test_coroutine_functions_are_run(pool):
    async def twice(x):
        await asyncio.sleep(0)
        return 2 * x

    assert pool.submit(twice, 4).result() == 8


def test_several_threads_wait_at_once(pool):
    got = []

    def ask(n):
        got.extend(pool.submit(double, i).result() for i in range(n, n + 50))

    threads = [threading.Thread(target=ask, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(2 * (100 * n + i) for n in range(4) for i in range(50))


def test_context_variables_are_the_submitters(pool):
    token = variable.set("set")
    try:
        assert pool.submit(read_variable).result() == "set"
        assert list(pool.map(lambda _: read_variable(), [1, 2])) == ["set", "set"]
    finally:
        variable.reset(token)
    assert pool.submit(read_variable).result() == "nothing"


def test_a_task_leaves_no_context_variable_behind(pool):
    assert set(pool.map(lambda i: variable.set(i) and None, range(10))) == {None}
    assert {f.result() for f in [pool.submit(read_variable) for _ in range(8)]} == {"nothing"}


def lower_precision(precision):
    decimal.getcontext().prec, before = precision, decimal.getcontext().prec
    return before


@pytest.mark.parametrize("kind", ["process", "thread", "auto"])
def test_a_task_changes_its_own_decimal_context_alone(kind):
    with decimal.localcontext(prec=9), tarefa.Pool(2, kind) as own:
        futures = [own.submit(lower_precision, n) for n in range(3, 9)]
        assert {future.result() for future in futures} == {9}
        assert next(iter(own.map(lower_precision, [4]))) == 9
        assert decimal.getcontext().prec == 9


def test_a_timeout_leaves_the_task_alone(pool):
    future = pool.submit(time.sleep, 0.3)
    with pytest.raises(TimeoutError):
        future.result(0.01)
    assert future.result() is None


def test_cancelling_what_waits(pool):
    gates = [pool.submit(time.sleep, 0.3) for _ in range(2)]
    eventually(lambda: all(f.running() for f in gates))
    waiting = [pool.submit(double, i) for i in range(5)]
    assert waiting[2].cancel()
    assert waiting[2].cancelled()
    assert not gates[0].cancel()
    assert wait([waiting[2]], timeout=5).done == {waiting[2]}
    assert [f.result() for f in waiting if f is not waiting[2]] == [0, 2, 6, 8]


def test_cancelling_what_runs_stops_that_alone(pool):
    long = pool.submit(time.sleep, 60)
    eventually(long.running)
    others = [pool.submit(double, i) for i in range(10)]
    assert long.cancel(kill=True)
    assert long.cancelled()
    assert [f.result() for f in others] == [2 * i for i in range(10)]


def test_initializer_and_finalizer(kind):
    calls = tarefa.List()
    with tarefa.Pool(
        2,
        kind,
        initializer=calls.append,
        initargs=("begins",),
        finalizer=lambda: calls.append("ends"),
    ) as pool:
        assert list(pool.map(double, range(20))) == [2 * i for i in range(20)]
        # Threads are started as they are needed.
    assert 1 <= calls.count("begins") <= 2
    assert calls.count("ends") == calls.count("begins")


def test_a_closed_pool_takes_nothing(kind):
    pool = tarefa.Pool(1, kind)
    future = pool.submit(time.sleep, 0.05)
    pool.close()
    with pytest.raises(RuntimeError, match="takes no more work"):
        pool.submit(double, 1)
    with pytest.raises(ValueError, match="takes no more work"):
        pool.map(double, [1])
    pool.join()
    assert future.result() is None
    pool.shutdown()


def test_join_wants_close_first(pool):
    with pytest.raises(ValueError, match="close"):
        pool.join()


def test_terminate_ends_what_runs(kind):
    pool = tarefa.Pool(2, kind)
    futures = [pool.submit(time.sleep, 60) for _ in range(5)]
    eventually(lambda: sum(f.running() for f in futures) == 2)
    pool.terminate()
    assert all(f.done() for f in futures)
    pool.join()


def test_shutdown_cancels_what_waits(kind):
    pool = tarefa.Pool(1, kind)
    futures = [pool.submit(time.sleep, 0.2) for _ in range(4)]
    eventually(lambda: futures[0].running())
    pool.shutdown(cancel_futures=True)
    assert [f.cancelled() for f in futures] == [False, True, True, True]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: tarefa.Pool(0), ValueError, "workers must be 1 or more"),
        (lambda: tarefa.Pool(1.5), TypeError, "whole number"),
        (lambda: tarefa.Pool(1, "greenlet"), ValueError, "kind"),
        (lambda: tarefa.Pool(1, retries=-1), ValueError, "retries"),
        (lambda: tarefa.Pool(1, tasks_per_worker=0), ValueError, "tasks_per_worker"),
        (lambda: tarefa.Pool(1, time_limit=0), ValueError, "time_limit"),
        (lambda: tarefa.Pool(1, memory_limit="much"), ValueError, "memory_limit"),
        (lambda: tarefa.Pool(1, "thread", memory_limit="1G"), ValueError, "memory_limit"),
        (lambda: tarefa.Pool(0, "auto"), ValueError, "workers must be 1 or more"),
        (lambda: tarefa.Pool(1, initializer=3), TypeError, "initializer"),
    ],
)
def test_bad_input_at_the_call(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_bad_calls(pool):
    for call in (lambda: pool.submit(3), lambda: pool.map(None, [1])):
        with pytest.raises(TypeError, match="function"):
            call()
    with pytest.raises(TypeError, match="chunksize"):
        pool.map(double, [1, 2], 5)
    for chunksize in (0, -1):
        with pytest.raises(ValueError, match="chunksize"):
            pool.map(double, [1], chunksize=chunksize)
    with pytest.raises(TypeError):
        pool.map(double)


def test_what_cannot_travel_is_named_at_the_call():
    with tarefa.Pool(1) as pool, pytest.raises(tarefa.NotPicklable, match=r"args\[1\]"):
        pool.submit(pow, 1, threading.Lock())


def test_a_pool_does_not_travel(pool):
    with tarefa.Pool(1) as other, pytest.raises(tarefa.NotPicklable, match="make a pool there"):
        other.submit(double, pool)


def test_stats(pool):
    gates = [pool.submit(time.sleep, 0.5) for _ in range(2)]
    waiting = [pool.submit(double, n) for n in range(3)]
    eventually(lambda: pool.stats().running == 2)
    found = pool.stats()
    assert (found.running, found.waiting, found.restarts) == (2, 3, 0)
    assert [worker.running for worker in found.workers] == ["sleep(0.5)"] * 2
    assert all(f.result() is None for f in gates)
    assert [f.result() for f in waiting] == [0, 2, 4]
    eventually(lambda: pool.stats().running == 0)
    assert sum(worker.tasks for worker in pool.stats().workers) == 5


def test_stats_of_a_worker(pool):
    def busy():
        return [worker.busy for worker in pool.stats().workers]

    assert list(pool.map(time.sleep, [0.2] * 4, chunksize=1)) == [None] * 4
    # Grows for as long as it is busy.
    eventually(lambda: busy() == busy())
    before = busy()
    assert sum(before) >= 0.8
    eventually(lambda: min(worker.waiting for worker in pool.stats().workers) > 0.1)
    assert busy() == before
    assert [worker.restarts for worker in pool.stats().workers] == [0, 0]


def test_a_worker_at_its_task_is_busy_already(pool):
    future = pool.submit(time.sleep, 1.5)
    eventually(lambda: max(worker.busy for worker in pool.stats().workers) > 0.5)
    assert not future.done()
    future.result()


def test_bytes_of_a_worker(kind):
    with tarefa.Pool(1, kind=kind) as pool:
        before = pool.submit(len, b"x" * 1000).result()
        assert before == 1000
        assert pool.submit(bytes, 50_000).result() == bytes(50_000)
        eventually(lambda: pool.stats().running == 0)
        if kind == "process":
            eventually(lambda: 51_000 <= pool.stats().workers[0].bytes < 60_000)
        else:
            assert pool.stats().workers[0].bytes == 0


def test_restarts_of_a_worker(kind):
    with tarefa.Pool(1, kind=kind, tasks_per_worker=2) as pool:
        assert list(pool.map(double, range(5), chunksize=1)) == [0, 2, 4, 6, 8]
        eventually(lambda: [worker.restarts for worker in pool.stats().workers] == [2])
        assert pool.stats().restarts == 2


def test_pools_in_pools():
    def outer(depth):
        if depth == 0:
            return 1
        with tarefa.Pool(2) as inner:
            return sum(inner.map(outer, [depth - 1] * 2))

    with tarefa.Pool(2) as pool:
        assert list(pool.map(outer, [1, 1])) == [2, 2]


def script(text, **how):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        **how,
    )


def test_a_program_ends_with_what_was_submitted_done(kind, tmp_path):
    path = tmp_path / "case.py"
    path.write_text(
        textwrap.dedent(f"""
        import sys, tarefa, time
        def f(x):
            time.sleep(0.1)
            # One write: print() makes one of each part, between which other threads may print.
            sys.stdout.write(f"done {{x}}\\n")
            sys.stdout.flush()
        pool = tarefa.Pool(2, {kind!r})
        futures = [pool.submit(f, i) for i in range(3)]
        idle = tarefa.Pool(2, {kind!r})
        """)
    )
    ran = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=50, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert sorted(ran.stdout.split("\n")) == ["", "done 0", "done 1", "done 2"]


def test_ctrl_c_in_the_middle_of_a_map(kind):
    ran = script(
        f"""
        import os, signal, tarefa, threading, time
        def f(x):
            time.sleep(0.02)
            return x
        threading.Timer(0.3, os.killpg, (0, signal.SIGINT)).start()
        with tarefa.Pool(2, {kind!r}) as pool:
            for _ in pool.map(f, range(10_000)):
                pass
        """,
        start_new_session=True,
    )
    assert ran.stderr.count("Traceback") == 1
    assert ran.stderr.rstrip().endswith("KeyboardInterrupt")
    assert ran.returncode != 0


def test_ctrl_c_while_the_runtime_is_made():
    # The first line of Python that runs after that was the extension's own, whose errors count for
    # nothing.
    ran = script(
        """
        import os, signal, tarefa
        from tarefa import _hooks
        ask = _hooks.__getattr__
        def interrupted(name):
            if name == "offer_stack":
                os.kill(os.getpid(), signal.SIGINT)
            return ask(name)
        _hooks.__getattr__ = interrupted
        tarefa.Pool(1)
        print("it went on")
        """
    )
    assert ran.stdout == ""
    assert ran.stderr.count("Traceback") == 1
    assert ran.stderr.rstrip().endswith("KeyboardInterrupt")


def test_importing_tarefa_imports_no_pool():
    ran = script(
        """
        import sys, tarefa
        print([name for name in sys.modules if "_pool" in name])
        """
    )
    assert ran.stdout.strip() == "[]"


def test_its_words(pool):
    assert repr(pool).startswith("<tarefa.Pool 'Pool-")
    assert repr(pool).endswith(", open>")
    assert os.getpid() == pool.submit(os.getpid).result() or pool.kind == "process"


def test_a_pool_of_the_script_is_refused_where_a_task_names_it():
    done = script("""
        import tarefa

        pool = tarefa.Pool(1)

        def f():
            return pool.submit(int).result()

        try:
            tarefa.Process(target=f).start()
        except tarefa.NotPicklable as e:
            print(e)
        pool.close()
    """)
    assert "Pool 'pool' of __main__, which 'f' uses, cannot be sent" in done.stdout
    assert "make a pool there, or submit what is to be done from here" in done.stdout
    assert "lock" not in done.stdout
