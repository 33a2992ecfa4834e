//! Gates: where threads sleep until a queue has what they wait for.
//!
//! A gate is one word: bit 0 says that somebody may sleep, bit 1 that somebody waits for bytes, and
//! the rest counts announcements and wake-ups, so that a sleep begun on an old value ends at once.
//!
//! - Who waits announces itself, looks once more, and sleeps on the value that it announced.
//! - Who brings something stores it and then looks at the gate. Between the two, on both sides, stands
//!   a full fence: one of the two sees the other.
//! - A wake-up lets one sleeper go, and the bit stays: the next one wakes the next. Only a wake-up that
//!   found nobody takes the bit away. So nobody has to hand a wake-up on, and one that went to a thread
//!   that died is made good by the cleaner, which has all waiters look around.

use crate::atomic::{AtomicU32, Ordering, fence};
use crate::os::futex;

/// Somebody may sleep.
const SLEEPERS: u32 = 1;
/// Somebody waits for bytes: what fits one of them may not fit another, so all are woken.
const BYTES: u32 = 2;
const STEP: u32 = 4;

/// See the module.
#[repr(transparent)]
#[derive(Debug)]
pub(super) struct Gate(AtomicU32);

impl Gate {
    /// The word that is slept on.
    pub(super) fn word(&self) -> &AtomicU32 {
        &self.0
    }

    /// Announces a sleeper; the value to sleep on. What is waited for is looked at once more after
    /// this.
    pub(super) fn announce(&self, for_bytes: bool) -> u32 {
        let marks = SLEEPERS | if for_bytes { BYTES } else { 0 };
        let mark = |seen: u32| Some(seen.wrapping_add(STEP) | marks);
        let (Ok(before) | Err(before)) =
            self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, mark);
        crash_point!("gate.announced");
        // SYNC POINT: pairs with the fence in `open`.
        fence(Ordering::SeqCst);
        before.wrapping_add(STEP) | marks
    }

    /// Something has come for as many as `count`: wakes so many of those who sleep.
    #[inline]
    pub(super) fn open(&self, count: usize) {
        // SYNC POINT: pairs with the fence in `announce`.
        fence(Ordering::SeqCst);
        if self.0.load(Ordering::Relaxed) & SLEEPERS != 0 {
            self.wake(count);
        }
    }

    #[cold]
    fn wake(&self, count: usize) {
        let seen = self.0.fetch_add(STEP, Ordering::AcqRel).wrapping_add(STEP);
        crash_point!("gate.waking");
        if seen & BYTES != 0 {
            return self.open_all();
        }
        let wanted = i32::try_from(count).unwrap_or(i32::MAX);
        if futex::wake(&self.0, wanted) < wanted {
            // Nobody else sleeps; who has announced itself since has changed the word.
            let none = seen & !(SLEEPERS | BYTES);
            let _ = self.0.compare_exchange(seen, none, Ordering::AcqRel, Ordering::Relaxed);
            crash_point!("gate.nobody");
        }
    }

    /// Something has happened that all wait for: wakes those who sleep, and shows those who spin.
    pub(super) fn open_for_all(&self) {
        // SYNC POINT: pairs with the fence in `announce`.
        fence(Ordering::SeqCst);
        let seen = self.0.fetch_add(STEP, Ordering::AcqRel);
        crash_point!("gate.shown");
        if seen & SLEEPERS != 0 {
            self.open_all();
        }
    }

    /// Wakes all who sleep.
    pub(super) fn open_all(&self) {
        let clear = |seen: u32| Some(seen.wrapping_add(STEP) & !(SLEEPERS | BYTES));
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, clear);
        crash_point!("gate.opened");
        futex::wake_all(&self.0);
    }
}
