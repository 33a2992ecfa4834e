//! How long an allocation waits for the latches of the heap, whose holder may be stopped.
//!
//! For ever, unless the caller has a time limit of its own or can be interrupted: then it says so by
//! [`within`] or [`retrying`], and gets an error in time, with which nothing has changed.

use std::cell::Cell;

use super::usage::{Cause, OutOfMemory};
use crate::atomic::{AtomicU64, Ordering};
use crate::os::clock::Deadline;
use crate::shm::member::Member;
use crate::shm::tx::latch::{Latch, Latched, PATIENCE};

thread_local! {
    static UNTIL: Cell<Option<Deadline>> = const { Cell::new(None) };
}

/// How it was before, put back also when `act` panics.
struct Before(Option<Deadline>);

impl Drop for Before {
    fn drop(&mut self) {
        UNTIL.set(self.0);
    }
}

/// Allocations in `act` wait for a latch for as long as one waits at once who wants to wait until `until`,
/// or, where that has passed, does not want to wait: see [`OutOfMemory::is_held_up`].
pub fn within<T>(until: Deadline, act: impl FnOnce() -> T) -> T {
    let _before = Before(UNTIL.replace(Some(until)));
    act()
}

/// As [`Before`], of the mark in the thread's slot.
struct Marked(&'static AtomicU64, u64);

impl Drop for Marked {
    #[inline]
    fn drop(&mut self) {
        // not shared: see `retrying`.
        self.0.store(self.1, Ordering::Relaxed);
    }
}

/// As [`within`] for what is tried again until somebody interrupts it. Every operation of a container
/// comes here: the slot is at hand, where the thread's own memory would have to be looked up.
#[inline]
pub fn retrying<T>(me: &Member, act: impl FnOnce() -> T) -> T {
    let mark = &me.slot().retries;
    let _before = Marked(mark, mark.load(Ordering::Relaxed));
    // not shared: the thread itself reads it, and nobody after its death.
    mark.store(1, Ordering::Relaxed);
    act()
}

/// The wait for a latch of the heap was interrupted; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted while a process that is stopped has what is needed to give memory out")]
pub struct Interrupted;

/// Does `act`, which allocates, again and again for as long as a stopped member keeps it from that.
///
/// # Errors
/// [`Interrupted`], when `interrupted` says so in between.
pub fn retry_held_up<T>(
    mut interrupted: impl FnMut() -> bool,
    mut act: impl FnMut() -> Result<T, OutOfMemory>,
) -> Result<Result<T, OutOfMemory>, Interrupted> {
    loop {
        match within(Deadline::NEVER, &mut act) {
            Err(e) if e.is_held_up() => {
                if interrupted() {
                    return Err(Interrupted);
                }
            }
            other => return Ok(other),
        }
    }
}

#[cold]
fn limit(me: &Member) -> Deadline {
    let soon = || Deadline::after(Some(PATIENCE));
    match UNTIL.get() {
        Some(until) if until.passed() => soon(),
        Some(until) => soon().or_earlier(until),
        None if me.slot().retries.load(Ordering::Relaxed) != 0 => soon(),
        None => Deadline::NEVER,
    }
}

/// Takes a latch that an allocation of so many bytes needs: of the heap, or for what is to be one more
/// reference, of an object.
#[inline]
pub(in crate::shm) fn lock<'a>(
    latch: &'static Latch,
    me: &'a Member,
    bytes: u64,
) -> Result<Latched<'a>, OutOfMemory> {
    latch.lock_until(me, || limit(me)).ok_or_else(|| OutOfMemory::because(me, bytes, Cause::HeldUp))
}
