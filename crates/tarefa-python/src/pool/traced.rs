//! Calls of workers that are written down: what a timeline is made of.

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tarefa_engine::pool::Board;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::trace::{self, Call, Ended};
use tarefa_engine::shm::{Member, Runtime};

use crate::pool::board::BoardCore;
use crate::runtime::member;
use crate::runtime::once::name;

/// Whether somebody wants to know what workers do.
#[pyfunction]
pub(crate) fn is_traced() -> bool {
    Runtime::existing_unlocked().is_some_and(trace::is_on_in)
}

/// Where the place of a call in its batch is found.
#[derive(Debug)]
enum Place {
    /// At a seat of a board.
    Seat(Handle, u32),
    /// In the attribute `current` of a worker: a batch and a place.
    Worker(Py<PyAny>),
}

/// A function of a batch, each call of which is written down.
#[pyclass(frozen, module = "tarefa._engine")]
#[derive(Debug)]
pub(crate) struct TracedCall {
    function: Py<PyAny>,
    name: String,
    pool: u64,
    batch: u64,
    place: Place,
    /// Runs a coroutine to its end.
    finish: Py<PyAny>,
    /// The exception of an interrupt.
    interrupt: Py<PyAny>,
}

#[pymethods]
impl TracedCall {
    /// Of a function and what it is called, in the batch of a pool; with a board and a seat, or a
    /// worker; what finishes a coroutine; and the exception of an interrupt.
    #[new]
    fn new(
        called: (Py<PyAny>, String),
        batch: (u64, u64),
        place: &Bound<'_, PyTuple>,
        finish: Py<PyAny>,
        interrupt: Py<PyAny>,
    ) -> PyResult<Self> {
        let (function, name) = called;
        let first = place.get_item(0)?;
        let place = match first.cast::<BoardCore>() {
            Ok(board) => Place::Seat(board.get().handle(), place.get_item(1)?.extract()?),
            Err(_) => Place::Worker(first.unbind()),
        };
        let (pool, batch) = batch;
        Ok(Self { function, name, pool, batch, place, finish, interrupt })
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        let me = member::me(py)?;
        let (pool, batch, index) = (self.pool, self.batch, self.index(py, &me));
        let how = |result: &PyResult<_>| match result {
            Ok(_) => Ended::Returned,
            Err(e) if e.is_instance_of::<PyKeyboardInterrupt>(py) => Ended::Interrupted,
            Err(e) if e.is_instance(py, self.interrupt.bind(py)) => Ended::Interrupted,
            Err(_) => Ended::Failed,
        };
        let call = Call { name: &self.name, pool, batch, index };
        trace::around(&me, call, || self.run(args, kwargs), how)
    }
}

impl TracedCall {
    fn run<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let value = self.function.bind(args.py()).call(args, kwargs)?;
        if value.get_type().name()? == "coroutine" {
            return self.finish.bind(args.py()).call1((value,));
        }
        Ok(value)
    }

    fn index(&self, py: Python<'_>, me: &Member) -> u32 {
        match &self.place {
            Place::Seat(board, seat) => {
                let board = Board::at(me, board.off());
                let running = (*seat < board.seats()).then(|| board.running(*seat)).flatten();
                running.map_or(0, |running| running.task)
            }
            Place::Worker(worker) => {
                let current = worker.bind(py).getattr(name!(py, "current"));
                let current = current.and_then(|current| current.extract::<(u64, u32)>());
                current.map_or(0, |(_, index)| index)
            }
        }
    }
}
