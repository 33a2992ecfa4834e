//! `LockCore`: what `tarefa.Lock` is made of.

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tarefa_engine::sync::lock::{self, Acquired};

use crate::errors;
use crate::handle::{self, Handle};
use crate::member;
use crate::parker::{PyParker, deadline};

/// A lock in shared memory.
#[pyclass(frozen, subclass, module = "tarefa._engine")]
#[derive(Debug)]
pub(crate) struct LockCore {
    handle: Handle,
}

impl LockCore {
    pub(crate) fn of(handle: Handle) -> Self {
        Self { handle }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    fn acquired(py: Python<'_>, parker: PyParker<'_>, how: Acquired) -> PyResult<bool> {
        match how {
            Acquired::Yes => Ok(true),
            Acquired::TimedOut => Ok(false),
            Acquired::Interrupted => Err(parker.into_error()),
            Acquired::OwnerDied(pid) => {
                let who = pid.map_or_else(
                    || "the process that held the lock".to_owned(),
                    |pid| format!("process {pid}, which held the lock,"),
                );
                let text = format!(
                    "{who} has died; the lock is free now: \
                     check the data it guards, then acquire it again"
                );
                Err(errors::new(py, "OwnerDied", text))
            }
        }
    }
}

#[pymethods]
impl LockCore {
    #[new]
    #[pyo3(signature = (*args))]
    fn new(py: Python<'_>, args: &Bound<'_, PyTuple>) -> PyResult<Self> {
        if let Some(core) = handle::core_in::<Self>(args) {
            return Ok(Self { handle: core.get().handle.clone() });
        }
        let me = member::me(py)?;
        let off = lock::create(&me).map_err(|e| errors::out_of_memory(py, e))?;
        Ok(Self { handle: Handle::adopt(&me, off) })
    }

    /// Takes the lock: at once, within `timeout` seconds, or for ever (`None`).
    #[inline]
    fn take(&self, py: Python<'_>, blocking: bool, timeout: Option<f64>) -> PyResult<bool> {
        let me = self.handle.me();
        if let Some(how) = lock::try_acquire(&me, self.handle.off()) {
            return Self::acquired(py, PyParker::new(py), how);
        }
        if !blocking {
            return Ok(false);
        }
        let until = deadline(timeout)?;
        let mut parker = PyParker::new(py);
        let how = lock::acquire(&me, self.handle.off(), &mut parker, until);
        Self::acquired(py, parker, how)
    }

    /// Lets the lock go.
    fn release(&self) -> PyResult<()> {
        lock::release(&self.handle.me(), self.handle.off()).map_err(|e| {
            pyo3::exceptions::PyRuntimeError::new_err(format!("release() of an unlocked lock: {e}"))
        })
    }

    /// Whether somebody alive holds it.
    fn locked(&self) -> bool {
        lock::locked(&self.handle.me(), self.handle.off())
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.take(py, true, None)
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, _exc: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.release()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Py<PyAny>, Bound<'py, PyTuple>)> {
        self.handle.reduce(py)
    }

    /// Tells objects apart: the same for all handles of one object.
    #[getter]
    fn object_id(&self) -> (u64, u64) {
        (self.handle.runtime().id(), self.handle.id())
    }
}
