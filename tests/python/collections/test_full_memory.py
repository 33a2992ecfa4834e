"""At full memory: what frees needs none, what cannot fit says so before it begins, why is named."""

import itertools
import os
import platform
import re

import pytest
from support import run_script

import tarefa

pytestmark = pytest.mark.once("what is full is the engine's memory")

FULL = {"TAREFA_ARENA_MAX": "16M"}
FILL = """
    import tarefa

    def fill(add):
        for item in ("x" * 3000, 1):
            try:
                while True:
                    add(item)
            except tarefa.ArenaFull:
                pass
"""


@pytest.mark.parametrize(
    "empty",
    [
        "l.clear()",
        "l *= 0",
        "del l[:100]",
        "del l[-2000:]",
        "del l[::2]",
        "del l[::-3]",
        "l[:] = []",
        "l[5:400] = ()",
        "l[0:100] = [1] * 3",
        "l[7:] = range(9)",
        "l[100:700] = [3] * 500",
        "l[-300:-2] = (None, 2.5, True)",
        "[l.pop() for _ in range(500)]",
        "[l.pop(7) for _ in range(500)]",
        "[l.pop(0) for _ in range(500)]",
        "l.remove(l[3])",
        "del l[3], l[0]",
    ],
)
def test_a_full_list_can_be_emptied(empty):
    run_script(
        FILL
        + f"""
    l = tarefa.List()
    fill(l.append)
    before = len(l)
    plain = l.snapshot()
    {empty}
    assert len(l) < before
    l, plain = plain, l
    {empty}
    assert l == plain.snapshot()
    plain.clear()
    plain.append("y" * 2000)
    """,
        env=FULL,
    )


@pytest.mark.parametrize(
    "empty",
    [
        "d.clear()",
        "[d.pop(k) for k in list(d)[:99]]",
        "[d.popitem() for _ in range(99)]",
        "del d[0]",
    ],
)
def test_a_full_dict_can_be_emptied(empty):
    run_script(
        FILL
        + f"""
    d = tarefa.Dict()
    n = iter(range(10 ** 9))
    fill(lambda item: d.__setitem__(next(n), item))
    before = len(d)
    {empty}
    assert len(d) < before
    d.clear()
    d["a"] = "y" * 2000
    """,
        env=FULL,
    )


@pytest.mark.parametrize(
    "empty",
    [
        "s.clear()",
        "s.discard(3)",
        "s.remove(4)",
        "s.pop()",
        "s -= set(range(50))",
        "s.difference_update(range(before // 2))",
        "s &= {1, 2, 3}",
        "s ^= set(range(before // 2))",
        "s.intersection_update(range(before - 99))",
    ],
)
def test_a_full_set_can_be_emptied(empty):
    run_script(
        f"""
    import tarefa

    s = tarefa.Set()
    try:
        for i in range(10 ** 9):
            s.add(i)
    except tarefa.ArenaFull:
        pass
    before = len(s)
    {empty}
    assert len(s) < before
    s.clear()
    s.add("y" * 2000)
    """,
        env=FULL,
    )


@pytest.mark.parametrize(
    "grow",
    [
        "l *= 2**31",
        "l * 2**40",
        "l.extend(range(2**40))",
        "l[2:3] = range(2**40)",
        "tarefa.List(range(2**62))",
        "tarefa.Set().update(range(2**40))",
        "tarefa.Set().symmetric_difference_update(range(2**40))",
        "tarefa.Dict.fromkeys(range(2**40))",
        "tarefa.Counter(range(2**40))",
        "tarefa.Counter(a=1).subtract(range(2**40))",
        "tarefa.Queue().put_many(range(2**40))",
        "tarefa.Queue(maxsize=3).put_many(range(2**40))",
        "tarefa.List(['x' * 1000000]).__imul__(10**6)",
    ],
)
def test_what_cannot_fit_is_refused_before_the_work(grow):
    # Two gigabytes of memory are not enough for the work that would be done in vain.
    run_script(
        f"""
    import resource, tarefa

    l = tarefa.List(range(10))
    resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, resource.RLIM_INFINITY))
    try:
        {grow}
    except tarefa.ArenaFull:
        assert l == list(range(10))
    else:
        raise AssertionError("it fits?")
    """,
        env={"TAREFA_ARENA_MAX": "1G"},
    )


@pytest.mark.parametrize(
    "grow",
    [
        "l.extend(endless)",
        "l[2:3] = endless",
        "tarefa.List(endless)",
        "tarefa.Set(endless)",
        "tarefa.Set(range(9999)).update([1], endless)",
        "tarefa.Dict(zip(endless, endless))",
        "tarefa.Dict(a=1).update((n, n) for n in endless)",
        "tarefa.Dict().__ior__(zip(endless, endless))",
        "tarefa.Dict.fromkeys(endless)",
        "tarefa.Counter(endless)",
        "tarefa.Counter(range(9999)).update(endless)",
        "tarefa.Queue().put_many(endless)",
    ],
)
def test_of_what_has_no_end_no_more_is_made_than_fits(grow):
    run_script(
        f"""
    import itertools, resource, tarefa

    l, endless = tarefa.List(range(10)), itertools.count()
    resource.setrlimit(resource.RLIMIT_DATA, (400 << 20, resource.RLIM_INFINITY))
    try:
        {grow}
    except tarefa.ArenaFull:
        assert l == list(range(10))
    else:
        raise AssertionError("it fits?")
    """,
        env=FULL,
    )


def test_what_comes_often_counts_once():
    run_script(
        """
    import itertools, tarefa

    def often():
        return (n % 100 for n in range(1_000_000))

    assert tarefa.Set(often()) == set(range(100))
    s = tarefa.Set(range(100_000))
    s.update(itertools.chain(often(), range(100_000)))
    assert len(s) == 100_000
    d = tarefa.Dict((n, i) for i, n in enumerate(often()))
    assert list(d) == list(range(100)) and d[99] == 999_999
    assert tarefa.Counter(often()) == {n: 10_000 for n in range(100)}
    assert tarefa.Dict.fromkeys(often(), 7) == dict.fromkeys(range(100), 7)
    many = tarefa.Dict.fromkeys(range(50_000), "x")
    many.update(((n, n) for n in range(50_000)))
    many.update({n: n for n in range(50_000)})
    assert many[49_999] == 49_999
    """,
        env=FULL,
    )


@pytest.mark.parametrize("shared", [tarefa.Dict, tarefa.Set, tarefa.Counter, tarefa.List])
def test_what_cannot_be_iterated_over_is_an_error_as_of_the_plain_one(shared):
    with pytest.raises(TypeError, match="not iterable"):
        shared(5)
    with pytest.raises(ZeroDivisionError):
        shared(1 / 0 for _ in "x")


@pytest.mark.parametrize("pair", [1, (1, 2, 3)])
def test_what_is_no_pair_is_an_error_as_of_a_dict(pair):
    with pytest.raises((TypeError, ValueError)) as plain:
        dict(iter([pair]))
    with pytest.raises(plain.type, match=re.escape(str(plain.value))):
        tarefa.Dict(iter([pair]))


@pytest.mark.parametrize("grow", ["l.extend(many)", "l[3:5] = many", "tarefa.List(many)"])
def test_a_plain_list_that_cannot_fit_is_refused_before_its_items_are_encoded(grow):
    # What is encoded takes much more than the 160 MB of the plain list itself.
    run_script(
        f"""
    import resource, tarefa

    l, many = tarefa.List(range(10)), [None] * 20_000_000
    resource.setrlimit(resource.RLIMIT_DATA, (600 << 20, resource.RLIM_INFINITY))
    try:
        {grow}
    except tarefa.ArenaFull:
        assert l == list(range(10))
    except MemoryError:
        assert {grow.startswith("l[")}  # a plain list of all is made for that
    else:
        raise AssertionError("it fits?")
    """,
        env={"TAREFA_ARENA_MAX": "64M"},
    )


def test_memory_that_is_too_little_for_the_encoding_is_an_error():
    run_script(
        """
    import resource, tarefa

    l, many = tarefa.List(range(10)), [None] * 20_000_000
    resource.setrlimit(resource.RLIMIT_DATA, (400 << 20, resource.RLIM_INFINITY))
    try:
        l.extend(many)
    except MemoryError:
        assert l == list(range(10))
    """,
        env={"TAREFA_ARENA_MAX": "1G"},
    )


def test_repetition():
    for items in ([1, 2], ["x" * 100, (1, 2), None], [tarefa.List([5])]):
        for times in (0, 1, 3, -1):
            shared = tarefa.List(items)
            shared *= times
            assert len(shared) == len(items * times)
            assert list(map(repr, shared)) == list(map(repr, items * times))


BOUNDS = (None, 0, 1, 2, 5, 30, -1, -3, -50)
SLICES = [slice(*key) for key in itertools.product(BOUNDS, BOUNDS, (None, 1, 2, 7, -1, -2))]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 10, 41])
def test_slices_are_deleted_as_of_a_list(size):
    for key in SLICES:
        plain = [i if i % 3 else f"text {i}" * 9 for i in range(size)]
        shared = tarefa.List(plain)
        del shared[key]
        del plain[key]
        assert shared == plain


def test_what_is_replaced_in_place_needs_no_memory():
    run_script(
        FILL
        + """
    l = tarefa.List()
    fill(l.append)
    plain = l.snapshot()
    keys = [slice(3, 9), slice(9, 3, -1), slice(0, 60, 6), slice(-1, -60, -7), slice(None, None, 2)]
    for key in keys:
        new = list(range(len(plain[key])))
        l[key] = new
        plain[key] = new
        assert l == plain
    """,
        env=FULL,
    )


@pytest.mark.parametrize("size", [0, 1, 2, 3, 10, 41])
@pytest.mark.parametrize("count", [1, 2, 5, 40, 120])
def test_slices_are_assigned_to_as_of_a_list(size, count):
    for key in SLICES:
        plain = [i if i % 3 else f"text {i}" * 9 for i in range(size)]
        shared = tarefa.List(plain)
        fitting = len(plain[key]) if key.step not in (None, 1) else count
        new = [-i if i % 4 else f"new {i}" * 7 for i in range(fitting)]
        shared[key] = new
        plain[key] = new
        assert shared == plain


def test_a_slice_is_replaced_by_parts_of_itself():
    inner = tarefa.List([1])
    shared = tarefa.List([inner, "x" * 100, inner, (1, "y" * 50), 3])
    shared[0:4] = shared[2:4]
    assert shared == [inner, (1, "y" * 50), 3]
    shared[:] = [shared[2]]
    assert shared == [3]
    assert inner == [1]


def test_a_limit_on_file_sizes_is_respected_and_named():
    run_script(
        """
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 30, resource.RLIM_INFINITY))
        import tarefa
        l = tarefa.List([1])
        assert tarefa.Process(target=lambda: len(l)).start().result() == 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        try:
            l.append(bytes(40_000_000))
        except tarefa.ArenaFull as e:
            assert "RLIMIT_FSIZE" in str(e), e
        else:
            raise AssertionError("no error")
        assert len(l) == 1
        """
    )
    run_script(
        """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        import tarefa
        try:
            tarefa.List()
        except tarefa.StartError as e:
            assert "RLIMIT_FSIZE" in str(e), e
        else:
            raise AssertionError("no error")
        """
    )


@pytest.mark.parametrize("error", ["ENOSYS", "EOPNOTSUPP"])
def test_a_system_that_cannot_reserve_memory_is_named(error):
    if platform.machine() != "x86_64":
        pytest.skip("the number of fallocate is that of another machine")
    run_script(
        f"""
        import ctypes, errno

        class Step(ctypes.Structure):
            _fields_ = [("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8),
                        ("k", ctypes.c_uint32)]
        class Filter(ctypes.Structure):
            _fields_ = [("len", ctypes.c_ushort), ("steps", ctypes.POINTER(Step))]

        # The system call's number; is it fallocate's? This error; allowed.
        steps = (Step * 4)(Step(0x20, 0, 0, 0), Step(0x15, 0, 1, 285),
                           Step(0x06, 0, 0, 0x50000 | errno.{error}), Step(0x06, 0, 0, 0x7FFF0000))
        prctl = ctypes.CDLL(None).prctl
        assert prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
        assert prctl(22, 2, ctypes.byref(Filter(4, steps))) == 0  # PR_SET_SECCOMP

        import tarefa
        for make in (lambda: tarefa.List([1]), lambda: tarefa.Process(target=len).start()):
            try:
                make()
            except (tarefa.ArenaFull, tarefa.StartError) as e:
                assert "fallocate" in str(e), e
            else:
                raise AssertionError("no error")
        """
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may hide /proc from a program")
def test_without_proc():
    done = run_script(
        """
        import ctypes, sys

        libc = ctypes.CDLL(None)
        # CLONE_NEWNS; MS_REC | MS_PRIVATE
        if libc.unshare(0x20000) or libc.mount(b"none", b"/", None, 0x44000, None):
            sys.exit("may not")
        assert libc.mount(b"none", b"/proc", b"tmpfs", 0, None) == 0

        import tarefa
        try:
            l = tarefa.List([1])
            assert tarefa.Process(target=lambda: len(l)).start().result(30) == 1
        except tarefa.TarefaError as e:
            assert "/proc" in str(e), e
        """,
        code=None,
    )
    if "may not" in done.stderr:
        pytest.skip("it may not be hidden here")
    assert done.returncode == 0, done.stderr
