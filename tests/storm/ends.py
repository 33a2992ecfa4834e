"""`kill()` and `terminate()` end a task in whatever state it is, while the machine is busy.

usage: ends.py [--seed N] [--seconds S] [--tasks N] [--load N]

Other programs keep the processors busy. Tasks are started and told to end at random moments, by
this thread, by another one or by a task: while their processes are being made, while they compute,
sleep, wait for a lock, a queue or a semaphore, append large tuples to a list, start tasks of their
own, block all signals, are stopped, end of themselves. After each:

- it has ended before the watchdog's time is over, whoever is late;
- it says so: a task that was killed is `KILLED`, and who asks is told of a death;
- the shared objects can be used, and at the end nothing is left.

The same seed gives the same choices; when they fall is up to the machine.
"""

import argparse
import faulthandler
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import tarefa

# Within so long a task that was told to end has ended, on a machine that has several times as much
# to do as it can: the time of `terminate()` until it kills is two seconds of that.
HANG = 60.0


def compute(_):
    while True:
        sum(range(1000))


def sleeps(_):
    time.sleep(1000)


def appends(shared):
    dice = random.Random(os.getpid())
    while True:
        shared["list"].append((os.getpid(), "x" * dice.randrange(3000)))
        if len(shared["list"]) > 500:
            del shared["list"][:400]


def waits_for_a_lock(shared):
    while True:
        try:
            with shared["lock"]:
                time.sleep(dice_of_process().expovariate(1000))
        except tarefa.OwnerDied:
            pass


def waits_for_a_permit(shared):
    while True:
        with shared["semaphore"]:
            time.sleep(dice_of_process().expovariate(1000))


def waits_for_items(shared):
    while True:
        shared["queue"].put((os.getpid(), "y" * 100), timeout=1000)
        shared["queue"].get(timeout=1000)


def starts_others(_):
    while True:
        tarefa.Process(target=int).start().join()


def blocks_signals(_):
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    time.sleep(1000)


def does_not_end_soon(_):
    try:
        time.sleep(1000)
    finally:
        time.sleep(1000)


def is_stopped(_):
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(1000)


def ends_itself(_):
    time.sleep(dice_of_process().expovariate(1000))


def dice_of_process():
    return random.Random(time.monotonic_ns())


WORK = [
    compute,
    sleeps,
    appends,
    appends,
    appends,
    waits_for_a_lock,
    waits_for_a_permit,
    waits_for_items,
    starts_others,
    blocks_signals,
    does_not_end_soon,
    is_stopped,
    ends_itself,
]


def ends_others(orders):
    """In a task: end what this program's other tasks are told to."""
    while True:
        task, how = orders.get()
        getattr(task, how)()


def busy(count):
    spin = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: sum(range(100_000))"
    return [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(count)]


def of_process(pid):
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "there is no such process"
    wanted = ("State", "PPid", "SigPnd", "ShdPnd", "SigBlk")
    return "; ".join(line for line in status.splitlines() if line.startswith(wanted))


class Storm:
    def __init__(self, options):
        self.options, self.dice = options, random.Random(options.seed)
        self.shared = {
            "list": tarefa.List(),
            "lock": tarefa.Lock(),
            "semaphore": tarefa.Semaphore(2),
            "queue": tarefa.Queue(3),
        }
        self.orders = tarefa.Queue()
        self.ended, self.longest = {}, (0.0, "")

    def one(self, dice):
        """Start a task and have it end; false if it does not."""
        work = dice.choice(WORK)
        how = dice.choice(["kill", "terminate"])
        by = dice.choice(["this thread", "another thread", "a task"])
        pause = dice.choice([0, dice.expovariate(1 / 0.002), dice.expovariate(1 / 0.05)])
        task = tarefa.Process(target=work, args=(self.shared,), name=f"{work.__name__}-{how}")
        if by == "another thread":
            # Perhaps while it is being made.
            ender = threading.Thread(target=self.end_once_started, args=(task, how, pause))
            ender.start()
            task.start()
            ender.join()
        else:
            task.start()
            time.sleep(pause)
            if by == "a task":
                self.orders.put((task, how))
            else:
                getattr(task, how)()
        began = time.monotonic()
        task.join(HANG)
        took = time.monotonic() - began
        if task.is_alive():
            print(
                f"ends: FAILED: {task!r}, which {by} was to {how} after {pause:.4f} s, lives "
                f"{took:.0f} s later; its process {task.pid}: {of_process(task.pid)}; "
                f"{tarefa._engine.diagnostics()}",
                file=sys.stderr,
            )
            return False
        key = f"{work.__name__}, {how}"
        self.ended[key] = self.ended.get(key, 0) + 1
        self.longest = max(self.longest, (took, f"{key} by {by}"))
        return True

    def end_once_started(self, task, how, pause):
        while task.state == tarefa.State.NEW:
            time.sleep(0)
        time.sleep(pause)
        getattr(task, how)()

    def rage(self):
        end = time.monotonic() + self.options.seconds
        failed = []

        def go_on(seed):
            dice = random.Random(seed)
            while time.monotonic() < end and not failed:
                if not self.one(dice):
                    failed.append(seed)

        seeds = [self.dice.getrandbits(64) for _ in range(self.options.tasks)]
        ender = tarefa.Process(target=ends_others, args=(self.orders,), daemon=True).start()
        threads = [threading.Thread(target=go_on, args=(seed,)) for seed in seeds]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            # Where all threads are stuck, it prints their stacks.
            faulthandler.dump_traceback_later(3 * HANG, exit=True)
            for thread in threads:
                thread.join(1.0)
        ender.kill()
        ender.join()
        return not failed

    def use_all(self):
        self.shared["list"].append(1)
        self.shared["list"].clear()
        try:
            self.shared["lock"].acquire()
        except tarefa.OwnerDied:
            self.shared["lock"].acquire()
        self.shared["lock"].release()
        for _ in range(2):
            if not self.shared["semaphore"].acquire(timeout=HANG):
                return "a permit did not come back"
        self.shared["semaphore"].release(2)
        self.shared["queue"].put_nowait(1) if not self.shared["queue"].full() else None
        self.shared["queue"].get(timeout=HANG)
        return None


def main():
    parser = argparse.ArgumentParser(description="End tasks in any state, on a busy machine.")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--tasks", type=int, default=6, help="how many at once")
    parser.add_argument("--load", type=int, default=2 * (os.cpu_count() or 1), help="busy programs")
    options = parser.parse_args()
    print(
        f"ends: seed {options.seed}, {options.seconds:g} s, {options.tasks} tasks at once beside "
        f"{options.load} busy programs, Python {sys.version.split()[0]}",
        flush=True,
    )
    tarefa.configure(spares=2)
    tarefa.Process(target=int).start().join()
    others = busy(options.load)
    try:
        storm = Storm(options)
        fine = storm.rage()
        wrong = storm.use_all() if fine else "a task did not end"
    finally:
        for other in others:
            other.kill()
            other.wait()
    if wrong is None:
        deadline = time.monotonic() + HANG
        while tarefa._engine.diagnostics()["task_processes"] and time.monotonic() < deadline:
            time.sleep(0.01)
        left = tarefa._engine.diagnostics()["task_processes"]
        wrong = f"{left} processes of tasks are left" if left else None
    if wrong is not None:
        print(
            f"ends: FAILED: {wrong}\nagain with: ends.py --seed {options.seed} "
            f"--seconds {options.seconds:g}",
            file=sys.stderr,
        )
        return 1
    took, which = storm.longest
    print(
        f"ends: {sum(storm.ended.values())} tasks have ended, in {len(storm.ended)} ways; the "
        f"longest took {took:.2f} s ({which})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
