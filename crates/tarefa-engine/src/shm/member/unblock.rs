//! What a front's thread lets go of while it waits inside the engine: its interpreter's lock.
//!
//! Waits that a user asked for know their hooks. Those for a latch, or for a lock of the process's
//! own, may come anywhere in a call: mostly they are shorter than a system call, but whoever has
//! what is waited for may be stopped. So the front says once how a thread of its own sleeps, and
//! whoever waits for longer than that is worth sleeps so.

use std::sync::OnceLock;

/// Runs a sleep with all released that the front's other threads need. On a thread that has
/// nothing of that kind it just runs it.
pub type Unblocked = fn(&mut dyn FnMut());

static UNBLOCKED: OnceLock<Unblocked> = OnceLock::new();

/// Says how. The first call counts.
pub fn set_unblocked(unblocked: Unblocked) {
    let _ = UNBLOCKED.set(unblocked);
}

/// Runs `sleep` so.
pub(in crate::shm) fn sleeping(sleep: &mut dyn FnMut()) {
    match UNBLOCKED.get() {
        Some(unblocked) => unblocked(sleep),
        None => sleep(),
    }
}
