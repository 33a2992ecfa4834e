"""Memory of arrays that stays where it is while it is pinned."""

import gc
import os
import pickle
import signal

import numpy as np
import pytest
from support import eventually

import tarefa

SIZE = 3 << 20


def objects():
    """Shared objects that there are."""
    return tarefa._engine.diagnostics()["objects"]


def at(address, nbytes):
    """What lies there."""
    import ctypes

    return ctypes.string_at(address, nbytes)


def test_it_stays_when_all_arrays_are_gone():
    before = objects()
    table = tarefa.share(np.full(SIZE, 7, np.uint8))
    with tarefa.pin(table) as pinned:
        assert pinned.address == table.__array_interface__["data"][0]
        assert pinned.nbytes == SIZE
        del table
        gc.collect()
        other = tarefa.share(np.full(SIZE, 8, np.uint8))
        assert at(pinned.address, SIZE) == b"\x07" * SIZE
        del other
        assert objects() == before + 1
        assert repr(pinned).startswith(f"<tarefa.Pinned {SIZE} bytes at 0x")
    assert pinned.released
    assert "released" in repr(pinned)
    with pytest.raises(ValueError, match="was released"):
        _ = pinned.address
    pinned.release()
    assert objects() == before


def test_several_pins_of_one_array_each_count():
    before = objects()
    table = tarefa.empty(SIZE, np.uint8)
    first, second = tarefa.pin(table), tarefa.pin(table)
    del table
    first.release()
    assert objects() == before + 1
    second.release()
    assert objects() == before


@pytest.mark.parametrize(
    ("cut", "first", "nbytes"),
    [
        (np.s_[2:5], 2 * 80, 3 * 80),
        (np.s_[:, 3], 3 * 8, 9 * 80 + 8),
        (np.s_[::-1], 0, 800),
        (np.s_[8:2:-2, 1:3], 4 * 80 + 8, 4 * 80 + 16),
    ],
)
def test_slices_are_from_their_first_byte_to_their_last(cut, first, nbytes):
    table = tarefa.empty((10, 10), np.float64)
    start = table.__array_interface__["data"][0]
    with tarefa.pin(table[cut]) as pinned:
        assert (pinned.address - start, pinned.nbytes) == (first, nbytes)


def test_other_views_of_shared_memory():
    numbers = tarefa.Array("d", [1.0, 2.0, 3.0])
    for view in (numbers, memoryview(numbers), np.asarray(numbers)):
        with tarefa.pin(view) as pinned:
            assert np.frombuffer(at(pinned.address, pinned.nbytes)).tolist() == [1.0, 2.0, 3.0]
    with tarefa.pin(tarefa.share(b"shared")) as pinned:
        assert at(pinned.address, pinned.nbytes) == b"shared"


def pin_and_wait(table, ready):
    pinned = tarefa.pin(table)
    del table
    ready.put(pinned.nbytes)
    tarefa.Event().wait()


def test_what_a_killed_process_had_pinned_is_released():
    ready = tarefa.Queue()
    ready.put(0)
    assert ready.get() == 0
    before = objects()
    table = tarefa.empty(SIZE, np.uint8)
    task = tarefa.Process(target=pin_and_wait, args=(table, ready)).start()
    assert ready.get(timeout=30) == SIZE
    del table
    gc.collect()
    os.kill(task.pid, signal.SIGKILL)
    assert isinstance(task.exception(30), tarefa.WorkerDied)
    del task
    gc.collect()
    eventually(lambda: objects() <= before)


@pytest.mark.parametrize("value", [np.zeros(3), b"abc", memoryview(b"abc"), np.zeros(0)])
def test_what_lies_elsewhere_is_refused(value):
    with pytest.raises(ValueError, match=r"tarefa\.share\(\) makes one"):
        tarefa.pin(value)


@pytest.mark.parametrize("value", [None, 5, "text", [1, 2]])
def test_what_is_no_array_is_refused(value):
    with pytest.raises(TypeError, match=f"not {type(value).__name__}"):
        tarefa.pin(value)


def test_it_does_not_travel():
    with tarefa.pin(tarefa.empty(8)) as pinned:
        with pytest.raises(TypeError, match="send the array"):
            pickle.dumps(pinned)
        with pytest.raises(tarefa.NotPicklable, match="send the array"):
            tarefa.List().append(pinned)
