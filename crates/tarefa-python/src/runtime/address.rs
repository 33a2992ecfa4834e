//! Where objects are, for other processes: as the arguments of [`attach`], which a pickled handle is a
//! call of, and as text.

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use tarefa_engine::shm::Off;
use tarefa_engine::shm::member::runtime::Address;
use tarefa_engine::shm::object::address::ObjectAddress;
use tarefa_engine::shm::object::attach::Refused;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::task;

use crate::runtime::handle;
use crate::runtime::{errors, member, registry};

/// Where a shared object is, as text; None for what is none, or has a part that is none.
#[pyfunction]
pub(crate) fn address_of(object: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    let Some(handle) = registry::of_object(object) else { return Ok(None) };
    handle::will_travel(object.py(), &handle)?;
    Ok(Some(handle.address().to_string()))
}

/// The arguments of [`attach`] that a text stands for.
#[pyfunction]
pub(crate) fn parse_address(text: &str) -> PyResult<(i32, i32, u64, u64, u64, u64)> {
    let address: ObjectAddress = text.parse().map_err(|e| PyValueError::new_err(format!("{e}")))?;
    let Address { root, memory_fd, id } = address.runtime;
    Ok((root, memory_fd, id, address.off.0, address.id, address.kind))
}

/// The object of another process's handle, attached to here.
#[pyfunction]
pub(crate) fn attach(
    py: Python<'_>,
    root: i32,
    memory_fd: i32,
    runtime: u64,
    off: u64,
    id: u64,
    kind: u64,
) -> PyResult<Py<PyAny>> {
    let handle = attached(py, root, memory_fd, runtime, off, id, kind)?;
    registry::wrap(py, handle, kind)
}

/// A handle of such an object.
pub(crate) fn attached(
    py: Python<'_>,
    root: i32,
    memory_fd: i32,
    runtime: u64,
    off: u64,
    id: u64,
    kind: u64,
) -> PyResult<Handle> {
    task::register();
    let runtime = Address { root, memory_fd, id: runtime };
    let at = ObjectAddress { runtime, off: Off(off), kind, id };
    let handle = Handle::attach(&at).map_err(|e| match e {
        Refused::Runtime(e) => errors::attach(py, &e),
        Refused::Gone => errors::gone(py),
        Refused::Kind(_) => PyValueError::new_err(e.to_string()),
        Refused::Memory(e) => errors::out_of_memory(py, e),
        Refused::Threads(e) => PyRuntimeError::new_err(e.to_string()),
    })?;
    if handle.runtime().is_root() {
        let _ = task::supervisor::ensure(handle.runtime());
    }
    member::offer_once(py);
    Ok(handle)
}
