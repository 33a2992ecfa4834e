"""Targets that must be importable by name.

The others are written inside their tests and travel by value.
"""

import threading

import tarefa


def add(a, b=0, *, c=0):
    return a + b + c


def explode(text="boom"):
    raise ValueError(text)


def double(x):
    return 2 * x


def fail_at_five(x):
    if x == 5:
        raise KeyError(x)
    return x


def pass_through(value):
    return value


class Counter(tarefa.Process):
    """A subclass with `run` overridden and attributes of its own."""

    def __init__(self, numbers, upto):
        super().__init__(name="counter")
        self.numbers, self.upto = numbers, upto

    def run(self):
        self.numbers.extend(range(self.upto))


class ThreadCounter(tarefa.Thread):
    def __init__(self, numbers, upto):
        super().__init__(name="counter")
        self.numbers, self.upto = numbers, upto

    def run(self):
        self.numbers.extend(range(self.upto))


class TwoArguments(Exception):
    """Pickles, but does not unpickle: its constructor wants two arguments and gets one."""

    def __init__(self, a, b):
        super().__init__(a)
        self.b = b


class NoPickle:
    """Says by itself that it does not travel."""

    def __reduce__(self):
        raise TypeError("this one stays at home")


class NoUnpickle:
    """Pickles; the receiver fails to build it."""

    def __reduce__(self):
        return explode, ("cannot be built",)


def hold_lock(lock, ready):
    lock.acquire()
    ready.set()
    threading.Event().wait()


def raise_it(exception, *args):
    raise exception(*args)
