//! `BoardCore`: what each worker of a pool is at.

use pyo3::exceptions::{PyIndexError, PyStopIteration};
use pyo3::prelude::*;
use pyo3::types::iterator::PySendResult;
use pyo3::types::{PyBytes, PyIterator, PyList, PyTuple, PyType};
use tarefa_engine::os::clock;
use tarefa_engine::pool::board;
use tarefa_engine::pool::{Board, Claim, Kept};
use tarefa_engine::shm::object::handle::Handle;

use crate::convert::{collector, encode};
use crate::runtime::blocking;
use crate::runtime::handle;
use crate::runtime::member;
use crate::runtime::registry::SharedClass;

/// What [`BoardCore::claim`] gives where there is no task.
const DONE: i64 = -1;
const HELD: i64 = -2;
/// What [`BoardCore::run`] gives where what is kept is to be told.
const TELL: i64 = -3;

/// What [`BoardCore::run`] does between two tasks.
enum Step {
    Claimed(Claim),
    Tell,
    NoRoom,
}

fn code(py: Python<'_>, code: i64) -> PyResult<Bound<'_, PyAny>> {
    Ok(code.into_pyobject(py)?.into_any())
}

fn packed<'py>(py: Python<'py>, kept: &Kept) -> (u32, Bound<'py, PyBytes>) {
    (kept.first, PyBytes::new(py, &kept.bytes))
}

/// The results in the bytes of [`BoardCore::kept`].
#[pyfunction]
pub(crate) fn kept_results<'py>(py: Python<'py>, packed: &[u8]) -> PyResult<Bound<'py, PyList>> {
    let words = packed.chunks_exact(8).map(|word| {
        let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
        encode::decode_word(py, word)
    });
    PyList::new(py, words.collect::<PyResult<Vec<_>>>()?)
}

/// The board of a pool, in shared memory.
#[pyclass(frozen, subclass, weakref, module = "tarefa._engine")]
#[derive(Debug)]
pub(crate) struct BoardCore {
    handle: Handle,
}

impl BoardCore {
    pub(crate) fn of(handle: Handle) -> Self {
        Self { handle }
    }

    /// Another handle of it.
    pub(crate) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Calls `f` with the board, if it has that seat.
    #[inline]
    fn with<T>(&self, seat: u32, f: impl FnOnce(Board<'_>) -> T) -> PyResult<T> {
        self.handle.with_me(|me| {
            let board = Board::at(me, self.handle.off());
            if seat >= board.seats() {
                return Err(PyIndexError::new_err(format!("the board has no seat {seat}")));
            }
            Ok(f(board))
        })
    }
}

impl SharedClass for BoardCore {
    fn handle_in(object: &Bound<'_, Self>) -> Option<Handle> {
        Some(object.get().handle.clone())
    }
}

#[pymethods]
impl BoardCore {
    /// Of a core, another handle of its board; of a number, a new one with so many seats.
    #[new]
    #[classmethod]
    #[pyo3(signature = (*args))]
    fn new(cls: &Bound<'_, PyType>, args: &Bound<'_, PyTuple>) -> PyResult<Self> {
        if let Some(core) = handle::core_in::<Self>(args) {
            return Ok(Self { handle: core.get().handle.clone() });
        }
        let seats: u32 = args.get_item(0)?.extract()?;
        let py = cls.py();
        let me = member::me(py)?;
        let off = blocking::allocated(py, || board::create(&me, seats))?;
        Ok(Self { handle: Handle::adopt(&me, off) })
    }

    /// How many seats it has.
    #[getter]
    fn seats(&self) -> u32 {
        self.handle.with_me(|me| Board::at(me, self.handle.off()).seats())
    }

    /// The seat's worker is through with what comes before its first batch; false if it was given up.
    fn note_ready(&self, seat: u32) -> PyResult<bool> {
        self.with(seat, |board| board.note_ready(seat))
    }

    /// Has the seat's worker take no work, if it is not ready yet; whether it is not.
    fn give_up(&self, seat: u32) -> PyResult<bool> {
        self.with(seat, |board| board.give_up(seat))
    }

    /// Whether the seat's worker takes work, or did.
    fn is_ready(&self, seat: u32) -> PyResult<bool> {
        self.with(seat, |board| board.is_ready(seat))
    }

    /// Begins a batch that nobody has begun before; false if it was called off.
    fn begin(&self, seat: u32, batch: u64, count: u32) -> PyResult<bool> {
        self.with(seat, |board| board.begin(seat, batch, count))
    }

    /// Goes on with a batch that another worker had: the tasks to blame for that, with their workers.
    fn take_over(&self, seat: u32, batch: u64, count: u32) -> PyResult<Option<Vec<(u32, u64)>>> {
        self.with(seat, |board| {
            let blamed = board.take_over(seat, batch, count)?;
            Some(blamed.into_iter().map(|b| (b.task, b.worker)).collect())
        })
    }

    /// What the former workers of the batch had begun is told.
    fn taken_over(&self, seat: u32, batch: u64) -> PyResult<()> {
        self.with(seat, |board| board.taken_over(seat, batch))
    }

    /// Claims the next task: its place in the batch; -1 if none is left, -2 if the worker is held.
    fn claim(&self, seat: u32) -> PyResult<i64> {
        self.with(seat, |board| match board.claim(seat) {
            Claim::Task(task) => i64::from(task),
            Claim::Done => DONE,
            Claim::Held => HELD,
        })
    }

    /// Runs the tasks of the seat's batch one after the other: `calls` makes one call each time it is
    /// asked for its next item. Results that are words are kept at the seat.
    ///
    /// Returns why it stops: -1 if no task is left, -2 if the worker is held, -3 if what is kept is to
    /// be told; or the place of the task, with its result, which is no word. What a task raises is raised.
    fn run<'py>(&self, seat: u32, calls: &Bound<'py, PyIterator>) -> PyResult<Bound<'py, PyAny>> {
        let py = calls.py();
        let none = py.None().into_bound(py);
        let began = clock::coarse_ns();
        // The result that is to be kept before the next task is claimed.
        let mut last: Option<(u32, u64)> = None;
        loop {
            let step = self.with(seat, |board| {
                if let Some((task, word)) = last {
                    if !board.keep(seat, task, word) {
                        return Step::NoRoom;
                    }
                }
                // Told at each tick, so that nobody waits long for what is there.
                let now = clock::coarse_ns();
                if now != began || !board.has_room(seat) {
                    return Step::Tell;
                }
                Step::Claimed(board.claim_at(seat, now))
            })?;
            let task = match step {
                Step::Claimed(Claim::Task(task)) => task,
                Step::Claimed(Claim::Done) => return code(py, DONE),
                Step::Claimed(Claim::Held) => return code(py, HELD),
                Step::Tell => return code(py, TELL),
                // There always is: only who passes another batch's calls comes here.
                Step::NoRoom => return Err(PyIndexError::new_err("the seat keeps other results")),
            };
            let value = match calls.send(&none)? {
                PySendResult::Next(value) => value,
                // A task that raises this one.
                PySendResult::Return(value) => {
                    return Err(PyStopIteration::new_err(value.unbind()));
                }
            };
            match encode::word(&value) {
                Some(word) => last = Some((task, word)),
                None => return Ok((task, value).into_pyobject(py)?.into_any()),
            }
        }
    }

    /// The results that a seat keeps of a batch, if any: the first task's place, and all as bytes.
    fn kept<'py>(
        &self,
        py: Python<'py>,
        seat: u32,
        batch: u64,
    ) -> PyResult<Option<(u32, Bound<'py, PyBytes>)>> {
        let kept = self.with(seat, |board| board.kept(seat, batch))?;
        Ok(kept.map(|kept| packed(py, &kept)))
    }

    /// The same of all seats.
    fn kept_of<'py>(
        &self,
        py: Python<'py>,
        batch: u64,
    ) -> PyResult<Vec<(u32, Bound<'py, PyBytes>)>> {
        let found = self.with(0, |board| board.kept_of(batch))?;
        Ok(found.iter().map(|kept| packed(py, kept)).collect())
    }

    /// The worker has told all results that it kept.
    fn told(&self, seat: u32) -> PyResult<()> {
        self.with(seat, |board| board.told(seat))
    }

    /// The worker has had the interrupt that held it.
    fn resume(&self, seat: u32) -> PyResult<()> {
        self.with(seat, |board| board.resume(seat))
    }

    /// Whether the worker is held in the task that it runs.
    fn is_held(&self, seat: u32) -> PyResult<bool> {
        self.with(seat, |board| board.is_held(seat))
    }

    /// The worker leaves, and gives its batch back after this.
    fn disown(&self, seat: u32) -> PyResult<()> {
        self.with(seat, |board| board.disown(seat))
    }

    /// The worker has acknowledged its batch.
    fn leave(&self, seat: u32, carried: u64) -> PyResult<()> {
        self.with(seat, |board| board.leave(seat, carried))
    }

    /// Of the seat's worker: tasks that it has claimed, nanoseconds that it has had work and waited for
    /// some, and the bytes of its messages.
    fn usage(&self, seat: u32) -> PyResult<(u64, u64, u64, u64)> {
        let usage = self.with(seat, |board| board.usage(seat))?;
        Ok((usage.claimed, usage.busy_ns, usage.waiting_ns, usage.bytes))
    }

    /// Gives a seat to a worker.
    fn assign(&self, seat: u32, worker: u64) -> PyResult<()> {
        self.with(seat, |board| board.assign(seat, worker))
    }

    /// The batch that a seat is at; 0 for none.
    fn batch_of(&self, seat: u32) -> PyResult<u64> {
        self.with(seat, |board| board.batch_of(seat))
    }

    /// Tasks that the seat's worker has claimed.
    fn claimed(&self, seat: u32) -> PyResult<u64> {
        self.with(seat, |board| board.claimed(seat))
    }

    /// The task that the seat's worker runs: its batch, its place there, when it was claimed, and how
    /// many of the batch wait.
    fn running(&self, seat: u32) -> PyResult<Option<(u64, u32, u64, u32)>> {
        self.with(seat, |board| board.running(seat).map(|r| (r.batch, r.task, r.began, r.waiting)))
    }

    /// Forbids the seat's worker to go on after that task; false if it is past it.
    fn hold(&self, seat: u32, batch: u64, task: u32) -> PyResult<bool> {
        self.with(seat, |board| board.hold(seat, batch, task))
    }

    /// Takes what the seat's worker has not claimed of that batch: first and end.
    fn take_rest(&self, seat: u32, batch: u64) -> PyResult<Option<(u32, u32)>> {
        self.with(seat, |board| board.take_rest(seat, batch))
    }

    /// Calls off a batch that nobody has begun; false if somebody has, or may have.
    fn call_off(&self, batch: u64) -> PyResult<bool> {
        self.with(0, |board| board.call_off(batch))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Py<PyAny>, Bound<'py, PyTuple>)> {
        collector::reduce(py, &self.handle)
    }

    /// Tells objects apart: the same for all handles of one object.
    #[getter]
    fn object_id(&self) -> (u64, u64) {
        (self.handle.runtime().id(), self.handle.id())
    }
}
