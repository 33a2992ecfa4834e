//! Groups of operations: the lock that every container carries.
//!
//! Whoever holds a container's object lock, a recursive [`LockWord`], has the container for itself:
//! its own operations go on, and everybody else's answer [`Locked`] with nothing changed. The
//! front does each through [`retry_when_unlocked`], which waits, can be interrupted, and tries again.
//!
//! An operation looks at the guard after it has the container's latch. A reader without the
//! latch asks [`LockWord::grouped`] before it reads, and again afterwards unless every change
//! moves a version that it checks. It takes the latch if anybody has the object lock, itself too: so
//! it sees nothing of another's group, and in its own nothing of an operation that had the
//! latch when the group began.
//!
//! A guard whose owner has died stands in nobody's way. The next to take it is told.

use crate::os::clock::{self, Deadline};
use crate::shm::arena::offset::Off;
use crate::shm::tx::latch::{Latch, Latched, PATIENCE};
use crate::shm::{Member, heap};
use crate::sync::lock::word::LockWord;
use crate::sync::wait::BlockingHooks;

/// Another thread holds the container's lock: wait for it with [`retry_when_unlocked`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another thread groups its operations on the object: wait for its lock")]
pub struct Locked;

/// Errors that may say so.
pub trait MaybeGuarded {
    /// Whether the operation gave way: to another's group, or to a stopped member that has what
    /// memory is given out with ([`OutOfMemory::is_held_up`](crate::shm::heap::OutOfMemory)).
    fn is_guarded(&self) -> bool;
}

/// Takes a container's latch, unless another thread has its object lock, or whoever has the latch
/// does not let it go, for he is stopped.
///
/// # Errors
/// [`Locked`].
#[inline]
pub fn enter<'a>(
    me: &'a Member,
    latch: &'static Latch,
    object_lock: &'static LockWord,
) -> Result<Latched<'a>, Locked> {
    // For as long as a stopped member may have it: who waits in `retry_when_unlocked` looks around.
    let Some(latched) = latch.lock_until(me, || Deadline::after(Some(PATIENCE))) else {
        return Err(Locked);
    };
    if object_lock.held_by_another(me) { Err(Locked) } else { Ok(latched) }
}

/// The wait for somebody's group was interrupted; the operation was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted while another thread groups its operations on the object")]
pub struct Interrupted;

/// Does `act`, an operation on the container `object`, once no other thread's group stands in
/// its way: what it answers then, an error of its own too. Operations that wait are as sure of
/// their turn as those who wait for the lock itself. Memory that it asks for is waited for likewise.
///
/// # Errors
/// [`Interrupted`], when `hooks` says so.
#[inline]
pub fn retry_when_unlocked<T, E: MaybeGuarded, P: BlockingHooks>(
    me: &Member,
    object_lock: &'static LockWord,
    object: Off,
    hooks: impl FnOnce() -> P,
    mut act: impl FnMut() -> Result<T, E>,
) -> Result<Result<T, E>, (P, Interrupted)> {
    let mut act = || heap::retrying(me, &mut act);
    match act() {
        // By itself, so that no error is moved where there is none.
        Ok(done) => Ok(Ok(done)),
        Err(e) if e.is_guarded() => wait_and(me, object_lock, object, hooks(), act),
        Err(e) => Ok(Err(e)),
    }
}

#[cold]
fn wait_and<T, E: MaybeGuarded, P: BlockingHooks>(
    me: &Member,
    object_lock: &'static LockWord,
    object: Off,
    mut hooks: P,
    mut act: impl FnMut() -> Result<T, E>,
) -> Result<Result<T, E>, (P, Interrupted)> {
    let began = clock::now_ns();
    loop {
        match object_lock.wait_unlocked(me, object, &mut hooks, Deadline::NEVER, began, &mut act) {
            Ok(Err(e)) if e.is_guarded() => {
                if hooks.interrupted() {
                    return Err((hooks, Interrupted));
                }
            }
            Ok(other) => return Ok(other),
            Err(_) => return Err((hooks, Interrupted)),
        }
    }
}
