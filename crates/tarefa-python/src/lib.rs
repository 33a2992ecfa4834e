//! The Python front's native half: `tarefa._engine`, private to the package `tarefa`.
//!
//! Encoding, exceptions and signals of the interpreter live here and in `python/tarefa`; the
//! engine below knows nothing of Python.

// Seconds for people from nanoseconds of a machine's uptime.
#![allow(clippy::cast_precision_loss)]
// A method's path asks for one lifetime of the task's where a closure takes any.
#![allow(clippy::redundant_closure_for_method_calls)]

mod collections;
mod convert;
mod runtime;
mod sync;
mod task;
mod trace;

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tarefa_engine::task::State;

#[pymodule]
fn _engine(m: &Bound<'_, PyModule>) -> PyResult<()> {
    tarefa_engine::trace::register();
    tarefa_engine::task::supervisor::untold::set_teller(task::unretrieved::remind);
    tarefa_engine::trace::set_locate(trace::stack::locate);
    m.add_class::<collections::list::ListCore>()?;
    m.add_class::<collections::map::MapCore>()?;
    m.add_class::<collections::map::MapIterator>()?;
    m.add_class::<collections::dict::DictCore>()?;
    m.add_class::<collections::dict::SetCore>()?;
    m.add_class::<collections::dict::NamespaceCore>()?;
    m.add_class::<sync::lock::LockCore>()?;
    sync::lock_fast_path::install(m.py())?;
    m.add_class::<sync::event::EventCore>()?;
    m.add_class::<sync::semaphore::SemaphoreCore>()?;
    m.add_class::<sync::condition::ConditionCore>()?;
    m.add_class::<sync::barrier::BarrierCore>()?;
    m.add_class::<sync::rwlock::RWLockCore>()?;
    m.add_class::<sync::rwlock::RWLockSide>()?;
    m.add_class::<task::TaskCore>()?;
    m.add_class::<runtime::unraisable::UnraisableHook>()?;
    m.add_class::<collections::array::ArrayMemory>()?;
    m.add_class::<collections::array::ValueCore>()?;
    m.add_class::<collections::array::ArrayCore>()?;
    m.add_function(wrap_pyfunction!(collections::array::make_array, m)?)?;
    m.add_function(wrap_pyfunction!(collections::array::has_arrays, m)?)?;
    m.add_function(wrap_pyfunction!(collections::array::keep_after_fork, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::handle::attach, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::handle::address_of, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::handle::parse_address, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::handle::collected, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::handle::discard_collected, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::handle::keep_out_of_band, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::handle::mention, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::program::program_dict, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::module_objects::held_objects, m)?)?;
    m.add_class::<runtime::names::Names>()?;
    m.add_function(wrap_pyfunction!(runtime::hooks::register_class, m)?)?;
    m.add_function(wrap_pyfunction!(task::interrupt::prepare_thread_interrupts, m)?)?;
    m.add_function(wrap_pyfunction!(task::interrupt::wake_sleeper, m)?)?;
    m.add_function(wrap_pyfunction!(task::interrupt::interrupt_signal, m)?)?;
    m.add_function(wrap_pyfunction!(task::interrupt::watch_signals, m)?)?;
    m.add_function(wrap_pyfunction!(trace::stack::stack_signal, m)?)?;
    m.add_function(wrap_pyfunction!(task::interrupt::sleep, m)?)?;
    m.add_function(wrap_pyfunction!(task::context::thread_context, m)?)?;
    m.add_function(wrap_pyfunction!(trace::stack::request_stack, m)?)?;
    m.add_function(wrap_pyfunction!(trace::last_line::watch_faults, m)?)?;
    m.add_function(wrap_pyfunction!(trace::call_site::note_frame, m)?)?;
    m.add_function(wrap_pyfunction!(trace::stack::prepare_stacks, m)?)?;
    m.add_function(wrap_pyfunction!(trace::stack::offer_stack, m)?)?;
    m.add_function(wrap_pyfunction!(trace::stack::forget_stack, m)?)?;
    m.add_function(wrap_pyfunction!(trace::stack::write_stack, m)?)?;
    m.add_function(wrap_pyfunction!(trace::report::deadlocks, m)?)?;
    m.add_function(wrap_pyfunction!(trace::report::report_after, m)?)?;
    m.add_function(wrap_pyfunction!(trace::report::set_report_after, m)?)?;
    m.add_function(wrap_pyfunction!(task::join_any, m)?)?;
    m.add_function(wrap_pyfunction!(task::unretrieved::was_reminded, m)?)?;
    m.add_function(wrap_pyfunction!(task::unretrieved::listen_for_reminders, m)?)?;
    m.add_function(wrap_pyfunction!(task::unretrieved::remind_at, m)?)?;
    m.add_function(wrap_pyfunction!(task::unretrieved::take_orphaned, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::zygote::set_zygote, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::zygote::has_zygote, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::zygote::prepare_zygote, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::zygote::send_to_zygote, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::zygote::join_runtime, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::zygote::serve, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::zygote::leave, m)?)?;
    m.add("STATE_NAMES", PyTuple::new(m.py(), State::ALL.map(State::name))?)?;
    m.add_function(wrap_pyfunction!(runtime::zygote::set_spares, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::zygote::usual_spares, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::zygote::most_spares, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::system::cpu_count, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::system::diagnostics, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::system::address, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::system::own_threads, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::system::signal_name, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::system::set_thread_name, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::system::is_root, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::system::spawn_program, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::system::prepare_runtime, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::system::system_limits, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::system::parse_size, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::system::lift_memory_limit, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::system::stop_timekeeper, m)?)?;
    m.add_function(wrap_pyfunction!(runtime::system::make_immortal, m)?)?;
    #[cfg(feature = "crash-points")]
    m.add_function(wrap_pyfunction!(runtime::system::arm_crash_point, m)?)?;
    Ok(())
}
