//! The lock inside one engine call: short, uninterruptible, repaired after a death.
//!
//! A latch is one word: 0 free, else the holder's thread slot plus 1, and a bit that says
//! somebody sleeps. Before a thread takes a latch it writes the latch's offset into its slot
//! (`held`), and it clears that only after letting go, so whoever cleans up after the thread
//! ([`crate::shm::recovery`]) finds every latch it may hold, or whose sleepers it may have
//! been about to wake. The undo journal is rolled back before the latch is released, so the
//! next holder sees the structure as it was before the change that was cut short.

use std::sync::OnceLock;
use std::time::Duration;

use crate::atomic::{Ordering, compiler_fence};
use crate::os::clock::Deadline;
use crate::os::futex;
pub use crate::shm::arena::layout::Latch;
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;

const SLEEPERS: u32 = 1 << 31;
/// Looks at the word before it sleeps: about two microseconds.
const SPINS: u32 = 100;

/// What is done about a latch that its holder does not let go.
#[derive(Clone, Copy, Debug)]
pub(in crate::shm) struct Overdue {
    /// How long the calling thread waits before it does it.
    pub(in crate::shm) after: fn() -> Duration,
    /// Does it: the thread in that slot holds the latch.
    pub(in crate::shm) help: fn(&Member, u32),
}

impl Overdue {
    const NOTHING: Self = Self { after: || Duration::from_secs(1), help: |_, _| () };
}

static OVERDUE: OnceLock<Overdue> = OnceLock::new();

/// Says what is done. The first call counts.
pub(in crate::shm) fn set_overdue(overdue: Overdue) {
    let _ = OVERDUE.set(overdue);
}

/// Lets go of its latch when dropped.
#[derive(Debug)]
pub struct Latched<'a> {
    latch: &'static Latch,
    me: &'a Member,
    depth: usize,
}

impl Latch {
    /// Waits for the latch and takes it.
    ///
    /// # Panics
    /// When the thread holds too many latches already: a bug in the engine.
    pub fn lock<'a>(&'static self, me: &'a Member) -> Latched<'a> {
        let slot = me.slot();
        let depth = slot
            .held
            .iter()
            .position(|h| h.load(Ordering::Relaxed) == 0)
            .expect("a free place in the held latches");
        slot.held[depth].store(me.arena().offset_of(self).0, Ordering::Release);
        crash_point!("latch.intent");
        // The intent before the latch, also for the compiler.
        compiler_fence(Ordering::SeqCst);
        let mine = me.index() + 1;
        // Release as well: who waits looks at the slot that the word names.
        if self.word.compare_exchange(0, mine, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            self.lock_slow(me, mine);
        }
        crash_point!("latch.taken");
        Latched { latch: self, me, depth }
    }

    #[cold]
    fn lock_slow(&'static self, me: &Member, mine: u32) {
        for _ in 0..me.runtime().spins(SPINS) {
            let seen = self.word.load(Ordering::Relaxed);
            if seen == 0
                && self.word.compare_exchange(0, mine, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            {
                crash_point!("latch.taken_spinning");
                return;
            }
            crash_point!("latch.spinning");
            std::hint::spin_loop();
        }
        let overdue = OVERDUE.get().unwrap_or(&Overdue::NOTHING);
        loop {
            let seen = self.word.load(Ordering::Acquire);
            if seen == 0 {
                // Others may sleep: keep their bit, so that letting go wakes one of them.
                let taken = mine | SLEEPERS;
                if self.word.compare_exchange(0, taken, Ordering::AcqRel, Ordering::Relaxed).is_ok()
                {
                    crash_point!("latch.taken_late");
                    return;
                }
                continue;
            }
            if seen & SLEEPERS == 0 {
                let marked = self.word.compare_exchange(
                    seen,
                    seen | SLEEPERS,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                crash_point!("latch.marked");
                if marked.is_err() {
                    continue;
                }
            }
            // The supervisor releases what the dead held. The time limit is for the supervisor
            // itself, and for a runtime whose root is gone.
            let limit = Deadline::after(Some((overdue.after)()));
            if futex::wait(&self.word, seen | SLEEPERS, limit) == futex::Woken::TimedOut {
                (overdue.help)(me, (seen & !SLEEPERS) - 1);
            }
        }
    }

    /// Releases the latch for a thread that is dead. Its journal must be rolled back.
    pub(in crate::shm) fn release_for_dead(&self, index: u32) {
        let seen = self.word.load(Ordering::Acquire);
        if seen & !SLEEPERS == index + 1 {
            // Only the sleepers' bit may have come meanwhile, and all sleepers are woken.
            self.word.swap(0, Ordering::Release);
            crash_point!("latch.released_for_dead");
        }
        futex::wake_all(&self.word);
    }

    /// The thread slot that holds the latch.
    #[must_use]
    pub fn holder(&self) -> Option<u32> {
        (self.word.load(Ordering::Acquire) & !SLEEPERS).checked_sub(1)
    }
}

impl Drop for Latched<'_> {
    fn drop(&mut self) {
        debug_assert_eq!(self.me.slot().journal_len.load(Ordering::Relaxed), 0);
        let before = self.latch.word.swap(0, Ordering::Release);
        crash_point!("latch.free");
        if before & SLEEPERS != 0 {
            futex::wake(&self.latch.word, 1);
        }
        crash_point!("latch.woke");
        self.me.slot().held[self.depth].store(0, Ordering::Release);
        crash_point!("latch.forgotten");
    }
}

/// The latch at `off`.
pub(in crate::shm) fn at(me: &Member, off: Off) -> &'static Latch {
    me.arena().at(off)
}
