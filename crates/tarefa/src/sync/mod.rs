//! Locks, and what else threads and processes meet at.

pub(crate) mod barrier;
pub(crate) mod condvar;
pub(crate) mod errors;
pub(crate) mod event;
pub(crate) mod items;
pub(crate) mod lock;
pub(crate) mod mutex;
pub(crate) mod reentrant_lock;
pub(crate) mod rwlock;
pub(crate) mod select;
pub(crate) mod semaphore;
