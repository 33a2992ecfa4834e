//! Tasks: their records, their interruption, and the zygote that forks them.

pub(crate) mod context;
pub(crate) mod core;
pub(crate) mod interrupt;
pub(crate) mod keyboard;
pub(crate) mod methods;
pub(crate) mod terminate;
pub(crate) mod unchanged;
pub(crate) mod unraisable;
pub(crate) mod unretrieved;
pub(crate) mod zygote;

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tarefa_engine::kinds;
use tarefa_engine::task::State;
use tarefa_engine::task::limits::GRACE;
use tarefa_engine::task::supervisor::untold;

use self::core::TaskCore;
use crate::runtime::registry::add_kinds;

/// Puts the room's classes and functions into the module.
pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    untold::set_teller(unretrieved::remind);
    m.add_class::<TaskCore>()?;
    m.add_class::<unchanged::Unchanged>()?;
    m.add_class::<unraisable::UnraisableHook>()?;
    m.add_function(wrap_pyfunction!(methods::join_several, m)?)?;
    m.add_function(wrap_pyfunction!(methods::take_descriptors, m)?)?;
    m.add_function(wrap_pyfunction!(methods::most_descriptors, m)?)?;
    m.add_function(wrap_pyfunction!(terminate::watch_termination, m)?)?;
    m.add_function(wrap_pyfunction!(keyboard::watch_keyboard, m)?)?;
    m.add_function(wrap_pyfunction!(terminate::default_termination, m)?)?;
    m.add_function(wrap_pyfunction!(terminate::die_of_termination, m)?)?;
    m.add_function(wrap_pyfunction!(interrupt::prepare_thread_interrupts, m)?)?;
    m.add_function(wrap_pyfunction!(interrupt::wake_sleeper, m)?)?;
    m.add_function(wrap_pyfunction!(interrupt::sleep, m)?)?;
    m.add_function(wrap_pyfunction!(context::thread_context, m)?)?;
    m.add_function(wrap_pyfunction!(unretrieved::was_reminded, m)?)?;
    m.add_function(wrap_pyfunction!(unretrieved::listen_for_reminders, m)?)?;
    m.add_function(wrap_pyfunction!(unretrieved::remind_at, m)?)?;
    m.add_function(wrap_pyfunction!(unretrieved::take_orphaned, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::set_zygote, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::has_zygote, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::prepare_zygote, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::send_to_zygote, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::join_runtime, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::serve, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::leave, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::set_spares, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::usual_spares, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::usual_depth, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::usual_kind, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::set_usual_depth, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::set_max_depth, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::most_spares, m)?)?;
    m.add("GRACE", GRACE.as_secs_f64())?;
    m.add("STATE_NAMES", PyTuple::new(m.py(), State::ALL.map(State::name))?)?;
    add_kinds(&[kinds::TASK], |py, h| Ok(Py::new(py, TaskCore::of(h))?.into_any()));
    Ok(())
}
