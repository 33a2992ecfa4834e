//! The end of the interpreter, for threads that are still there.
//!
//! An interpreter that finalizes takes daemon threads out of the way as soon as they want to run:
//! up to 3.13 it ends them with `pthread_exit`, which unwinds their stacks, and that must not come
//! by a frame of Rust that called Python code. The C library then aborts the program, which had
//! come to its end. From 3.14 on such threads sleep for ever instead
//! (<https://github.com/python/cpython/issues/87135>): here they do so in any version.

use std::ffi::c_void;

use pyo3::ffi;
use pyo3::prelude::*;
use tarefa_engine::os::{imported, process};

/// Stands for `pthread_exit` where the interpreter calls it.
extern "C" fn sleep_for_ever(_: *mut c_void) -> ! {
    process::sleep_for_ever()
}

/// From now on daemon threads that the interpreter would end sleep for ever. The program is about
/// to end: nothing else of the interpreter ends a thread in this way.
#[pyfunction]
pub(crate) fn keep_daemon_threads(py: Python<'_>) {
    if py.version_info() >= (3, 14) {
        return;
    }
    let interpreter = ffi::Py_IsInitialized as unsafe extern "C" fn() -> _ as usize;
    let sleep = sleep_for_ever as extern "C" fn(_) -> !;
    // SAFETY: the interpreter and this library stay loaded: it never unloads one. What never
    // returns can stand for what never returns. Where the system refuses all stays as it is.
    let _ = unsafe { imported::redirect(interpreter, c"pthread_exit", sleep as *mut c_void) };
}
