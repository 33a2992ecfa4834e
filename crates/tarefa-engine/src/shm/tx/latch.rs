//! The lock inside one engine call: short, uninterruptible, repaired after a death.
//!
//! A latch is one word: 0 free, else the holder's thread slot plus 1, and a bit that says
//! somebody sleeps. Before a thread takes a latch it writes the latch's offset into its slot
//! (`held`), and it clears that only after letting go, so whoever cleans up after the thread
//! ([`crate::shm::recovery`]) finds every latch it may hold, or whose sleepers it may have
//! been about to wake. The undo journal is rolled back before the latch is released, so the
//! next holder sees the structure as it was before the change that was cut short.
//!
//! A holder may also be stopped, for as long as somebody likes. So who waits for longer than a
//! moment sleeps with the interpreter's lock let go ([`unblock`]), and whoever has a time limit, or
//! can be interrupted, asks for the latch only until then ([`Latch::lock_until`]).

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::Duration;

use crate::atomic::{Ordering, compiler_fence};
use crate::os::clock::{Deadline, now_ns};
use crate::os::futex;
pub use crate::shm::arena::layout::Latch;
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;
use crate::shm::member::unblock;

const SLEEPERS: u32 = 1 << 31;
/// Looks at the word before it sleeps: about two microseconds.
const SPINS: u32 = 100;

/// How long those wait for a latch at once whom an interrupt or a time limit may call away: its
/// holder may be stopped.
pub const PATIENCE: Duration = Duration::from_millis(50);

/// For so long a thread sleeps before it lets go of what other threads need.
const MOMENT: Duration = Duration::from_millis(1);

/// What is done about a latch that its holder does not let go.
#[derive(Clone, Copy, Debug)]
pub(in crate::shm) struct Overdue {
    /// How long the calling thread waits before it does it.
    pub(in crate::shm) after: fn() -> Duration,
    /// Does it: the thread in that slot holds the latch, and the caller has waited for so long.
    pub(in crate::shm) help: fn(&Member, u32, Duration),
}

impl Overdue {
    const NOTHING: Self = Self { after: || Duration::from_secs(1), help: |_, _, _| () };
}

static OVERDUE: OnceLock<Overdue> = OnceLock::new();

/// Says what is done. The first call counts.
pub(in crate::shm) fn set_overdue(overdue: Overdue) {
    let _ = OVERDUE.set(overdue);
}

/// Who comes back for a latch so soon after it has given up has waited for it all the time: he has only
/// looked around.
const AGAIN: Duration = Duration::from_millis(250);

/// Tries of a thread, one after the other, to get the latch that the same one holds.
#[derive(Clone, Copy, Debug)]
struct Tries {
    latch: usize,
    holder: u32,
    /// When the first began, and when something was last done about it.
    began: u64,
    helped: u64,
    /// When the last was given up.
    last: u64,
}

impl Tries {
    const NONE: Self = Self { latch: 0, holder: 0, began: 0, helped: 0, last: 0 };
}

thread_local! {
    static TRIES: Cell<Tries> = const { Cell::new(Tries::NONE) };
}

/// Lets go of its latch when dropped. Two words, which functions hand on in registers.
#[derive(Debug)]
pub struct Latched<'a> {
    latch: &'static Latch,
    me: &'a Member,
}

impl Latch {
    /// Waits for the latch and takes it.
    ///
    /// # Panics
    /// When the thread holds too many latches already: a bug in the engine.
    #[inline]
    pub fn lock<'a>(&'static self, me: &'a Member) -> Latched<'a> {
        match self.lock_until(me, || Deadline::NEVER) {
            Some(latched) => latched,
            None => unreachable!("for ever is over"),
        }
    }

    /// The same, until `limit`, which is asked for where it is not free at once: `None` where it
    /// could not be had by then.
    ///
    /// # Panics
    /// As [`Latch::lock`].
    #[inline]
    pub fn lock_until<'a>(
        &'static self,
        me: &'a Member,
        limit: impl FnOnce() -> Deadline,
    ) -> Option<Latched<'a>> {
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
        if self.word.compare_exchange(0, mine, Ordering::AcqRel, Ordering::Relaxed).is_err()
            && !self.lock_slow(me, mine, limit())
        {
            slot.held[depth].store(0, Ordering::Release);
            crash_point!("latch.given_up");
            return None;
        }
        crash_point!("latch.taken");
        Some(Latched { latch: self, me })
    }

    #[cold]
    fn lock_slow(&'static self, me: &Member, mine: u32, limit: Deadline) -> bool {
        for _ in 0..me.runtime().spins(SPINS) {
            let seen = self.word.load(Ordering::Relaxed);
            if seen == 0
                && self.word.compare_exchange(0, mine, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            {
                crash_point!("latch.taken_spinning");
                return true;
            }
            crash_point!("latch.spinning");
            std::hint::spin_loop();
        }
        let overdue = OVERDUE.get().unwrap_or(&Overdue::NOTHING);
        let (mut began, mut helped) = (0, 0);
        loop {
            let seen = self.word.load(Ordering::Acquire);
            if seen == 0 {
                // Others may sleep: keep their bit, so that letting go wakes one of them.
                let taken = mine | SLEEPERS;
                if self.word.compare_exchange(0, taken, Ordering::AcqRel, Ordering::Relaxed).is_ok()
                {
                    crash_point!("latch.taken_late");
                    TRIES.set(Tries::NONE);
                    return true;
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
            let mut woken = futex::Woken::Woken;
            if began == 0 {
                began = now_ns();
                helped = began;
                // Nearly always it is let go by then, and the interpreter's lock is dear.
                let moment = Deadline::after(Some(MOMENT)).min(limit);
                woken = futex::wait(&self.word, seen | SLEEPERS, moment);
            } else {
                let until = Deadline::after(Some((overdue.after)())).min(limit);
                unblock::sleeping(&mut || {
                    woken = futex::wait(&self.word, seen | SLEEPERS, until);
                });
            }
            if woken != futex::Woken::TimedOut {
                continue;
            }
            if limit.passed() {
                self.given_up(me, (seen & !SLEEPERS) - 1, began);
                return false;
            }
            let now = now_ns();
            if now.saturating_sub(helped) >= (overdue.after)().as_nanos() as u64 {
                helped = now;
                let waited = Duration::from_nanos(now - began);
                (overdue.help)(me, (seen & !SLEEPERS) - 1, waited);
            }
        }
    }

    /// The thread waits no longer. Most come back at once, after a look around: what is done about a
    /// latch that is not let go is done for them as well, counted from their first try.
    fn given_up(&'static self, me: &Member, holder: u32, began: u64) {
        let (now, latch) = (now_ns(), std::ptr::from_ref(self) as usize);
        let before = TRIES.get();
        let goes_on = (before.latch, before.holder) == (latch, holder)
            && now.saturating_sub(before.last) < AGAIN.as_nanos() as u64;
        let (began, helped) = if goes_on { (before.began, before.helped) } else { (began, began) };
        let overdue = OVERDUE.get().unwrap_or(&Overdue::NOTHING);
        let due = now.saturating_sub(helped) >= (overdue.after)().as_nanos() as u64;
        let helped = if due { now } else { helped };
        TRIES.set(Tries { latch, holder, began, helped, last: now });
        if due {
            (overdue.help)(me, holder, Duration::from_nanos(now - began));
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
        let (slot, off) = (self.me.slot(), self.me.arena().offset_of(self.latch).0);
        // No thread holds one latch twice.
        if let Some(held) = slot.held.iter().find(|held| held.load(Ordering::Relaxed) == off) {
            held.store(0, Ordering::Release);
        }
        crash_point!("latch.forgotten");
    }
}

/// The latch at `off`.
pub(in crate::shm) fn at(me: &Member, off: Off) -> &'static Latch {
    me.arena().at(off)
}
