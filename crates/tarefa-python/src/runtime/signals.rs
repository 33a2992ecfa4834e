//! Signals that this process is interrupted by, in the main thread's sleeps.

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::ffi;
use pyo3::prelude::*;
use tarefa_engine::atomic::Ordering;
use tarefa_engine::os::{process, signal, signal_rewake};
use tarefa_engine::shm::Member;

/// The signal that makes a blocked call return.
#[pyfunction]
pub(crate) fn interrupt_signal() -> i32 {
    signal::interrupt_signal()
}

/// Sees to it that the main thread of this process sleeps over none of the signals that a program
/// is ended or interrupted by: see [`signal_rewake`]. Called again before each of its sleeps, for the
/// program may have set a handler meanwhile.
#[pyfunction]
pub(crate) fn watch_signals() {
    mind();
}

fn mind() -> bool {
    let asked = signal::interrupt_signal();
    signal_rewake::mind(&[libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGALRM, asked])
}

/// The calling thread is about to sleep: if it is the main one, no signal is slept over.
pub(crate) fn mind_signals_of_main(me: &Member) {
    if me.slot().tid.load(Ordering::Relaxed) == process::pid() as u64 && mind() {
        // One of them may have come since the interpreter looked last.
        signal_rewake::rewake();
    }
}

/// For an exception that Python code raised where none can be: an interrupt comes again, at the next
/// chance; any other is told as one that nobody can handle.
#[cold]
pub(crate) fn raise_later(py: Python<'_>, e: PyErr) {
    if e.get_type(py).is(py.get_type::<PyKeyboardInterrupt>()) {
        // SAFETY: attached; the number is a signal's.
        unsafe { ffi::PyErr_SetInterruptEx(libc::SIGINT) };
    } else {
        e.write_unraisable(py, None);
    }
}
