//! Errors that the locks share.

use serde::{Deserialize, Serialize};

use crate::runtime::errors::{TooManyThreads, from_no_slot};
use crate::runtime::interrupt::Interrupted;

/// The process that held a lock died with it. The lock is free again, and what it guards may
/// be half-changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error(
    "the process that held the lock died with it; what the lock guards may be half-changed: \
     check it, then take the lock again"
)]
pub struct OwnerDied;

/// A lock was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum LockError {
    /// See [`OwnerDied`].
    #[error(transparent)]
    OwnerDied(#[from] OwnerDied),
    /// The time was up first.
    #[error("the lock was still held when the time was up")]
    TimedOut,
    /// The task that waits was interrupted.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

from_no_slot!(LockError);

pub(super) fn named(pid: Option<i32>) -> String {
    pid.map_or_else(|| "(of an unknown number)".to_owned(), |pid| pid.to_string())
}
