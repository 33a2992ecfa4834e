//! `RWLockCore`: what `tarefa.RWLock` is made of.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::lock::word::Recursion;
use tarefa_engine::sync::rwlock::{self, Acquired, Mode};

use crate::convert::collector;
use crate::runtime::blocking::{self, PyBlockingHooks};
use crate::runtime::errors;
use crate::runtime::handle;
use crate::runtime::handle::Slot as _;
use crate::runtime::member;
use crate::runtime::module_objects;
use crate::runtime::registry::SharedClass;
use crate::sync::lock::{owner_died, owner_of, patience};
use crate::sync::repair;

/// A read-write lock in shared memory.
#[pyclass(frozen, subclass, weakref, name = "RWLock", module = "tarefa")]
#[derive(Debug)]
pub(crate) struct RWLockCore {
    handle: Handle,
}

impl RWLockCore {
    pub(crate) fn of(handle: Handle) -> Self {
        Self { handle }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    fn take(&self, py: Python<'_>, mode: Mode, until: Option<Deadline>) -> PyResult<bool> {
        let (me, off) = (self.handle.try_slot()?, self.handle.off());
        if !rwlock::has_repair(&me, off) {
            return self.take_once(py, mode, until);
        }
        let told = errors::named(py, "OwnerDied")?;
        loop {
            // Who reads or writes already is in the middle of it, or repairs.
            let before = [Mode::Read, Mode::Write].map(|mode| rwlock::is_mine(&me, off, mode));
            match self.take_once(py, mode, until) {
                Ok(true) if before == [false; 2] && rwlock::poisoned(&me, off) => {
                    if mode == Mode::Write {
                        self.repair(py).inspect_err(|_| drop(self.let_go(Mode::Write)))?;
                        return Ok(true);
                    }
                    // Nobody else may see what is repaired.
                    self.let_go(Mode::Read)?;
                    if !self.take_to_repair(py, until)? {
                        return Ok(false);
                    }
                }
                Err(e) if e.is_instance(py, &told) => {
                    if !self.take_to_repair(py, until)? {
                        return Ok(false);
                    }
                }
                other => return other,
            }
        }
    }

    /// Takes it to write, repairs, and lets it go; false if it is not to be had in time.
    fn take_to_repair(&self, py: Python<'_>, until: Option<Deadline>) -> PyResult<bool> {
        let told = errors::named(py, "OwnerDied")?;
        loop {
            match self.take_once(py, Mode::Write, until) {
                Ok(true) => break,
                Err(e) if e.is_instance(py, &told) => {}
                other => return other,
            }
        }
        let repaired = self.repair(py);
        self.let_go(Mode::Write)?;
        repaired.map(|()| true)
    }

    /// Repairs what it guards, unless somebody has; it is held for writing.
    fn repair(&self, py: Python<'_>) -> PyResult<()> {
        let (me, off) = (self.handle.try_slot()?, self.handle.off());
        if !rwlock::poisoned(&me, off) {
            return Ok(());
        }
        let kept = rwlock::repair(&me, off).map_err(|e| errors::out_of_memory(py, e))?;
        let Some(kept) = kept else { return Ok(()) };
        if !repair::call(py, &kept)? {
            let pid = rwlock::last_dead_pid(&me, off);
            return Err(owner_died(py, Recursion::Forbidden, pid));
        }
        rwlock::clear_poison(&me, off);
        Ok(())
    }

    fn take_once(&self, py: Python<'_>, mode: Mode, until: Option<Deadline>) -> PyResult<bool> {
        let (me, off) = (self.handle.try_slot()?, self.handle.off());
        let mut hooks = PyBlockingHooks::new(py);
        let acquired = match until {
            None => {
                rwlock::try_acquire(&me, off, mode).map_err(|e| errors::out_of_memory(py, e))?
            }
            Some(until) => rwlock::acquire(&me, off, mode, &mut hooks, until)
                .map_err(|e| errors::wait(py, e))?,
        };
        match acquired {
            Acquired::Yes => Ok(true),
            Acquired::TimedOut => Ok(false),
            Acquired::Interrupted => Err(hooks.into_error()),
            Acquired::OwnerDied(pid) => {
                let sort = if pid.is_some() { Recursion::Forbidden } else { Recursion::Allowed };
                Err(owner_died(py, sort, pid))
            }
            Acquired::Upgrade => Err(PyRuntimeError::new_err(
                "this thread reads, and would wait for itself if it waited to write: \
                 release_read() first",
            )),
        }
    }

    fn let_go(&self, mode: Mode) -> PyResult<()> {
        rwlock::release(&self.handle.try_slot()?, self.handle.off(), mode)
            .map_err(|_| not_held(mode))
    }
}

#[cold]
fn not_held(mode: Mode) -> PyErr {
    PyRuntimeError::new_err(match mode {
        Mode::Read => "cannot release un-acquired lock: this thread does not read",
        Mode::Write => "cannot release un-acquired lock: this thread does not write",
    })
}

impl SharedClass for RWLockCore {
    fn handle_in(object: &Bound<'_, Self>) -> Option<Handle> {
        Some(object.get().handle().clone())
    }
}

#[pymethods]
impl RWLockCore {
    /// Of a core, another handle of its lock; else a new one.
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
        let off = blocking::allocated(py, || rwlock::create(&me))?;
        Ok(Self::of(Handle::adopt(&me, off)))
    }

    /// Keeps what repairs what the lock guards.
    #[pyo3(name = "_set_repair")]
    fn set_repair(&self, py: Python<'_>, function: &Bound<'_, PyAny>) -> PyResult<()> {
        let (me, off) = (self.handle.try_slot()?, self.handle.off());
        repair::keep(py, &me, function, |kept| rwlock::set_repair(&me, off, kept))
    }

    /// Takes the lock together with other readers.
    #[pyo3(signature = (blocking = None, timeout = None, *, block = None),
           text_signature = "($self, blocking=True, timeout=-1, *, block=None)")]
    fn acquire_read(
        &self,
        py: Python<'_>,
        blocking: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
        block: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        self.take(py, Mode::Read, patience(blocking, timeout, block)?)
    }

    /// Takes the lock alone.
    #[pyo3(signature = (blocking = None, timeout = None, *, block = None),
           text_signature = "($self, blocking=True, timeout=-1, *, block=None)")]
    fn acquire_write(
        &self,
        py: Python<'_>,
        blocking: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
        block: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        self.take(py, Mode::Write, patience(blocking, timeout, block)?)
    }

    /// Lets go of what this thread took for reading.
    fn release_read(&self) -> PyResult<()> {
        self.let_go(Mode::Read)
    }

    /// Lets go of what this thread took for writing.
    fn release_write(&self) -> PyResult<()> {
        self.let_go(Mode::Write)
    }

    /// For `with lock.read():`.
    fn read(slf: Py<Self>) -> RWLockSide {
        RWLockSide { lock: slf, mode: Mode::Read }
    }

    /// For `with lock.write():`.
    fn write(slf: Py<Self>) -> RWLockSide {
        RWLockSide { lock: slf, mode: Mode::Write }
    }

    /// How often it is held for reading now.
    #[getter]
    fn readers(&self) -> u64 {
        self.handle.with_me(|me| rwlock::readers(me, self.handle.off()))
    }

    /// Whether somebody holds it, in either way.
    fn locked(&self) -> bool {
        self.handle.with_me(|me| rwlock::locked_by_any(me, self.handle.off()))
    }

    /// Who holds it for writing: an Owner (task, pid, thread, since), or None.
    fn owner(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let me = self.handle.try_slot()?;
        owner_of(py, &me, rwlock::writer(&me, self.handle.off()))
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

/// One side of a read-write lock, as a context manager.
#[pyclass(frozen, weakref, module = "tarefa._engine")]
#[derive(Debug)]
pub(crate) struct RWLockSide {
    lock: Py<RWLockCore>,
    mode: Mode,
}

#[pymethods]
impl RWLockSide {
    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.lock.get().take(py, self.mode, Some(Deadline::NEVER))
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, _exc: &Bound<'_, PyTuple>) -> PyResult<()> {
        let handle = self.lock.get().handle();
        rwlock::release_guard(&handle.try_slot()?, handle.off(), self.mode)
            .map_err(|_| not_held(self.mode))
    }
}
