//! Parties that go on without the latch, for whoever has it is stopped.
//!
//! - A party notes that its place in the queue is given up (`wait_nodes::defer`), which round it breaks, if
//!   it does, and counts itself in `gone`.
//! - Whoever has the latch, and finds that count, breaks the round and takes the places out before he does
//!   anything else. Who has the latch meanwhile looks when he has let go; if he dies before he looks, those
//!   who wait look around, as after each death, and the next to come finds the count.

use super::layout::{ACTING, BROKEN, Barrier, COME, FAILED, Overdue, ROUND, Why, at, soon};
use crate::atomic::{Ordering, fence};
use crate::os::clock::Deadline;
use crate::os::futex;
use crate::shm::Member;
use crate::shm::arena::layout::WaitNode;
use crate::shm::arena::offset::Off;
use crate::shm::tx::journal::Tx;
use crate::sync::wait_queue::{Queue, Waiter, state};

impl Barrier {
    /// Somebody has gone on without the latch: does what he has left, unless somebody has the latch, who
    /// does it when he has let go.
    #[cold]
    pub(super) fn look_after(&'static self, me: &Member) {
        loop {
            // SYNC POINT: pairs with the fence in `locked_until`. Either who has let go sees that
            // somebody has gone on, or this thread sees that he has let go.
            fence(Ordering::SeqCst);
            if self.gone.load(Ordering::Relaxed) == 0 {
                return;
            }
            let mut wakes = false;
            let Some(latched) = self.latch.lock_until(me, || Deadline::at(0)) else { return };
            self.catch_up(me, &mut wakes);
            drop(latched);
            if wakes {
                futex::wake_all(self.futex(me));
            }
        }
    }

    #[cold]
    pub(super) fn take_out_gone(&self, me: &Member, wakes: &mut bool) {
        loop {
            let seen = self.gone.load(Ordering::Acquire);
            let round = self.word.load(Ordering::Relaxed) & ROUND;
            let overdue = self.overdue.load(Ordering::Acquire);
            if let Some(why) = Overdue::of(overdue, round) {
                self.shatter(why, wakes);
                // The round's number stays where it is reset and nobody waits.
                let _ =
                    self.overdue.compare_exchange(overdue, 0, Ordering::AcqRel, Ordering::Relaxed);
                crash_point!("barrier.broken");
            }
            let mut next = self.first(me, round);
            while let Some(waiter) = next {
                next = Queue::after(me, waiter);
                if waiter.node.deferred.load(Ordering::Acquire) == 0 {
                    continue;
                }
                let mut tx = Tx::begin(me);
                self.queue.remove(me, &mut tx, waiter);
                let word = self.word.load(Ordering::Relaxed);
                if word & (BROKEN | ACTING) == 0 {
                    tx.set(&self.word, word - (1 << COME));
                }
                waiter.decide(&mut tx, state::TOLD, FAILED | round << 8);
                crash_point!("barrier.taking_out");
                tx.commit();
                crash_point!("barrier.took_out");
            }
            let none =
                self.gone.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
            crash_point!("barrier.caught_up");
            if none {
                return;
            }
        }
    }

    /// The calling thread goes on without the latch: `why` it breaks the round, if it does.
    pub(super) fn go_on(&'static self, me: &Member, round: u64, why: Option<Why>) {
        if let Some(why) = why {
            self.overdue.store(Overdue::pack(round, why), Ordering::Release);
            crash_point!("barrier.overdue");
        }
        self.gone.fetch_add(1, Ordering::AcqRel);
        crash_point!("barrier.gone");
        self.look_after(me);
    }
}

/// A wait that was left without the latch ends.
pub(super) fn give_up(me: &Member, node: &'static WaitNode, off: Off, _: Off) -> bool {
    let (barrier, waiter) = (at(me, off), Waiter::of_node(me, node));
    // With the latch it is taken out, if its round is not over.
    barrier.locked_until(me, soon, |_| waiter.leave()).is_some()
}
