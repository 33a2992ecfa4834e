//! Taking a lock.

use super::handoff::HandoffSlot;
use super::word::{Acquired, HANDOFF, LockWord, Recursion, SLEEPERS};
use crate::atomic::{AtomicU32, Ordering};
use crate::os::clock::Deadline;
use crate::os::futex;
use crate::shm::Member;
use crate::shm::arena::offset::Off;
use crate::shm::member::slots;
use crate::sync::wait;
use crate::sync::wait::{Awaited, BlockingHooks, Outcome};

impl LockWord {
    /// Takes the lock if that needs no waiting.
    #[inline]
    #[must_use]
    pub fn try_acquire(&'static self, me: &Member, recursion: Recursion) -> Option<Acquired> {
        let mine = me.name();
        // Release as well: who reads this name looks at the slot that it names, and must not find
        // there whose slot it was before, and so take the owner for dead.
        let free = self.word.compare_exchange(0, mine, Ordering::AcqRel, Ordering::Relaxed);
        crash_point!("lock.swapped_free");
        if free.is_ok() {
            self.note_acquired(me, recursion);
            return Some(Acquired::Yes);
        }
        self.attempt(me, recursion)
    }

    #[cold]
    fn attempt(&'static self, me: &Member, recursion: Recursion) -> Option<Acquired> {
        let mut acquire = Acquire::new(self, me, recursion);
        acquire.attempt().ok().map(|()| acquire.verdict())
    }

    /// Takes the lock, waiting for it; `object` is what the lock is part of, for those who look
    /// at who waits for what.
    pub fn acquire(
        &'static self,
        me: &Member,
        recursion: Recursion,
        object: Off,
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
    ) -> Acquired {
        if let Some(acquired) = self.try_acquire(me, recursion) {
            return acquired;
        }
        let mut acquire = Acquire::new(self, me, recursion);
        acquire.slot.object = object;
        let outcome = wait::wait(me, hooks, &mut acquire, deadline);
        // Also with the lock in hand: of a plain one anybody may have let go meanwhile.
        acquire.slot.leave();
        match outcome {
            Outcome::Ready => acquire.verdict(),
            Outcome::TimedOut => Acquired::TimedOut,
            Outcome::Interrupted => Acquired::Interrupted,
        }
    }
}

struct Acquire<'a> {
    slot: HandoffSlot<'a>,
    recursion: Recursion,
    slept: bool,
    /// The dead owner that the lock was freed for.
    dead: u64,
}

impl<'a> Acquire<'a> {
    fn new(cell: &'static LockWord, me: &'a Member, recursion: Recursion) -> Self {
        Self { slot: HandoffSlot::new(cell, me), recursion, slept: false, dead: 0 }
    }

    fn swap(&self, seen: u64, new: u64) -> bool {
        let word = &self.slot.cell.word;
        // SYNC POINT: pairs with the releasing swaps of `release` and `release_waking`.
        let swap = word.compare_exchange(seen, new, Ordering::AcqRel, Ordering::Relaxed);
        crash_point!("lock.swapped");
        swap.is_ok()
    }

    fn attempt(&mut self) -> Result<(), u64> {
        let (cell, me, mine) = (self.slot.cell, self.slot.me, self.slot.mine);
        loop {
            let seen = cell.word.load(Ordering::Acquire);
            let owner = seen & !SLEEPERS;
            let done = if owner == 0 {
                // One who slept cannot know whether others still sleep: keep the bit.
                let bit = if self.slept { SLEEPERS } else { seen & SLEEPERS };
                self.swap(seen, mine | bit) && self.note_acquired()
            } else if owner == mine && self.recursion == Recursion::Allowed {
                let depth = &cell.depth;
                depth.store(depth.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                crash_point!("lock.deeper");
                true
            } else if owner & HANDOFF != 0 {
                if owner != mine | HANDOFF
                    && LockWord::lives(me, self.recursion, owner)
                    && cell.waits(me, owner)
                {
                    return Err(seen);
                }
                self.swap(seen, mine | SLEEPERS) && self.note_acquired()
            } else if LockWord::lives(me, self.recursion, owner) {
                return Err(seen);
            } else {
                self.free_for_dead(seen)
            };
            if done {
                return Ok(());
            }
        }
    }

    fn note_acquired(&self) -> bool {
        self.slot.cell.note_acquired(self.slot.me, self.recursion);
        true
    }

    /// Frees the lock, whose owner is dead; false if somebody else has.
    #[cold]
    fn free_for_dead(&mut self, seen: u64) -> bool {
        let (cell, me) = (self.slot.cell, self.slot.me);
        let (futex, owner) = (cell.futex(me), seen & !SLEEPERS);
        let before = cell.last_dead.load(Ordering::Acquire);
        if cell.word.load(Ordering::Acquire) != seen {
            return false;
        }
        let freed = wait::waking(me, futex, || {
            // Before the lock is free: who looks whether an owner has died must find one or the
            // other. All who come here note the same name, and one who comes late nothing.
            let last = &cell.last_dead;
            let _ = last.compare_exchange(before, owner, Ordering::AcqRel, Ordering::Relaxed);
            crash_point!("lock.death_noted");
            let swap = cell.word.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Relaxed);
            crash_point!("lock.freed_for_dead");
            if swap.is_ok() {
                futex::wake_all(futex);
            }
            swap.is_ok()
        });
        if freed {
            self.dead = owner;
        }
        freed
    }

    fn verdict(&self) -> Acquired {
        if self.dead == 0 {
            return Acquired::Yes;
        }
        let runtime = self.slot.me.runtime();
        Acquired::OwnerDied(slots::dead_owner(runtime.arena(), (self.dead >> 32) as u32))
    }
}

impl Awaited for Acquire<'_> {
    fn word(&self) -> &'static AtomicU32 {
        self.slot.cell.futex(self.slot.me)
    }

    fn object(&self) -> Off {
        self.slot.object
    }

    fn ready(&mut self) -> bool {
        self.attempt().is_ok()
    }

    fn announce(&mut self) -> Option<u32> {
        self.slot.announce();
        loop {
            let seen = self.attempt().err()?;
            self.slot.overtaken();
            self.slept = true;
            if self.slot.cell.mark_sleepers(seen) {
                return Some((seen | SLEEPERS) as u32);
            }
        }
    }
}
