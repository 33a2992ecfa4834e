//! The event: a flag that threads and processes wait for.
//!
//! One word: bit 0 is the flag, bit 31 says somebody sleeps, and the bits between count how
//! often the flag was raised: who waits is let go by that even if it is lowered at once. Nobody owns it, so a death can
//! cost nothing but a wake-up, which [`wait::waking`] makes good.

use std::time::Duration;

use super::select::Selectable;
use super::wait::{self, Awaited, BlockingHooks, Outcome};
use crate::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::kinds;
use crate::os::clock::Deadline;
use crate::os::futex;
use crate::shm::Member;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::object::refcount;
use crate::shm::object::{self, ObjectHeader};

const SET: u32 = 1;
const ONE_RAISE: u32 = 2;
const SLEEPERS: u32 = 1 << 31;

#[repr(C)]
#[derive(Debug)]
struct EventObject {
    object: ObjectHeader,
    word: AtomicU32,
    reserved: AtomicU32,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for EventObject {}

/// Makes an event, not set; this process holds a reference to it.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create(me: &Member) -> Result<Off, OutOfMemory> {
    let savepoint = heap::savepoint(me);
    let made = object::create(me, kinds::EVENT, size_of::<EventObject>() as u64)
        .and_then(|off| refcount::adopt(me, off, savepoint).map(|()| off));
    if made.is_err() {
        heap::free_deferred(me, savepoint);
    }
    made
}

fn word_of(me: &Member, off: Off) -> &'static AtomicU32 {
    &me.arena().at::<EventObject>(off).word
}

/// Whether the flag is up.
#[must_use]
pub fn is_set(me: &Member, off: Off) -> bool {
    word_of(me, off).load(Ordering::Acquire) & SET != 0
}

/// Raises the flag and wakes all who wait.
pub fn set(me: &Member, off: Off) {
    let word = word_of(me, off);
    wait::waking(me, word, || {
        // SYNC POINT: pairs with the acquire loads of `is_set` and `EventWait`.
        let raise = |w: u32| {
            let raises = if w & SET == 0 { w.wrapping_add(ONE_RAISE) } else { w };
            Some((raises | SET) & !SLEEPERS)
        };
        let (Ok(before) | Err(before)) =
            word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, raise);
        crash_point!("event.set");
        if before & SLEEPERS != 0 {
            futex::wake_all(word);
        }
    });
}

/// Lowers the flag.
pub fn clear(me: &Member, off: Off) {
    let word = word_of(me, off);
    loop {
        let seen = word.load(Ordering::Relaxed);
        if seen & WATCHED_WHILE_SET == WATCHED_WHILE_SET {
            wait::waking(me, word, || {
                // The sleepers' bit stays, so that the next to raise it wakes them if this member is
                // stopped here.
                // crash: `waking` makes the wake-up good.
                word.fetch_and(!SET, Ordering::AcqRel);
                futex::wake_all(word);
            });
            return;
        }
        let lowered = seen & !SET;
        let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
        if word.compare_exchange_weak(seen, lowered, success, failure).is_ok() {
            crash_point!("event.cleared");
            return;
        }
    }
}

/// Somebody sleeps until it is lowered; or, having just been woken, has not looked yet.
const WATCHED_WHILE_SET: u32 = SET | SLEEPERS;

/// How long who shows a level may miss that it was told to stop.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Waits until the flag is up if it `was` down, and the other way round, or until `stopped`, which
/// whoever sets it shows by [`look_around`].
pub fn look_out(
    me: &Member,
    off: Off,
    was: bool,
    stopped: &AtomicBool,
    hooks: &mut dyn BlockingHooks,
    deadline: Deadline,
) -> Outcome {
    let word = word_of(me, off);
    let mut met =
        || (word.load(Ordering::Acquire) & SET != 0) != was || stopped.load(Ordering::Acquire);
    // `look_around` changes no word, so it may come just before the sleep.
    let mut level =
        ConditionWait { object: off, word, met: &mut met, look_again: Some(LOOK_AGAIN) };
    wait::wait(me, hooks, &mut level, deadline)
}

/// Has all who wait for the event look around. The word stays as it is: it says to others that somebody
/// sleeps.
pub fn look_around(me: &Member, off: Off) {
    let word = word_of(me, off);
    if word.load(Ordering::Acquire) & SLEEPERS != 0 {
        futex::wake_all(word);
    }
}

struct EventWait {
    object: Off,
    word: &'static AtomicU32,
    /// How often the flag had been raised when the wait began.
    raises: u32,
}

fn raises(word: u32) -> u32 {
    word & !(SET | SLEEPERS)
}

impl EventWait {
    fn new(me: &Member, off: Off) -> Self {
        let word = word_of(me, off);
        Self { object: off, word, raises: raises(word.load(Ordering::Acquire)) }
    }

    fn is_over(&self, word: u32) -> bool {
        word & SET != 0 || raises(word) != self.raises
    }
}

impl Awaited for EventWait {
    fn word(&self) -> &'static AtomicU32 {
        self.word
    }

    fn object(&self) -> Off {
        self.object
    }

    fn ready(&mut self) -> bool {
        self.is_over(self.word.load(Ordering::Acquire))
    }

    fn announce(&mut self) -> Option<u32> {
        let seen = self.word.fetch_or(SLEEPERS, Ordering::AcqRel);
        crash_point!("event.announced");
        (!self.is_over(seen)).then_some(seen | SLEEPERS)
    }
}

impl Selectable for EventWait {}

/// What waits beside other things until the flag is up, or was raised since.
#[must_use]
pub fn selectable(me: &Member, off: Off) -> impl Selectable + use<> {
    EventWait::new(me, off)
}

/// Waits until the flag is up.
pub fn wait(me: &Member, off: Off, hooks: &mut dyn BlockingHooks, deadline: Deadline) -> Outcome {
    wait::wait(me, hooks, &mut EventWait::new(me, off), deadline)
}

/// A wait for something that only the waiting process knows of: an event is what it sleeps on.
struct ConditionWait<'a> {
    object: Off,
    word: &'static AtomicU32,
    met: &'a mut dyn FnMut() -> bool,
    /// How soon it is looked at again in any case.
    look_again: Option<Duration>,
}

impl Awaited for ConditionWait<'_> {
    fn word(&self) -> &'static AtomicU32 {
        self.word
    }

    fn object(&self) -> Off {
        self.object
    }

    fn ready(&mut self) -> bool {
        (self.met)()
    }

    fn announce(&mut self) -> Option<u32> {
        // SYNC POINT: pairs with the raise in `set`, and the lowering in `clear`. Either that comes first,
        // and what was changed before it is seen below, or it sees the sleeper.
        let seen = self.word.fetch_or(SLEEPERS, Ordering::AcqRel);
        crash_point!("event.condition_announced");
        (!(self.met)()).then_some(seen | SLEEPERS)
    }

    fn look_again(&self) -> Deadline {
        Deadline::after(self.look_again)
    }
}

/// Waits until `met()`, whether the flag is up or not. Who changes what `met` looks at calls [`set`]
/// after that. `met` is called often, and must not wait for anything.
pub fn wait_for(
    me: &Member,
    off: Off,
    hooks: &mut dyn BlockingHooks,
    met: &mut dyn FnMut() -> bool,
    deadline: Deadline,
) -> Outcome {
    let word = word_of(me, off);
    let mut condition = ConditionWait { object: off, word, met, look_again: None };
    wait::wait(me, hooks, &mut condition, deadline)
}
