//! Handles, as Python meets them: the engine's [`Handle`] with Python's errors.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::{Member, Off};
use tarefa_engine::task;

use crate::runtime::once::name;
use crate::runtime::{blocking, errors, hooks};

/// One more handle of an object whose reference this process can see.
pub(crate) fn acquire(py: Python<'_>, me: &Member, off: Off, id: u64) -> PyResult<Handle> {
    let acquired = blocking::allocated(py, || Handle::acquire(me, off, id))?;
    acquired.ok_or_else(|| errors::gone(py))
}

/// Another process may get the object, and may start tasks then.
pub(crate) fn will_travel(py: Python<'_>, handle: &Handle) -> PyResult<()> {
    if handle.runtime().is_root() && !task::supervisor::has_zygote() {
        hooks::ENSURE_ZYGOTE_COMMAND.get(py)?.call0()?;
    }
    Ok(())
}

/// The calling thread's slot, as Python has it.
pub(crate) trait Slot {
    /// An error where there is none left for it.
    fn try_slot(&self) -> PyResult<Member>;
}

impl Slot for Handle {
    #[inline]
    fn try_slot(&self) -> PyResult<Member> {
        self.try_me().map_err(errors::too_many_threads)
    }
}

/// An error where a class is given arguments and has no constructor, `__init__`, that takes them.
pub(crate) fn takes_nothing(
    cls: &Bound<'_, PyType>,
    count: usize,
    kwargs: Option<&Bound<'_, PyDict>>,
    what: &'static str,
) -> PyResult<()> {
    if count == 0 && kwargs.is_none_or(PyDictMethods::is_empty) {
        return Ok(());
    }
    let name = name!(cls.py(), "__init__");
    if cls.getattr(name)?.is(&cls.py().get_type::<PyAny>().getattr(name)?) {
        return Err(PyTypeError::new_err(what));
    }
    Ok(())
}

/// The only argument, if it is a bare core: a constructor then shares its handle.
pub(crate) fn core_in<'py, T: pyo3::PyClass>(args: &Bound<'py, PyTuple>) -> Option<Bound<'py, T>> {
    if args.len() != 1 {
        return None;
    }
    args.get_item(0).ok()?.cast_exact::<T>().ok().cloned()
}
