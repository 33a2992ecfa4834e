"""Run the interpreter's own tests of locks, threads, processes and pools on tarefa's classes.

`run.py [GROUP ...]`: all groups, if none is named. A method that stands in `exceptions.py` is not
run; more than 5 of 100 may not stand there. `run.py --exceptions [GROUP ...]` runs those alone, and
says which of them pass.
"""

import faulthandler
import importlib
import platform
import sys
import unittest
import warnings

import standing_in
from exceptions import EXCEPTIONS

GROUPS = (
    "locks",
    "threads",
    "processes",
    "queues",
    "connections",
    "pools",
    "executors",
)
LIMIT = 120.0


class Watched(unittest.TextTestResult):
    """A test that takes too long ends the run with all stacks."""

    def startTest(self, test):
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        super().startTest(test)

    def stopTest(self, test):
        super().stopTest(test)
        faulthandler.cancel_dump_traceback_later()


class Passed(Watched):
    """Says what passes."""

    def addSuccess(self, test):
        super().addSuccess(test)
        self.stream.writeln(f"passes: {test}")


def name_of(group, test):
    return f"{group}.{type(test).__name__}.{test._testMethodName}"


def methods(suite):
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from methods(one)
        else:
            yield one


def run(suite, result):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return unittest.TextTestRunner(resultclass=result, verbosity=1, buffer=False).run(suite)


def main(wanted):
    exceptions_alone = "--exceptions" in wanted
    wanted = [group for group in wanted if group != "--exceptions"]
    unknown = set(wanted) - set(GROUPS)
    if unknown:
        sys.exit(f"no such group: {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    loader = unittest.TestLoader()
    suite, others = unittest.TestSuite(), unittest.TestSuite()
    count, left_out, missing = 0, [], []
    for group in wanted or GROUPS:
        try:
            module = importlib.import_module(f"of_{group}")
        except standing_in.Missing as e:
            missing.append(f"{group}: {e}")
            continue
        for case in module.CLASSES:
            for test in methods(loader.loadTestsFromTestCase(case)):
                count += 1
                if name_of(group, test) in EXCEPTIONS:
                    left_out.append(name_of(group, test))
                    others.addTest(test)
                else:
                    suite.addTest(test)
    for text in missing:
        print(f"skipped, {text}")
    if exceptions_alone:
        run(others, Passed)
        return
    result = run(suite, Watched)
    share = 100 * len(left_out) / max(count, 1)
    print(
        f"CPython {platform.python_version()}: {count} methods, "
        f"{len(left_out)} of them ({share:.1f} of 100) left out:"
    )
    for name in left_out:
        print(f"  {name}: {EXCEPTIONS[name]}")
    if len(left_out) * 20 > count and not wanted:
        sys.exit(f"{len(left_out)} exceptions of {count} methods are more than 5 of 100")
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main(sys.argv[1:])
