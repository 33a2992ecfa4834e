//! `SemaphoreCore`: what `tarefa.Semaphore` and `tarefa.BoundedSemaphore` are made of.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::semaphore;
use tarefa_engine::sync::wait::Outcome;

use crate::convert::collector;
use crate::runtime::blocking::{self, PyBlockingHooks, deadline};
use crate::runtime::errors;
use crate::runtime::handle;
use crate::runtime::handle::Slot as _;
use crate::runtime::member;
use crate::runtime::module_objects;
use crate::runtime::registry::SharedClass;
use crate::sync::lock::seconds;

/// A semaphore in shared memory.
#[pyclass(frozen, subclass, weakref, name = "Semaphore", module = "tarefa")]
#[derive(Debug)]
pub(crate) struct SemaphoreCore {
    handle: Handle,
}

impl SemaphoreCore {
    pub(crate) fn of(handle: Handle) -> Self {
        Self { handle }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    fn take(&self, py: Python<'_>, held: bool, until: Option<Deadline>) -> PyResult<bool> {
        let (me, off) = (self.handle.try_slot()?, self.handle.off());
        let Some(until) = until else {
            let taken = semaphore::try_acquire(&me, off, held);
            return taken.map_err(|e| errors::out_of_memory(py, e));
        };
        let mut hooks = PyBlockingHooks::new(py);
        match semaphore::acquire(&me, off, held, &mut hooks, until) {
            Ok(Outcome::Ready) => Ok(true),
            Ok(Outcome::TimedOut) => Ok(false),
            Ok(Outcome::Interrupted) => Err(hooks.into_error()),
            Err(e) => Err(errors::wait(py, e)),
        }
    }
}

impl SharedClass for SemaphoreCore {
    fn handle_in(object: &Bound<'_, Self>) -> Option<Handle> {
        Some(object.get().handle().clone())
    }
}

#[pymethods]
impl SemaphoreCore {
    /// Of a core, another handle of its semaphore; else a new one, with one permit.
    #[new]
    #[classmethod]
    #[pyo3(signature = (*args, **kwargs))]
    fn new(
        cls: &Bound<'_, PyType>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        if let Some(core) = handle::core_in::<Self>(args) {
            return Ok(Self::of(core.get().handle.clone()));
        }
        if let Some(handle) = module_objects::find(cls, args, kwargs)? {
            return Ok(Self::of(handle));
        }
        let py = cls.py();
        let me = member::me(py)?;
        let off = blocking::allocated(py, || semaphore::create(&me))?;
        Ok(Self::of(Handle::adopt(&me, off)))
    }

    /// Says how many permits are free; bounded: never more than that.
    #[pyo3(name = "_set_up")]
    fn set_up(&self, value: i64, bounded: bool) -> PyResult<()> {
        let Ok(value) = u64::try_from(value) else {
            return Err(PyValueError::new_err("semaphore initial value must be >= 0"));
        };
        semaphore::set_up(&self.handle.try_slot()?, self.handle.off(), value, bounded);
        Ok(())
    }

    /// Takes a permit.
    ///
    /// The arguments are those of both libraries: a timeout below 0 is 0, and one without waiting is
    /// refused, but with `block`, where it is ignored.
    #[pyo3(signature = (blocking = None, timeout = None, *, block = None),
           text_signature = "($self, blocking=True, timeout=None, *, block=None)")]
    fn acquire(
        &self,
        py: Python<'_>,
        blocking: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
        block: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let waits = block.or(blocking).map_or(Ok(true), Bound::is_truthy)?;
        let timeout = timeout.filter(|t| !t.is_none());
        let until = match timeout {
            Some(_) if !waits && block.is_none() => {
                let text = "can't specify timeout for non-blocking acquire";
                return Err(PyValueError::new_err(text));
            }
            _ if !waits => None,
            Some(timeout) => Some(deadline(Some(seconds(timeout)?))?),
            None => Some(Deadline::NEVER),
        };
        self.take(py, false, until)
    }

    /// Gives permits back.
    #[pyo3(signature = (n = 1))]
    fn release(&self, n: i64) -> PyResult<()> {
        let Some(n) = u64::try_from(n).ok().filter(|n| *n > 0) else {
            return Err(PyValueError::new_err("n must be one or more"));
        };
        let released = semaphore::release(&self.handle.try_slot()?, self.handle.off(), n);
        released.map_err(|e| too_many(&e))
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.take(py, true, Some(Deadline::NEVER))
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, _exc: &Bound<'_, PyTuple>) -> PyResult<()> {
        let released = semaphore::release_held(&self.handle.try_slot()?, self.handle.off());
        released.map_err(|e| too_many(&e))
    }

    /// How many permits are free now.
    fn get_value(&self) -> u64 {
        self.handle.with_me(|me| semaphore::value(me, self.handle.off()))
    }

    /// Whether an acquire would have to wait now.
    fn locked(&self) -> bool {
        self.get_value() == 0
    }

    /// How many wait for a permit now.
    #[getter]
    fn n_waiting(&self) -> usize {
        self.handle.with_me(|me| semaphore::waiting(me, self.handle.off()))
    }

    /// The most permits that may be free; None without a bound.
    #[getter]
    fn bound(&self) -> Option<u64> {
        self.handle.with_me(|me| semaphore::bound(me, self.handle.off()))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Py<PyAny>, Bound<'py, PyTuple>)> {
        collector::reduce(py, &self.handle)
    }

    /// Tells objects apart: the same for all handles of one object.
    #[getter]
    fn object_id(&self) -> (u64, u64) {
        (self.handle.runtime().id(), self.handle.id())
    }
}

fn too_many(e: &semaphore::TooMany) -> PyErr {
    // In the words of `threading`, which programs may look for.
    let semaphore::TooMany { free, bound } = e;
    PyValueError::new_err(format!(
        "Semaphore released too many times: {free} of {bound} permits are free already"
    ))
}
