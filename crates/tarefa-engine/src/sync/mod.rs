//! Waiting and locking across threads and processes.
//!
//! Everything that blocks goes through [`wait`]: it spins for a short, adaptive time, then
//! sleeps on a futex; it can time out, be interrupted, and survives the death of whoever it
//! waits for.

pub mod barrier;
pub mod condition;
pub mod event;
pub mod lock;
pub mod object_kinds;
pub mod repair;
pub mod rwlock;
pub mod select;
pub mod semaphore;
pub mod wait;
pub mod wait_queue;

use crate::kinds;
use crate::shm;
use crate::shm::object;
use crate::shm::recovery::wait_nodes;
use crate::sync::object_kinds::KindInfo;

/// Tells the heap, those who clean up, and those who look at waits what this layer's things are.
pub fn register() {
    shm::register();
    wait_nodes::register(kinds::SEMAPHORE, semaphore::RECOVERY);
    wait_nodes::register(kinds::CONDITION, condition::RECOVERY);
    wait_nodes::register(kinds::BARRIER, barrier::RECOVERY);
    wait_nodes::register(kinds::RWLOCK, rwlock::RECOVERY);
    object::register(kinds::LOCK, lock::destroy_step);
    object::register(kinds::RLOCK, lock::destroy_step);
    object::register(kinds::RWLOCK, rwlock::destroy_step);
    object::register(kinds::CONDITION, condition::destroy_step);
    object::register(kinds::BARRIER, barrier::destroy_step);
    object_kinds::register(kinds::LOCK, KindInfo::held(lock::holders));
    object_kinds::register(kinds::RLOCK, KindInfo::held(lock::holders));
    object_kinds::register(kinds::EVENT, KindInfo::unheld());
    object_kinds::register(kinds::CONDITION, KindInfo::unheld());
    object_kinds::register(kinds::BARRIER, KindInfo::unheld());
    object_kinds::register(kinds::SEMAPHORE, semaphore::SORT);
    object_kinds::register(kinds::RWLOCK, rwlock::SORT);
}
