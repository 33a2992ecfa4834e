//! `WorkerPinning`: which processors the workers of a pool may use.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tarefa_engine::pool::{Pinning, free_place};

/// Processors for each place of a pool.
#[pyclass(frozen, module = "tarefa._engine")]
#[derive(Debug)]
pub(crate) struct WorkerPinning {
    pinning: Pinning,
}

#[pymethods]
impl WorkerPinning {
    /// One for each, of those that this process may use, or these sets.
    #[new]
    #[pyo3(signature = (sets = None))]
    fn new(sets: Option<Vec<Vec<usize>>>) -> PyResult<Self> {
        let pinning = match sets {
            None => Pinning::one_each(),
            Some(sets) => {
                let checked = Pinning::new(sets);
                checked.map_err(|e| PyValueError::new_err(format!("pin: {e}")))?
            }
        };
        Ok(Self { pinning })
    }

    /// The processors of the worker at a place.
    fn at(&self, place: usize) -> Vec<usize> {
        self.pinning.at(place).to_vec()
    }

    /// The first place that none of these workers has.
    #[staticmethod]
    fn free_place(taken: Vec<usize>) -> usize {
        free_place(taken.into_iter())
    }
}
