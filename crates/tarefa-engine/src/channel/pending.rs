//! Messages that were put and are not done yet: `task_done` and `join`.
//!
//! They are counted by two numbers that only grow: all that were ever put, and those that are done. A
//! process that takes messages has a note of how many it has taken and not done, in a block that the
//! queue owns; the note names the process as a lock's word does. So whoever waits finds the notes of
//! processes that have ended, and counts their messages as done, and as lost: a death has all waiters
//! look around.

use super::queue::{PER_NOTES, Queue, shut, soon};
use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::os::clock::Deadline;
use crate::shm::arena::offset::Off;
use crate::shm::heap::{self, Kind, OutOfMemory};
use crate::shm::member::slots;
use crate::shm::tx::journal::Tx;
use crate::shm::tx::latch::Latched;
use crate::sync::wait::{self, Awaited, BlockingHooks, Outcome, Plain};

/// More messages were said to be done than were put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("all messages that were put are done already")]
pub struct TooManyDone;

/// How a wait until all is done ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// All is done.
    Yes,
    /// Nothing is left to do, but so many were taken by processes that ended before they were done;
    /// the last such process.
    Lost(u64, i32),
    /// The deadline passed first.
    TimedOut,
    /// The hooks ended the wait.
    Interrupted,
}

const COUNT: u64 = u32::MAX as u64;

/// A note: the process as a lock's word names it, and above it how many.
fn owner(note: u64) -> u32 {
    (note >> 32) as u32
}

impl Queue<'_> {
    /// The note of the calling process; the latch of consumers is held. Who takes something out of a
    /// queue frees memory, so a note is found whatever is full.
    #[inline]
    pub(super) fn note(&self, until: Deadline) -> Result<&'static AtomicU64, OutOfMemory> {
        let me = self.me;
        let process = me.slot().owner.load(Ordering::Relaxed).saturating_sub(1) as usize;
        let notes = &self.it.notes[process / PER_NOTES];
        let mut block = Off(notes.load(Ordering::Relaxed));
        if block.is_none() {
            block = heap::within(until, || heap::whatever_is_full(|| self.make_notes(notes)))?;
        }
        let at = block.plus(heap::HEADER + (process % PER_NOTES) as u64 * 8);
        Ok(me.arena().at(at))
    }

    #[cold]
    fn make_notes(&self, notes: &AtomicU64) -> Result<Off, OutOfMemory> {
        let me = self.me;
        let savepoint = heap::savepoint(me);
        let size = heap::HEADER + PER_NOTES as u64 * 8;
        let block = heap::alloc(me, Kind::RAW, size)?;
        for i in 0..PER_NOTES as u64 {
            let word: &AtomicU64 = me.arena().at(block.plus(heap::HEADER + i * 8));
            word.store(0, Ordering::Relaxed);
        }
        crash_point!("channel.notes_cleared");
        let mut tx = Tx::begin(me);
        tx.set(notes, block.0);
        heap::release_to(me, &mut tx, savepoint);
        crash_point!("channel.notes");
        tx.commit();
        crash_point!("channel.notes_done");
        Ok(block)
    }

    /// One more is taken by the calling process, whose `note` it is.
    #[inline]
    pub(super) fn count_taken(&self, tx: &mut Tx<'_>, note: &AtomicU64) {
        let me = self.me;
        let process = me.slot().owner.load(Ordering::Relaxed).saturating_sub(1) as u32;
        let mine = u64::from(slots::lock_owner(me.arena(), process)) << 32;
        let seen = note.load(Ordering::Relaxed);
        let count = seen & COUNT;
        if seen & !COUNT == mine {
            tx.set(note, mine | (count + 1).min(COUNT));
        } else {
            // Of a process that had the slot before.
            self.count_lost(tx, count, owner(seen));
            tx.set(note, mine | 1);
        }
        crash_point!("channel.noted");
    }

    /// `count` that a process had taken will not be done by it. Some of them may have been said to be
    /// done by others: what still lies in the queue is nobody's.
    fn count_lost(&self, tx: &mut Tx<'_>, count: u64, process: u32) {
        let get = &self.it.get;
        let queued = self.it.tail.load(Ordering::Acquire) - get.head.load(Ordering::Relaxed)
            + get.unacked.returned.load(Ordering::Relaxed);
        let count = count.min(self.pending_alone().saturating_sub(queued));
        if count == 0 {
            return;
        }
        let pid = slots::dead_owner(self.me.arena(), process).unwrap_or(0);
        tx.set(&get.done, get.done.load(Ordering::Relaxed) + count);
        tx.set(&get.lost, get.lost.load(Ordering::Relaxed) + count);
        tx.set(&get.lost_pid, pid as u64);
        crash_point!("channel.counting_lost");
    }

    /// A message is thrown away: it counts as done.
    pub(super) fn count_discarded(&self, tx: &mut Tx<'_>) {
        if self.pending_alone() > 0 {
            let done = &self.it.get.done;
            tx.set(done, done.load(Ordering::Relaxed) + 1);
        }
        crash_point!("channel.counted_discarded");
    }

    /// Messages that were put and are not done; the latch of consumers is held.
    pub(super) fn pending_alone(&self) -> u64 {
        let get = &self.it.get;
        let put = self.it.tail.load(Ordering::Acquire) + get.popped.load(Ordering::Relaxed);
        put.saturating_sub(get.done.load(Ordering::Relaxed))
    }

    /// Counts what processes had taken that have ended. Both latches are held.
    fn find_lost(&self) {
        let me = self.me;
        // What comes back is not lost, also of one whose end is not counted yet.
        self.return_what_the_dead_hold();
        for notes in &self.it.notes {
            let block = Off(notes.load(Ordering::Relaxed));
            if block.is_none() {
                continue;
            }
            for i in 0..PER_NOTES as u64 {
                let note: &AtomicU64 = me.arena().at(block.plus(heap::HEADER + i * 8));
                let seen = note.load(Ordering::Relaxed);
                if seen == 0 || slots::living_owner(me.arena(), owner(seen)).is_some() {
                    continue;
                }
                let mut tx = Tx::begin(me);
                self.count_lost(&mut tx, seen & COUNT, owner(seen));
                tx.set(note, 0);
                crash_point!("channel.finding_lost");
                tx.commit();
                crash_point!("channel.found_lost");
            }
        }
    }

    /// Messages that were put and are not done.
    #[must_use]
    pub fn pending(&self) -> u64 {
        if let Some(_latches) = self.alone_until(soon(Deadline::NEVER)) {
            self.find_lost();
        }
        // Else somebody is stopped with a latch: as far as others have come.
        self.pending_alone()
    }

    /// A message that was taken is done.
    ///
    /// # Errors
    /// [`TooManyDone`]; nothing has changed.
    pub fn task_done(&self) -> Result<(), TooManyDone> {
        // In a child that a signal's handler has forked it is the parent's to say.
        self.task_done_with(&mut Plain).unwrap_or(Ok(()))
    }

    /// The same, unless an interrupt comes while a member that is stopped keeps the thread from it: `None`
    /// then, and nothing has changed.
    pub fn task_done_with(&self, hooks: &mut dyn BlockingHooks) -> Option<Result<(), TooManyDone>> {
        let latches = self.alone_with(hooks)?;
        Some(self.task_done_under(latches))
    }

    fn task_done_under(&self, latches: (Latched<'_>, Latched<'_>)) -> Result<(), TooManyDone> {
        let (me, it) = (self.me, self.it);
        let pending = self.pending_alone();
        if pending == 0 {
            return Err(TooManyDone);
        }
        let mut tx = Tx::begin(me);
        tx.set(&it.get.done, it.get.done.load(Ordering::Relaxed) + 1);
        let process = me.slot().owner.load(Ordering::Relaxed).saturating_sub(1) as u32;
        let mine = u64::from(slots::lock_owner(me.arena(), process)) << 32;
        // Without room for a note the process has taken none.
        if let Ok(note) = self.note_if_any() {
            let seen = note.load(Ordering::Relaxed);
            if seen & !COUNT == mine && seen & COUNT > 0 {
                tx.set(note, seen - 1);
            }
        }
        crash_point!("channel.doing");
        tx.commit();
        crash_point!("channel.done");
        drop(latches);
        if pending == 1 {
            it.idle.open_for_all();
        }
        Ok(())
    }

    fn note_if_any(&self) -> Result<&'static AtomicU64, ()> {
        let process = self.me.slot().owner.load(Ordering::Relaxed).saturating_sub(1) as usize;
        let block = Off(self.it.notes[process / PER_NOTES].load(Ordering::Relaxed));
        if block.is_none() {
            return Err(());
        }
        Ok(self.me.arena().at(block.plus(heap::HEADER + (process % PER_NOTES) as u64 * 8)))
    }

    /// A message that the process `holder` had taken is in the queue again: it is not that process's to
    /// do any more, and to be done even if it was said to be done. The latch of consumers is held.
    pub(super) fn count_returned(&self, tx: &mut Tx<'_>, holder: u32) {
        let get = &self.it.get;
        let process = slots::slot_of(holder).map_or(0, |index| index as usize);
        let block = Off(self.it.notes[process / PER_NOTES].load(Ordering::Relaxed));
        if !block.is_none() {
            let at = block.plus(heap::HEADER + (process % PER_NOTES) as u64 * 8);
            let note: &AtomicU64 = self.me.arena().at(at);
            let seen = note.load(Ordering::Relaxed);
            if owner(seen) == holder && seen & COUNT > 0 {
                tx.set(note, seen - 1);
                crash_point!("channel.note_returned");
                return;
            }
        }
        tx.set(&get.done, get.done.load(Ordering::Relaxed).saturating_sub(1));
        crash_point!("channel.undone");
    }

    /// Waits until all that was put is done. Messages that were taken by processes which ended before
    /// they were done are told of by the next wait that ends, once.
    pub fn join(&self, hooks: &mut dyn BlockingHooks, deadline: Deadline) -> Joined {
        let told = self.it.get.told.load(Ordering::Acquire);
        loop {
            let mut condition = JoinWait {
                queue: *self,
                told,
                seen: None,
                until: deadline,
                held: false,
                result: None,
            };
            let outcome = wait::wait(self.me, hooks, &mut condition, deadline);
            match (outcome, condition.result) {
                (_, Some(joined)) => return joined,
                (Outcome::Interrupted, None) => return Joined::Interrupted,
                (Outcome::Ready, None) if condition.held && !deadline.passed() => {
                    if hooks.interrupted() || !self.me.is_here() {
                        return Joined::Interrupted;
                    }
                }
                (Outcome::TimedOut | Outcome::Ready, None) => return Joined::TimedOut,
            }
        }
    }
}

/// A thread that waits until all is done.
struct JoinWait<'a> {
    queue: Queue<'a>,
    /// What others had been told of when the wait began.
    told: u64,
    /// What the gate was at the last look.
    seen: Option<u32>,
    until: Deadline,
    /// Somebody who is stopped has a latch: the wait ends, and begins anew.
    held: bool,
    result: Option<Joined>,
}

impl JoinWait<'_> {
    fn look(&mut self) -> bool {
        let queue = self.queue;
        let get = &queue.it.get;
        if queue.it.shut.load(Ordering::Acquire) == shut::ALL {
            // Who shut it down may have died before all of it was thrown away, and what the dead held
            // comes back.
            self.held = !queue.throw_away_for(self.until);
            if self.held {
                return true;
            }
        }
        let Some(_latches) = queue.alone_until(soon(self.until)) else {
            self.held = true;
            return true;
        };
        queue.find_lost();
        if queue.pending_alone() > 0 {
            return false;
        }
        let lost = get.lost.load(Ordering::Relaxed);
        self.result = Some(if lost > self.told {
            get.told.store(lost, Ordering::Release);
            crash_point!("channel.told");
            Joined::Lost(lost - self.told, get.lost_pid.load(Ordering::Relaxed) as i32)
        } else {
            Joined::Yes
        });
        true
    }
}

impl Awaited for JoinWait<'_> {
    fn word(&self) -> &'static AtomicU32 {
        self.queue.it.idle.word()
    }

    fn object(&self) -> Off {
        self.queue.off
    }

    fn ready(&mut self) -> bool {
        // Who ends the wait opens the gate, which changes it.
        let now = self.word().load(Ordering::Acquire);
        if self.seen == Some(now) {
            return false;
        }
        self.seen = Some(now);
        self.look()
    }

    fn announce(&mut self) -> Option<u32> {
        let value = self.queue.it.idle.announce(false);
        if self.look() { None } else { Some(value) }
    }
}
