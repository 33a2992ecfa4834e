//! Waiting for a lock to be free without taking it: for operations that give way to whoever groups
//! his own.

use super::handoff::HandoffSlot;
use super::word::{LockWord, SLEEPERS};
use crate::atomic::{AtomicU32, Ordering};
use crate::os::clock::Deadline;
use crate::os::futex;
use crate::shm::Member;
use crate::shm::arena::offset::Off;
use crate::sync::wait;
use crate::sync::wait::{Awaited, BlockingHooks, Outcome};

impl LockWord {
    /// Waits until no other living thread holds it, without taking it, and then does `act`.
    ///
    /// `began` is when the thread began to wait for this, by [`crate::os::clock::now_ns`]. If it was
    /// overtaken for longer than [`super::handoff::PATIENCE_NS`], the lock is reserved for it during `act`.
    /// Otherwise, and where somebody had seen it between two sleeps, the lock may be taken
    /// before `act` has looked.
    ///
    /// # Errors
    /// [`Outcome::TimedOut`] or [`Outcome::Interrupted`]; `act` was not done.
    pub fn wait_unlocked<T>(
        &'static self,
        me: &Member,
        object: Off,
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
        began: u64,
        act: impl FnOnce() -> T,
    ) -> Result<T, Outcome> {
        let mut waiting = WaitUnlocked {
            slot: HandoffSlot { object, ..HandoffSlot::new(self, me) },
            slept: false,
        };
        waiting.slot.began = began;
        let outcome = wait::wait(me, hooks, &mut waiting, deadline);
        if outcome == Outcome::Ready && waiting.slot.is_handed() {
            // The reservation holds while the thread notes that it waits; the death of one that
            // holds nothing else is nobody's loss, and is not told.
            let result = wait::waking(me, self.futex(me), act);
            waiting.slot.leave();
            return Ok(result);
        }
        waiting.slot.leave();
        if waiting.slept {
            // A release wakes one: who does not take the lock wakes the next.
            let futex = self.futex(me);
            wait::waking(me, futex, || {
                futex::wake(futex, 1);
            });
        }
        if outcome == Outcome::Ready { Ok(act()) } else { Err(outcome) }
    }
}

struct WaitUnlocked<'a> {
    slot: HandoffSlot<'a>,
    slept: bool,
}

impl Awaited for WaitUnlocked<'_> {
    fn word(&self) -> &'static AtomicU32 {
        self.slot.cell.futex(self.slot.me)
    }

    fn object(&self) -> Off {
        self.slot.object
    }

    fn ready(&mut self) -> bool {
        !self.slot.cell.held_by_another(self.slot.me)
    }

    fn announce(&mut self) -> Option<u32> {
        self.slot.announce();
        loop {
            let seen = self.slot.cell.word.load(Ordering::Acquire);
            if self.ready() {
                return None;
            }
            self.slot.overtaken();
            self.slept = true;
            if self.slot.cell.mark_sleepers(seen) {
                return Some((seen | SLEEPERS) as u32);
            }
        }
    }
}
