//! Shared objects that a module makes as it is imported: see `tarefa._runtime._module_objects`.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::object::refcount;

use crate::runtime::once::{Once, name};
use crate::runtime::{hooks, member, registry};

/// Of a code's flags: it is a function's, not a module's or a class body's.
const OPTIMIZED: u32 = 1;

/// Modules whose import is going on, in whatever thread: None where the interpreter does not tell.
fn imports_going_on(py: Python<'_>) -> Option<&Bound<'_, PyDict>> {
    static LOCKS: Once<Option<Py<PyDict>>> = Once::new();
    let found = LOCKS.get_or_init(py, || {
        // It is there from the beginning; `importlib` is not, and a Ctrl-C in its import would be lost here.
        let module = PyModule::import(py, "_frozen_importlib").ok()?;
        let locks = module.getattr("_module_locks").ok()?;
        locks.cast_into::<PyDict>().ok().map(Bound::unbind)
    });
    found.as_ref().map(|locks| locks.bind(py))
}

/// Whether the calling code may be part of a module's import: quick, and seldom true in vain.
fn may_be_importing(py: Python<'_>) -> bool {
    if imports_going_on(py).is_some_and(|locks| !locks.is_empty()) {
        return true;
    }
    // SAFETY: attached; borrowed from the running thread, and null outside of Python code.
    let frame = unsafe { ffi::PyEval_GetFrame() };
    if frame.is_null() {
        return false;
    }
    // SAFETY: a frame that runs has a code; the reference is new.
    let code = unsafe { Bound::from_owned_ptr(py, ffi::PyFrame_GetCode(frame).cast()) };
    let flags = code.getattr(name!(py, "co_flags")).and_then(|flags| flags.extract::<u32>());
    flags.is_ok_and(|flags| flags & OPTIMIZED == 0)
}

/// For a constructor: the object that it stands for where a module makes it as it is imported.
pub(crate) fn find(
    cls: &Bound<'_, PyType>,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<Option<Handle>> {
    let py = cls.py();
    if !may_be_importing(py) {
        return Ok(None);
    }
    let found = hooks::MODULE_OBJECT.get(py)?.call1((cls, args, kwargs))?;
    Ok(if found.is_none() { None } else { registry::of_object(&found) })
}

/// The numbers of the objects of which this process has handles.
#[pyfunction]
pub(crate) fn held_objects(py: Python<'_>) -> PyResult<Vec<u64>> {
    Ok(refcount::held_ids(&member::me(py)?))
}
