//! The native halves of locks, and of what else threads and processes meet at.

pub(crate) mod barrier;
pub(crate) mod condition;
pub(crate) mod event;
pub(crate) mod lock;
pub(crate) mod lock_fast_path;
pub(crate) mod rwlock;
pub(crate) mod semaphore;
