//! The lock of user code: held across calls, released by anyone, robust.
//!
//! One word: 0 free; else [`slots::lock_owner`] of the process that took it, and a bit that
//! says somebody sleeps. When that process dies its generation changes, so the word names
//! nobody: the next to come frees the lock and is told, once.

use std::sync::atomic::{AtomicU32, Ordering};

use super::kinds;
use super::wait::{self, Condition, Outcome, Parker};
use crate::os::clock::Deadline;
use crate::os::futex;
use crate::shm::Me;
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::object::{self, ObjectHeader};
use crate::shm::offset::{Off, Shared};
use crate::shm::{references, slots};

const SLEEPERS: u32 = 1 << 31;

#[repr(C)]
#[derive(Debug)]
struct LockObject {
    object: ObjectHeader,
    word: AtomicU32,
    reserved: AtomicU32,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for LockObject {}

/// How an attempt to take a lock ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// The lock is the caller's.
    Yes,
    /// The deadline passed first.
    TimedOut,
    /// The wait was interrupted.
    Interrupted,
    /// The process that held it (its number, where that is still known) died; the lock is free
    /// now, and not the caller's.
    OwnerDied(Option<i32>),
}

/// Makes a lock; this process holds a reference to it.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create(me: &Me) -> Result<Off, OutOfMemory> {
    let mark = heap::mark(me);
    let made = object::create(me, kinds::LOCK, size_of::<LockObject>() as u64)
        .and_then(|off| references::adopt(me, off, mark).map(|()| off));
    if made.is_err() {
        heap::drain(me, mark);
    }
    made
}

fn word_of(me: &Me, off: Off) -> &'static AtomicU32 {
    &me.arena().at::<LockObject>(off).word
}

struct Taking<'a> {
    me: &'a Me,
    word: &'static AtomicU32,
    mine: u32,
    slept: bool,
    /// What the lock remembers of its dead owner; 0 for none.
    dead: u32,
}

impl Taking<'_> {
    fn attempt(&mut self) -> Result<(), u32> {
        loop {
            let seen = self.word.load(Ordering::Relaxed);
            if seen & !SLEEPERS != 0
                && slots::living_owner(self.me.runtime(), seen & !SLEEPERS).is_none()
            {
                if self.free_for_dead(seen) {
                    self.dead = seen & !SLEEPERS;
                    return Ok(());
                }
                continue;
            }
            let new = if seen & !SLEEPERS == 0 {
                // One who slept cannot know whether others still sleep: keep the bit.
                self.mine | (seen & SLEEPERS) | if self.slept { SLEEPERS } else { 0 }
            } else {
                return Err(seen);
            };
            let swap = self.word.compare_exchange(seen, new, Ordering::Acquire, Ordering::Relaxed);
            crash_point!("lock.swapped");
            if swap.is_ok() {
                return Ok(());
            }
        }
    }

    /// Frees the lock, whose owner is dead; false if somebody else has.
    #[cold]
    fn free_for_dead(&self, seen: u32) -> bool {
        wait::waking(self.me, self.word, || {
            let swap = self.word.compare_exchange(seen, 0, Ordering::Acquire, Ordering::Relaxed);
            crash_point!("lock.freed_for_dead");
            if swap.is_ok() {
                futex::wake_all(self.word);
            }
            swap.is_ok()
        })
    }
}

impl Condition for Taking<'_> {
    fn word(&self) -> &'static AtomicU32 {
        self.word
    }

    fn ready(&mut self) -> bool {
        self.attempt().is_ok()
    }

    fn announce(&mut self) -> Option<u32> {
        loop {
            let seen = self.attempt().err()?;
            self.slept = true;
            let marked = self.word.compare_exchange(
                seen,
                seen | SLEEPERS,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            crash_point!("lock.announced");
            if marked.is_ok() {
                return Some(seen | SLEEPERS);
            }
        }
    }
}

/// Takes the lock if it is free, without waiting.
#[inline]
#[must_use]
pub fn try_acquire(me: &Me, off: Off) -> Option<Acquired> {
    let mut taking = taking(me, off);
    taking.attempt().ok().map(|()| taking.verdict())
}

fn taking(me: &Me, off: Off) -> Taking<'_> {
    let runtime = me.runtime();
    let mine = slots::lock_owner(runtime, runtime.process_index());
    Taking { me, word: word_of(me, off), mine, slept: false, dead: 0 }
}

impl Taking<'_> {
    fn verdict(&self) -> Acquired {
        if self.dead == 0 {
            return Acquired::Yes;
        }
        Acquired::OwnerDied(slots::dead_owner(self.me.runtime(), self.dead))
    }
}

/// Takes the lock, waiting for it.
pub fn acquire(me: &Me, off: Off, parker: &mut dyn Parker, deadline: Deadline) -> Acquired {
    let mut taking = taking(me, off);
    match wait::wait(me, parker, &mut taking, deadline) {
        Outcome::Ready => taking.verdict(),
        Outcome::TimedOut => Acquired::TimedOut,
        Outcome::Interrupted => Acquired::Interrupted,
    }
}

/// The lock was not held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lock is not held: nothing to release")]
pub struct NotHeld;

/// Lets the lock go, whoever took it.
///
/// # Errors
/// [`NotHeld`].
pub fn release(me: &Me, off: Off) -> Result<(), NotHeld> {
    let word = word_of(me, off);
    if word.load(Ordering::Relaxed) & !SLEEPERS == 0 {
        return Err(NotHeld);
    }
    wait::waking(me, word, || {
        let before = word.swap(0, Ordering::Release);
        crash_point!("lock.released");
        if before & SLEEPERS != 0 {
            futex::wake(word, 1);
        }
    });
    Ok(())
}

/// Whether somebody alive holds the lock.
#[must_use]
pub fn locked(me: &Me, off: Off) -> bool {
    let owner = word_of(me, off).load(Ordering::Acquire) & !SLEEPERS;
    owner != 0 && slots::living_owner(me.runtime(), owner).is_some()
}
