"""A program that forks and ends goes on as the child: it becomes the root."""

import time

from support import eventually, run_script

DAEMON = """
import os, pickle, sys, tarefa, time

def die(lock):
    lock.acquire()
    os.kill(os.getpid(), 9)

def become_daemon():
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    while os.getppid() != 1 and open(f"/proc/{os.getppid()}/stat").read().split()[2] != "S":
        time.sleep(0.01)
    time.sleep(0.3)

def tell(act):
    try:
        text = repr(act())
    except BaseException as e:
        import traceback
        text = traceback.format_exc()
    with open(sys.argv[1] + ".new", "w") as f:
        f.write(text)
    os.rename(sys.argv[1] + ".new", sys.argv[1])
"""


def daemon(tmp_path, source):
    told = tmp_path / "told"
    run_script(DAEMON + source, told, code=None)
    eventually(told.exists)
    time.sleep(0.2)
    return told.read_text()


def test_objects_locks_deaths_and_processes_go_on(tmp_path):
    text = daemon(
        tmp_path,
        """
lock, l = tarefa.Lock(), tarefa.List([1])
become_daemon()

def act():
    found = [tarefa.Process(target=lambda: len(l)).start().result()]
    tarefa.Process(target=die, args=(lock,)).start().join()
    try:
        lock.acquire(timeout=20)
    except tarefa.OwnerDied:
        found.append("told")
    l.append(2)
    tasks = [tarefa.Process(target=list, args=(l,)).start() for _ in range(9)]
    found += [task.result() for task in tasks]
    return found == [1, "told", *[[1, 2]] * 9] or found

tell(act)
""",
    )
    assert text == "True"


def test_tasks_of_before_end_and_addresses_lead_nowhere(tmp_path):
    text = daemon(
        tmp_path,
        """
import subprocess
l = tarefa.List([1])
t = tarefa.Process(target=time.sleep, args=(1000,), daemon=True).start()
address = pickle.dumps(l)
become_daemon()

def foreign(data):
    code = "import pickle, sys, tarefa\\ntry: print(len(pickle.loads(sys.stdin.buffer.read())))\\n"
    code += "except tarefa.HandleGone: print('gone')"
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True)
    return done.stdout.decode().strip() or done.stderr.decode()

def act():
    l.append(2)
    now = foreign(pickle.dumps(l))
    before = foreign(address)
    end = time.monotonic() + 20
    while os.path.exists(f"/proc/{t.pid}") and time.monotonic() < end:
        time.sleep(0.01)
    return now, before, os.path.exists(f"/proc/{t.pid}")

tell(act)
""",
    )
    assert text == "('2', 'gone', False)"


def test_others_follow_the_first(tmp_path):
    text = daemon(
        tmp_path,
        """
l, lock, held = tarefa.List(), tarefa.Lock(), tarefa.Event()

def follow():
    held.wait()
    try:
        lock.acquire(timeout=20)
    except tarefa.OwnerDied:
        return "told", tarefa.Process(target=lambda: 7).start().result()

root = os.getpid()
for i in range(2):
    if not os.fork():
        # A member of before, which hears of the root's end as it goes on.
        l.append(os.getpid())
        while os.getppid() == root:
            time.sleep(0.01)
        if i:
            tell(follow)
        else:
            tarefa.Process(target=int).start().result()
            lock.acquire()
            held.set()
            time.sleep(1)
        os._exit(0)
while len(l) < 2:
    time.sleep(0.01)
os._exit(0)
""",
    )
    assert text == "('told', 7)"


def test_at_once_and_again(tmp_path):
    # It does not wait for anything of the old root's, and becomes a daemon once more.
    text = daemon(
        tmp_path,
        """
def leave():
    parent = os.getpid()
    if os.fork():
        os._exit(0)
    os.setsid()
    while os.getppid() == parent:
        pass

l = tarefa.List()
tarefa.Process(target=l.append, args=(0,)).start().join()

def act():
    for i in range(1, 4):
        leave()
        tarefa.Process(target=l.append, args=(i,)).start().result()
    return list(l)

leave()
tell(act)
""",
    )
    assert text == "[0, 1, 2, 3]"


def test_a_wait_that_began_under_the_old_root(tmp_path):
    text = daemon(
        tmp_path,
        """
ready = tarefa.Event()
parent = os.getpid()
if os.fork():
    ready.wait()
    os._exit(0)
os.setsid()

def act():
    t = tarefa.Process(target=time.sleep, args=(1000,)).start()
    ready.set()
    # How it ended nobody knows: its zygote is gone, too.
    t.join()
    return t.is_alive(), tarefa.Process(target=lambda: 7).start().result()

tell(act)
""",
    )
    assert text == "(False, 7)"


def test_many_at_once(tmp_path):
    text = daemon(
        tmp_path,
        """
l, n = tarefa.List(), 6
tarefa.Process(target=int).start().join()
parent = os.getpid()
for i in range(n):
    if not os.fork():
        l.append(-1)
        while os.getppid() == parent:
            pass
        got = [tarefa.Process(target=lambda: i).start().result() for _ in range(3)]
        l.append(got == [i] * 3)
        if i:
            time.sleep(0.1)
            while sum(x is True for x in l) < n:
                time.sleep(0.01)
            os._exit(0)
        tell(lambda: l.count(True) if eventually(lambda: l.count(True) == n) else list(l))
        os._exit(0)

while len(l) < n:
    time.sleep(0.01)
os._exit(0)
""".replace(
            "parent =",
            """
def eventually(condition):
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()

parent =""",
        ),
    )
    assert text == "6"


def test_a_fork_that_uses_nothing_leaves_nothing(tmp_path):
    text = daemon(
        tmp_path,
        """
tarefa.Process(target=int).start().join()
become_daemon()
tell(lambda: 3)
""",
    )
    assert text == "3"
