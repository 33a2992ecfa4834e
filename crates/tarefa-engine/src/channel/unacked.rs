//! Messages that were taken and are to be acknowledged: the queue's until they are.
//!
//! They lie in a table of the queue's, each with the process that holds it, under the latch of consumers.
//!
//! - Taking moves a message from the ring to a free entry, by one [`Tx`]; acknowledging moves its blob
//!   to the chain of the process, and frees the entry. Neither the return of a message nor its
//!   acknowledgement needs memory.
//! - A message that comes back stays in its entry, in a list in the order in which the messages came
//!   out first, or where the least comes first in their order. Consumers take from that list before
//!   they take from the ring.
//! - Who died gives nothing back: whoever has the latch next, and sees that processes have died since
//!   the last look, takes back what the dead hold. A death has all waiters look around.

use super::priority;
use super::queue::{Order, Queue, shut, soon};
use super::taken::{Delivery, Taken};
use crate::atomic::{AtomicU64, Ordering};
use crate::collections::value;
use crate::os::clock::Deadline;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, Kind, OutOfMemory};
use crate::shm::member::slots;
use crate::shm::object::blob;
use crate::shm::tx::journal::Tx;
use crate::sync::wait::{BlockingHooks, Plain};

/// Entries of the first table, and how many a table has that is kept when all of them are free.
const LEAST: u64 = 16;
const KEPT: u64 = 256;

/// A message in the table, or room for one.
#[repr(C)]
#[derive(Debug)]
struct Entry {
    /// The message; 0 in a free entry.
    word: AtomicU64,
    /// The process that holds it, as a lock's word names it, or 0; above it how often it was handed out.
    holder: AtomicU64,
    /// The number of its first delivery, which orders those that come back.
    order: AtomicU64,
    /// The number of its last one.
    ticket: AtomicU64,
    /// The next in the list of those that came back, or of free entries; 0 behind the last.
    next: AtomicU64,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for Entry {}

const ENTRY: u64 = size_of::<Entry>() as u64;
const HANDED_OUT: u64 = 1 << 32;

/// So many messages are not the calling process's: they were acknowledged or given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} of the messages are not this process's to acknowledge or to give back")]
pub struct NotHeld(pub usize);

/// The process of a holder's word.
fn holder(word: u64) -> u32 {
    word as u32
}

impl Queue<'_> {
    /// The entry of a number from 1 on; a latch is held, or it is a hint.
    #[inline]
    fn entry(&self, number: u64) -> &'static Entry {
        let table = Off(self.it.get.unacked.table.load(Ordering::Relaxed));
        self.me.arena().at(table.plus(heap::HEADER + (number - 1) * ENTRY))
    }

    /// The calling process as entries name it.
    fn this_process(&self) -> u32 {
        let process = self.me.slot().owner.load(Ordering::Relaxed).saturating_sub(1) as u32;
        slots::lock_owner(self.me.arena(), process)
    }

    /// Whether a look without the latch shows a message that came back, or will when somebody looks.
    #[inline]
    pub(super) fn something_returned(&self) -> bool {
        let unacked = &self.it.get.unacked;
        // Whoever takes a message back counts it as returned before it is no longer held.
        unacked.held.load(Ordering::Acquire) != 0 && self.has_new_deaths()
            || unacked.returned.load(Ordering::Acquire) != 0
    }

    /// Whether processes have died since somebody last looked.
    #[inline]
    fn has_new_deaths(&self) -> bool {
        let seen = self.it.get.unacked.deaths_seen.load(Ordering::Acquire);
        self.me.header().deaths.load(Ordering::Acquire) != seen
    }

    /// Takes back what those hold who have died since the last look. The latch of consumers is held.
    #[inline]
    pub(super) fn return_of_the_dead(&self) {
        if self.it.get.unacked.held.load(Ordering::Relaxed) != 0 && self.has_new_deaths() {
            self.return_what_the_dead_hold();
        }
    }

    /// Takes back what processes hold that have ended. The latch of consumers is held.
    #[cold]
    pub(super) fn return_what_the_dead_hold(&self) {
        let unacked = &self.it.get.unacked;
        if unacked.held.load(Ordering::Relaxed) == 0 {
            return;
        }
        let deaths = self.me.header().deaths.load(Ordering::Acquire);
        let is_dead = |number: &u64| {
            let who = holder(self.entry(*number).holder.load(Ordering::Relaxed));
            who != 0 && slots::living_owner(self.me.arena(), who).is_none()
        };
        self.take_back((1..=unacked.room.load(Ordering::Relaxed)).filter(is_dead).collect());
        // A Release store: who sees it sees what came back.
        unacked.deaths_seen.store(deaths, Ordering::Release);
        crash_point!("unacked.looked");
    }

    /// Puts the messages of these entries among those that came back. The latch of consumers is held.
    fn take_back(&self, mut entries: Vec<u64>) {
        let unacked = &self.it.get.unacked;
        entries.sort_by(|a, b| self.compare_entries(*a, *b));
        entries.dedup();
        let (mut before, mut behind) = (0, unacked.first.load(Ordering::Relaxed));
        for number in entries {
            while behind != 0 && self.compare_entries(behind, number).is_lt() {
                before = behind;
                behind = self.entry(behind).next.load(Ordering::Relaxed);
            }
            let it = self.entry(number);
            let was = it.holder.load(Ordering::Relaxed);
            let mut tx = Tx::begin(self.me);
            self.count_returned(&mut tx, holder(was));
            tx.set(&it.holder, was & !(HANDED_OUT - 1));
            tx.set(&it.next, behind);
            let link = if before == 0 { &unacked.first } else { &self.entry(before).next };
            tx.set(link, number);
            tx.set(&unacked.returned, unacked.returned.load(Ordering::Relaxed) + 1);
            tx.set(&unacked.held, unacked.held.load(Ordering::Relaxed) - 1);
            crash_point!("unacked.returning");
            tx.commit();
            crash_point!("unacked.returned");
            before = number;
        }
    }

    /// Which of two entries' messages comes out first.
    fn compare_entries(&self, a: u64, b: u64) -> std::cmp::Ordering {
        let (a, b) = (self.entry(a), self.entry(b));
        let number = |e: &Entry| e.order.load(Ordering::Relaxed);
        let word = |e: &Entry| e.word.load(Ordering::Relaxed);
        let by_content = if self.order() == Order::Priority {
            priority::compare(self.me, word(a), word(b))
        } else {
            std::cmp::Ordering::Equal
        };
        by_content.then(number(a).cmp(&number(b)))
    }

    /// The first message that came back, if it comes out before `next`, the word of the ring's first.
    #[inline]
    pub(super) fn first_returned(&self, next: impl FnOnce() -> Option<u64>) -> Option<u64> {
        let first = self.it.get.unacked.first.load(Ordering::Relaxed);
        if first == 0 {
            return None;
        }
        let is_first = self.order() != Order::Priority
            || next().is_none_or(|next| {
                let word = self.entry(first).word.load(Ordering::Relaxed);
                priority::compare(self.me, word, next).is_le()
            });
        is_first.then_some(first)
    }

    /// Has room for one more message that is to be acknowledged, whatever is full: only who can take it
    /// can be done with it. The latch of consumers is held.
    #[inline]
    pub(super) fn reserve_entry(&self, until: Deadline) -> Result<(), OutOfMemory> {
        if self.it.get.unacked.free.load(Ordering::Relaxed) == 0 {
            heap::within(until, || heap::whatever_is_full(|| self.grow()))
        } else {
            Ok(())
        }
    }

    #[cold]
    fn grow(&self) -> Result<(), OutOfMemory> {
        let (me, unacked) = (self.me, &self.it.get.unacked);
        let savepoint = heap::savepoint(me);
        let old = Off(unacked.table.load(Ordering::Relaxed));
        let room = unacked.room.load(Ordering::Relaxed);
        let more = (2 * room).max(LEAST);
        let fresh = heap::alloc(me, Kind::RAW, heap::HEADER + more * ENTRY)?;
        let words = |table: Off, i: u64| -> &'static AtomicU64 {
            me.arena().at(table.plus(heap::HEADER + i * 8))
        };
        for i in 0..room * (ENTRY / 8) {
            words(fresh, i).store(words(old, i).load(Ordering::Relaxed), Ordering::Relaxed);
        }
        for number in room + 1..=more {
            let it: &Entry = me.arena().at(fresh.plus(heap::HEADER + (number - 1) * ENTRY));
            for word in [&it.word, &it.holder, &it.order, &it.ticket] {
                word.store(0, Ordering::Relaxed);
            }
            it.next.store(if number == more { 0 } else { number + 1 }, Ordering::Relaxed);
        }
        crash_point!("unacked.copied");
        let mut tx = Tx::begin(me);
        tx.set(&unacked.table, fresh.0);
        tx.set(&unacked.room, more);
        tx.set(&unacked.free, room + 1);
        heap::release_to(me, &mut tx, savepoint);
        if !old.is_none() {
            heap::defer_free(me, &mut tx, old);
        }
        crash_point!("unacked.growing");
        tx.commit();
        crash_point!("unacked.grown");
        heap::free_deferred(me, savepoint);
        Ok(())
    }

    /// The message goes from the ring to a free entry, which [`Queue::reserve_entry`] has found, and is
    /// the calling process's.
    #[inline]
    pub(super) fn hand_out(&self, tx: &mut Tx<'_>, word: u64) -> Delivery {
        let unacked = &self.it.get.unacked;
        let number = unacked.free.load(Ordering::Relaxed);
        let it = self.entry(number);
        tx.set(&unacked.free, it.next.load(Ordering::Relaxed));
        tx.set(&it.word, word);
        let delivery = self.give(tx, number, HANDED_OUT);
        tx.set(&it.order, delivery.ticket);
        crash_point!("unacked.handing_out");
        delivery
    }

    /// The calling process holds the message in an entry, which was handed out so often.
    fn give(&self, tx: &mut Tx<'_>, number: u64, handed_out: u64) -> Delivery {
        let (unacked, it) = (&self.it.get.unacked, self.entry(number));
        let ticket = unacked.deliveries.load(Ordering::Relaxed) + 1;
        tx.set(&unacked.deliveries, ticket);
        tx.set(&it.holder, handed_out | u64::from(self.this_process()));
        tx.set(&it.ticket, ticket);
        tx.set(&it.next, 0);
        tx.set(&unacked.held, unacked.held.load(Ordering::Relaxed) + 1);
        crash_point!("unacked.giving");
        Delivery { entry: number, ticket }
    }

    /// Takes the first message that came back, the entry `number`: to be acknowledged again, or for
    /// good. The latch of consumers is held.
    #[cold]
    pub(super) fn take_returned(
        &self,
        number: u64,
        note: &AtomicU64,
        to_ack: bool,
        taken: &mut Taken,
    ) {
        let (unacked, it) = (&self.it.get.unacked, self.entry(number));
        let word = it.word.load(Ordering::Relaxed);
        let mut tx = Tx::begin(self.me);
        self.count_taken(&mut tx, note);
        tx.set(&unacked.first, it.next.load(Ordering::Relaxed));
        tx.set(&unacked.returned, unacked.returned.load(Ordering::Relaxed) - 1);
        if to_ack {
            let times = (it.holder.load(Ordering::Relaxed) & !(HANDED_OUT - 1)) + HANDED_OUT;
            let delivery = self.give(&mut tx, number, times.max(HANDED_OUT));
            taken.deliveries.push(delivery);
        } else {
            taken.has_blobs |= self.empty(&mut tx, number);
        }
        crash_point!("unacked.taking_again");
        tx.commit();
        crash_point!("unacked.taken_again");
        taken.redelivered = true;
        taken.push(word);
        self.publish_get();
    }

    /// Frees an entry; its blob hangs on the thread's chain then, if there is one.
    fn empty(&self, tx: &mut Tx<'_>, number: u64) -> bool {
        let (get, it) = (&self.it.get, self.entry(number));
        let blob = value::blob_of(it.word.load(Ordering::Relaxed));
        tx.set(&it.word, 0);
        tx.set(&it.holder, 0);
        tx.set(&it.next, get.unacked.free.load(Ordering::Relaxed));
        tx.set(&get.unacked.free, number);
        if let Some(blob) = blob {
            let bytes = blob::weight(self.me, blob);
            tx.set(&get.bytes, get.bytes.load(Ordering::Relaxed) + bytes);
            heap::defer_free(self.me, tx, blob);
        }
        crash_point!("unacked.emptied");
        blob.is_some()
    }

    /// Whether the calling process holds the message.
    fn holds(&self, delivery: Delivery) -> bool {
        let unacked = &self.it.get.unacked;
        if !(1..=unacked.room.load(Ordering::Relaxed)).contains(&delivery.entry) {
            return false;
        }
        let it = self.entry(delivery.entry);
        holder(it.holder.load(Ordering::Relaxed)) == self.this_process()
            && it.ticket.load(Ordering::Relaxed) == delivery.ticket
    }

    /// Messages are done with: they are out of the queue for good.
    ///
    /// # Errors
    /// How many of them this process does not hold; the others are acknowledged.
    pub fn ack(&self, deliveries: &[Delivery]) -> Result<(), NotHeld> {
        self.ack_with(deliveries, &mut Plain).unwrap_or(Err(NotHeld(deliveries.len())))
    }

    /// The same, unless an interrupt comes while a member that is stopped keeps the thread from it: `None`
    /// then, and nothing has changed.
    pub fn ack_with(
        &self,
        deliveries: &[Delivery],
        hooks: &mut dyn BlockingHooks,
    ) -> Option<Result<(), NotHeld>> {
        let (me, unacked) = (self.me, &self.it.get.unacked);
        let savepoint = heap::savepoint(me);
        let mut missing = 0;
        {
            let _latch = self.get_latch_with(hooks)?;
            for delivery in deliveries {
                if !self.holds(*delivery) {
                    missing += 1;
                    continue;
                }
                let mut tx = Tx::begin(me);
                self.empty(&mut tx, delivery.entry);
                tx.set(&unacked.held, unacked.held.load(Ordering::Relaxed) - 1);
                crash_point!("unacked.acking");
                tx.commit();
                crash_point!("unacked.acked");
            }
            self.publish_get();
            self.shrink();
        }
        // For those who wait for bytes.
        self.it.not_full.open(deliveries.len());
        heap::free_deferred(me, savepoint);
        Some(if missing == 0 { Ok(()) } else { Err(NotHeld(missing)) })
    }

    /// Gives a large table back when nothing is in it. The latch of consumers is held.
    fn shrink(&self) {
        let unacked = &self.it.get.unacked;
        let used = unacked.held.load(Ordering::Relaxed) + unacked.returned.load(Ordering::Relaxed);
        if used != 0 || unacked.room.load(Ordering::Relaxed) <= KEPT {
            return;
        }
        let table = Off(unacked.table.load(Ordering::Relaxed));
        let mut tx = Tx::begin(self.me);
        tx.set(&unacked.table, 0);
        tx.set(&unacked.room, 0);
        tx.set(&unacked.free, 0);
        heap::defer_free(self.me, &mut tx, table);
        crash_point!("unacked.shrinking");
        tx.commit();
        crash_point!("unacked.shrunk");
    }

    /// Messages are not done with: they are the next that come out.
    ///
    /// # Errors
    /// How many of them this process does not hold; the others are back.
    pub fn give_back(&self, deliveries: &[Delivery]) -> Result<(), NotHeld> {
        self.give_back_with(deliveries, &mut Plain).unwrap_or(Err(NotHeld(deliveries.len())))
    }

    /// The same, unless an interrupt comes while a member that is stopped keeps the thread from it: `None`
    /// then, and nothing has changed.
    pub fn give_back_with(
        &self,
        deliveries: &[Delivery],
        hooks: &mut dyn BlockingHooks,
    ) -> Option<Result<(), NotHeld>> {
        let (back, missing) = {
            let _latch = self.get_latch_with(hooks)?;
            let back: Vec<u64> =
                deliveries.iter().filter(|d| self.holds(**d)).map(|d| d.entry).collect();
            let counts = (back.len(), deliveries.len() - back.len());
            self.take_back(back);
            counts
        };
        if self.it.shut.load(Ordering::Acquire) == shut::ALL {
            self.throw_away();
        } else if back > 0 {
            self.it.not_empty.open(back);
        }
        Some(if missing == 0 { Ok(()) } else { Err(NotHeld(missing)) })
    }

    /// Messages that processes hold which have not acknowledged them.
    #[must_use]
    pub fn unacknowledged(&self) -> u64 {
        // Somebody may be stopped with a latch: what the dead hold comes back with the next look then.
        let _latches = self.alone_until(soon(Deadline::NEVER));
        self.it.get.unacked.held.load(Ordering::Relaxed)
    }

    /// Whether at this instant nothing is in it, and nothing is to be acknowledged.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        let latches = self.alone_until(soon(Deadline::NEVER));
        let held = self.it.get.unacked.held.load(Ordering::Relaxed);
        latches.is_some() && self.len_alone() == 0 && held == 0
    }

    /// Throws the first message away that came back; both latches are held.
    pub(super) fn discard_returned(&self) {
        let unacked = &self.it.get.unacked;
        let first = unacked.first.load(Ordering::Relaxed);
        let mut tx = Tx::begin(self.me);
        tx.set(&unacked.first, self.entry(first).next.load(Ordering::Relaxed));
        tx.set(&unacked.returned, unacked.returned.load(Ordering::Relaxed) - 1);
        self.empty(&mut tx, first);
        self.count_discarded(&mut tx);
        crash_point!("unacked.discarding");
        tx.commit();
        crash_point!("unacked.discarded");
        self.publish_get();
    }

    /// The last entry with a blob, less one, and that blob: for the end of the queue.
    pub(super) fn last_unacked_blob(&self) -> Option<(u64, Off)> {
        let room = self.it.get.unacked.room.load(Ordering::Relaxed);
        (1..=room).rev().find_map(|number| {
            let word = self.entry(number).word.load(Ordering::Relaxed);
            value::blob_of(word).map(|blob| (number - 1, blob))
        })
    }
}
