//! Forks that the program makes itself: the tables of this process's own memory are whole in the
//! child, which is a member of its own from its first call on.

use std::os::fd::AsRawFd;
use std::sync::Once;

use super::runtime::{FORKS, RUNTIMES};
use super::thread_slots;
use crate::atomic::Ordering;
use crate::os::{loaded, pipe};

/// Sees to it, once.
pub(super) fn watch() {
    static ONCE: Once = Once::new();
    if cfg!(miri) {
        return;
    }
    ONCE.call_once(|| {
        // Threads of the engine, handlers of signals and of the ends of threads run its code.
        loaded::keep_loaded(watch as fn() as *const ());
        // SAFETY: the handlers take process-local locks in a fixed order and release them.
        unsafe {
            libc::pthread_atfork(Some(before_fork), Some(parent_of_fork), Some(child_of_fork_c))
        };
    });
}

/// Nobody may be inside the process-local tables when they are copied.
extern "C" fn before_fork() {
    let all = RUNTIMES.lock();
    for runtime in all.iter() {
        // SAFETY: never freed.
        let here = unsafe { &*runtime.here.load(Ordering::Acquire) };
        std::mem::forget(here.held.lock());
        std::mem::forget(here.idle_threads.lock());
    }
    std::mem::forget(all);
}

extern "C" fn parent_of_fork() {
    unlock_tables();
}

extern "C" fn child_of_fork_c() {
    unlock_tables();
    forget_bells();
    child_of_fork();
}

fn unlock_tables() {
    // SAFETY: `before_fork` locked it in this very thread; only this thread runs here.
    for runtime in unsafe { RUNTIMES.get_unlocked() } {
        // SAFETY: never freed.
        let here = unsafe { &*runtime.here.load(Ordering::Acquire) };
        here.held.unlock();
        here.idle_threads.unlock();
    }
    RUNTIMES.unlock();
}

/// The ends of the pipes that hear are the root's alone: by their closing others notice the root's
/// end.
fn forget_bells() {
    // SAFETY: as in `unlock_tables`; runtimes are never dropped, so the number is closed once.
    for runtime in unsafe { RUNTIMES.get_unlocked() } {
        // SAFETY: never freed.
        let here = unsafe { &*runtime.here.load(Ordering::Acquire) };
        let was_root = here.root.load(Ordering::Acquire);
        if let (Some(own), true) =
            (runtime.readers(), was_root && here.forks == FORKS.load(Ordering::Acquire))
        {
            pipe::close(own.doorbell.as_raw_fd());
            pipe::close(own.lifeline.as_raw_fd());
        }
    }
}

fn child_of_fork() {
    // not shared: a counter of this process alone.
    FORKS.fetch_add(1, Ordering::AcqRel);
    thread_slots::forget_last_used();
}
