"""A program ends as it should, whatever its daemon threads are doing at that moment.

Up to 3.13 the interpreter ends such threads with ``pthread_exit``, and that aborts a program in
which it comes by a frame of ours.
"""

import pytest
from support import run_script

PROGRAM = """
import sys, threading, time, tarefa

class Plain:
    pass

words, names, number = tarefa.List(range(100)), tarefa.Dict(), tarefa.Value("i")
lock, free, event, queue = tarefa.Lock(), tarefa.Lock(), tarefa.Event(), tarefa.Queue()
lock.acquire()

def pickles():
    words.append(Plain())
    words.pop()
    names["a"] = [1, Plain()]
    names["a"]
    number.add(1)

def waits():
    lock.acquire(timeout=0.0001)
    event.wait(0.0001)
    tarefa.select([queue], 0.0001)

def contends():
    with free:
        pass

def started():
    thread = tarefa.Thread(target=int, daemon=True)
    try:
        return thread.start()
    except RuntimeError as e:  # 3.12 on: none is started any more
        assert "shutdown" in str(e.__cause__ or e)
        time.sleep(100)

def starts():
    started().result()

def sends():
    queue.put(Plain())
    queue.get()

def callback():
    thread = started()
    thread.add_done_callback(lambda task: task.result())
    thread.join()

rounds = 0

def again():
    global rounds
    act = globals()[sys.argv[1]]
    while True:
        act()
        rounds += 1

kind = tarefa.Thread if sys.argv[2] == "tarefa" else threading.Thread
for _ in range(3):
    kind(target=again, daemon=True).start()
while rounds < 20:
    time.sleep(0.001)
print("the end")
"""


@pytest.mark.parametrize("kind", ["tarefa", "threading"])
@pytest.mark.parametrize("act", ["pickles", "waits", "contends", "starts", "sends", "callback"])
def test_daemon_threads_at_the_end(act, kind):
    done = run_script(PROGRAM, act, kind)
    assert (done.stdout, done.stderr) == ("the end\n", "")


def test_nobody_waits_for_the_thread_of_a_descriptor():
    """It may be kept where it is with a lock that closing the descriptor takes."""
    done = run_script("""
        import threading, tarefa

        queue = tarefa.Queue()
        assert queue.fileno() >= 0
        # A thread that is gone has it, as one has that stays where it is.
        thread = threading.Thread(target=queue._descriptor._shown.lock.acquire)
        thread.start()
        thread.join()
        print("the end")
    """)
    assert (done.stdout, done.stderr) == ("the end\n", "")


def test_imported_at_the_end():
    done = run_script("""
        import atexit

        @atexit.register
        def late():
            import tarefa
            print(list(tarefa.List([1])))
    """)
    assert (done.stdout, done.stderr) == ("[1]\n", "")
