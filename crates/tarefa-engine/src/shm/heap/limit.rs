//! How long an allocation waits for the latches of the heap, whose holder may be stopped.
//!
//! For ever, unless the caller has a time limit of its own or can be interrupted: then it says so by
//! [`within`], and gets an error in time, with which nothing has changed.

use std::cell::Cell;

use super::usage::{Cause, OutOfMemory};
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

fn limit() -> Deadline {
    let Some(until) = UNTIL.get() else { return Deadline::NEVER };
    let soon = Deadline::after(Some(PATIENCE));
    if until.passed() { soon } else { soon.or_earlier(until) }
}

/// Takes a latch of the heap for so many bytes.
#[inline]
pub(super) fn lock<'a>(
    latch: &'static Latch,
    me: &'a Member,
    bytes: u64,
) -> Result<Latched<'a>, OutOfMemory> {
    latch.lock_until(me, limit).ok_or_else(|| OutOfMemory::because(me, bytes, Cause::HeldUp))
}
