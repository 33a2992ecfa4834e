//! Who a process is, and what it tells the kernel about itself.

use std::ffi::CString;

use super::check;
use super::current::Current;
use super::system::System;

/// The calling process's id.
#[must_use]
pub fn pid() -> i32 {
    // SAFETY: cannot fail.
    unsafe { libc::getpid() }
}

/// The parent's id.
#[must_use]
pub fn parent() -> i32 {
    // SAFETY: cannot fail.
    unsafe { libc::getppid() }
}

/// The calling thread's id.
#[must_use]
pub fn tid() -> i32 {
    // SAFETY: cannot fail.
    unsafe { libc::gettid() }
}

/// The real user id.
#[must_use]
pub fn user() -> u32 {
    // SAFETY: cannot fail.
    unsafe { libc::getuid() }
}

/// Whether there is a process `pid`, though it may have ended and not been collected: what can
/// be said without a descriptor to spare.
#[must_use]
pub fn exists(pid: i32) -> bool {
    // SAFETY: a plain call; signal 0 is only a question.
    let answer = check(unsafe { libc::kill(pid, 0) });
    answer.map_or_else(|e| e.raw_os_error() != Some(libc::ESRCH), |_| true)
}

/// Asks the kernel to kill this process when the thread that is its parent ends.
pub fn die_with_parent() {
    // SAFETY: a plain call.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
}

/// Asks the kernel to send this process `signal` when the thread that is its parent ends.
pub fn signal_with_parent(signal: i32) {
    // SAFETY: a plain call.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0) };
}

/// Names the calling thread, as `ps` and `top` show it (15 bytes).
pub fn set_thread_name(name: &str) {
    if let Ok(name) = CString::new(name) {
        // SAFETY: `name` is a C string; the kernel cuts it at 15 bytes.
        unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) };
    }
}

/// Ends this process at once: no handlers, no destructors.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: never returns.
    unsafe { libc::_exit(code) }
}

/// Gives the processor to somebody else.
pub fn yield_now() {
    Current::yield_now();
}

/// Sleeps for a millisecond, or less. Async-signal-safe.
pub fn nap() {
    // SAFETY: no descriptors are given.
    unsafe { libc::poll(std::ptr::null_mut(), 0, 1) };
}

/// The calling thread's last error number, which a signal handler puts back when it returns.
#[must_use]
pub fn errno() -> i32 {
    // SAFETY: the address is this thread's.
    unsafe { *libc::__errno_location() }
}

/// See [`errno`].
pub fn set_errno(error: i32) {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = error };
}
