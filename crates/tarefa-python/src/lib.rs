//! The Python front's native half: `tarefa._engine`, private to the package `tarefa`.
//!
//! Encoding, exceptions and signals of the interpreter live here and in `python/tarefa`; the
//! engine below knows nothing of Python.

// Seconds for people from nanoseconds of a machine's uptime.
#![allow(clippy::cast_precision_loss)]
// A method's path asks for one lifetime of the task's where a closure takes any.
#![allow(clippy::redundant_closure_for_method_calls)]

mod apart;
mod array;
mod barrier;
mod condition;
mod context;
mod dict;
mod encode;
mod errors;
mod event;
mod guard;
mod handle;
mod interrupt;
mod key;
mod list;
mod lock;
mod map;
mod member;
mod parker;
mod place;
mod raw;
mod report;
mod rwlock;
mod semaphore;
mod stack;
mod swallowed;
mod system;
mod task;
mod zygote;

use pyo3::prelude::*;

#[pymodule]
fn _engine(m: &Bound<'_, PyModule>) -> PyResult<()> {
    tarefa_engine::trace::register();
    tarefa_engine::trace::set_locate(stack::locate);
    m.add_class::<list::ListCore>()?;
    m.add_class::<map::MapCore>()?;
    m.add_class::<map::MapIterator>()?;
    m.add_class::<dict::DictCore>()?;
    m.add_class::<dict::SetCore>()?;
    m.add_class::<dict::NamespaceCore>()?;
    m.add_class::<lock::LockCore>()?;
    raw::install(m.py())?;
    m.add_class::<event::EventCore>()?;
    m.add_class::<semaphore::SemaphoreCore>()?;
    m.add_class::<condition::ConditionCore>()?;
    m.add_class::<barrier::BarrierCore>()?;
    m.add_class::<rwlock::RWLockCore>()?;
    m.add_class::<rwlock::RWLockSide>()?;
    m.add_class::<task::TaskCore>()?;
    m.add_class::<swallowed::UnraisableHook>()?;
    m.add_class::<array::ArrayMemory>()?;
    m.add_class::<array::ValueCore>()?;
    m.add_class::<array::ArrayCore>()?;
    m.add_function(wrap_pyfunction!(array::make_array, m)?)?;
    m.add_function(wrap_pyfunction!(array::has_arrays, m)?)?;
    m.add_function(wrap_pyfunction!(array::keep_after_fork, m)?)?;
    m.add_function(wrap_pyfunction!(handle::attach, m)?)?;
    m.add_function(wrap_pyfunction!(handle::address_of, m)?)?;
    m.add_function(wrap_pyfunction!(handle::parse_address, m)?)?;
    m.add_function(wrap_pyfunction!(handle::collect, m)?)?;
    m.add_function(wrap_pyfunction!(handle::keep_apart, m)?)?;
    m.add_function(wrap_pyfunction!(interrupt::prepare_thread_interrupts, m)?)?;
    m.add_function(wrap_pyfunction!(interrupt::wake_sleeper, m)?)?;
    m.add_function(wrap_pyfunction!(interrupt::interrupt_signal, m)?)?;
    m.add_function(wrap_pyfunction!(interrupt::mind_signals, m)?)?;
    m.add_function(wrap_pyfunction!(stack::stack_signal, m)?)?;
    m.add_function(wrap_pyfunction!(interrupt::sleep, m)?)?;
    m.add_function(wrap_pyfunction!(context::thread_context, m)?)?;
    m.add_function(wrap_pyfunction!(stack::request_stack, m)?)?;
    m.add_function(wrap_pyfunction!(stack::prepare_stacks, m)?)?;
    m.add_function(wrap_pyfunction!(stack::offer_stack, m)?)?;
    m.add_function(wrap_pyfunction!(stack::forget_stack, m)?)?;
    m.add_function(wrap_pyfunction!(stack::write_stack, m)?)?;
    m.add_function(wrap_pyfunction!(report::deadlocks, m)?)?;
    m.add_function(wrap_pyfunction!(report::report_after, m)?)?;
    m.add_function(wrap_pyfunction!(report::set_report_after, m)?)?;
    m.add_function(wrap_pyfunction!(task::join_any, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::set_zygote, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::has_zygote, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::prepare_zygote, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::send_to_zygote, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::join_runtime, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::serve, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::leave, m)?)?;
    m.add_function(wrap_pyfunction!(zygote::set_spares, m)?)?;
    m.add_function(wrap_pyfunction!(system::cpu_count, m)?)?;
    m.add_function(wrap_pyfunction!(system::diagnostics, m)?)?;
    m.add_function(wrap_pyfunction!(system::address, m)?)?;
    m.add_function(wrap_pyfunction!(system::own_threads, m)?)?;
    m.add_function(wrap_pyfunction!(system::signal_name, m)?)?;
    m.add_function(wrap_pyfunction!(system::set_thread_name, m)?)?;
    m.add_function(wrap_pyfunction!(system::is_root, m)?)?;
    m.add_function(wrap_pyfunction!(system::spawn_program, m)?)?;
    m.add_function(wrap_pyfunction!(system::prepare_runtime, m)?)?;
    m.add_function(wrap_pyfunction!(system::system_limits, m)?)?;
    m.add_function(wrap_pyfunction!(system::parse_size, m)?)?;
    m.add_function(wrap_pyfunction!(system::time_limit_grace, m)?)?;
    m.add_function(wrap_pyfunction!(system::lift_memory_limit, m)?)?;
    m.add_function(wrap_pyfunction!(system::stop_timekeeper, m)?)?;
    m.add_function(wrap_pyfunction!(system::make_immortal, m)?)?;
    #[cfg(feature = "crash-points")]
    m.add_function(wrap_pyfunction!(system::arm_crash_point, m)?)?;
    Ok(())
}
