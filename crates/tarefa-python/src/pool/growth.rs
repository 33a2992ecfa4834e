//! `WorkerGrowth`: whether a worker has grown so large that another is to take its place.

use std::sync::Mutex;

use pyo3::prelude::*;
use tarefa_engine::pool::Growth;

/// The private memory of this process, beside what it had when this was made.
#[pyclass(frozen, module = "tarefa._engine")]
#[derive(Debug)]
pub(crate) struct WorkerGrowth {
    growth: Mutex<Growth>,
}

#[pymethods]
impl WorkerGrowth {
    #[new]
    fn new(most: u64) -> Self {
        Self { growth: Mutex::new(Growth::new(most)) }
    }

    /// Whether it has grown by more than that.
    fn is_past(&self) -> bool {
        self.growth.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_past()
    }
}
