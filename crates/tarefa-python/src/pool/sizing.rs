//! `BatchSizes`: how many tasks go into a batch.

use std::sync::Mutex;

use pyo3::prelude::*;
use tarefa_engine::pool::Sizing;

/// The measured length of tasks, and how many of them a batch gets.
#[pyclass(frozen, module = "tarefa._engine")]
#[derive(Debug)]
pub(crate) struct BatchSizes {
    sizing: Mutex<Sizing>,
}

impl BatchSizes {
    fn sizing(&self) -> std::sync::MutexGuard<'_, Sizing> {
        self.sizing.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[pymethods]
impl BatchSizes {
    #[new]
    fn new(unit: u32) -> Self {
        Self { sizing: Mutex::new(Sizing::new(unit)) }
    }

    /// Notes that a batch of `count` tasks took so many nanoseconds.
    fn measured(&self, count: u32, ns: u64) {
        self.sizing().measured(count, ns);
    }

    /// How many tasks the next batch gets.
    fn next(&self, workers: u32, left: Option<u64>) -> u32 {
        self.sizing().next(workers, left)
    }

    /// The mean length of a task in nanoseconds; None before one was measured.
    #[getter]
    fn mean(&self) -> Option<f64> {
        self.sizing().mean()
    }
}
