//! The native halves of pools.

pub(crate) mod board;
mod growth;
mod pinning;
mod sizing;
mod starts;
mod traced;

use pyo3::prelude::*;
use tarefa_engine::kinds;

use crate::runtime::registry::{add_class, add_kinds};
use board::BoardCore;
use sizing::BatchSizes;

/// Puts the room's classes into the module.
pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<BoardCore>()?;
    m.add_class::<BatchSizes>()?;
    m.add_class::<starts::WorkerStarts>()?;
    m.add_class::<growth::WorkerGrowth>()?;
    m.add_class::<pinning::WorkerPinning>()?;
    m.add_class::<traced::TracedCall>()?;
    m.add_function(wrap_pyfunction!(traced::is_traced, m)?)?;
    m.add_function(wrap_pyfunction!(board::kept_results, m)?)?;
    add_kinds(&[kinds::BOARD], |py, h| Ok(Py::new(py, BoardCore::of(h))?.into_any()));
    add_class::<BoardCore>();
    Ok(())
}
