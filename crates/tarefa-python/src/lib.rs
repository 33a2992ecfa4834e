//! The Python front's native half: `tarefa._engine`, private to the package `tarefa`.
//!
//! Encoding, exceptions and signals of the interpreter live here and in `python/tarefa`; the
//! engine below knows nothing of Python.

// Seconds for people from nanoseconds of a machine's uptime.
#![allow(clippy::cast_precision_loss)]
// A method's path asks for one lifetime of the task's where a closure takes any.
#![allow(clippy::redundant_closure_for_method_calls)]

mod channel;
mod collections;
mod convert;
mod pool;
mod runtime;
mod sync;
mod task;
mod trace;

use pyo3::prelude::*;

#[pymodule]
fn _engine(m: &Bound<'_, PyModule>) -> PyResult<()> {
    runtime::register(m)?;
    convert::register(m)?;
    sync::register(m)?;
    collections::register(m)?;
    channel::register(m)?;
    task::register(m)?;
    pool::register(m)?;
    trace::register(m)
}
