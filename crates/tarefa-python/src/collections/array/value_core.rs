//! `ValueCore`: what `tarefa.Value` and `tarefa.RawValue` are made of.

use pyo3::exceptions::PyAttributeError;
use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tarefa_engine::shm::object::handle::Handle;

use super::memory::ArrayMemory;
use crate::collections::array::item;
use crate::collections::array::item::Cells;
use crate::runtime::registry::SharedClass;

/// One item in shared memory.
#[pyclass(frozen, subclass, weakref, generic, name = "Value", module = "tarefa")]
#[derive(Debug)]
pub(crate) struct ValueCore {
    cells: Cells,
}

impl ValueCore {
    pub(crate) fn cells(&self) -> &Cells {
        &self.cells
    }

    fn no_value(&self) -> PyErr {
        let name = self.cells.memory().type_name();
        PyAttributeError::new_err(format!(
            "a value of type {name} has no .value: read its fields, or see get_obj()"
        ))
    }
}

impl SharedClass for ValueCore {
    fn handle_in(object: &Bound<'_, Self>) -> Option<Handle> {
        object.get().cells().by_reference()
    }
}

#[pymethods]
impl ValueCore {
    #[new]
    #[pyo3(signature = (memory, lock = None))]
    fn new(memory: Py<ArrayMemory>, lock: Option<Bound<'_, PyAny>>) -> Self {
        Self { cells: Cells::new(memory, lock) }
    }

    /// The value; reading and writing wait for the lock, if there is one.
    #[getter]
    fn value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let t = self.cells.item_type().ok_or_else(|| self.no_value())?;
        let bits = self.cells.locked(py, |array| Ok(item::get(array, 0, t.scalar)))?;
        t.decode(py, bits)
    }

    #[setter]
    fn set_value(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let t = self.cells.item_type().ok_or_else(|| self.no_value())?;
        let bits = t.encode(value)?;
        self.cells.locked(value.py(), |array| {
            item::put(array, 0, t.scalar, bits);
            Ok(())
        })
    }

    /// Stores the first value, before anybody else has a handle.
    #[pyo3(name = "_put")]
    fn put(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let t = self.cells.item_type().ok_or_else(|| self.no_value())?;
        let bits = t.encode(value)?;
        self.cells.bare(|array| {
            item::put(array, 0, t.scalar, bits);
            Ok(())
        })
    }

    /// The value, whoever holds the lock.
    #[pyo3(name = "_inspect")]
    fn inspect(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let t = self.cells.item_type().ok_or_else(|| self.no_value())?;
        t.decode(py, self.cells.bare(|array| Ok(item::get(array, 0, t.scalar)))?)
    }

    /// Adds at one instant; the value afterwards.
    fn add(&self, py: Python<'_>, n: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.cells.add(py, 0, n)
    }

    /// Stores at one instant; the value before.
    fn exchange(&self, py: Python<'_>, new: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.cells.exchange(py, 0, new)
    }

    /// Stores, at one instant, if the value equals `expected`; whether it did.
    fn compare_exchange(
        &self,
        expected: &Bound<'_, PyAny>,
        new: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        self.cells.compare_exchange(0, expected, new)
    }

    /// Gives the handle back; views must be gone.
    fn close(&self) -> PyResult<()> {
        self.cells.memory().close()
    }

    /// Its memory.
    #[getter]
    #[pyo3(name = "_memory")]
    fn memory(&self, py: Python<'_>) -> Py<ArrayMemory> {
        self.cells.memory_object(py)
    }

    /// The typecode, or the format of an item that has none.
    #[getter]
    fn type_code(&self) -> &str {
        self.cells.memory().code()
    }

    /// The lock that was given when it was made.
    #[getter]
    #[pyo3(name = "_lock_given")]
    fn lock_given(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.cells.lock_given(py)
    }

    /// Whether operations wait for a lock.
    #[getter]
    #[pyo3(name = "_is_locked")]
    fn is_locked(&self) -> bool {
        self.cells.is_locked()
    }

    /// Takes the lock that is part of it.
    #[pyo3(signature = (blocking = None, timeout = None))]
    #[pyo3(name = "_object_lock_acquire")]
    fn object_lock_acquire(
        &self,
        py: Python<'_>,
        blocking: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        self.cells.object_lock_acquire(py, blocking, timeout)
    }

    /// Lets that lock go.
    #[pyo3(name = "_object_lock_release")]
    fn object_lock_release(&self) -> PyResult<()> {
        self.cells.object_lock_release()
    }

    /// Who holds that lock.
    #[pyo3(name = "_object_lock_owner")]
    fn object_lock_owner(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.cells.object_lock_owner(py)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Py<PyAny>, Bound<'py, PyTuple>)> {
        self.cells.reduce(py)
    }

    /// Tells objects apart: the same for all handles of one object.
    #[getter]
    fn object_id(&self) -> PyResult<(u64, u64)> {
        self.cells.memory().object_id()
    }

    unsafe fn __getbuffer__(
        slf: &Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: std::ffi::c_int,
    ) -> PyResult<()> {
        let memory = slf.get().cells.memory();
        // SAFETY: as Python calls it.
        unsafe { memory.lend(slf.as_any(), view, flags, &memory.shape) }
    }

    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        self.cells.memory().returned();
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.cells.traverse(&visit)
    }
}
