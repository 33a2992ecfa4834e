"""Where plain ``pickle`` will not do."""

from _pickle import PicklingError

# Modules of the script, which another process looks up in its own; the second is multiprocessing's,
# in a child that it spawned.
MAIN_NAMES = ("__main__", "__mp_main__")

# What it raises for lambdas, closures and other things that cannot be imported.
# RuntimeError is what multiprocessing says of its locks.
NOT_AS_IT_IS = (PicklingError, TypeError, AttributeError, ValueError, RuntimeError)


def is_of_process(error: BaseException) -> bool:
    """Whether an error is the process's own business, and not that of a part: an interrupt, say."""
    if isinstance(error, MemoryError):
        return True
    return not isinstance(error, Exception) and type(error) is not SystemExit
