"""What a script has at its top level beside plain data travels, or who uses it does without."""

import pytest
from support import run_script

# A global of the script, and what a target sees of it.
TRAVEL = {
    "struct": ("import struct; it = struct.Struct('<i')", "it.pack(2)", "b'\\x02\\0\\0\\0'"),
    "TypeVar": ("import typing; it = typing.TypeVar('it', bound=int)", "it.__bound__", "int"),
    "constraints": (
        "import typing; it = typing.TypeVar('it', int, str, covariant=False)",
        "it.__constraints__",
        "(int, str)",
    ),
    "ParamSpec": ("import typing; it = typing.ParamSpec('it')", "it.__module__", "'__main__'"),
    "TypeVarTuple": ("import typing; it = typing.TypeVarTuple('it')", "it.__name__", "'it'"),
    "NewType": ("import typing; it = typing.NewType('it', int)", "it(3)", "3"),
    "generic": (
        "import typing; T = typing.TypeVar('T')\nclass it(typing.Generic[T]): pass",
        "it.__parameters__[0] is T",
        "True",
    ),
    "library": ("import ctypes; it = ctypes.CDLL(None)", "it.abs(-3)", "3"),
    "used library": (
        """import ctypes; it = ctypes.CDLL(None, use_errno=True)
it.labs.restype = ctypes.c_long; it.labs.argtypes = [ctypes.c_long]""",
        "(it.labs(-(1 << 40)) == 1 << 40, it._FuncPtr._flags_ & 8)",
        "(True, 8)",
    ),
    "function of a library": (
        """import ctypes; l = ctypes.CDLL(None); it = l.labs
it.restype = ctypes.c_long; it.argtypes = [ctypes.c_long]""",
        "it(-(1 << 40)) == 1 << 40",
        "True",
    ),
    "type of a function": (
        "import ctypes; it = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)",
        "it(lambda n: n * 2)(4)",
        "8",
    ),
    "type of a pointer": (
        """import ctypes
class S(ctypes.Structure):
    _fields_ = [('n', ctypes.c_int)]
it = ctypes.POINTER(S)""",
        "it(S(5)).contents.n",
        "5",
    ),
}


@pytest.mark.parametrize("name", TRAVEL)
def test_it_travels(name):
    made, seen, wanted = TRAVEL[name]
    run_script(
        f"""
import tarefa

{made}

def nothing():
    return 1

def look():
    return {seen}

if __name__ == "__main__":
    for _ in range(2):
        assert tarefa.Process(target=nothing).start().result(50) == 1
        assert tarefa.Process(target=look).start().result(50) == {wanted}
    later = it
    both = tarefa.Process(target=lambda: later is it).start().result(50)
    assert both or type(it).__name__ == "Struct"
"""
    )


def test_a_constant_that_cannot_be_pickled_is_missing_only_where_it_is_used():
    run_script("""
import enum, threading
import tarefa

class Held(enum.Enum):
    LOCK = threading.Lock()

it = (1, Held.LOCK)

def nothing():
    return 1

def look():
    return it

if __name__ == "__main__":
    assert tarefa.Process(target=nothing).start().result(50) == 1
    try:
        tarefa.Process(target=look).start().result(50)
    except (tarefa.NotPicklable, NameError) as e:
        assert "it" in str(e) or "Held" in str(e), e
    else:
        raise AssertionError("it came")
""")
