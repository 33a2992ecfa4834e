"""`test.test_threading` of the interpreter, for `tarefa.Thread` and `tarefa.Timer`.

And `test.test_threading_local`: the library's `local`, which is ours too, in tarefa's threads.
"""

import unittest

import standing_in

module = standing_in.load("test.test_threading", "threading", standing_in.THREADING)
local = standing_in.load("test.test_threading_local", "threading", standing_in.THREADING)

# Those of the library's locks are run for ours by `of_locks`.
NOT_OURS = ("lock_tests",)
# Of the module's names, not of threads.
NO_THREADS = ("BaseTestCase", "MiscTestCase")


def _is_ours(found):
    if not isinstance(found, type) or not issubclass(found, unittest.TestCase):
        return False
    return not any(
        base.__module__.rpartition(".")[2] in NOT_OURS and issubclass(base, unittest.TestCase)
        for base in found.__mro__
    )


CLASSES = tuple(
    found
    for tests in (module, local)
    for found in vars(tests).values()
    if _is_ours(found) and found.__module__ == tests.__name__ and found.__name__ not in NO_THREADS
)
