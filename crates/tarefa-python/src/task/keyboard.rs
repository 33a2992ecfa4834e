//! SIGINT in a task's process: whose of it raises `KeyboardInterrupt` there.
//!
//! A terminal's Ctrl-C reaches every process of its group, and so does what a notebook's server or a
//! supervisor sends to the group instead: that is the root's to answer. What a process of the program
//! sends on purpose is for the task: it itself does, the one that started it, or the root.

use std::ffi::c_void;
use std::os::raw::c_int;

use pyo3::ffi::PyErr_SetInterruptEx;
use pyo3::prelude::*;
use tarefa_engine::atomic::{AtomicI32, Ordering};
use tarefa_engine::os::{process, signal, signal_rewake};

use crate::runtime::member;
use crate::task::core::TaskCore;

const SIGINT: c_int = 2;

/// The processes, besides this one, that are listened to.
static ROOT: AtomicI32 = AtomicI32::new(0);
static STARTER: AtomicI32 = AtomicI32::new(0);

extern "C" fn came(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel gave it to this handler.
    let Some(sender) = (unsafe { signal::sender(info) }) else { return };
    let others = [ROOT.load(Ordering::Relaxed), STARTER.load(Ordering::Relaxed)];
    // From outside of the container it is 0.
    if sender <= 0 || sender != process::pid() && !others.contains(&sender) {
        return;
    }
    // SAFETY: made to be called by signal handlers; it has the interpreter call its own handler.
    unsafe { PyErr_SetInterruptEx(SIGINT) };
    signal_rewake::rewake();
}

/// In the process of that task, after the runtime is joined: from now on SIGINT of the program's own
/// processes is a `KeyboardInterrupt`, and does nothing else.
#[pyfunction]
pub(crate) fn watch_keyboard(py: Python<'_>, core: &TaskCore) -> PyResult<()> {
    ROOT.store(member::me(py)?.runtime().root_pid(), Ordering::Relaxed);
    let starter = core.with(|task| task.starter()).map_or(0, |(pid, _)| pid);
    STARTER.store(starter, Ordering::Relaxed);
    // SAFETY: the handler calls only what may be called in one. Where the system refuses, none comes.
    let _ = unsafe { signal::handle_with_context(SIGINT, came) };
    Ok(())
}
