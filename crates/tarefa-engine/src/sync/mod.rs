//! Waiting and locking across threads and processes.
//!
//! Everything that blocks goes through [`wait`]: it spins for a short, adaptive time, then
//! sleeps on a futex; it can time out, be interrupted, and survives the death of whoever it
//! waits for.

pub mod barrier;
pub mod cell;
pub mod condition;
pub mod event;
pub mod holding;
pub mod lock;
pub mod note;
pub mod queue;
pub mod rwlock;
pub mod semaphore;
pub mod wait;

use self::holding::Sort;
use crate::shm::{object, waiters};

/// Numbers of the object kinds of this layer.
pub mod kinds {
    /// A [`super::lock`].
    pub const LOCK: u64 = 1;
    /// An [`super::event`].
    pub const EVENT: u64 = 2;
    /// A recursive [`super::lock`].
    pub const RLOCK: u64 = 3;
    /// A [`super::semaphore`].
    pub const SEMAPHORE: u64 = 4;
    /// A [`super::condition`].
    pub const CONDITION: u64 = 5;
    /// A [`super::barrier`].
    pub const BARRIER: u64 = 6;
    /// A [`super::rwlock`].
    pub const RWLOCK: u64 = 7;
}

/// Tells the heap, those who clean up, and those who look at waits what this layer's things are.
pub fn register() {
    waiters::register(kinds::SEMAPHORE, semaphore::RECOVERY);
    waiters::register(kinds::CONDITION, condition::RECOVERY);
    waiters::register(kinds::BARRIER, barrier::RECOVERY);
    waiters::register(kinds::RWLOCK, rwlock::RECOVERY);
    object::register(kinds::CONDITION, condition::take_apart);
    object::register(kinds::BARRIER, barrier::take_apart);
    holding::register(kinds::LOCK, Sort::held(|_, _| "Lock", lock::holders));
    holding::register(kinds::RLOCK, Sort::held(|_, _| "RLock", lock::holders));
    holding::register(kinds::EVENT, Sort::unheld(|_, _| "Event"));
    holding::register(kinds::CONDITION, Sort::unheld(|_, _| "Condition"));
    holding::register(kinds::BARRIER, Sort::unheld(|_, _| "Barrier"));
    holding::register(kinds::SEMAPHORE, semaphore::SORT);
    holding::register(kinds::RWLOCK, rwlock::SORT);
}
