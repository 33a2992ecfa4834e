//! `terminate()` of a process: its target is told, and has some time.
//!
//! The first SIGTERM raises an exception in the target, whose `finally` blocks run. The system's
//! own action holds from then on, and the signal comes again when the grace is over: so a target
//! in a call that never returns to the interpreter ends too, of the same signal.

use std::os::raw::c_int;

use pyo3::prelude::*;
use tarefa_engine::os::{signal, signal_rewake};

unsafe extern "C" {
    fn PyErr_SetInterruptEx(signum: c_int) -> c_int;
}

const SIGTERM: c_int = 15;
const GRACE_SECONDS: i64 = 2;

extern "C" fn terminated(_: c_int) {
    signal::default(SIGTERM);
    signal::send_self_later(SIGTERM, GRACE_SECONDS);
    // SAFETY: made to be called by signal handlers; it has the interpreter call its own handler.
    unsafe { PyErr_SetInterruptEx(SIGTERM) };
    // It may have come just before the target's first sleep, which is yet to have signals minded.
    signal_rewake::rewake();
}

/// In a task's process: from now on SIGTERM calls the interpreter's handler first. False where
/// the system refuses.
#[pyfunction]
pub(crate) fn watch_termination() -> bool {
    signal_rewake::prepare(terminated);
    // SAFETY: the handler calls only what may be called in one.
    unsafe { signal::handle(SIGTERM, terminated, false).is_ok() }
}

/// Has the system's own action for SIGTERM.
#[pyfunction]
pub(crate) fn default_termination() {
    signal::default(SIGTERM);
}

/// Ends this process by SIGTERM.
#[pyfunction]
pub(crate) fn die_of_termination() {
    signal::default(SIGTERM);
    signal::unblock_all();
    let _ = signal::send_process(tarefa_engine::os::process::pid(), SIGTERM);
}
