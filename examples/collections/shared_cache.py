"""A cache that all processes share: what one has computed, none computes again.

usage: shared_cache.py

`cached` keeps results in a shared dict. Of several that need the same at the same time one computes
it, and the others wait for that; one that is killed meanwhile leaves it to the next.
"""

import functools

import tarefa

results = tarefa.Dict()
computed = tarefa.Counter()
# One lock for each of some parts of the keys: who computes one thing holds up few others.
locks = [tarefa.Lock() for _ in range(16)]


def cached(function):
    @functools.wraps(function)
    def ask(key):
        missing = object()
        found = results.get((function.__name__, key), missing)
        if found is not missing:
            return found
        lock = locks[hash(key) % len(locks)]
        try:
            lock.acquire()
        except tarefa.OwnerDied:
            # Whoever computed it is dead, and has left nothing half done: it is computed anew.
            lock.acquire()
        try:
            # Somebody else may have been first.
            found = results.get((function.__name__, key), missing)
            if found is missing:
                found = results[function.__name__, key] = function(key)
            return found
        finally:
            lock.release()

    return ask


@cached
def collatz(n):
    """How many steps it takes to come to 1."""
    computed[n] += 1
    steps = 0
    while n != 1:
        n, steps = (n // 2 if n % 2 == 0 else 3 * n + 1), steps + 1
    return steps


def main():
    asked = [n % 25 + 1 for n in range(500)]
    with tarefa.Pool(4) as pool:
        steps = list(pool.map(collatz, asked, chunksize=5))
    print(f"asked {len(asked)} times, computed {computed.total()} times")
    print("the longest way has", max(steps), "steps")


if __name__ == "__main__":
    main()
