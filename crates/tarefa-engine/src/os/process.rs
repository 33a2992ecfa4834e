//! Who a process is, and what it tells the kernel about itself.

use std::ffi::CString;

use super::check;
use super::current::Current;
use super::system::System;
use crate::atomic::{AtomicPtr, Ordering};

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

/// The process group of process `pid`; -1 where there is no such process.
#[must_use]
pub fn group(pid: i32) -> i32 {
    // SAFETY: a plain call.
    unsafe { libc::getpgid(pid) }
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
    // The system takes no zero byte.
    if let Ok(name) = CString::new(name.replace('\0', "?")) {
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

/// What [`on_exit`] runs.
static ON_EXIT: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// Has `act` run when this process ends by `exit`, or returns from `main`, with its status: before
/// what was registered earlier, after thread-local values of the main thread are gone. The first
/// call counts. Not after `_exit`, and not when a signal ends it.
///
/// Where the C library does not say what the status is, it is given as 1.
pub fn on_exit(act: fn(i32)) {
    type Handler = extern "C" fn(libc::c_int, *mut libc::c_void);
    type OnExit = unsafe extern "C" fn(Handler, *mut libc::c_void) -> libc::c_int;
    extern "C" fn with_status(status: libc::c_int, _: *mut libc::c_void) {
        let act = ON_EXIT.load(Ordering::Acquire);
        // SAFETY: stored below, from a function of that type, before this was registered.
        let act = unsafe { std::mem::transmute::<*mut (), fn(i32)>(act) };
        act(status);
    }
    extern "C" fn without() {
        with_status(1, std::ptr::null_mut());
    }
    let first = ON_EXIT.compare_exchange(
        std::ptr::null_mut(),
        act as *mut (),
        Ordering::AcqRel,
        Ordering::Relaxed,
    );
    if first.is_err() || cfg!(miri) {
        return;
    }
    // SAFETY: a plain look-up of a name.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"on_exit".as_ptr()) };
    if found.is_null() {
        // SAFETY: a function that may run at any exit.
        unsafe { libc::atexit(without) };
        return;
    }
    // SAFETY: glibc's `on_exit` is of that type; the handler as above.
    unsafe {
        let on_exit = std::mem::transmute::<*mut libc::c_void, OnExit>(found);
        on_exit(with_status, std::ptr::null_mut());
    }
}

/// Has `act` run in each child that this process forks by the C library from now on, and in theirs,
/// before the fork returns there. It must be async-signal-safe.
pub fn on_fork_in_child(act: extern "C" fn()) {
    if cfg!(miri) {
        return;
    }
    let act: unsafe extern "C" fn() = act;
    // SAFETY: a function that may run in any child.
    unsafe { libc::pthread_atfork(None, None, Some(act)) };
}

/// The calling thread does nothing more, but for signals.
pub fn sleep_for_ever() -> ! {
    loop {
        // SAFETY: waits for a signal; no memory is touched.
        unsafe { libc::pause() };
    }
}
