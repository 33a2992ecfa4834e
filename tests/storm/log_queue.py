"""A log queue under a storm: those who put and those who get are killed at random times.

    python tests/storm/log_queue.py --seed 7 --kills 1000

Producers put records and note each that is in the queue; consumers take some, store them, and
acknowledge. In the end every record that its producer has noted was stored; no consumer starved;
nobody's memory has grown, and the queue has kept to its bound.
"""

import argparse
import random
import sys
import time

import tarefa

PRODUCERS = 3
CONSUMERS = 2
BOUND = 256 << 10


def resident():
    """KiB that this process has to itself."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))


def produce(queue, name, noted, memory):
    """Put records for ever; `noted` has how many are in the queue for certain."""
    number = 0
    while True:
        queue.put((name, number, "x" * (number * 37 % 900)))
        number += 1
        noted.value = number
        if number == 200:
            memory.append((name, "early", resident()))
        elif number % 2000 == 0:
            memory.append((name, "late", resident()))


def consume(queue, stored, turns):
    """Take records, store them, then say so."""
    while True:
        for name, number, _ in queue.get_many(20, None, ack=True):
            stored.append((name, number))
        queue.ack()
        turns.add(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--kills", type=int, default=1000)
    options = parser.parse_args()
    print(f"log queue: seed {options.seed}, {options.kills} kills", flush=True)
    chance = random.Random(options.seed)
    queue = tarefa.Queue(max_bytes=BOUND)
    stored, memory = tarefa.List(), tarefa.List()
    notes, names = {}, iter(range(1 << 30))
    turns = [tarefa.Value("q") for _ in range(CONSUMERS)]

    def producer():
        name = next(names)
        notes[name] = tarefa.Value("q")
        return tarefa.Process(target=produce, args=(queue, name, notes[name], memory)).start()

    def consumer(place):
        return tarefa.Process(target=consume, args=(queue, stored, turns[place])).start()

    # One of each is never killed: what it does shows whether somebody starves or grows.
    steady = producer()
    producers = [producer() for _ in range(PRODUCERS)]
    consumers = [consumer(place) for place in range(CONSUMERS)]
    seen, since = [0] * CONSUMERS, [time.monotonic()] * CONSUMERS
    longest = 0.0
    for kill in range(options.kills):
        tarefa.sleep(chance.random() * 0.02)
        if chance.random() < 0.6:
            place = chance.randrange(PRODUCERS)
            producers[place].kill()
            producers[place] = producer()
        else:
            victim = chance.randrange(1, CONSUMERS)
            consumers[victim].kill()
            consumers[victim] = consumer(victim)
        now, count = time.monotonic(), turns[0].value
        if count != seen[0]:
            seen[0], since[0] = count, now
        longest = max(longest, now - since[0])
        if longest > 20:
            sys.exit(f"kill {kill}: a consumer has had nothing for {longest:.0f} s")
        if queue.used_bytes > 1.1 * BOUND:
            sys.exit(f"kill {kill}: {queue.used_bytes} bytes wait, and {BOUND} may")
    for process in (steady, *producers):
        process.kill()
        process.join()
    give_up = time.monotonic() + 60
    while (queue.qsize() or queue.unacknowledged) and time.monotonic() < give_up:
        tarefa.sleep(0.02)
    for process in consumers:
        process.kill()
        process.join()
    came = {}
    for name, number in stored:
        came.setdefault(name, set()).add(number)
    for name, noted in notes.items():
        missing = set(range(noted.value)) - came.get(name, set())
        if missing:
            sys.exit(f"producer {name}: of {noted.value} records {len(missing)} never came")
    early = {name: kib for name, when, kib in memory if when == "early"}
    grown = [kib / early[name] for name, when, kib in memory if when == "late" and name in early]
    if grown and max(grown) > 1.1:
        sys.exit(f"a producer has grown to {max(grown):.2f} times what it had")
    records = sum(map(len, came.values()))
    print(
        f"log queue: {len(notes)} producers, {records} records, none lost; the longest that the "
        f"consumer waited {longest:.1f} s; memory at most {max(grown, default=1.0):.2f} times",
        flush=True,
    )


if __name__ == "__main__":
    main()
