//! Groups of operations: the lock that every container carries.
//!
//! Whoever holds a container's guard, a recursive [`LockCell`], has the container for itself:
//! its own operations go on, and everybody else's answer [`Guarded`] with nothing changed. The
//! front does each through [`giving_way`], which waits, can be interrupted, and tries again.
//!
//! An operation looks at the guard after it has the container's latch. A reader without the
//! latch asks [`LockCell::grouped`] before it reads, and again afterwards unless every change
//! moves a version that it checks. It takes the latch if anybody has the guard, itself too: so
//! it sees nothing of another's group, and in its own nothing of an operation that had the
//! latch when the group began.
//!
//! A guard whose owner has died stands in nobody's way. The next to take it is told.

use crate::os::clock::{self, Deadline};
use crate::shm::Me;
use crate::shm::arena::offset::Off;
use crate::shm::tx::latch::{Latch, Latched};
use crate::sync::lock::word::LockCell;
use crate::sync::wait::Parker;

/// Another thread holds the container's lock: wait for it with [`giving_way`].
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

/// The wait for somebody's group was interrupted; the operation was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted while another thread groups its operations on the object")]
pub struct Interrupted;

/// Does `act`, an operation on the container `object`, once no other thread's group stands in
/// its way: what it answers then, an error of its own too. Operations that wait are as sure of
/// their turn as those who wait for the lock itself.
///
/// # Errors
/// [`Interrupted`], when `parker` says so.
#[inline]
pub fn giving_way<T, E: MaybeGuarded, P: Parker>(
    me: &Me,
    guard: &'static LockCell,
    object: Off,
    parker: impl FnOnce() -> P,
    mut act: impl FnMut() -> Result<T, E>,
) -> Result<Result<T, E>, (P, Interrupted)> {
    match act() {
        Err(e) if e.is_guarded() => wait_and(me, guard, object, parker(), act),
        other => Ok(other),
    }
}

#[cold]
fn wait_and<T, E: MaybeGuarded, P: Parker>(
    me: &Me,
    guard: &'static LockCell,
    object: Off,
    mut parker: P,
    mut act: impl FnMut() -> Result<T, E>,
) -> Result<Result<T, E>, (P, Interrupted)> {
    let began = clock::now_ns();
    loop {
        match guard.pass(me, object, &mut parker, Deadline::NEVER, began, &mut act) {
            Ok(Err(e)) if e.is_guarded() => {}
            Ok(other) => return Ok(other),
            Err(_) => return Err((parker, Interrupted)),
        }
    }
}
