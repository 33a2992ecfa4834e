//! The native halves of locks, and of what else threads and processes meet at.

pub(crate) mod barrier;
pub(crate) mod condition;
pub(crate) mod event;
pub(crate) mod level;
pub(crate) mod lock;
pub(crate) mod lock_fast_path;
pub(crate) mod repair;
pub(crate) mod rwlock;
pub(crate) mod select;
pub(crate) mod semaphore;

use pyo3::prelude::*;
use tarefa_engine::kinds;

use crate::runtime::registry::{add_class, add_kinds};
use barrier::BarrierCore;
use condition::ConditionCore;
use event::EventCore;
use lock::LockCore;
use rwlock::{RWLockCore, RWLockSide};
use select::Selectable;
use semaphore::SemaphoreCore;

/// Puts the room's classes and functions into the module.
pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("LockCore", m.py().get_type::<LockCore>())?;
    m.add("EventCore", m.py().get_type::<EventCore>())?;
    m.add("SemaphoreCore", m.py().get_type::<SemaphoreCore>())?;
    m.add("ConditionCore", m.py().get_type::<ConditionCore>())?;
    m.add("BarrierCore", m.py().get_type::<BarrierCore>())?;
    m.add("RWLockCore", m.py().get_type::<RWLockCore>())?;
    m.add_class::<RWLockSide>()?;
    m.add_class::<Selectable>()?;
    m.add_class::<level::Level>()?;
    m.add_function(wrap_pyfunction!(select::select_, m)?)?;
    lock_fast_path::install(m.py())?;
    m.add_function(wrap_pyfunction!(lock_fast_path::own_lock_methods, m)?)?;
    add_kinds(&[kinds::LOCK, kinds::RLOCK], |py, h| Ok(Py::new(py, LockCore::of(h))?.into_any()));
    add_kinds(&[kinds::EVENT], |py, h| Ok(Py::new(py, EventCore::of(h))?.into_any()));
    add_kinds(&[kinds::SEMAPHORE], |py, h| Ok(Py::new(py, SemaphoreCore::of(h))?.into_any()));
    add_kinds(&[kinds::CONDITION], |py, h| Ok(Py::new(py, ConditionCore::of(h))?.into_any()));
    add_kinds(&[kinds::BARRIER], |py, h| Ok(Py::new(py, BarrierCore::of(h))?.into_any()));
    add_kinds(&[kinds::RWLOCK], |py, h| Ok(Py::new(py, RWLockCore::of(h))?.into_any()));
    add_class::<LockCore>();
    add_class::<EventCore>();
    add_class::<SemaphoreCore>();
    add_class::<ConditionCore>();
    add_class::<RWLockCore>();
    add_class::<BarrierCore>();
    Ok(())
}
