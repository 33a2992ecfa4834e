//! The program's dict: what all its processes find by name.

use std::sync::atomic::Ordering;

use pyo3::prelude::*;
use tarefa_engine::shm::object;
use tarefa_engine::task::program;

use crate::runtime::errors;
use crate::runtime::handle;
use crate::runtime::{member, registry};

/// The dict that lives as long as the runtime, made now if there is none.
#[pyfunction]
pub(crate) fn program_dict(py: Python<'_>) -> PyResult<Py<PyAny>> {
    let me = member::me(py)?;
    let off = program::dict(&me).map_err(|e| errors::out_of_memory(py, e))?;
    let h = object::header(&me, off);
    let id = h.id.load(Ordering::Relaxed);
    registry::wrap(py, handle::acquire(py, &me, off, id)?, h.kind.load(Ordering::Relaxed))
}
