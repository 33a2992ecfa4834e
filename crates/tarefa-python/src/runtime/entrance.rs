//! The way back to the interpreter's lock: one after another.
//!
//! Each thread that waits for that lock is awake every 5 ms, to ask whoever has it to let it go. Of
//! two thousand that one event has woken all would be awake all the time, and none gets on. So of the
//! threads that come back from a wait of ours one waits for the interpreter's lock, and the others
//! sleep until it has it.
//!
//! - It is an order, not a lock: who has slept here for [`PATIENCE`] goes on without it. A thread
//!   that ends in there, as a daemon does while the interpreter goes down, keeps nobody.
//! - In the child of a fork it is free, whoever had it in the parent: the word has the count of forks.
//! - Who is inside waits for the interpreter's lock alone, and nobody waits here who has that.

use std::time::Duration;

use pyo3::ffi;
use tarefa_engine::atomic::{AtomicU32, Ordering};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::futex::{self, Woken};
use tarefa_engine::shm::member::runtime;

const PATIENCE: Duration = Duration::from_secs(1);

const FREE: u32 = 0;
const TAKEN: u32 = 1;
/// Taken, and others sleep.
const AWAITED: u32 = 2;
const STATES: u32 = 3;

/// One of those, below it the count of forks.
static WORD: AtomicU32 = AtomicU32::new(FREE);

/// Takes the interpreter's lock again with what `PyEval_SaveThread` gave.
///
/// # Safety
/// As `PyEval_RestoreThread`: the state is the calling thread's, and is not attached.
pub(crate) unsafe fn restore(state: *mut ffi::PyThreadState) {
    let inside = enter();
    // SAFETY: the caller's promise.
    unsafe { ffi::PyEval_RestoreThread(state) };
    if let Some(free) = inside {
        leave(free);
    }
}

/// The word as it is when the caller has left; `None` where it goes on without its turn.
#[inline]
fn enter() -> Option<u32> {
    let free = runtime::forks() << 2 | FREE;
    match WORD.compare_exchange(free, free | TAKEN, Ordering::Acquire, Ordering::Relaxed) {
        Ok(_) => Some(free),
        Err(seen) => enter_slow(free, seen),
    }
}

#[cold]
fn enter_slow(free: u32, mut seen: u32) -> Option<u32> {
    let until = Deadline::after(Some(PATIENCE));
    let mut taken = free | TAKEN;
    loop {
        // One of before a fork has been left behind.
        if seen & STATES == FREE || seen & !STATES != free {
            match WORD.compare_exchange(seen, taken, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(free),
                Err(now) => seen = now,
            }
            continue;
        }
        if seen == free | TAKEN {
            let awaited = free | AWAITED;
            if let Err(now) =
                WORD.compare_exchange(seen, awaited, Ordering::Relaxed, Ordering::Relaxed)
            {
                seen = now;
                continue;
            }
        }
        if futex::wait(&WORD, free | AWAITED, until) == Woken::TimedOut {
            // It may have been this thread's turn.
            futex::wake(&WORD, 1);
            return None;
        }
        // Others may sleep still.
        taken = free | AWAITED;
        seen = WORD.load(Ordering::Relaxed);
    }
}

#[inline]
fn leave(free: u32) {
    if WORD.swap(free, Ordering::Release) == free | AWAITED {
        futex::wake(&WORD, 1);
    }
}
