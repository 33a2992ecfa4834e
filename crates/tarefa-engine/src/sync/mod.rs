//! Waiting and locking across threads and processes.
//!
//! Everything that blocks goes through [`wait`]: it spins for a short, adaptive time, then
//! sleeps on a futex; it can time out, be interrupted, and survives the death of whoever it
//! waits for.

pub mod cell;
pub mod event;
pub mod holding;
pub mod lock;
pub mod note;
pub mod wait;

/// Tells who looks at waits what this layer's objects are.
pub fn register() {
    let held = |name, holders| holding::Sort { name, holders, frees: holding::Frees::All };
    holding::register(kinds::LOCK, held("Lock", lock::holders));
    holding::register(kinds::RLOCK, held("RLock", lock::holders));
    holding::register(kinds::EVENT, holding::Sort::unheld("Event"));
}

/// Numbers of the object kinds of this layer.
pub mod kinds {
    /// A [`super::lock`].
    pub const LOCK: u64 = 1;
    /// An [`super::event`].
    pub const EVENT: u64 = 2;
    /// A recursive [`super::lock`].
    pub const RLOCK: u64 = 3;
}
