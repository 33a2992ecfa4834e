"""Tasks have the user, groups, capabilities and root folder of their starter as it starts them."""

import os

import pytest
from support import run_script

pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="it changes its user, as root alone may"),
    pytest.mark.once("who a process is, the engine asks of the system"),
]

LOOK = """
    import os, tarefa, time

    def look():
        return os.getresuid(), os.getresgid(), os.getgroups()
"""


def test_dropped_after_the_first_process():
    run_script(
        LOOK
        + """
    t = tarefa.Process(target=time.sleep, args=(1000,), daemon=True).start()
    os.setgroups([7, 8]); os.setgid(65534); os.setuid(65534)
    for _ in range(12):
        assert tarefa.Process(target=look).start().result() == look()
    for act in (t.kill, t.terminate, t.interrupt):
        try:
            act()
        except PermissionError as e:
            assert str(t.pid) in str(e), e
        else:
            raise AssertionError("no error")
    assert t.is_alive()
    """
    )


def test_helpers_lower_themselves_for_good():
    run_script(
        LOOK
        + """
    tarefa.Process(target=int).start().join()
    os.setgid(65534); os.setuid(65533)
    tarefa.Process(target=int).start().join()

    def users():
        zygote = tarefa._engine.diagnostics()["zygote_pid"]
        text = open(f"/proc/{zygote}/status").read()
        return [line.split()[1:4] for line in text.splitlines() if line[:4] in ("Uid:", "Gid:")]

    while users() != [["65533"] * 3, ["65534"] * 3]:
        time.sleep(0.01)
    """
    )


def test_after_seteuid_only_the_new_child_changes():
    run_script(
        LOOK
        + """
    tarefa.Process(target=int).start().join()
    os.setegid(65534); os.seteuid(65534)
    assert tarefa.Process(target=look).start().result() == look()
    os.seteuid(0); os.setegid(0)
    t = tarefa.Process(target=time.sleep, args=(1000,)).start()
    assert tarefa.Process(target=look).start().result() == look()
    zygote = tarefa._engine.diagnostics()["zygote_pid"]
    assert "Uid:\\t0\\t0\\t0" in open(f"/proc/{zygote}/status").read()
    t.kill(); t.join()
    assert not t.is_alive()
    """
    )


def test_before_the_first_process():
    # Where the new user may execute the interpreter, and read its library.
    run_script(
        LOOK
        + """
    tarefa.List([1])
    os.setgid(65534); os.setuid(65534)
    try:
        got = tarefa.Process(target=look).start().result()
    except (tarefa.StartError, ImportError):
        pass
    else:
        assert got == look()
    """
    )


def test_capabilities_and_no_new_privileges_of_the_calling_thread():
    run_script(
        """
    import ctypes, tarefa

    libc = ctypes.CDLL(None, use_errno=True)

    def status():
        wanted = ("CapPrm", "CapEff", "CapInh", "NoNewPrivs")
        lines = open("/proc/thread-self/status").read().splitlines()
        return [line for line in lines if line.split(":")[0] in wanted]

    tarefa.Process(target=int).start().join()
    before = status()
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, data) == 0
    data[0] &= ~(1 << 21)  # CAP_SYS_ADMIN, effective and permitted
    data[1] &= ~(1 << 21)
    assert libc.capset(header, data) == 0
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert status() != before
    for _ in range(3):
        assert tarefa.Process(target=status).start().result() == status()
    """
    )


def test_root_folder(tmp_path):
    (tmp_path / "inside").touch()
    run_script(
        """
    import os, sys, tarefa

    def look():
        return os.path.exists("/inside"), os.getcwd()

    assert tarefa.Process(target=look).start().result()[0] is False
    os.chroot(sys.argv[1]); os.chdir("/")
    for _ in range(3):
        assert tarefa.Process(target=look).start().result() == (True, "/")
    """,
        tmp_path,
    )


def test_a_root_that_nobody_may_look_at():
    run_script(
        """
    import ctypes, tarefa

    assert ctypes.CDLL(None).prctl(4, 0, 0, 0, 0) == 0  # PR_SET_DUMPABLE
    l = tarefa.List([1])
    assert tarefa.Process(target=lambda: len(l)).start().result() == 1
    """
    )


CHANGES = {
    "supplementary groups": "os.setgroups([7, 8])",
    "groups, real and effective": "os.setregid(7, 8)",
    "the group, and then the user": "os.setgid(65534); os.setuid(65534)",
    "the user alone": "os.setuid(65534)",
    "all but the saved user": "os.setresgid(7, 7, 0); os.setresuid(9, 9, 0)",
    "real and effective user": "os.setreuid(0, 65534)",
    "to and fro": "os.seteuid(65534); os.seteuid(0); os.setegid(7); os.setegid(0)",
    "many groups": "os.setgroups(range(1, 200))",
}


@pytest.mark.parametrize("spares", [0, 2])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_tasks_are_what_the_program_is_by_then(change, spares):
    run_script(
        LOOK
        + f"""
    tarefa.configure(spares={spares})
    tarefa.Process(target=int).start().join()
    {change}
    for _ in range(6):
        assert tarefa.Process(target=look).start().result() == look()
    time.sleep(0.2)
    for _ in range(6):
        assert tarefa.Process(target=look).start().result() == look()
    nested = tarefa.Process(target=lambda: tarefa.Process(target=look).start().result())
    assert nested.start().result() == look()
    """
    )


def test_a_thread_that_is_another_user_starts_tasks_as_that_one():
    run_script(
        LOOK
        + """
    import ctypes, threading

    def other():
        # setresuid, of the thread alone.
        number = {"x86_64": 117, "aarch64": 147}[os.uname().machine]
        assert ctypes.CDLL(None).syscall(number, 9, 9, 9) == 0
        assert tarefa.Process(target=look).start().result()[0] == (9, 9, 9)
        done.set()

    tarefa.Process(target=int).start().join()
    done = threading.Event()
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert done.is_set()
    for _ in range(3):
        assert tarefa.Process(target=look).start().result()[0] == (0, 0, 0)
    """
    )


def test_capabilities_that_all_threads_have_dropped_are_the_helpers_loss_too():
    run_script(
        """
    import ctypes, tarefa, time

    def drop():
        libc = ctypes.CDLL(None, use_errno=True)
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        data = (ctypes.c_uint32 * 6)()
        assert libc.capget(header, data) == 0
        for i in range(2):
            data[i] &= ~(1 << 21)  # CAP_SYS_ADMIN, effective and permitted
        assert libc.capset(header, data) == 0

    def permitted(of):
        lines = open(f"/proc/{of}/status").read().splitlines()
        return [line for line in lines if line.startswith("CapPrm")]

    tarefa.Process(target=int).start().join()
    drop()
    assert tarefa.Process(target=permitted, args=("self",)).start().result() == permitted("self")
    zygote = tarefa._engine.diagnostics()["zygote_pid"]
    while permitted(zygote) != permitted("self"):
        time.sleep(0.01)
    import os
    threads = os.listdir("/proc/self/task")
    while any(permitted(f"self/task/{t}") != permitted("self") for t in threads):
        time.sleep(0.01)
    """
    )


def test_root_folder_and_user(tmp_path):
    (tmp_path / "inside").touch()
    tmp_path.chmod(0o755)
    run_script(
        """
    import os, sys, tarefa

    def look():
        return os.path.exists("/inside"), os.path.exists("/proc"), os.getresuid(), os.getgroups()

    def fails():
        raise LookupError(look())

    # With the first process the program has loaded what it needs of tarefa, also for failures.
    assert tarefa.Process(target=look).start().result()[0] is False
    import logging  # which starts look at from now on
    logging.getLogger("of the program").setLevel(logging.INFO)
    os.chroot(sys.argv[1]); os.chdir("/")
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
    for _ in range(12):
        assert tarefa.Process(target=look).start().result() == look()
    assert look() == (True, False, (65534,) * 3, [])
    try:
        tarefa.Process(target=fails).start().result()
    except LookupError as e:
        assert e.args == (look(),)
    total = 3
    assert tarefa.Process(target=lambda: total + 4).start().result() == 7
    t = tarefa.Process(target=os.abort).start()
    t.join()
    assert t.exitcode == -6
    """,
        tmp_path,
    )


def test_tasks_of_before_and_after_share_objects():
    run_script(
        LOOK
        + """
    def work(items, lock, go):
        go.wait()
        for _ in range(200):
            with lock:
                items.append((os.getuid(), b"x" * 2000))

    items, lock, go = tarefa.List(), tarefa.Lock(), tarefa.Event()
    tasks = [tarefa.Process(target=work, args=(items, lock, go)).start() for _ in range(2)]
    os.setgid(65534); os.setuid(65534)
    tasks += [tarefa.Process(target=work, args=(items, lock, go)).start() for _ in range(2)]
    go.set()
    for task in tasks:
        task.result()
    users = [user for user, _ in items]
    assert users.count(0) == users.count(65534) == 400
    """
    )


def test_a_task_of_before_that_starts_one_is_refused():
    run_script(
        LOOK
        + """
    def later(go):
        go.wait()
        try:
            return tarefa.Process(target=look).start().result()
        except tarefa.StartError as e:
            return str(e)

    go = tarefa.Event()
    early = tarefa.Process(target=later, args=(go,)).start()
    os.setgid(65534); os.setuid(65534)
    tarefa.Process(target=int).start().join()
    # Until the zygote has given up what it had.
    zygote = tarefa._engine.diagnostics()["zygote_pid"]
    while "\\nUid:\\t65534\\t65534" not in open(f"/proc/{zygote}/status").read():
        time.sleep(0.01)
    go.set()
    text = early.result()
    # The helpers have given up what it has.
    assert "user, groups" in text and "permitted" in text.lower(), text
    """
    )


def test_without_a_zygote_that_may_be_executed_the_start_says_so():
    run_script(
        LOOK
        + """
    tarefa.Process(target=int).start().join()
    os.setgid(65534); os.setuid(65534)
    assert tarefa.Process(target=look).start().result() == look()
    # It is the same user's by now.
    while True:
        try:
            os.kill(tarefa._engine.diagnostics()["zygote_pid"], 9)
            break
        except PermissionError:
            time.sleep(0.01)
    time.sleep(0.3)
    try:
        assert tarefa.Process(target=look).start().result() == look()
    except (tarefa.StartError, ImportError):
        pass
    """,
    )


def test_what_may_not_be_killed_is_told_and_ends_with_the_program():
    done = run_script(
        LOOK
        + """
    def linger():
        t = tarefa.Process(target=time.sleep, args=(1000,), name="grandchild").start()
        got.append(t.pid)
        go.wait()
        os.kill(os.getpid(), 9)

    got, go = tarefa.List(), tarefa.Event()
    starter = tarefa.Process(target=linger).start()
    long = tarefa.Process(target=time.sleep, args=(1000,), name="long", time_limit=1.5)
    long.daemon = True
    long.start()
    while not got:
        time.sleep(0.01)
    os.setgid(65534); os.setuid(65534)
    go.set()
    starter.join()
    time.sleep(5)
    assert long.is_alive()
    """
    )
    for name in ("grandchild", "long"):
        assert f"process '{name}'" in done.stderr or f'process "{name}"' in done.stderr, done.stderr


@pytest.mark.parametrize("ends", ["time_limit", "kill"])
def test_the_end_of_the_program_does_not_wait_for_what_may_not_be_ended(ends):
    done = run_script(
        LOOK
        + f"""
    def linger():
        while True:
            time.sleep(0.1)

    limit = 0.5 if {ends!r} == "time_limit" else None
    task = tarefa.Process(target=linger, name="long", time_limit=limit).start()
    os.setgid(65534); os.setuid(65534)
    if limit is None:
        try: task.kill()
        except PermissionError: pass
        else: raise AssertionError("it was killed")
    """
    )
    assert "process 'long'" in done.stderr
    assert "does not wait for it any longer" in done.stderr
