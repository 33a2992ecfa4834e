//! The calling thread as a member of this process's runtime.

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use tarefa_engine::atomic::{AtomicBool, Ordering};
use tarefa_engine::shm::{Member, Runtime};
use tarefa_engine::task;

use crate::runtime::{call_site, errors, hooks};

/// The thread's slot in this process's runtime, which is made now if there is none.
pub(crate) fn me(py: Python<'_>) -> PyResult<Member> {
    match task::runtime() {
        Ok(runtime) => {
            let me = runtime.try_me().map_err(errors::too_many_threads)?;
            offer_once(py);
            Ok(me)
        }
        Err(e) => Err(errors::runtime_failed(py, &e)),
    }
}

/// The same where something of the runtime's is there already: nothing is looked after then.
#[inline]
pub(crate) fn here(py: Python<'_>) -> PyResult<Member> {
    match Runtime::existing_unlocked() {
        Some(runtime) => runtime.try_me().map_err(errors::too_many_threads),
        None => me(py),
    }
}

/// Whether this process has been made to offer its stack, or has tried.
static OFFERED: AtomicBool = AtomicBool::new(false);

/// Has this process offer its stack, the first time.
#[inline]
pub(crate) fn offer_once(py: Python<'_>) {
    if !OFFERED.load(Ordering::Relaxed) {
        offer_first(py);
    }
}

#[cold]
fn offer_first(py: Python<'_>) {
    if !OFFERED.swap(true, Ordering::AcqRel) {
        call_site::learn_folder(py);
        // Without it a report lacks a line, no more.
        let offered = hooks::OFFER_STACK.get(py).and_then(|offer| offer.call0());
        // A Ctrl-C that came while the runtime was made is raised by the first line of Python after that,
        // which is in there: it comes again, to who asked for the runtime.
        if offered.is_err_and(|e| e.get_type(py).is(py.get_type::<PyKeyboardInterrupt>())) {
            let _ = py.import("_thread").and_then(|module| module.call_method0("interrupt_main"));
        }
    }
}

/// Notes that it has, or in the child of a fork that it has not.
pub(crate) fn set_offered(offered: bool) {
    OFFERED.store(offered, Ordering::Release);
}
