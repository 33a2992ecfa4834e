//! Signals that this process is interrupted by, in the main thread's sleeps.

use std::ffi::{c_int, c_void};

use pyo3::exceptions::PyException;
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

/// Has `exception` raised in the thread `ident` of this process, at its next bytecode.
pub(crate) fn raise_in_thread(ident: u64, exception: &Bound<'_, PyAny>) -> bool {
    // SAFETY: attached; the exception is a live class; an unknown thread is answered with 0.
    unsafe { ffi::PyThreadState_SetAsyncExc(ident as _, exception.as_ptr()) > 0 }
}

/// For an exception that Python code of ours met where none can be raised. An interrupt, and what a
/// handler of the program's own raised there, is raised at the next chance; what went wrong with us is
/// told as an exception that nobody can handle.
#[cold]
pub(crate) fn raise_later(py: Python<'_>, e: PyErr) {
    let interrupts = !e.is_instance_of::<PyException>(py);
    if process::tid() == process::pid() as i32 && (interrupts || !is_ours(py, &e)) {
        let kept = Box::into_raw(Box::new(e));
        // SAFETY: attached; `raise_kept` takes what it is given, once.
        if unsafe { ffi::Py_AddPendingCall(Some(raise_kept), kept.cast()) } == 0 {
            return;
        }
        // SAFETY: it was refused, so nobody else has it.
        unsafe { Box::from_raw(kept) }.write_unraisable(py, None);
    } else if interrupts && again(py, &e).unwrap_or(false) {
        // It has the class alone, as at first.
    } else {
        e.write_unraisable(py, None);
    }
}

/// Has the interpreter raise it in the main thread.
extern "C" fn raise_kept(kept: *mut c_void) -> c_int {
    // SAFETY: `raise_later` gave it, and this is called once for that.
    let e = unsafe { Box::from_raw(kept.cast::<PyErr>()) };
    Python::attach(|py| e.restore(py));
    -1
}

/// Has an interrupt come again in this thread.
fn again(py: Python<'_>, e: &PyErr) -> PyResult<bool> {
    let ident = py.import("_thread")?.call_method0("get_ident")?.extract()?;
    Ok(raise_in_thread(ident, e.get_type(py).as_any()))
}

/// Whether code of ours raised it, rather than a handler that ran there.
fn is_ours(py: Python<'_>, e: &PyErr) -> bool {
    let Some(mut traceback) = e.traceback(py).map(Bound::into_any) else { return true };
    while let Some(next) = traceback.getattr("tb_next").ok().filter(|next| !next.is_none()) {
        traceback = next;
    }
    let module = || -> PyResult<String> {
        traceback.getattr("tb_frame")?.getattr("f_globals")?.get_item("__name__")?.extract()
    };
    module().is_ok_and(|name| name.starts_with("tarefa."))
}
