//! Handing a lock to one who has waited for long: a place among those who wait, for which a release
//! may reserve the lock.

use super::word::{FLAGS, LockWord};
use crate::atomic::{Ordering, fence};
use crate::os::{clock, futex};
use crate::shm::Member;
use crate::shm::arena::offset::Off;
use crate::sync::wait;

/// How long a thread waits before it asks to be the next.
pub const PATIENCE_NS: u64 = 1_000_000;

/// A thread's place among those who wait for a lock.
pub(super) struct HandoffSlot<'a> {
    pub(super) cell: &'static LockWord,
    pub(super) me: &'a Member,
    pub(super) object: Off,
    pub(super) mine: u64,
    /// Whether it has said in its slot that it would take the lock.
    pub(super) announced: bool,
    /// When the thread first slept; 0 before.
    pub(super) began: u64,
}

impl<'a> HandoffSlot<'a> {
    pub(super) fn new(cell: &'static LockWord, me: &'a Member) -> Self {
        Self { cell, me, object: Off::NONE, mine: me.name(), announced: false, began: 0 }
    }

    /// The thread is in a sleep's note: from here on the lock may be reserved for it.
    pub(super) fn announce(&mut self) {
        self.announced = true;
        let at = self.me.arena().offset_of(self.cell).0;
        self.me.slot().taking.store(at, Ordering::Release);
        crash_point!("lock.acquire");
    }

    /// The thread was overtaken: asks to be the next if it has waited for long.
    pub(super) fn overtaken(&mut self) {
        if self.began == 0 {
            self.began = clock::now_ns();
        } else if self.cell.successor.load(Ordering::Relaxed) == 0
            && clock::now_ns() - self.began > PATIENCE_NS
        {
            let successor = &self.cell.successor;
            let _ = successor.compare_exchange(0, self.mine, Ordering::Release, Ordering::Relaxed);
            crash_point!("lock.successor");
        }
    }

    pub(super) fn is_handed(&self) -> bool {
        self.cell.word.load(Ordering::Acquire) == self.mine | FLAGS
    }

    /// Waits no more; what was reserved for the thread goes to the next.
    pub(super) fn leave(&mut self) {
        // After a fork in the middle of the wait the slot and the name are the parent's.
        if !self.announced || !self.me.is_here() {
            return;
        }
        self.me.slot().taking.store(0, Ordering::Release);
        crash_point!("lock.left");
        // SYNC POINT: pairs with the fence in `wake_successor`.
        fence(Ordering::SeqCst);
        let successor = &self.cell.successor;
        if successor.load(Ordering::Relaxed) == self.mine {
            let _ = successor.compare_exchange(self.mine, 0, Ordering::Relaxed, Ordering::Relaxed);
            crash_point!("lock.heir_withdrawn");
        }
        if self.is_handed() {
            self.hand_on();
        }
    }

    #[cold]
    fn hand_on(&self) {
        let (cell, futex) = (self.cell, self.cell.futex(self.me));
        wait::waking(self.me, futex, || {
            let handoff = self.mine | FLAGS;
            let swap = cell.word.compare_exchange(handoff, 0, Ordering::AcqRel, Ordering::Relaxed);
            crash_point!("lock.reservation_left");
            if swap.is_ok() {
                futex::wake(futex, 1);
            }
        });
    }
}
