//! Looking at a program while it runs or hangs.

pub(crate) mod last_line;
pub(crate) mod report;
pub(crate) mod stack;
mod timeline;

use pyo3::prelude::*;
use tarefa_engine::trace;

/// Puts the room's classes and functions into the module.
pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    trace::register();
    trace::set_locate(stack::locate);
    m.add_class::<timeline::RecordingCore>()?;
    m.add_class::<timeline::TimelineCore>()?;
    m.add_function(wrap_pyfunction!(stack::stack_signal, m)?)?;
    m.add_function(wrap_pyfunction!(stack::request_stack, m)?)?;
    m.add_function(wrap_pyfunction!(stack::prepare_stacks, m)?)?;
    m.add_function(wrap_pyfunction!(stack::offer_stack, m)?)?;
    m.add_function(wrap_pyfunction!(stack::forget_stack, m)?)?;
    m.add_function(wrap_pyfunction!(stack::write_stack, m)?)?;
    m.add_function(wrap_pyfunction!(last_line::watch_faults, m)?)?;
    m.add_function(wrap_pyfunction!(report::deadlocks, m)?)?;
    m.add_function(wrap_pyfunction!(report::report_after, m)?)?;
    m.add_function(wrap_pyfunction!(report::set_report_after, m)?)?;
    Ok(())
}
