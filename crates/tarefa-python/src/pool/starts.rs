//! `WorkerStarts`: whether a pool goes on whose workers end before they take work.

use std::sync::Mutex;

use pyo3::prelude::*;
use tarefa_engine::pool::{Starts, WorkerEnd};

/// The starts of a pool's workers.
#[pyclass(frozen, module = "tarefa._engine")]
#[derive(Debug)]
pub(crate) struct WorkerStarts {
    starts: Mutex<Starts>,
}

#[pymethods]
impl WorkerStarts {
    #[new]
    fn new(workers: u32, initializes: bool) -> Self {
        Self { starts: Mutex::new(Starts::new(workers, initializes)) }
    }

    /// A worker has ended, which had been ready, or was killed before that, or neither; whether the pool is to
    /// give up.
    fn ended(&self, ready: bool, killed: bool, another_is_ready: bool) -> bool {
        let end = match (ready, killed) {
            (true, _) => WorkerEnd::Ready,
            (false, true) => WorkerEnd::Killed,
            (false, false) => WorkerEnd::Failed,
        };
        let mut starts = self.starts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        starts.ended(end, another_is_ready)
    }
}
