"""Code that may crash the interpreter, kept apart: who asks gets an answer or an error.

usage: crash_isolation.py

`parse` stands for a library in C that crashes on some inputs, eats memory on others and never
returns on a third. Each call is a task in a process of its own with limits; whatever becomes of it
is an exception.
"""

import ctypes
import signal

import tarefa


def parse(text):
    if text == "bad pointer":
        ctypes.string_at(0)
    if text == "too much":
        return "x" * (1 << 33)
    while text == "no end":
        pass
    return text.upper()


def safely(text, seconds=10.0):
    """What it is, or why there is nothing."""
    task = tarefa.Process(target=parse, args=(text,), name=f"parse {text!r}")
    task.time_limit = seconds
    task.memory_limit = "512M"
    try:
        return task.start().result()
    except tarefa.WorkerDied as died:
        return f"crashed with {signal.Signals(died.signal).name}"
    except tarefa.TimeLimitExceeded:
        return "took too long"
    except MemoryError:
        return "wanted too much memory"


def main():
    for text in ("fine", "bad pointer", "too much"):
        print(f"{text}: {safely(text)}")
    print(f"no end: {safely('no end', seconds=0.3)}")
    print(f"fine again: {safely('fine again')}")


if __name__ == "__main__":
    main()
