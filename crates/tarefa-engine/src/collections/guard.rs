//! Groups of operations: the lock that every container carries.
//!
//! Whoever holds a container's guard, a recursive [`LockCell`], has the container for itself:
//! its own operations go on, and everybody else's answer [`Guarded`] with nothing changed. The
//! front then waits with [`LockCell::pass`], which can be interrupted, and tries again. An
//! operation looks at the guard after it has the container's latch, and a reader without the
//! latch before it reads: what it saw then was there before the group began.
//!
//! A guard whose owner has died stands in nobody's way. The next to take it is told.

use crate::shm::Me;
use crate::shm::latch::{Latch, Latched};
use crate::sync::cell::LockCell;

/// Another thread holds the container's lock: wait for it with [`LockCell::pass`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another thread groups its operations on the object: wait for its lock")]
pub struct Guarded;

/// Errors that may say so.
pub trait MaybeGuarded {
    /// Whether the operation gave way.
    fn is_guarded(&self) -> bool;
}

/// Takes a container's latch, unless another thread has its guard.
///
/// # Errors
/// [`Guarded`].
#[inline]
pub fn enter<'a>(
    me: &'a Me,
    latch: &'static Latch,
    guard: &'static LockCell,
) -> Result<Latched<'a>, Guarded> {
    let latched = latch.lock(me);
    if guard.held_by_another(me) { Err(Guarded) } else { Ok(latched) }
}
