//! The interpreter as a member of the runtime: handles, waiting, errors, the zygote.

pub(crate) mod address;
pub(crate) mod blocking;
pub(crate) mod call_site;
mod entrance;
pub(crate) mod errors;
pub(crate) mod finalization;
pub(crate) mod handle;
pub(crate) mod hooks;
mod immortal;
pub(crate) mod member;
pub(crate) mod module_objects;
pub(crate) mod names;
pub(crate) mod once;
pub(crate) mod program;
pub(crate) mod registry;
pub(crate) mod signals;
pub(crate) mod system;

use pyo3::prelude::*;

/// Puts the room's classes and functions into the module.
pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    blocking::register();
    once::fill_foreign(m.py())?;
    m.add_class::<names::Names>()?;
    m.add_function(wrap_pyfunction!(address::attach, m)?)?;
    m.add_function(wrap_pyfunction!(address::address_of, m)?)?;
    m.add_function(wrap_pyfunction!(address::parse_address, m)?)?;
    m.add_function(wrap_pyfunction!(call_site::note_frame, m)?)?;
    m.add_function(wrap_pyfunction!(registry::core_of, m)?)?;
    m.add_function(wrap_pyfunction!(module_objects::held_objects, m)?)?;
    m.add_function(wrap_pyfunction!(program::program_dict, m)?)?;
    m.add_function(wrap_pyfunction!(hooks::register_class, m)?)?;
    m.add_function(wrap_pyfunction!(signals::interrupt_signal, m)?)?;
    m.add_function(wrap_pyfunction!(signals::watch_signals, m)?)?;
    m.add_function(wrap_pyfunction!(system::cpu_count, m)?)?;
    m.add_function(wrap_pyfunction!(system::diagnostics, m)?)?;
    m.add_function(wrap_pyfunction!(system::address, m)?)?;
    m.add_function(wrap_pyfunction!(system::own_threads, m)?)?;
    m.add_function(wrap_pyfunction!(system::signal_name, m)?)?;
    m.add_function(wrap_pyfunction!(system::show_name, m)?)?;
    m.add_function(wrap_pyfunction!(system::prepare_title, m)?)?;
    m.add_function(wrap_pyfunction!(system::is_root, m)?)?;
    m.add_function(wrap_pyfunction!(system::was_forked, m)?)?;
    m.add_function(wrap_pyfunction!(system::has_references, m)?)?;
    m.add_function(wrap_pyfunction!(system::keep_for_child, m)?)?;
    m.add_function(wrap_pyfunction!(system::child_is_there, m)?)?;
    m.add_function(wrap_pyfunction!(system::keep_after_fork, m)?)?;
    m.add_function(wrap_pyfunction!(system::spawn_program, m)?)?;
    m.add_function(wrap_pyfunction!(system::prepare_runtime, m)?)?;
    m.add_function(wrap_pyfunction!(system::system_limits, m)?)?;
    m.add_function(wrap_pyfunction!(system::use_large_pages, m)?)?;
    m.add_function(wrap_pyfunction!(system::no_thread, m)?)?;
    m.add_function(wrap_pyfunction!(system::parse_size, m)?)?;
    m.add_function(wrap_pyfunction!(system::lift_memory_limit, m)?)?;
    m.add_function(wrap_pyfunction!(system::stop_thread_timer, m)?)?;
    m.add_function(wrap_pyfunction!(finalization::keep_daemon_threads, m)?)?;
    m.add_function(wrap_pyfunction!(immortal::make_immortal, m)?)?;
    #[cfg(feature = "crash-points")]
    m.add_function(wrap_pyfunction!(system::arm_crash_point, m)?)?;
    Ok(())
}
