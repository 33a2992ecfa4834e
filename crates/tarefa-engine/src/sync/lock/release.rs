//! Letting a lock go, and waking or choosing who comes next.

use super::word::{FLAGS, LockWord, NotHeld, Recursion, SLEEPERS, is_held};
use crate::atomic::{Ordering, fence};
use crate::os::futex;
use crate::shm::Member;
use crate::shm::member::slots;
use crate::sync::wait;

impl LockWord {
    /// Lets the lock go: a recursive one only once for each time that it was taken.
    ///
    /// # Errors
    /// [`NotHeld`].
    #[inline]
    pub fn release(&'static self, me: &Member, recursion: Recursion) -> Result<(), NotHeld> {
        let seen = self.word.load(Ordering::Relaxed);
        if !is_held(seen) {
            return Err(NotHeld::Free);
        }
        if recursion == Recursion::Allowed {
            if seen & !SLEEPERS != me.name() {
                return Err(NotHeld::Another);
            }
            let depth = self.depth.load(Ordering::Relaxed);
            if depth > 0 {
                self.depth.store(depth - 1, Ordering::Relaxed);
                crash_point!("lock.shallower");
                return Ok(());
            }
            let held = &me.slot().recursive_held;
            held.store(held.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
        }
        self.since.store(0, Ordering::Relaxed);
        if seen & FLAGS == 0 {
            // SYNC POINT: pairs with the acquiring swaps of `try_acquire` and `Acquire::swap`.
            let swap = self.word.compare_exchange(seen, 0, Ordering::Release, Ordering::Relaxed);
            crash_point!("lock.released");
            if swap.is_ok() {
                return Ok(());
            }
        }
        self.release_waking(me)
    }

    /// Lets go and wakes the next, or reserves the lock for its successor.
    #[cold]
    fn release_waking(&'static self, me: &Member) -> Result<(), NotHeld> {
        let futex = self.futex(me);
        wait::waking(me, futex, || {
            loop {
                let seen = self.word.load(Ordering::Relaxed);
                if !is_held(seen) {
                    return Err(NotHeld::Free);
                }
                let successor = self.successor.load(Ordering::Acquire);
                let mut next = 0;
                if successor != 0 {
                    if self.waits(me, successor) {
                        next = successor | FLAGS;
                    } else {
                        let _ = self.successor.compare_exchange(
                            successor,
                            0,
                            Ordering::Relaxed,
                            Ordering::Relaxed,
                        );
                        crash_point!("lock.heir_gone");
                    }
                }
                let swap =
                    self.word.compare_exchange(seen, next, Ordering::Release, Ordering::Relaxed);
                crash_point!("lock.released_waking");
                if swap.is_err() {
                    continue;
                }
                if next == 0 {
                    futex::wake(futex, 1);
                } else {
                    self.wake_successor(me, successor);
                }
                return Ok(());
            }
        })
    }

    /// The lock is reserved for `successor`: wakes it, or takes the reservation back.
    fn wake_successor(&'static self, me: &Member, successor: u64) {
        // SYNC POINT: pairs with the fence in `HandoffSlot::leave`: either the successor sees the reservation
        // after it has stopped waiting, or this thread sees that it has.
        fence(Ordering::SeqCst);
        if self.waits(me, successor) {
            if let Some((index, _)) = slots::parse_name(successor) {
                wait::wake(me, index);
            }
            return;
        }
        let handoff = successor | FLAGS;
        let swap = self.word.compare_exchange(handoff, 0, Ordering::AcqRel, Ordering::Relaxed);
        crash_point!("lock.reservation_back");
        if swap.is_ok() {
            futex::wake(self.futex(me), 1);
        }
    }

    /// The same at the end of a guard, which a fork of the process may have copied: what another
    /// process holds, or nobody by now, is no affair of a forked child's then.
    ///
    /// # Errors
    /// [`NotHeld`].
    #[inline]
    pub fn release_guard(&'static self, me: &Member, recursion: Recursion) -> Result<(), NotHeld> {
        let owner = self.word.load(Ordering::Relaxed) & !FLAGS;
        if owner >> 32 != me.name() >> 32 && me.runtime().was_forked() {
            return Ok(());
        }
        self.release(me, recursion)
    }

    /// Lets a recursive lock go whatever its depth, and returns the depth for
    /// [`LockWord::restore_depth`]. For conditions.
    ///
    /// # Errors
    /// [`NotHeld`].
    pub fn release_all(&'static self, me: &Member, recursion: Recursion) -> Result<u32, NotHeld> {
        let mut depth = 0;
        if recursion == Recursion::Allowed && self.is_mine(me) {
            depth = self.depth.swap(0, Ordering::Relaxed);
            crash_point!("lock.depth_taken");
        }
        self.release(me, recursion).map(|()| depth)
    }
}
