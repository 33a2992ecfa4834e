"""Kill members at random and see that nothing is lost.

usage: storm.py [--seed N] [--seconds S] [--tasks N] [--keep-zygote]

Several processes append unique numbers to shared lists, and only after an append has returned write
the number into a file of their own: what is in a file is acknowledged. They also take a lock, set
events and churn memory. Meanwhile this process kills them with SIGKILL at random moments (the
zygote too, now and then) and starts others in their place. At the end:

- every acknowledged number is in its list exactly once, and no number stands there twice;
- a shared dict counts each acknowledged addition, and has each key once;
- numbers of one task stand in the order in which it appended them;
- a value and an item of an array are the sum of all acknowledged additions, and of one more for
  each death at most; items that are written under the array's lock are equal, or its owner died;
- semaphore, condition, barrier and read-write lock are as if nobody had used them;
- the locks can be taken, with no more `OwnerDied` in all than there were deaths;
- the events still work, nothing hung (a watchdog prints all stacks), and shared objects, slots,
  processes, descriptors and memory are back where they were at the start.

The same seed gives the same choices; when they fall is up to the machine.
"""

import argparse
import faulthandler
import gc
import os
import random
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import tarefa

LISTS, LOCKS = 3, 2
NUMBER = struct.Struct("<BQ")
OWNER_DIED, COUNTED, ADDED, ADDED_TO_ITEM = 255, 254, 253, 252
HANG = 60.0
SLACK = 2 << 20  # each size of small blocks keeps a slab


def work(identity, seed, lists, locks, counters, scratch, table, numbers, gates, event, stop, path):
    """One member of the storm: goes on until `stop`, or until it is killed."""
    import os
    import random
    import struct

    import tarefa

    number = struct.Struct("<BQ")
    dice = random.Random(seed)
    journal = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    count = 0

    def acknowledge(which, value):
        os.write(journal, number.pack(which, value))

    mine = {}
    total, items = numbers
    while not stop.is_set():
        if dice.random() < 0.3:
            # Keys of one's own, and a count that all add to.
            key = (identity, dice.randrange(40))
            if dice.random() < 0.6:
                mine[key] = dice.choice([dice.random(), "x" * dice.randrange(300)])
                table[key] = mine[key]
                if dice.random() < 0.5:
                    table.update({key: mine[key], ("any", key[1]): identity})
            else:
                mine.pop(key, None)
                table.pop(key, None)
            if table.get(key) != mine.get(key):
                raise AssertionError(f"{key}: {table.get(key)!r}, not {mine.get(key)!r}")
            table.add("count")
            acknowledge(254, 0)
            continue
        if dice.random() < 0.1:
            total.add(1)
            acknowledge(253, 0)
            items.add(0, 1)
            acknowledge(252, 0)
            try:
                with items.get_lock():
                    items[1] = items[2] = items[1] + 1
            except tarefa.OwnerDied:
                acknowledge(255, 9)
            made = tarefa.Array("d", dice.randrange(10_000))
            made[:3] = range(len(made[:3]))
            continue
        if dice.random() < 0.2:
            # What has waiters: all but the condition's and the barrier's wait without end.
            gate = dice.choice(("semaphore", "rwlock", "barrier", "condition"))
            try:
                if gate == "semaphore":
                    with gates["semaphore"]:
                        pass
                elif gate == "rwlock":
                    with dice.choice([gates["rwlock"].read, gates["rwlock"].write])():
                        pass
                elif gate == "barrier":
                    gates["barrier"].wait(0.002)
                else:
                    with gates["condition"]:
                        gates["condition"].notify(2)
                        gates["condition"].wait(0.002)
            except tarefa.BrokenBarrierError:
                gates["barrier"].reset()
            except tarefa.OwnerDied:
                pass
            continue
        choice = dice.random()
        which = dice.randrange(len(lists))
        value = identity << 32 | count
        if choice < 0.55:
            count += 1
            lists[which].append(value)
            acknowledge(which, value)
        elif choice < 0.65:
            several = [value + step for step in range(3)]
            count += 3
            lists[which].extend(several)
            for one in several:
                acknowledge(which, one)
        elif choice < 0.80:
            which = dice.randrange(len(locks))
            try:
                with locks[which]:
                    counters[which] = counters[which] + 1
            except tarefa.OwnerDied:
                acknowledge(255, which)
        elif choice < 0.90:
            scratch.append(bytes(dice.randrange(20_000)))
            if len(scratch) > 50:
                del scratch[dice.randrange(40) :]
        elif choice < 0.95:
            inner = tarefa.List([tarefa.Lock(), value])
            try:
                scratch[dice.randrange(10)] = inner
            except IndexError:
                scratch.insert(0, inner)
        elif choice < 0.97:
            event.set()
            event.clear()
        else:
            event.wait(0.001)


class Storm:
    def __init__(self, options, folder):
        self.dice = random.Random(options.seed)
        self.options, self.folder = options, Path(folder)
        self.lists = [tarefa.List() for _ in range(LISTS)]
        self.locks = [tarefa.Lock() for _ in range(LOCKS)]
        self.counters, self.scratch = tarefa.List([0] * LOCKS), tarefa.List()
        self.table = tarefa.Dict(count=0)
        self.total, self.items = tarefa.Value("q"), tarefa.Array("q", 3)
        self.added = Counter()
        self.gates = {
            "semaphore": tarefa.BoundedSemaphore(2),
            "rwlock": tarefa.RWLock(),
            "barrier": tarefa.Barrier(2),
            "condition": tarefa.Condition(),
        }
        self.event, self.stop = tarefa.Event(), tarefa.Event()
        self.started = self.deaths = self.zygote_deaths = self.told = 0

    def start(self):
        identity = self.started
        self.started += 1
        arguments = (
            identity,
            self.dice.getrandbits(64),
            self.lists,
            self.locks,
            self.counters,
            self.scratch,
            self.table,
            (self.total, self.items),
            self.gates,
            self.event,
            self.stop,
            str(self.folder / str(identity)),
        )
        return tarefa.Process(target=work, args=arguments, name=f"storm-{identity}").start()

    def rage(self):
        tasks = [self.start() for _ in range(self.options.tasks)]
        end = time.monotonic() + self.options.seconds
        while time.monotonic() < end:
            faulthandler.dump_traceback_later(HANG, exit=True)
            time.sleep(self.dice.expovariate(1 / 0.02))
            victims = self.dice.sample(range(len(tasks)), self.dice.choice([1, 1, 1, len(tasks)]))
            for victim in victims:
                tasks[victim].kill()
            for victim in victims:
                tasks[victim].join()
                expect(tasks[victim].state is tarefa.State.KILLED, f"{tasks[victim]!r} was killed")
                self.deaths += 1
            if not self.options.keep_zygote and self.dice.random() < 0.02:
                self.kill_zygote()
            for victim in victims:
                tasks[victim] = self.start()
        faulthandler.dump_traceback_later(HANG, exit=True)
        self.stop.set()
        for task in tasks:
            task.result()

    def kill_zygote(self):
        zygote = tarefa._engine.diagnostics()["zygote_pid"]
        if zygote is not None:
            os.kill(zygote, signal.SIGKILL)
            self.zygote_deaths += 1

    def acknowledged(self):
        """What the members wrote down.

        For each list its numbers; and how many deaths of owners were told.
        """
        numbers = [set() for _ in self.lists]
        for path in self.folder.iterdir():
            data = path.read_bytes()
            whole = len(data) - len(data) % NUMBER.size
            for which, value in NUMBER.iter_unpack(data[:whole]):
                if which == OWNER_DIED:
                    self.told += 1
                elif which in (COUNTED, ADDED, ADDED_TO_ITEM):
                    self.added[which] += 1
                else:
                    numbers[which].add(value)
        return numbers

    def check(self):
        written = self.acknowledged()
        for position, (numbers, confirmed) in enumerate(zip(self.lists, written, strict=True)):
            found = list(numbers)
            times = Counter(found)
            twice = [value for value, often in times.items() if often > 1]
            lost = confirmed - times.keys()
            expect(not twice, f"list {position} holds {len(twice)} numbers twice: {twice[:5]}")
            expect(
                not lost,
                f"list {position} lost {len(lost)} acknowledged numbers: {sorted(lost)[:5]}",
            )
            expect(len(found) == len(numbers), f"list {position} has the length it says")
            latest = {}
            for value in found:
                owner, count = value >> 32, value & 0xFFFFFFFF
                expect(
                    latest.get(owner, -1) < count,
                    f"list {position}: task {owner} out of order at {count}",
                )
                latest[owner] = count
        for lock in self.locks:
            try:
                lock.acquire()
            except tarefa.OwnerDied:
                self.told += 1
                lock.acquire()
            lock.release()
            expect(not lock.locked(), "a released lock is free")
        self.check_numbers()
        expect(
            self.told <= self.deaths,
            f"OwnerDied was told {self.told} times for {self.deaths} deaths",
        )
        self.check_table()
        self.check_gates()
        self.event.clear()
        expect(not self.event.wait(0), "a cleared event is clear")
        self.event.set()
        expect(self.event.wait(), "a set event is set")
        list(self.scratch)
        return sum(map(len, self.lists)), sum(map(len, written))

    def check_added(self, what, which, found):
        """Each addition that was acknowledged is there, and each death may have left one more."""
        least = self.added[which]
        expect(
            least <= found <= least + self.started,
            f"{least} additions acknowledged, the {what} counts {found}",
        )

    def check_numbers(self):
        self.check_added("value", ADDED, self.total.value)
        self.check_added("array", ADDED_TO_ITEM, self.items[0])
        try:
            self.items.get_lock().acquire()
        except tarefa.OwnerDied:
            self.told += 1
            self.items.get_lock().acquire()
        first, second = self.items[1:]
        self.items.get_lock().release()
        expect(
            first == second or self.told,
            f"nobody died with the array's lock, and its items are {first} and {second}",
        )

    def check_table(self):
        self.check_added("dict", COUNTED, self.table["count"])
        keys = list(self.table)
        expect(len(keys) == len(set(keys)) == len(self.table), "the dict has each key once")
        found = self.table.snapshot()
        expect(all(self.table[key] == found[key] for key in keys), "the dict finds its keys")

    def check_gates(self):
        """No permit is lost or made, nobody holds anything, nobody is counted who is gone."""
        semaphore, rwlock = self.gates["semaphore"], self.gates["rwlock"]
        free, waiting = semaphore.get_value(), semaphore.n_waiting
        expect((free, waiting) == (2, 0), f"{free} permits of 2 are free, {waiting} tasks wait")
        try:
            taken = rwlock.acquire_write(timeout=5)
        except tarefa.OwnerDied:
            taken = rwlock.acquire_write(timeout=5)
        expect(taken, f"the read-write lock can be taken: {rwlock!r}")
        rwlock.release_write()
        barrier, condition = self.gates["barrier"], self.gates["condition"]
        expect(barrier.n_waiting == 0, f"nobody waits at the barrier: {barrier!r}")
        try:
            condition.acquire(timeout=5)
        except tarefa.OwnerDied:
            condition.acquire(timeout=5)
        expect(condition.n_waiting == 0, f"nobody waits for the condition: {condition!r}")
        condition.release()


class Failed(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failed(what)


def standing():
    """What must be the same before and after."""
    gc.collect()
    known = tarefa._engine.diagnostics()
    names = ("objects", "task_processes", "process_slots", "thread_slots", "spares")
    return {name: known[name] for name in names} | {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "processes": len(known["pids"]),
    }


def settled(wanted, seconds=10.0):
    """Give the runtime time to come to rest; return what differs from `wanted`."""
    end = time.monotonic() + seconds
    while True:
        now = standing()
        different = {name: (wanted[name], now[name]) for name in wanted if now[name] > wanted[name]}
        if not different or time.monotonic() > end:
            return different
        time.sleep(0.05)


def warm_up():
    """Make the runtime, and wait until it has its spares."""
    tarefa.configure(spares=2)
    for _ in range(3):
        tarefa.Process(target=int).start().result()
    end = time.monotonic() + 10
    while tarefa._engine.diagnostics()["spares"] < 2 and time.monotonic() < end:
        time.sleep(0.01)


def main():
    parser = argparse.ArgumentParser(
        description="Kill members at random and see that nothing is lost."
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--tasks", type=int, default=4)
    parser.add_argument("--keep-zygote", action="store_true", help="kill tasks only")
    options = parser.parse_args()
    print(f"storm: seed {options.seed}, {options.seconds:g} s, {options.tasks} tasks", flush=True)
    faulthandler.dump_traceback_later(HANG, exit=True)
    warm_up()
    before, memory = standing(), tarefa._engine.diagnostics()["arena_used"]
    try:
        with tempfile.TemporaryDirectory() as folder:
            storm = Storm(options, folder)
            storm.rage()
            held, confirmed = storm.check()
        summary = (
            f"{storm.started} tasks, {storm.deaths} killed, the zygote {storm.zygote_deaths} times;"
            f" {held:,} numbers held, {confirmed:,} acknowledged, none lost, none twice;"
            f" OwnerDied told {storm.told} times"
        )
        del storm
        different = settled(before)
        expect(not different, f"left behind (before, after): {different}")
        grown = tarefa._engine.diagnostics()["arena_used"] - memory
        expect(grown <= SLACK, f"{grown:,} bytes of the arena are still in use")
    except Failed as failure:
        print(
            f"storm: FAILED: {failure}\n"
            f"again with: storm.py --seed {options.seed} --seconds {options.seconds:g}",
            file=sys.stderr,
        )
        return 1
    print(f"storm: {summary}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
