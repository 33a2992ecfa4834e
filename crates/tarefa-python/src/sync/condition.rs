//! `ConditionCore`: what `tarefa.Condition` is made of.

use std::sync::OnceLock;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::condition::{self, Lock, Refused, Waited};
use tarefa_engine::sync::wait::BlockingHooks;

use crate::convert::collector;
use crate::runtime::blocking::{self, PyBlockingHooks, deadline_while_positive};
use crate::runtime::errors;
use crate::runtime::handle;
use crate::runtime::handle::Slot as _;
use crate::runtime::member;
use crate::runtime::module_objects;
use crate::runtime::registry::SharedClass;
use crate::sync::lock::{
    LockCore, acquire_restore, end_with, is_owned, let_go, owner, patience, release_save, repaired,
    take,
};

/// A condition in shared memory.
#[pyclass(frozen, subclass, weakref, name = "Condition", module = "tarefa")]
#[derive(Debug)]
pub(crate) struct ConditionCore {
    handle: Handle,
    lock: OnceLock<Lock>,
}

/// Hooks that go on after an interrupt, and keep the first one's exception.
struct Twice<'py> {
    inner: PyBlockingHooks<'py>,
    first: Option<PyErr>,
}

impl BlockingHooks for Twice<'_> {
    fn release(&mut self, sleep: &mut dyn FnMut()) {
        self.inner.release(sleep);
    }

    fn interrupted(&mut self) -> bool {
        let interrupted = self.inner.interrupted();
        if interrupted && self.first.is_none() {
            self.first = self.inner.error.take();
        }
        interrupted
    }
}

impl ConditionCore {
    pub(crate) fn of(handle: Handle) -> Self {
        let this = Self { handle, lock: OnceLock::new() };
        this.handle.with_me(|me| {
            if let Some(off) = condition::lock(me, this.handle.off()) {
                let _ = this.lock.set(Lock::at(me, off));
            }
        });
        this
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    fn lock(&self) -> PyResult<Lock> {
        self.lock.get().copied().ok_or_else(|| {
            PyRuntimeError::new_err(
                "the condition has no lock yet: call Condition.__init__() first",
            )
        })
    }

    fn refused(py: Python<'_>, e: Refused, what: &str) -> PyErr {
        match e {
            Refused::NotHeld => PyRuntimeError::new_err(format!(
                "cannot {what} un-acquired lock: this thread does not hold the condition's lock"
            )),
            Refused::Wait(e) => errors::wait(py, e),
        }
    }
}

impl SharedClass for ConditionCore {
    fn handle_in(object: &Bound<'_, Self>) -> Option<Handle> {
        Some(object.get().handle().clone())
    }
}

#[pymethods]
impl ConditionCore {
    /// Of a core, another handle of its condition; else a new one, without a lock so far.
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
        let off = blocking::allocated(py, || condition::create(&me))?;
        Ok(Self::of(Handle::adopt(&me, off)))
    }

    /// Says which lock goes with it.
    #[pyo3(name = "_set_lock")]
    fn set_lock(&self, lock: &Bound<'_, LockCore>) -> PyResult<()> {
        let (me, theirs) = (self.handle.try_slot()?, lock.get().handle());
        if !std::ptr::eq(theirs.runtime(), me.runtime()) {
            return Err(PyValueError::new_err(
                "the lock is of another runtime: make the condition where the lock was made",
            ));
        }
        if !condition::set_lock(&me, self.handle.off(), theirs.off()) {
            return Err(PyRuntimeError::new_err("the condition has its lock already"));
        }
        let _ = self.lock.set(Lock::at(&me, theirs.off()));
        Ok(())
    }

    /// Takes the condition's lock.
    #[pyo3(signature = (blocking = None, timeout = None, *, block = None),
           text_signature = "($self, blocking=True, timeout=-1, *, block=None)")]
    fn acquire(
        &self,
        py: Python<'_>,
        blocking: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
        block: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let (until, lock) = (patience(blocking, timeout, block)?, self.lock()?);
        take(py, &self.handle.try_slot()?, lock.cell, lock.recursion, lock.off, until)
    }

    /// Lets the condition's lock go.
    fn release(&self) -> PyResult<()> {
        let lock = self.lock()?;
        let_go(&self.handle.try_slot()?, lock.cell, lock.recursion)
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        let lock = self.lock()?;
        take(
            py,
            &self.handle.try_slot()?,
            lock.cell,
            lock.recursion,
            lock.off,
            Some(Deadline::NEVER),
        )
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, _exc: &Bound<'_, PyTuple>) -> PyResult<()> {
        let lock = self.lock()?;
        end_with(&self.handle.try_slot()?, lock.cell, lock.recursion)
    }

    /// Waits to be notified.
    #[pyo3(signature = (timeout = None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let me = self.handle.try_slot()?;
        let (lock, until) = (self.lock()?, deadline_while_positive(timeout)?);
        let mut hooks = Twice { inner: PyBlockingHooks::new(py), first: None };
        let waited = condition::wait(&me, self.handle.off(), lock, &mut hooks, until);
        match waited.map_err(|e| Self::refused(py, e, "wait on"))? {
            Waited::Notified => Ok(true),
            Waited::TimedOut => Ok(false),
            Waited::Interrupted | Waited::GaveUp => {
                Err(hooks.first.unwrap_or_else(|| hooks.inner.into_error()))
            }
            Waited::OwnerDied(_) if lock.cell.has_repair() => {
                // One of those who waited repairs; for all it is a wake-up like another.
                if lock.cell.poisoned(&me, lock.recursion) {
                    repaired(py, &me, lock.cell, lock.recursion, lock.off)?;
                }
                Ok(true)
            }
            Waited::OwnerDied(pid) => {
                let who = pid.map_or_else(
                    || "a thread or process that held the condition's lock".to_owned(),
                    |pid| format!("process {pid}, which held the condition's lock,"),
                );
                let text = format!(
                    "{who} has died while this thread waited; the lock is this thread's now: \
                     check the data it guards"
                );
                Err(errors::new(py, "OwnerDied", text))
            }
        }
    }

    /// Notifies the `n` who have waited longest.
    #[pyo3(signature = (n = 1))]
    fn notify(&self, py: Python<'_>, n: i64) -> PyResult<()> {
        let (me, lock) = (self.handle.try_slot()?, self.lock()?);
        let n = u64::try_from(n).unwrap_or(0);
        condition::notify(&me, self.handle.off(), lock, n)
            .map_err(|e| Self::refused(py, e, "notify on"))
    }

    /// Notifies all who wait.
    fn notify_all(&self, py: Python<'_>) -> PyResult<()> {
        self.notify(py, i64::MAX)
    }

    /// Whether somebody alive holds the condition's lock.
    fn locked(&self) -> PyResult<bool> {
        let lock = self.lock()?;
        Ok(self.handle.with_me(|me| lock.cell.locked(me, lock.recursion)))
    }

    /// Who holds the condition's lock: an Owner (task, pid, thread, since), or None.
    fn owner(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let lock = self.lock()?;
        owner(py, &self.handle.try_slot()?, lock.cell, lock.recursion)
    }

    /// Whether the calling thread holds the condition's lock: as `threading`'s has it.
    #[pyo3(name = "_is_owned")]
    fn is_owned(&self) -> PyResult<bool> {
        let lock = self.lock()?;
        Ok(self.handle.with_me(|me| is_owned(me, lock.cell, lock.recursion)))
    }

    /// How often the calling thread has taken the condition's lock and not let it go.
    #[pyo3(name = "_recursion_count")]
    fn recursion_count(&self) -> PyResult<u32> {
        let lock = self.lock()?;
        Ok(self.handle.with_me(|me| lock.cell.depth(me)))
    }

    /// Lets the condition's lock go whatever its depth, which is returned.
    #[pyo3(name = "_release_save")]
    fn release_save(&self) -> PyResult<u32> {
        let lock = self.lock()?;
        release_save(&self.handle.try_slot()?, lock.cell, lock.recursion)
    }

    /// Takes the condition's lock and makes its depth what `release_save` returned.
    #[pyo3(name = "_acquire_restore")]
    fn acquire_restore(&self, py: Python<'_>, depth: u32) -> PyResult<()> {
        let (me, lock) = (self.handle.try_slot()?, self.lock()?);
        acquire_restore(py, &me, lock.cell, lock.recursion, lock.off, depth)
    }

    /// How many wait to be notified now.
    #[getter]
    fn n_waiting(&self) -> usize {
        self.handle.with_me(|me| condition::waiting(me, self.handle.off()))
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
