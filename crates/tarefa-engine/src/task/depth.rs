//! How deep this process is: how many processes started one another from the program to it.
//!
//! A task's record has the number; its process, and what that forks by itself, go by it.

use crate::atomic::{AtomicU64, Ordering};

/// Of this process: 0 in the program itself.
static HERE: AtomicU64 = AtomicU64::new(0);

/// This process runs a task that is so deep.
pub(super) fn is_here(depth: u64) {
    // not shared: a number of this process alone.
    HERE.store(depth, Ordering::Relaxed);
}

/// How deep a task is that this process starts.
pub(super) fn of_next() -> u64 {
    HERE.load(Ordering::Relaxed) + 1
}
