//! `LockCore`: what `tarefa.Lock` and `tarefa.RLock` are made of.

use pyo3::exceptions::{PyOverflowError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};
use tarefa_engine::kinds;
use tarefa_engine::os::clock::{self, Deadline};
use tarefa_engine::shm::member::slots;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::{Member, Off, object};
use tarefa_engine::sync::lock;
use tarefa_engine::sync::lock::word::{Acquired, Holder, LockWord, NotHeld, Recursion};

use crate::convert::collector;
use crate::runtime::blocking::{self, PyBlockingHooks, deadline};
use crate::runtime::errors;
use crate::runtime::handle;
use crate::runtime::handle::Slot as _;
use crate::runtime::hooks;
use crate::runtime::member;
use crate::runtime::module_objects;
use crate::runtime::registry;
use crate::runtime::registry::SharedClass;
use crate::sync::repair;

/// A lock in shared memory.
#[pyclass(frozen, subclass, weakref, name = "Lock", module = "tarefa")]
#[derive(Debug)]
pub(crate) struct LockCore {
    handle: Handle,
    cell: &'static LockWord,
    recursion: Recursion,
}

/// The exception for a lock whose owner has died.
pub(crate) fn owner_died(py: Python<'_>, recursion: Recursion, pid: Option<i32>) -> PyErr {
    let who = match (pid, recursion) {
        (Some(pid), _) => format!("process {pid}, which held the lock,"),
        (None, Recursion::Forbidden) => "the process that held the lock".to_owned(),
        (None, Recursion::Allowed) => "the thread that held the lock".to_owned(),
    };
    let text = format!(
        "{who} has died; the lock is free now: check the data it guards, then acquire it again"
    );
    errors::new(py, "OwnerDied", text)
}

/// How long to wait, from the arguments of `acquire` as `threading` and `multiprocessing` have
/// them: `None` not to wait at all.
pub(crate) fn patience(
    blocking: Option<&Bound<'_, PyAny>>,
    timeout: Option<&Bound<'_, PyAny>>,
    block: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<Deadline>> {
    let as_multiprocessing = block.is_some();
    let blocking = block.or(blocking).map_or(Ok(true), Bound::is_truthy)?;
    let Some(timeout) = timeout.filter(|t| !t.is_none()) else {
        return Ok(blocking.then_some(Deadline::NEVER));
    };
    let seconds = seconds(timeout)?;
    if as_multiprocessing && !seconds.is_nan() {
        return if blocking { deadline(Some(seconds)).map(Some) } else { Ok(None) };
    }
    #[expect(clippy::float_cmp, reason = "-1 means for ever, as in threading")]
    if seconds == -1.0 {
        return Ok(blocking.then_some(Deadline::NEVER));
    }
    if !blocking {
        return Err(PyValueError::new_err("can't specify a timeout for a non-blocking call"));
    }
    if seconds < 0.0 {
        return Err(PyValueError::new_err("timeout value must be a non-negative number"));
    }
    Ok(Some(deadline(Some(seconds))?))
}

/// A timeout as a number.
pub(crate) fn seconds(timeout: &Bound<'_, PyAny>) -> PyResult<f64> {
    timeout.extract().map_err(|e: PyErr| {
        if e.is_instance_of::<PyOverflowError>(timeout.py()) {
            return e;
        }
        let what = timeout.get_type();
        PyTypeError::new_err(format!("timeout must be a number of seconds or None, not {what}"))
    })
}

/// Takes the lock of `cell`: `None` for `until` is without waiting.
#[inline]
pub(crate) fn take(
    py: Python<'_>,
    me: &Member,
    cell: &'static LockWord,
    recursion: Recursion,
    object: Off,
    until: Option<Deadline>,
) -> PyResult<bool> {
    go_on(py, me, cell, recursion, object, until, cell.try_acquire(me, recursion))
}

/// The rest of [`take`], after an attempt that ended with `how`.
fn go_on(
    py: Python<'_>,
    me: &Member,
    cell: &'static LockWord,
    recursion: Recursion,
    object: Off,
    until: Option<Deadline>,
    mut how: Option<Acquired>,
) -> PyResult<bool> {
    loop {
        let now = match (how, until) {
            (Some(how), _) => how,
            (None, None) => return Ok(false),
            (None, Some(until)) => {
                let mut hooks = PyBlockingHooks::new(py);
                match cell.acquire(me, recursion, object, &mut hooks, until) {
                    Acquired::Interrupted => return Err(hooks.into_error()),
                    how => how,
                }
            }
        };
        match now {
            Acquired::Yes => {
                if cell.is_to_be_repaired(me, recursion) {
                    repaired(py, me, cell, recursion, object).inspect_err(|_| {
                        let _ = cell.release(me, recursion);
                    })?;
                }
                return Ok(true);
            }
            Acquired::TimedOut | Acquired::Interrupted => return Ok(false),
            // Who takes it now finds that it is to be repaired: this thread, or one before it.
            Acquired::OwnerDied(_) if cell.has_repair() => how = cell.try_acquire(me, recursion),
            Acquired::OwnerDied(pid) => return Err(owner_died(py, recursion, pid)),
        }
    }
}

/// Repairs what the lock of `cell` guards, which the calling thread holds; an error if it cannot.
#[cold]
pub(crate) fn repaired(
    py: Python<'_>,
    me: &Member,
    cell: &'static LockWord,
    recursion: Recursion,
    object: Off,
) -> PyResult<()> {
    if repair::repair(py, me, cell, object)? {
        return Ok(());
    }
    Err(owner_died(py, recursion, cell.last_dead_pid(me)))
}

/// Lets the lock of `cell` go.
#[inline]
pub(crate) fn let_go(me: &Member, cell: &'static LockWord, recursion: Recursion) -> PyResult<()> {
    cell.release(me, recursion).map_err(|e| not_held(e, recursion))
}

/// The end of a `with`: lets the lock of `cell` go, unless a fork has copied the `with`.
#[inline]
pub(crate) fn end_with(me: &Member, cell: &'static LockWord, recursion: Recursion) -> PyResult<()> {
    cell.release_guard(me, recursion).map_err(|e| not_held(e, recursion))
}

#[cold]
fn not_held(e: NotHeld, recursion: Recursion) -> PyErr {
    PyRuntimeError::new_err(match (e, recursion) {
        (NotHeld::Free, Recursion::Forbidden) => {
            "release() of an unlocked lock: it is not held, so there is nothing to release"
        }
        (NotHeld::Free, Recursion::Allowed) => {
            "cannot release un-acquired lock: it is not held, so there is nothing to release"
        }
        (NotHeld::Another, _) => {
            "cannot release un-acquired lock: another thread holds it and alone may release it"
        }
    })
}

/// Who holds the lock of `cell`: an `Owner`, or None.
pub(crate) fn owner(
    py: Python<'_>,
    me: &Member,
    cell: &'static LockWord,
    recursion: Recursion,
) -> PyResult<Option<Py<PyAny>>> {
    owner_of(py, me, cell.holder(me, recursion))
}

/// An `Owner`, or None.
pub(crate) fn owner_of(
    py: Python<'_>,
    me: &Member,
    holder: Option<Holder>,
) -> PyResult<Option<Py<PyAny>>> {
    let Some(holder) = holder else { return Ok(None) };
    let thread = slots::thread_slot(me.arena(), holder.thread);
    let (pid, _) = slots::owner(slots::process_slot(me.arena(), holder.process));
    let order = tarefa_engine::atomic::Ordering::Acquire;
    let tid = thread.tid.load(order);
    let off = Off(thread.task.load(order));
    let task = if off.is_none() {
        py.None()
    } else {
        let header = object::header(me, off);
        let (id, kind) = (header.id.load(order), header.kind.load(order));
        match handle::acquire(py, me, off, id) {
            // What lies there now may be something else, if the task has ended meanwhile.
            Ok(handle) if kind == kinds::TASK && thread.task.load(order) == off.0 => {
                registry::wrap(py, handle, kind)?
            }
            _ => py.None(),
        }
    };
    let ago = clock::now_ns().saturating_sub(holder.since_ns) as f64 / 1e9;
    Ok(Some(hooks::OWNER.get(py)?.call_method1("_since", (task, pid, tid, ago))?.unbind()))
}

/// Whether the calling thread holds the lock of `cell`; of one that anybody may release, whether
/// somebody does.
pub(crate) fn is_owned(me: &Member, cell: &'static LockWord, recursion: Recursion) -> bool {
    match recursion {
        Recursion::Forbidden => cell.locked(me, recursion),
        Recursion::Allowed => cell.is_mine(me),
    }
}

/// Lets the lock of `cell` go whatever its depth, which is returned.
pub(crate) fn release_save(
    me: &Member,
    cell: &'static LockWord,
    recursion: Recursion,
) -> PyResult<u32> {
    cell.release_all(me, recursion).map_err(|_| {
        PyRuntimeError::new_err("cannot release un-acquired lock: this thread does not hold it")
    })
}

/// Takes the lock of `cell` and makes its depth what [`release_save`] returned. It is held also
/// after `OwnerDied`.
pub(crate) fn acquire_restore(
    py: Python<'_>,
    me: &Member,
    cell: &'static LockWord,
    recursion: Recursion,
    object: Off,
    depth: u32,
) -> PyResult<()> {
    let mut died = None;
    loop {
        let mut hooks = PyBlockingHooks::new(py);
        match cell.acquire(me, recursion, object, &mut hooks, Deadline::NEVER) {
            Acquired::Yes => break,
            Acquired::OwnerDied(pid) => died = Some(owner_died(py, recursion, pid)),
            Acquired::TimedOut | Acquired::Interrupted => return Err(hooks.into_error()),
        }
    }
    let repaired = if cell.is_to_be_repaired(me, recursion) {
        repaired(py, me, cell, recursion, object)
    } else {
        Ok(())
    };
    if recursion == Recursion::Allowed {
        cell.restore_depth(depth);
    }
    repaired?;
    died.filter(|_| !cell.has_repair()).map_or(Ok(()), Err)
}

impl LockCore {
    pub(crate) fn of(handle: Handle) -> Self {
        let recursion =
            if handle.kind() == kinds::RLOCK { Recursion::Allowed } else { Recursion::Forbidden };
        let cell = handle.with_me(|me| lock::cell(me, handle.off()));
        Self { handle, cell, recursion }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Takes the lock if that needs no waiting.
    #[inline]
    pub(crate) fn attempt(&self) -> Option<Acquired> {
        self.cell.try_acquire(&self.handle.try_me().ok()?, self.recursion)
    }

    /// Whether there is something to do for who has it now.
    #[inline]
    pub(crate) fn has_repair(&self) -> bool {
        self.cell.has_repair()
    }

    /// What `acquire()` answers after an attempt that ended with `how`.
    pub(crate) fn go_on(&self, py: Python<'_>, how: Option<Acquired>) -> PyResult<bool> {
        let (me, until) = (self.handle.try_slot()?, Some(Deadline::NEVER));
        go_on(py, &me, self.cell, self.recursion, self.handle.off(), until, how)
    }

    /// `acquire` of Python: see `raw`.
    pub(crate) fn acquire(
        &self,
        py: Python<'_>,
        blocking: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
        block: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let until = patience(blocking, timeout, block)?;
        take(py, &self.handle.try_slot()?, self.cell, self.recursion, self.handle.off(), until)
    }

    /// Lets the lock go, if it may be.
    #[inline]
    pub(crate) fn try_release(&self) -> bool {
        self.handle.try_me().is_ok_and(|me| self.cell.release(&me, self.recursion).is_ok())
    }

    /// `release` of Python: see `raw`.
    pub(crate) fn release(&self) -> PyResult<()> {
        let_go(&self.handle.try_slot()?, self.cell, self.recursion)
    }
}

impl SharedClass for LockCore {
    fn handle_in(object: &Bound<'_, Self>) -> Option<Handle> {
        Some(object.get().handle().clone())
    }
}

#[pymethods]
impl LockCore {
    /// Of a core, another handle of its lock; of a name, a new lock of that sort.
    #[new]
    #[classmethod]
    #[pyo3(signature = (*args, repair = None, **kwargs))]
    fn new(
        cls: &Bound<'_, PyType>,
        args: &Bound<'_, PyTuple>,
        repair: Option<&Bound<'_, PyAny>>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        if let Some(core) = handle::core_in::<Self>(args) {
            return Ok(Self::of(core.get().handle.clone()));
        }
        let recursion = match args.get_item(0) {
            Ok(first) if first.cast::<PyString>().is_ok_and(|s| s == "recursive") => {
                Recursion::Allowed
            }
            _ => Recursion::Forbidden,
        };
        match recursion {
            Recursion::Forbidden => {
                let what = "Lock() takes no arguments but repair=";
                handle::takes_nothing(cls, args.len(), kwargs, what)?;
            }
            Recursion::Allowed => {
                let what = "RLock() takes no arguments but repair=";
                handle::takes_nothing(cls, args.len() - 1, kwargs, what)?;
            }
        }
        let py = cls.py();
        if let Some(handle) = module_objects::find(cls, args, None)? {
            let this = Self::of(handle);
            if let Some(function) = repair.filter(|_| !this.has_repair()) {
                this.set_repair(py, function)?;
            }
            return Ok(this);
        }
        let me = member::me(py)?;
        let off = blocking::allocated(py, || lock::create(&me, recursion))?;
        let this = Self::of(Handle::adopt(&me, off));
        if let Some(function) = repair {
            this.set_repair(py, function)?;
        }
        Ok(this)
    }

    /// Keeps what repairs what the lock guards.
    #[pyo3(name = "_set_repair")]
    fn set_repair(&self, py: Python<'_>, function: &Bound<'_, PyAny>) -> PyResult<()> {
        let (me, off) = (self.handle.try_slot()?, self.handle.off());
        repair::keep(py, &me, function, |kept| self.cell.set_repair(&me, off, kept))
    }

    /// Whether somebody alive holds it.
    fn locked(&self) -> bool {
        self.handle.with_me(|me| self.cell.locked(me, self.recursion))
    }

    /// Who holds it: an Owner (task, pid, thread, since), or None.
    fn owner(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        owner(py, &self.handle.try_slot()?, self.cell, self.recursion)
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        let until = Some(Deadline::NEVER);
        take(py, &self.handle.try_slot()?, self.cell, self.recursion, self.handle.off(), until)
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, _exc: &Bound<'_, PyTuple>) -> PyResult<()> {
        end_with(&self.handle.try_slot()?, self.cell, self.recursion)
    }

    /// Whether the calling thread holds it: for conditions.
    #[pyo3(name = "_is_owned")]
    fn is_owned(&self) -> bool {
        self.handle.with_me(|me| is_owned(me, self.cell, self.recursion))
    }

    /// How often the calling thread has taken it and not let it go.
    #[pyo3(name = "_recursion_count")]
    fn recursion_count(&self) -> u32 {
        self.handle.with_me(|me| self.cell.depth(me))
    }

    /// Lets it go whatever its depth, which is returned: for conditions.
    #[pyo3(name = "_release_save")]
    fn release_save(&self) -> PyResult<u32> {
        release_save(&self.handle.try_slot()?, self.cell, self.recursion)
    }

    /// Takes it and makes its depth what `release_save` returned: for conditions. It is held
    /// also after `OwnerDied`, so that a `with` around a condition ends as it should.
    #[pyo3(name = "_acquire_restore")]
    fn acquire_restore(&self, py: Python<'_>, depth: u32) -> PyResult<()> {
        let me = self.handle.try_slot()?;
        acquire_restore(py, &me, self.cell, self.recursion, self.handle.off(), depth)
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
