//! Forks that the program makes itself: the tables of this process's own memory are whole in the
//! child, which is a member of its own from its first call on.
//!
//! Until then its handles are of objects that the parent alone keeps alive, and any thread of that may let
//! go of them. A front that can have a fork return only after the child's first call says so before it
//! ([`keep_for_child`]): the parent counts one handle more of each object at the very fork, and gives
//! those back when the child has its own ([`take_kept`]).

use std::cell::{Cell, RefCell};
use std::os::fd::AsRawFd;
use std::sync::Once;

use super::runtime::{FORKS, RUNTIMES, Runtime};
use super::thread_slots;
use crate::atomic::Ordering;
use crate::os::{loaded, pipe};
use crate::shm::arena::offset::Off;

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

thread_local! {
    /// Whether the thread's next fork keeps what it has for the child.
    static KEEPS: Cell<bool> = const { Cell::new(false) };
    /// What it keeps: each once.
    static KEPT: RefCell<Vec<(&'static Runtime, Off)>> = const { RefCell::new(Vec::new()) };
}

/// The calling thread is about to fork, and takes what is kept with [`take_kept`] after it.
pub(in crate::shm) fn keep_for_child() {
    KEEPS.set(true);
}

/// What the calling thread's last fork has kept: one handle of each, which is the caller's.
pub(in crate::shm) fn take_kept() -> Vec<(&'static Runtime, Off)> {
    if !KEEPS.replace(false) {
        // Also where the thread's own memory is gone: any fork comes here.
        return Vec::new();
    }
    KEPT.with_borrow_mut(std::mem::take)
}

/// Nobody may be inside the process-local tables when they are copied.
extern "C" fn before_fork() {
    let all = RUNTIMES.lock();
    let keeps = KEEPS.get();
    for runtime in all.iter() {
        // SAFETY: never freed.
        let here = unsafe { &*runtime.here.load(Ordering::Acquire) };
        let mut held = here.held.lock();
        if keeps {
            let added = held.add_handle_to_each();
            KEPT.with_borrow_mut(|kept| kept.extend(added.map(|off| (*runtime, off))));
        }
        std::mem::forget(held);
        std::mem::forget(here.idle_threads.lock());
    }
    std::mem::forget(all);
}

extern "C" fn parent_of_fork() {
    unlock_tables();
}

extern "C" fn child_of_fork_c() {
    unlock_tables();
    for (runtime, off) in take_kept() {
        // SAFETY: never freed.
        let here = unsafe { &*runtime.here.load(Ordering::Acquire) };
        // It was counted for the parent.
        here.held.lock().drop_handle(off);
    }
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
