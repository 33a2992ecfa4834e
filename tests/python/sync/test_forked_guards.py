"""A `with` that a fork has copied: in the child it lets nothing go that it has not taken itself."""

import pytest
from support import run_script

GUARDS = {
    "Lock": "lock = tarefa.Lock(); guard, held = lock, lock.locked",
    "RLock": "lock = tarefa.RLock(); guard, held = lock, lock.locked",
    "Condition": "lock = tarefa.Condition(); guard, held = lock, lock.locked",
    "RWLock.write": "lock = tarefa.RWLock(); guard, held = lock.write(), lock.locked",
    "RWLock.read": "lock = tarefa.RWLock(); guard, held = lock.read(), lock.locked",
    "ObjectLock": "lock = tarefa.List().lock(); guard, held = lock, lock.locked",
    "Value": "lock = tarefa.Value('i').get_lock(); guard, held = lock, lock.locked",
    "Semaphore": "lock = tarefa.Semaphore(1); guard, held = lock, lambda: not lock.get_value()",
    "BoundedSemaphore": (
        "lock = tarefa.BoundedSemaphore(1); guard, held = lock, lambda: not lock.get_value()"
    ),
}


@pytest.mark.parametrize("inside", [False, True], ids=["program", "task"])
@pytest.mark.parametrize("kind", GUARDS)
def test_a_forked_childs_guard_leaves_its_parents_lock(kind, inside):
    run_script(
        f"""
import os, tarefa

def act():
    {GUARDS[kind]}
    try:
        with guard:
            pid = os.fork()
            if not pid:
                raise LookupError
            assert os.waitpid(pid, 0)[1] == 0
            assert held()
    except LookupError:
        os._exit(0 if held() else 1)
    assert not held()

if {inside}:
    tarefa.Process(target=act).start().result()
else:
    act()
"""
    )


@pytest.mark.parametrize("kind", GUARDS)
def test_a_forked_childs_guard_leaves_the_lock_of_others_and_lets_its_own_go(kind):
    run_script(
        f"""
import os, tarefa
{GUARDS[kind]}
free, taken = tarefa.Event(), tarefa.Event()
try:
    with guard:
        pid = os.fork()
        if not pid:
            free.wait()
            # Nobody holds it, and it is taken once more, and let go.
            with guard:
                assert held()
            assert not held()
            raise LookupError
except LookupError:
    os._exit(0 if not held() else 1)
free.set()
assert os.waitpid(pid, 0)[1] == 0
with guard:
    assert held()
assert not held()
"""
    )


def test_a_forked_childs_guard_leaves_a_lock_that_another_process_has_by_then():
    run_script(
        """
import os, tarefa

lock, taken, done = tarefa.Lock(), tarefa.Event(), tarefa.Event()

def other():
    with lock:
        taken.set()
        done.wait()

try:
    with lock:
        pid = os.fork()
        if not pid:
            taken.wait()
            raise LookupError
except LookupError:
    os._exit(0 if lock.locked() else 1)
task = tarefa.Process(target=other).start()
assert os.waitpid(pid, 0)[1] == 0
assert lock.locked()
done.set()
task.result()
assert not lock.locked()
"""
    )
