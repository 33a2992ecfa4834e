"""What the tests of everything that locks need: owners that are killed, and targets."""

import threading

from support import eventually

import tarefa


def hold(lock, ready, go=None):
    """Acquire, say so, and hold until `go`, or for ever."""
    lock.acquire()
    ready.set()
    if go is None:
        threading.Event().wait()
    go.wait()
    lock.release()


def take(lock, timeout=-1):
    """What becomes of an attempt: "got", "timeout" or "owner died"."""
    try:
        if not lock.acquire(timeout=timeout):
            return "timeout"
    except tarefa.OwnerDied:
        return "owner died"
    lock.release()
    return "got"


def killed_owner(lock):
    """A process that was killed while it held `lock`."""
    ready = tarefa.Event()
    task = tarefa.Process(target=hold, args=(lock, ready)).start()
    ready.wait()
    task.kill()
    task.join()
    return task


def sleeping(*tasks):
    """Wait until the tasks, started just now, wait for something of tarefa's."""
    for task in tasks:
        eventually(lambda task=task: not task.is_alive() or task.context().waits_in == "tarefa")
        assert task.is_alive(), task.exception()
